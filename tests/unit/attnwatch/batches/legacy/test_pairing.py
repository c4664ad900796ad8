"""Tensors are never paired with a video unless the match is certain."""

import os
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnwatch.batches.legacy.layouts import old_video
from attnwatch.batches.legacy.pairing import manifest_beside, pair, tensors_of
from tests.legacy_support import LAYOUTS, OldBatch


@pytest.fixture
def batch(tmp_path):
    """A batch of layout 3, which has all videos in one folder."""
    (tmp_path / "videos").mkdir()
    return OldBatch(tmp_path, 3)


def put_tensors(batch, *coordinates):
    folders = []
    for prompt, variation, seed in coordinates:
        folder = batch.folder / f"attention_maps/prompt_{prompt:03d}/p{prompt:03d}_b{variation:03d}_s{seed:03d}"
        folder.mkdir(parents=True)
        folders.append(folder)
    return folders


def put_videos(batch, *names):
    paths = [batch.folder / "videos" / name for name in names]
    for path in paths:
        path.touch()
    return paths


def paired(batch, tensors):
    """Return the name of the video paired with a tensor folder; None if there is none."""
    pairing = pair(old_video(tensors))
    return None if pairing.note else pairing.name.removeprefix("videos/")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors_and_video_find_each_other(tmp_path, layout):
    batch = OldBatch(tmp_path, layout)
    tensors = batch.add(2, 1)
    assert batch.folder / pair(old_video(tensors)).name == batch.video(2, 1)
    assert pair(old_video(tensors)).video_id == batch.video_id(2, 1)
    assert tensors_of(batch.video(2, 1)).tensors == tensors


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_manifest_of_an_older_video_belongs_beside_it(tmp_path, layout):
    batch = OldBatch(tmp_path, layout)
    video = batch.video()
    assert manifest_beside(old_video(batch.add())) == video.with_name(f"{video.stem}.complete.json")


def test_gaps_in_the_numbers_are_kept(tmp_path):
    batch = OldBatch(tmp_path)
    for number in (2, 5):
        batch.add(number)
    batch.video(3).touch()
    assert [pair(old_video(batch.tensors(n))).name for n in (2, 5)] == [
        f"videos/prompt_000/video_{n:03d}.mp4" for n in (2, 5)
    ]


def test_a_video_that_is_missing_is_not_replaced_by_its_neighbour(tmp_path):
    batch = OldBatch(tmp_path)
    batch.add(1, source=False)
    batch.add(2)
    assert pair(old_video(batch.tensors(1))).name == "videos/prompt_000/video_001.mp4"


def test_a_video_belongs_to_the_prompt_and_seed_in_its_name(batch):
    red, blue = put_tensors(batch, (0, 1, 0), (0, 1, 1))
    put_videos(batch, "video_0002_p00_red_s01.mp4", "video_0007_p00_blue_hat_s00.mp4", "video_0003_p10_x_s00.mp4")
    assert paired(batch, red) == "video_0007_p00_blue_hat_s00.mp4"
    assert paired(batch, blue) == "video_0002_p00_red_s01.mp4"


def test_if_two_videos_fit_neither_is_chosen(batch):
    (tensors,) = put_tensors(batch, (0, 1, 0))
    put_videos(batch, "video_0001_p00_red_s00.mp4", "video_0002_p00_blue_s00.mp4")
    assert "found 2 videos video_*_p00_*_s00.mp4" in pair(old_video(tensors)).note


def test_if_two_variations_fit_one_video_neither_gets_it(batch):
    tensors = put_tensors(batch, (0, 1, 0), (0, 2, 0))
    put_videos(batch, "video_0001_p00_red_s00.mp4")  # may belong to either variation
    assert [paired(batch, folder) for folder in tensors] == [None, None]
    assert "several variations of prompt 0 with seed 0" in pair(old_video(tensors[0])).note


def test_the_metadata_decide(batch):
    tensors = put_tensors(batch, (0, 1, 0), (0, 2, 0))
    videos = put_videos(batch, "video_0001_p00_red_s00.mp4", "video_0002_p00_blue_s00.mp4")
    batch.write_video_metadata(dict(zip(tensors, reversed(videos), strict=True)))
    assert [paired(batch, folder) for folder in tensors] == [video.name for video in reversed(videos)]


