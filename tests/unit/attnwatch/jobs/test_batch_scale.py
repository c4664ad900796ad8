"""The colour scale of a collection, when several jobs need it at the same time."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from attnwatch.batches.videos import open_attention
from attnwatch.errors import BusyError
from attnwatch.jobs.batch_scale import BatchScale
from attnwatch.settings import Visualization
from attnwatch.system.locks import lock_file
from tests.support import Batch, blob_maps

VIDEOS = ["video_001.complete.json", "video_002.complete.json"]

HOLD = """
import sys, time, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def batch(tmp_path):
    """Two videos, the second with twice the attention."""
    batch = Batch.make(tmp_path)
    for number in (1, 2):
        batch.add(number, tensors={"kiss": blob_maps(peak=0.2 * number)})
    (batch.folder / "attention_videos").mkdir()
    return batch


@pytest.fixture
def measured(monkeypatch):
    """Names of the videos that were measured, in order; measuring takes long enough for other jobs to ask meanwhile."""
    names = []

    def slowly(manifest):
        names.append(manifest.path.name)
        time.sleep(0.1)
        return open_attention(manifest)

    monkeypatch.setattr("attnwatch.render.scales.open_attention", slowly)
    return names


def scale_of(batch, ending="a" * 64, **settings):
    return BatchScale(batch.folder, ending, batch.folder / "attention_videos", Visualization(**settings))


def test_concurrent_jobs_measure_the_scale_once_and_do_not_wait_for_each_other(batch, measured):
    all_ask = Barrier(4)

    def ask(_):
        all_ask.wait()
        try:
            return scale_of(batch).ends()
        except BusyError:
            return None

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert sorted(measured) == VIDEOS
    (ends,) = [ends for ends in found if ends is not None]
    assert ends["kiss"].high > 0.3
    assert scale_of(batch).ends() == ends


@pytest.fixture
def held(batch):
    """The scale of a batch whose lock another process holds."""
    scale = scale_of(batch)
    lock = lock_file(scale.directory, scale.path.name)
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline()
        try:
            yield scale
        finally:
            holder.kill()


def test_a_held_lock_is_not_waited_for(held, measured):
    with pytest.raises(BusyError):
        held.ends()
    assert measured == []


def test_a_held_lock_does_not_keep_a_measured_scale_from_others(held, measured):
    held.path.write_text('{"kiss": [0.0, 0.5]}')
    assert held.ends()["kiss"].high == 0.5
    assert measured == []


def test_the_next_job_measures_the_scale_when_the_measuring_one_is_killed(batch):
    scale = scale_of(batch)
    lock = lock_file(scale.directory, scale.path.name)
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE) as killed:
        assert killed.stdout.readline()
        killed.kill()
    assert scale.ends()
    assert [path.name for path in scale.directory.iterdir()] == [scale.path.name]


def test_every_video_has_to_be_measured_until_the_scale_is_known(batch):
    assert scale_of(batch).videos_to_measure() == 2
    scale_of(batch).ends()
    assert scale_of(batch).videos_to_measure() == 0
    assert scale_of(batch, clip=(1, 99)).videos_to_measure() == 2


def test_a_new_end_of_the_batch_replaces_the_scale(batch, measured):
    for ending in ("a" * 64, "b" * 64):
        scale_of(batch, ending).ends()
    assert sorted(measured) == sorted(2 * VIDEOS)
    assert [path.name for path in batch.folder.glob("attention_videos/.*")] == [scale_of(batch, "b" * 64).path.name]


def test_a_scale_that_version_0_1_0_measured_is_used(batch, measured):
    scale = scale_of(batch, normalization="batch")
    ends = scale.ends()
    earlier = scale.directory / ".scales_aaaaaaaaaaaaaaaa_888812d3d3b4e0b9.json"
    scale.path.rename(earlier)
    measured.clear()
    again = scale_of(batch, normalization="batch")
    assert again.path == earlier
    assert again.videos_to_measure() == 0
    assert again.ends() == ends
    assert measured == []
