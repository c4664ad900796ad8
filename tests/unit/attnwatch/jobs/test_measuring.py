from pathlib import Path
from types import SimpleNamespace

import pytest

from attnwatch.config import Settings
from attnwatch.contract.measures_document import MeasuresDocument
from attnwatch.errors import JobError, WorkerLostError
from attnwatch.jobs.engine import Finished
from attnwatch.jobs.measuring import MeasureJob, MeasuresElsewhere
from attnwatch.settings import Visualization
from tests.support import Batch

PATHS = [Path(f"/outputs/kiss/videos/prompt_001/video_{number:03d}.complete.json") for number in range(1, 7)]
LOST = WorkerLostError("lost")


class Scripted:
    """An engine whose jobs end, the last one first, with the outcomes that are given for their paths, in turn."""

    slots = 2

    def __init__(self, **outcomes):
        self.outcomes = {PATHS[int(name[1:]) - 1]: iter(each) for name, each in outcomes.items()}
        self.jobs = []
        self.most = 0
        self.started = []

    @property
    def running(self):
        return len(self.jobs)

    def start(self, job):
        self.jobs.append(job)
        self.started.append(job.path)
        self.most = max(self.most, len(self.jobs))

    def wait(self, _timeout):
        assert self.jobs, "it would wait for ever"
        job = self.jobs.pop()
        return [Finished(job, next(self.outcomes.get(job.path, iter(())), found(job.path)), 0.0)]


def found(path):
    return MeasuresDocument.model_construct(video_id=path.name)


def measure(elsewhere, number):
    return elsewhere(SimpleNamespace(path=PATHS[number - 1]), "video", masked=False)


def test_videos_are_measured_in_order_and_no_more_ahead_than_the_engine_takes():
    engine = Scripted()
    elsewhere = MeasuresElsewhere(engine, PATHS, ["video"], Settings())
    assert [measure(elsewhere, number).video_id for number in range(1, 7)] == [path.name for path in PATHS]
    assert engine.started == PATHS
    assert engine.most == 2


def test_what_was_lost_with_its_worker_is_measured_again():
    engine = Scripted(_1=[LOST, LOST, LOST], _2=[LOST])
    elsewhere = MeasuresElsewhere(engine, PATHS, ["video"], Settings())
    assert [measure(elsewhere, number).video_id for number in (1, 2, 3)] == [path.name for path in PATHS[:3]]


def test_a_cluster_that_shrinks_measures_what_was_lost_although_the_next_one_is_measured_already():
    class Shrinking(Scripted):
        def wait(self, timeout):
            self.slots = 1
            return super().wait(timeout)

    elsewhere = MeasuresElsewhere(Shrinking(_1=[LOST]), PATHS, ["video"], Settings())
    assert [measure(elsewhere, number).video_id for number in (1, 2, 3)] == [path.name for path in PATHS[:3]]


def test_a_video_that_is_lost_again_and_again_counts_as_not_measured():
    elsewhere = MeasuresElsewhere(Scripted(_1=[LOST] * 99), PATHS, ["video"], Settings())
    with pytest.raises(WorkerLostError):
        measure(elsewhere, 1)
    assert measure(elsewhere, 2).video_id == PATHS[1].name


def test_an_error_is_that_of_its_video_and_videos_that_nobody_asks_for_are_left_out():
    elsewhere = MeasuresElsewhere(Scripted(_1=[JobError("crashed")]), PATHS, ["video"], Settings())
    with pytest.raises(JobError, match="crashed"):
        measure(elsewhere, 1)
    assert measure(elsewhere, 6).video_id == PATHS[5].name


def test_a_job_measures_with_the_settings_of_the_batch_and_returns_what_is_wrong(tmp_path):
    batch = Batch.make(tmp_path)
    job = MeasureJob(batch.add(), "video", Settings())
    assert list(job.run().words) == ["kiss"]
    assert job.label == f"measure-{batch.folder.name}/prompt_001_vid001"
    assert job.limits.seconds == Visualization().visualization_timeout
    missing = MeasureJob(batch.folder / "video_009.complete.json", "video", Settings())
    assert isinstance(missing.run(), FileNotFoundError)