def test_a_video_that_the_metadata_assign_cannot_belong_to_other_tensors(batch):
    first, second = put_tensors(batch, (0, 1, 0), (1, 1, 0))
    (video,) = put_videos(batch, "video_0001_p01_red_s00.mp4")
    batch.write_video_metadata({first: video})
    assert paired(batch, first) == video.name
    assert paired(batch, second) is None


def test_a_video_that_the_metadata_assign_twice_is_not_used(batch):
    tensors = put_tensors(batch, (0, 1, 0), (0, 1, 1))
    (video,) = put_videos(batch, "video_0001_p00_red_s00.mp4")
    batch.write_video_metadata(dict.fromkeys(tensors, video))
    assert [paired(batch, folder) for folder in tensors] == [None, None]


def test_metadata_of_another_form_are_ignored(batch):
    (tensors,) = put_tensors(batch, (0, 1, 0))
    (video,) = put_videos(batch, "video_0001_p00_red_s00.mp4")
    configs = batch.folder / "configs"
    configs.mkdir()
    for number, text in enumerate(("{", "[]", '{"videos": 3}', '{"videos": [3, {"video_id": 1, "filename": 2}]}')):
        (configs / f"video_metadata_{number}.json").write_text(text)
    assert paired(batch, tensors) == video.name


def test_a_new_video_invalidates_the_cache(batch):
    (tensors,) = put_tensors(batch, (0, 1, 0))
    hour_ago = time.time() - 3600
    for path in (batch.folder / "videos", tensors.parent):
        os.utime(path, (hour_ago, hour_ago))
    assert paired(batch, tensors) is None
    (video,) = put_videos(batch, "video_0001_p00_red_s00.mp4")
    assert paired(batch, tensors) == video.name


def test_records_that_may_still_change_are_read_once_a_second_and_not_for_each_video(batch, monkeypatch):
    """Not even if their times lie in the future, where anybody can set them."""
    tensors = put_tensors(batch, *((0, number, 0) for number in range(5)))
    configs = batch.folder / "configs"
    configs.mkdir()
    record = configs / "video_metadata_0.json"
    record.write_text('{"videos": []}')
    os.utime(record, (2**33, 2**33))
    reads = []
    monkeypatch.setattr("attnwatch.batches.legacy.pairing.read_object", lambda path, *_: reads.append(path))
    monkeypatch.setattr("attnwatch.batches.legacy.pairing.time.monotonic", lambda: now)
    for now in (1000.1, 1000.9, 1001.5):  # noqa: B007 - the clock reads it
        for folder in tensors:
            paired(batch, folder)
    assert reads == [record, record]


def test_the_records_of_a_batch_may_not_cost_more_than_one_batch_needs(batch):
    """However often the same large file is linked."""
    (tensors,) = put_tensors(batch, (0, 1, 0))
    configs = batch.folder / "configs"
    configs.mkdir()
    first = configs / "video_metadata_00.json"
    first.write_bytes(b'{"videos": [' + b"{}," * 400_000 + b"0]}")
    for number in range(1, 10):
        os.link(first, configs / f"video_metadata_{number:02d}.json")
    text = f'{{"videos": [{{"video_id": "{tensors.name}", "filename": "video_0001_p00_red_s00.mp4"}}]}}'
    (configs / "video_metadata_99.json").write_text(text)
    tracemalloc.start()
    try:
        assert paired(batch, tensors) is None  # the last one is beyond the limit
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()


@given(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1), st.data())
def test_no_video_is_ever_paired_with_the_tensors_of_another(tmp_path_factory, coordinates, data):
    batch = OldBatch(tmp_path_factory.mktemp("batch"), 3)
    (batch.folder / "videos").mkdir()
    tensors = put_tensors(batch, *sorted(coordinates))
    names = {c: f"video_{i:04d}_p{c[0]:02d}_b{c[1]}_s{c[2]:02d}.mp4" for i, c in enumerate(sorted(coordinates))}
    kept = data.draw(st.sets(st.sampled_from(sorted(coordinates))))
    put_videos(batch, *(names[c] for c in kept))
    for folder, own in zip(tensors, sorted(coordinates), strict=True):
        assert paired(batch, folder) in (None, names[own])
