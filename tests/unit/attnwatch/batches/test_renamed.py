"""Videos without an identifier of their own whose folder is renamed after they were rendered."""

import shutil

import pytest

from attnwatch.batches import renamed
from attnwatch.batches.targets import Target
from attnwatch.batches.videos import read_video
from tests.planning import due, needs_nothing, watching
from tests.support import Batch, write_manifest, write_receipt


@pytest.fixture(autouse=True)
def _first_look():
    renamed._earlier.cache_clear()


@pytest.fixture
def clips(tmp_path):
    """A flat folder with the manifests of two videos, dog and big_dog, whose files do not matter here."""
    folder = tmp_path / "clips"
    for name in ("dog", "big_dog"):
        write_manifest(folder / f"{name}.complete.json", video=f"{name}.mp4")
        (folder / f"{name}.mp4").write_bytes(name.encode())
    (folder / "maps.safetensors").write_bytes(b"maps")
    return folder


def identifiers(folder):
    return [read_video(folder / f"{name}.complete.json").video_id for name in ("dog", "big_dog")]


def render(folder):
    for name in ("dog", "big_dog"):
        write_receipt(folder / f"{name}.complete.json")


def test_a_rendered_video_keeps_its_identifier_when_its_folder_is_renamed(clips):
    render(clips)
    assert identifiers(clips) == ["clips_dog", "clips_big_dog"]
    for name in ("clips_2", "other", "c"):
        clips = clips.rename(clips.with_name(name))
        assert identifiers(clips) == ["clips_dog", "clips_big_dog"]


def test_it_keeps_its_identifier_if_the_new_name_begins_the_old_one(clips):
    clips = clips.rename(clips.with_name("clips_2"))
    render(clips)
    assert identifiers(clips.rename(clips.with_name("clips"))) == ["clips_2_dog", "clips_2_big_dog"]


def test_a_copy_of_the_folder_needs_no_rendering(clips):
    render(clips)
    copy = clips.with_name("copy")
    shutil.copytree(clips, copy)
    assert identifiers(copy) == ["clips_dog", "clips_big_dog"]


def test_numbered_videos_keep_their_identifiers_too(tmp_path):
    manifest = Batch.make(tmp_path).add()
    write_receipt(manifest)
    folder = manifest.parent.rename(manifest.parent.with_name("renamed"))
    assert read_video(folder / manifest.name).video_id == "prompt_001_vid001"


def test_a_video_without_a_receipt_has_the_name_of_its_folder(clips):
    write_receipt(clips / "dog.complete.json")
    assert identifiers(clips.rename(clips.with_name("other"))) == ["clips_dog", "other_big_dog"]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write_manifest(folder / "dog.complete.json", video="dog.mp4", generation={"seed": 2}),
        lambda folder: (folder / "dog.mp4").write_bytes(b"another video"),
    ],
    ids=["manifest", "video"],
)
def test_another_video_does_not_take_over_the_outputs(clips, change):
    render(clips)
    folder = clips.rename(clips.with_name("other"))
    change(folder)
    assert identifiers(folder) == ["other_dog", "clips_big_dog"]


def test_files_that_were_removed_after_the_rendering_do_not_count(clips):
    render(clips)
    folder = clips.rename(clips.with_name("other"))
    (folder / "dog.mp4").unlink()
    assert identifiers(folder) == ["clips_dog", "clips_big_dog"]


def test_an_identifier_in_the_manifest_counts_more_than_a_receipt(clips):
    manifest = write_manifest(clips / "dog.complete.json", video="dog.mp4", video_id="mine")
    write_receipt(manifest)
    assert identifiers(clips.rename(clips.with_name("other")))[0] == "mine"


def test_a_renamed_folder_is_listed_once(clips, monkeypatch):
    render(clips)
    folder = clips.rename(clips.with_name("other"))
    listed = []
    listing = renamed._identifiers
    monkeypatch.setattr(renamed, "_identifiers", lambda directory: listed.append(directory) or listing(directory))
    for _ in range(3):
        identifiers(folder)
    assert listed == [folder / "attention_videos"]


def test_the_watcher_has_nothing_to_do_after_a_renaming(tmp_path):
    manifest = Batch.make(tmp_path).add()
    assert due(watching(tmp_path).decide(Target(manifest)))
    write_receipt(manifest)
    folder = manifest.parent.rename(manifest.parent.with_name("renamed"))
    assert needs_nothing(watching(tmp_path).decide(Target(folder / manifest.name)))
