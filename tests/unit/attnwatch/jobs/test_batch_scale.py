"""The scale that a collection shares, with several jobs that ask for it at the same time."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from attnwatch.jobs.batch_scale import BatchScale
from attnwatch.render import scales
from attnwatch.settings import Visualization
from attnwatch.system.locks import lock_file
from tests.support import Batch, blob_maps

HOLD = """
import sys, time, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(20)
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
def measurings(monkeypatch):
    """The measurings of whole batches, each of which takes its time."""
    done, measure = [], scales._measure

    def slowly(*arguments):
        done.append(arguments)
        time.sleep(0.2)
        return measure(*arguments)

    monkeypatch.setattr(scales, "_measure", slowly)
    return done


def scale_of(batch, ending="a" * 64, **settings):
    return BatchScale(batch.folder, ending, batch.folder / "attention_videos", Visualization(**settings))


def test_jobs_that_ask_at_the_same_time_have_the_scale_measured_once(batch, measurings):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: scale_of(batch).ends(), range(4)))
    assert len(measurings) == 1
    assert found == [found[0]] * 4
    assert found[0]["kiss"].high > 0.3


def test_a_job_that_is_killed_while_it_measures_leaves_that_to_the_next(batch):
    scale = scale_of(batch)
    lock = lock_file(scale.directory, scale.path.name)
    with (
        subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE) as killed,
        ThreadPoolExecutor(1) as pool,
    ):
        assert killed.stdout.readline()
        waiting = pool.submit(scale.ends)
        time.sleep(0.2)
        assert not waiting.done()
        killed.kill()
        assert waiting.result(timeout=10)
    assert [path.name for path in scale.directory.iterdir()] == [scale.path.name]


def test_all_videos_have_to_be_measured_until_one_job_has_done_so(batch):
    assert scale_of(batch).videos_to_measure() == 2
    scale_of(batch).ends()
    assert scale_of(batch).videos_to_measure() == 0
    assert scale_of(batch, clip=(1, 99)).videos_to_measure() == 2


def test_a_batch_that_ended_otherwise_is_measured_again_and_what_was_known_goes(batch, measurings):
    for ending in ("a" * 64, "b" * 64):
        scale_of(batch, ending).ends()
    assert len(measurings) == 2
    assert [path.name for path in batch.folder.glob("attention_videos/.*")] == [scale_of(batch, "b" * 64).path.name]
