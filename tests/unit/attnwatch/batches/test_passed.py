import os
import time

import pytest

from attnwatch.batches.discover import walk
from attnwatch.batches.passed import Passed
from attnwatch.system.exclusion import Exclusion
from attnwatch.system.roots import Root
from tests.legacy_support import OldBatch
from tests.support import Batch, closed_folder, write_json, write_manifest


def passed(root):
    found = Passed()
    for folder in walk(root):
        found.take(folder)
    return found


def video(path, age=3600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"video")
    when = time.time() - age
    os.utime(path, (when, when))
    return path


@pytest.mark.parametrize("name", ["video_002.mp4", "clip.MOV", "clip.webm", "clip.gif"])
def test_a_video_without_a_manifest_is_found(tmp_path, name):
    write_manifest(tmp_path / "video_001.complete.json")
    video(tmp_path / "video_001.mp4")
    forgotten = video(tmp_path / name)
    assert passed(tmp_path).unmarked == [forgotten]


def test_a_video_that_a_manifest_of_another_name_names_is_not_without_one(tmp_path):
    video(tmp_path / "dog.mp4")
    write_manifest(tmp_path / "first.complete.json", video="dog.mp4")
    assert passed(tmp_path).unmarked == []


def test_a_video_that_was_written_just_now_may_get_its_manifest_yet(tmp_path):
    video(tmp_path / "video_001.mp4", age=0)
    assert passed(tmp_path).unmarked == []


def test_videos_of_older_batches_need_no_manifest(tmp_path):
    OldBatch(tmp_path / "old").add()
    for path in tmp_path.rglob("*.mp4"):
        video(path)
    assert passed(tmp_path).unmarked == []


def test_outputs_are_not_videos_without_a_manifest(tmp_path):
    video(tmp_path / "attention_videos" / "x_kiss_overlay.mp4")
    assert passed(tmp_path).unmarked == []


def test_what_the_user_leaves_out_is_named_and_its_video_is_not_one_without_a_manifest(tmp_path):
    write_manifest(tmp_path / "a" / "video_001.complete.json")
    video(tmp_path / "a" / "video_001.mp4")
    (tmp_path / "old").mkdir()
    found = Passed()
    for folder in walk(tmp_path, start=Root(tmp_path, excluded=Exclusion(("old", "video_001.complete.json")))):
        found.take(folder)
    assert found.excluded == [tmp_path / "old", tmp_path / "a" / "video_001.complete.json"]
    assert (found.excluded_number, found.unmarked) == (2, [])


def test_a_batch_is_found_before_its_first_video_is_finished(tmp_path):
    batch = Batch.make(tmp_path)
    write_json(batch.folder / "batch.json", {})
    assert passed(tmp_path).batches == [batch.folder]


def test_a_folder_that_cannot_be_read_is_found_with_the_reason():
    with closed_folder() as folder:
        assert passed(folder.parent).closed == {folder: "Permission denied"}


def test_a_folder_that_vanishes_is_not_one_that_cannot_be_read(tmp_path):
    assert passed(tmp_path / "gone").closed == {}
