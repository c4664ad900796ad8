import errno
import os
from pathlib import Path

import pytest

from attnwatch.system.files import link_or_copy, move_into_place, remove_tree, write_file
from attnwatch.system.folders import Folder, LinkError
from tests.support import bury, contents, opened_since


def test_a_tree_is_removed_and_links_in_it_are_not_followed(batch, outside):
    (batch / "maps" / "link").symlink_to(outside)
    (batch / "maps" / "words" / "file").symlink_to(outside / "kiss")
    os.mkfifo(batch / "maps" / "fifo")
    before = contents(outside)
    with Folder.open(batch) as folder:
        remove_tree("maps", folder)
        remove_tree("own", folder)
        remove_tree("absent", folder)
        assert folder.names() == []
    assert contents(outside) == before


def test_a_link_to_a_tree_is_removed_itself(batch, outside):
    (batch / "link").symlink_to(outside)
    before = contents(outside)
    with Folder.open(batch) as folder:
        remove_tree("link", folder)
    assert not (batch / "link").is_symlink()
    assert contents(outside) == before


def test_a_very_deep_tree_is_removed(batch, request):
    request.addfinalizer(lambda: bury(batch))
    folder = Folder.open(batch)
    for _ in range(1_500):
        folder.create("file").close()
        deeper = folder.folder("d", create=True)
        folder.close()
        folder = deeper
    folder.close()
    opened = opened_since()
    with Folder.open(batch) as folder:
        remove_tree("d", folder)
        assert "d" not in folder.names()
    assert not opened()


def test_a_finished_file_is_flushed_and_moved_over_the_old_one(batch, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_ino))
    (batch / "maps" / "new").write_bytes(b"old")
    number = (batch / "own").stat().st_ino
    with Folder.open(batch) as folder, folder.folder("maps") as maps:
        move_into_place("own", folder, maps, "new")
    assert (batch / "maps" / "new").read_bytes() == b"own"
    assert not (batch / "own").exists()
    assert flushed == [number]


def test_only_a_regular_file_is_moved(batch, outside):
    (batch / "link").symlink_to(outside / "kiss")
    with Folder.open(batch) as folder, folder.folder("maps") as maps, pytest.raises(LinkError):
        move_into_place("link", folder, maps, "new")


def test_a_second_name_is_a_hard_link_if_possible(batch, monkeypatch):
    (batch / "other").write_bytes(b"other")
    with Folder.open(batch) as folder, folder.folder("maps") as maps:
        link_or_copy("own", folder, maps)
        monkeypatch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EPERM, "no links here")))
        link_or_copy("other", folder, maps)
    assert (batch / "maps" / "own").samefile(batch / "own")
    assert not (batch / "maps" / "other").samefile(batch / "other")
    assert (batch / "maps" / "other").read_bytes() == b"other"


def test_a_link_gets_no_second_name(batch, outside):
    (batch / "link").symlink_to(outside / "kiss")
    (batch / "maps" / "own").write_bytes(b"taken")
    with Folder.open(batch) as folder, folder.folder("maps") as maps:
        for name, error in (("link", LinkError), ("nothing", FileNotFoundError), ("own", FileExistsError)):
            with pytest.raises(error):
                link_or_copy(name, folder, maps)
    assert sorted(path.name for path in (batch / "maps").iterdir()) == ["own", "words"]
    assert (batch / "maps" / "own").read_bytes() == b"taken"


def test_a_file_exchanged_for_a_link_while_it_is_linked_is_copied_as_it_was(batch, outside, monkeypatch):
    real_link = os.link

    def exchanged(*args, **options):
        (batch / "own").unlink()
        (batch / "own").symlink_to(outside / "kiss")
        real_link(*args, **options)

    monkeypatch.setattr(os, "link", exchanged)
    with Folder.open(batch) as folder, folder.folder("maps") as maps:
        link_or_copy("own", folder, maps)
    assert not (batch / "maps" / "own").is_symlink()
    assert (batch / "maps" / "own").read_bytes() == b"own"


def test_a_pipe_or_device_that_a_user_names_is_written_to_and_stays(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for number, path in enumerate((pipe, link)):
            write_file(path, b"%d" % number)
        assert os.read(reader, 10) == b"01"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert link.is_symlink()


def test_the_name_of_an_open_file_stays_a_name_of_it(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        write_file(Path(f"/dev/fd/{file.fileno()}"), b"table")
    assert (tmp_path / "a").read_bytes() == b"table"
