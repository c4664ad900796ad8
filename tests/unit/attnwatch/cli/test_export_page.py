import errno
import os

import pytest

from attnwatch.cli import export as command
from tests.support import Batch, called, write_receipt

pytest.importorskip("starlette")


@pytest.fixture(autouse=True)
def batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    batch = Batch.make(tmp_path / "outputs")
    for number in (1, 2):
        write_receipt(batch.add_full(number, words=("kiss", "men")))
    return batch


def test_a_batch_and_a_new_folder_with_a_slash_make_a_page_whose_size_is_told_first(batch, capsys, tmp_path):
    code, out, _ = called(capsys, "export", batch.folder, "page/")
    size, written = out.splitlines()
    assert (code, written) == (0, "page/index.html: open it in a browser")
    assert size.startswith("page: about ")
    assert size.endswith(": 2 videos, 2 denoising steps")
    assert (tmp_path / "page" / "index.html").exists()


def test_a_page_that_is_there_already_is_named_as_such_and_not_taken_for_videos(batch, capsys):
    called(capsys, "export", batch.folder, "page/")
    code, _, error = called(capsys, "export", batch.folder, "page/")
    assert (code, "page; expected a folder that does not exist yet, or is empty" in error) == (2, True)


def test_a_page_is_asked_for_by_its_format_and_holds_what_was_selected(batch, capsys, tmp_path):
    selected = ("--videos", "*_vid002", "--words", "men", "--steps", "mean", "--link")
    code, out, _ = called(capsys, "export", "demo", "--format", "page", "-o", "page", *selected)
    assert (code, out.splitlines()[0].rpartition(": ")[2]) == (0, "1 video, 0 denoising steps")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("demo", "--format", "page"), "-o page/"),
        (("demo", "--format", "page", "-o", "outputs"), "is empty"),
        (("demo", "--format", "page", "-o", "new", "--grid"), "--grid"),
        (("demo", "--format", "page", "-o", "new", "--set", "colormap=hot"), "no effect on the page"),
        (("demo", "--steps", "mean"), "--format page"),
        (("demo", "nothing"), "found nothing at nothing"),
        (("demo", "nothing/video_001.mp4"), "found nothing at nothing"),
    ],
)
def test_what_does_not_go_together_is_named(capsys, arguments, told):
    code, _, error = called(capsys, "export", *arguments)
    assert (code, told in error.replace("\n", " ")) == (2, True), error


def test_folders_of_videos_with_a_slash_are_exported_as_images_as_before(batch, capsys, monkeypatch):
    monkeypatch.setattr("attnwatch.cli.exporting.Export.write", lambda *_: (_ for _ in ()).throw(OSError("as before")))
    code, out, _ = called(capsys, "export", f"{batch.folder}/", "outputs/")
    assert (code, "as before" in out) == (1, True)
    assert command.export.__name__ == "export"


def test_a_page_for_which_there_is_no_room_is_not_written_and_leaves_nothing(batch, capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("attnwatch.web.export.writing._write", full)
    code, out, err = called(capsys, "export", batch.folder, "page/")
    assert (code, err) == (1, "")
    assert "page: not written: found No space left on device; expected room on its disk; free some space" in out
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]
