"""Files that attnwatch wrote under a name of the user's are known again; nothing else is taken for one."""

import os

import pytest

from attnwatch.media.marks import is_marked, mark


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "OUT.GIF"])
def test_a_marked_file_is_known_and_keeps_what_players_read(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(content := b"GIF89a and pictures;")
    assert not is_marked(path)
    mark(path)
    assert is_marked(path)
    assert path.read_bytes().startswith(content[:-1])


def test_a_file_of_another_format_stays_as_it_is(tmp_path):
    path = tmp_path / "out.webp"
    path.write_bytes(b"pictures")
    mark(path)
    assert (path.read_bytes(), is_marked(path)) == (b"pictures", False)


def test_what_is_no_file_or_too_short_or_a_link_or_not_there_has_no_mark(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "short.mp4").write_bytes(b"x")
    (tmp_path / "made.mp4").write_bytes(b"video")
    mark(tmp_path / "made.mp4")
    (tmp_path / "link.mp4").symlink_to("made.mp4")
    names = ("pipe", "folder", "short", "link", "none")
    assert not any(is_marked(tmp_path / f"{name}.mp4") for name in names)
