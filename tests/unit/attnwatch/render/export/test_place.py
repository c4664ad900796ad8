"""Where an export goes: whole or not at all, beside what others have there."""

import errno
import json
import os
import stat

import pytest

from attnwatch.batches.discover import walk
from attnwatch.batches.videos import read_video
from attnwatch.errors import BusyError, ConfigError, JobError
from attnwatch.render.export.place import document_name
from attnwatch.render.export.scene import Scene
from attnwatch.render.export.video import Export
from attnwatch.settings import Visualization
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
from tests.exported import document
from tests.support import Batch, contents

NAME = "prompt_001_vid001_png16_grid"


@pytest.fixture
def manifest(tmp_path):
    return read_video(Batch.make(tmp_path / "outputs").add(words=("kiss", "man")))


def export(manifest, out=None, kind="png16", grid=True, **asked):
    return Export(manifest, Visualization(), kind, grid=grid, **asked).write(out)


def test_exports_lie_beside_the_outputs_of_the_video(manifest):
    export(manifest)
    beside = manifest.output_directory / "export"
    assert [path.name for path in beside.iterdir()] == [NAME]
    assert stat.S_IMODE((beside / NAME).stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


def test_an_export_takes_the_place_of_the_earlier_one_of_its_kind(manifest, tmp_path):
    export(manifest, tmp_path / "out")
    export(manifest, tmp_path / "out", kind="exr")
    export(manifest, tmp_path / "out", words=["man"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["prompt_001_vid001_exr_grid", NAME]
    assert {path.name.split(".")[0] for path in (tmp_path / "out" / NAME).glob("*.png")} == {"prompt_001_vid001_man"}


def test_files_that_no_export_has_written_are_left_alone(manifest, tmp_path):
    export(manifest, tmp_path)
    (tmp_path / NAME / "shot_010.nk").write_text("a script")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"found 'shot_010.nk'; expected an earlier export and nothing else"):
        export(manifest, tmp_path)
    assert contents(tmp_path) == before


def test_a_file_with_the_name_of_an_export_is_left_alone(manifest, tmp_path):
    (tmp_path / NAME).write_text("mine")
    with pytest.raises(ConfigError, match="found a file; expected nothing, or an earlier export"):
        export(manifest, tmp_path)
    assert (tmp_path / NAME).read_text() == "mine"


@pytest.mark.parametrize("below", ["", "out"])
def test_a_file_in_place_of_the_folder_of_exports_is_named(manifest, tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="found a file; expected a folder, or nothing; name another --out"):
        export(manifest, tmp_path / "file" / below)


def test_no_export_goes_through_a_link_beside_the_video(manifest, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    manifest.output_directory.mkdir()
    (manifest.output_directory / "export").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="found a link; expected a folder; name where it leads to with --out"):
        export(manifest)
    assert contents(tmp_path / "elsewhere") == {}


def test_another_video_of_the_same_name_is_not_overwritten(manifest, tmp_path):
    other = read_video(Batch.make(tmp_path / "others").add(words=("dog",), generation={"seed": 2}))
    export(manifest, tmp_path / "out")
    with pytest.raises(ConfigError, match="found the export of another video that is called 'prompt_001_vid001'"):
        export(other, tmp_path / "out")
    assert len(document(tmp_path / "out" / NAME)["words"]) == 2


@pytest.mark.parametrize("grid", [True, False])
def test_after_a_failure_the_earlier_export_is_as_it_was(manifest, tmp_path, monkeypatch, grid):
    export(manifest, tmp_path / "out", grid=grid)
    before = contents(tmp_path / "out")
    write = Scene.write

    def full(self, word, folder, *rest):
        write(self, word, folder, *rest)
        if word.slug == "man":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.png")

    monkeypatch.setattr(Scene, "write", full)
    with pytest.raises(JobError, match=r"found no room while .* was written \(No space left on device\)"):
        export(manifest, tmp_path / "out", grid=grid)
    assert contents(tmp_path / "out") == before


def test_what_a_killed_export_left_behind_is_removed_by_the_next_one(manifest, tmp_path):
    left = tmp_path / f".{NAME}.tmp" / NAME
    left.mkdir(parents=True)
    (left / "a.png").write_bytes(b"half")
    export(manifest, tmp_path)
    assert not left.parent.exists()


def test_a_second_export_of_the_same_is_refused_while_the_first_one_runs(manifest, tmp_path):
    with Folder.open(tmp_path) as folder, exclusive(folder, NAME), pytest.raises(BusyError):
        export(manifest, tmp_path)


def test_without_enough_space_nothing_is_written_and_the_figures_are_told(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr("attnwatch.render.export.place.free_space", lambda folder: 2**19)
    with pytest.raises(
        JobError, match=r"found 512 KiB of free space; expected about 1 MiB for prompt_001_vid001_png16"
    ):
        export(manifest, tmp_path / "out")
    assert contents(tmp_path / "out") == {}


def test_exports_below_a_watched_folder_are_not_taken_for_videos(manifest, tmp_path):
    export(manifest, tmp_path / "outputs" / "comp", kind="prores4444", grid=False)
    export(manifest, tmp_path / "outputs" / "comp")
    export(manifest)
    folders = list(walk(tmp_path / "outputs"))
    assert [name for folder in folders for name in folder.files] == [manifest.path.name]
    assert [name for folder in folders for name in folder.unmarked] == []
    assert not any(folder.older for folder in folders)


@pytest.mark.parametrize("files", ["%", "%q", "%s%s", "%(x)s", "%*d", "%%", "%999999999d"])
def test_names_in_the_document_of_an_export_are_no_formats_of_their_own(manifest, tmp_path, files):
    export(manifest, tmp_path)
    path = tmp_path / NAME / document_name("prompt_001_vid001")
    content = json.loads(path.read_text())
    content["words"][0]["files"] = files
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="expected an earlier export and nothing else"):
        export(manifest, tmp_path)
