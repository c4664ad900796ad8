from importlib.metadata import version
from pathlib import Path

import pytest

from attnwatch.jobs.cluster.expected import Expected, expected_folder, look, wrong_clock, wrong_version
from attnwatch.system.permissions import user
from tests.support import closed_folder


@pytest.fixture
def root(tmp_path):
    (tmp_path / "here" / "kiss").mkdir(parents=True)
    return tmp_path / "here"


def found(*folders, number=None):
    return Expected(number or version("attnwatch"), folders).problem()


def test_a_worker_that_has_the_folder_is_fit_and_nothing_is_left_there(root):
    assert found(expected_folder(root, root, is_written=True)) is None
    assert [path.name for path in root.iterdir()] == ["kiss"]


def test_a_folder_that_is_missing_or_holds_other_files_is_named_with_what_to_do(root, tmp_path):
    other = tmp_path / "there"
    folder = expected_folder(root, other, is_written=True)
    assert found(folder) == (
        f"found no folder {other} (here {root}); expected the one that is watched; mount it there, or say where it is: "
        f"--path-map {root}=PATH"
    )
    other.mkdir()
    assert f"found other files in {other} (here {root})" in found(folder)
    (other / "kiss").mkdir()
    assert found(folder) is None


def test_an_empty_folder_says_nothing_about_what_it_should_hold(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert found(expected_folder(tmp_path / "a", tmp_path / "b", is_written=True)) is None


def test_a_folder_that_cannot_be_written_matters_only_if_outputs_go_there():
    with closed_folder() as closed:
        problem = found(expected_folder(Path(closed), Path(closed), is_written=True))
        assert problem.startswith(f"found {closed}, where it cannot write (Permission denied); expected ")
        assert f"that user {user()} may use; change its permissions" in problem
        assert problem == found(expected_folder(Path(closed), Path(closed), is_written=True)), (
            "it would be logged again"
        )
        assert found(expected_folder(Path(closed), Path(closed), is_written=False)) is None


def test_other_versions_and_clocks_are_wrong():
    assert found(number="9.9") == wrong_version(version("attnwatch"), "9.9")
    assert (
        wrong_version(None, "9.9") == "found no attnwatch; expected attnwatch 9.9, as here; install that version there"
    )
    assert wrong_clock(59.0) is None
    assert wrong_clock(-61.0) == "found its clock 61 s behind the watcher's; expected less than 60 s; set both by NTP"
    assert "ahead of" in wrong_clock(3600.0)


def test_a_look_tells_the_time_of_the_worker(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 5.0)
    assert look(Expected("9.9", ())).time == 5.0
