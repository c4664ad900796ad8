import errno
import os

import pytest

from attnwatch.contract.receipts import Place
from attnwatch.jobs import outputs
from attnwatch.jobs.outputs import move_all, temporary_folder
from attnwatch.system.folders import PathError


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "attention_videos"
    directory.mkdir()
    return Place(tmp_path / "v.complete.json", "v", directory)


def test_what_another_user_has_left_is_named_with_what_to_do_and_stops_nothing(place, monkeypatch, caplog):
    left = place.directory / ".v.tmp"
    (left / "inside").mkdir(parents=True)

    def denied(name, folder):
        if name == left.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        remove(name, folder)

    remove = outputs.remove_tree
    monkeypatch.setattr(outputs, "remove_tree", denied)
    with place.open() as folder, temporary_folder(place, folder) as temporary:
        temporary.write("done", b"")
    (record,) = caplog.records
    assert str(left) in record.message
    assert "ask that user to remove it" in record.message
    assert [path.name for path in place.directory.iterdir()] == [left.name]


def test_a_folder_that_has_the_name_of_an_output_is_named_with_what_to_do(place):
    taken = place.directory / "v_kiss_overlay.mp4"
    taken.mkdir()
    with place.open() as folder, temporary_folder(place, folder) as temporary:
        temporary.write("done", b"")
        with pytest.raises(PathError) as caught:
            move_all(place, {"done": taken.name}, temporary, folder)
    assert str(caught.value) == (
        f"{taken}: found a folder with the name of an output; expected a file, or nothing; rename or remove it"
    )
