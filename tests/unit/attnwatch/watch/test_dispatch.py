"""The dispatcher on a fake engine: what the tests with real processes cannot wait for."""

import errno
import os
import time

import pytest

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.receipts import success
from attnwatch.errors import JobError
from attnwatch.jobs.sheets import SheetJob, SheetResult
from attnwatch.jobs.work import Result
from attnwatch.report.activity import Activity
from attnwatch.report.reporter import Audience, Report
from attnwatch.system.shortage import Shortage
from attnwatch.watch.dispatch import Dispatcher
from attnwatch.watch.options import Options
from tests.planning import FakeEngine
from tests.support import Batch, write_json, write_receipt

DISK_FULL = Result(None, "no space left on device", shortage=Shortage.DISK)


class Watcher:
    """A dispatcher whose time is set forward by the test."""

    def __init__(self, root, monkeypatch, *, settings=None, **options):
        self.engine = FakeEngine()
        self.report = Report(Activity((str(root),), "0"), Audience())
        self.dispatcher = Dispatcher(settings or Settings(), Options((root,), **options), self.engine, self.report)
        self._passed = 0.0
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + self._passed)

    def start(self, *manifests):
        """Queue videos and start what is due; return the manifests of the jobs under way."""
        for manifest in manifests:
            self.dispatcher.consider(Target(manifest))
        self.dispatcher.start_due(searching=False)
        return [job.place.manifest for job in self.engine.jobs if not isinstance(job, SheetJob)]

    def end(self, outcome):
        """End the first job."""
        self.engine.end(outcome)
        self.dispatcher.take(self.engine.wait())

    def pass_time(self):
        """Set the time forward to the next start; return by how many seconds."""
        seconds = self.dispatcher.next_start() - time.monotonic()
        self._passed += max(0.0, seconds)
        return seconds

    @property
    def paused(self):
        """Why nothing is started, as it is reported."""
        self.dispatcher.tell()
        return self.report.activity.paused

    @property
    def waiting(self):
        self.dispatcher.tell()
        return self.report.activity.waiting


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


@pytest.fixture
def watcher(tmp_path, monkeypatch):
    return Watcher(tmp_path, monkeypatch)


def test_a_due_video_is_started_once(watcher, batch):
    manifest = batch.add()
    assert watcher.start(manifest) == [manifest]
    assert watcher.start(manifest) == [manifest]
    assert not watcher.dispatcher.is_idle


def test_an_incomplete_video_is_looked_at_less_and_less_often_but_never_dropped(watcher, batch):
    manifest = batch.add()
    (manifest.parent / "attention_maps/vid001.safetensors").unlink()
    watcher.start(manifest)
    waits = []
    for _ in range(200):
        waits.append(watcher.pass_time())
        assert watcher.start() == []
    assert waits[:5] == pytest.approx([0.5, 1, 2, 4, 8], abs=0.3)
    assert waits[-1] == pytest.approx(30, abs=0.3)
    assert watcher.waiting == 1


def test_a_failure_of_the_collection_is_not_one_of_the_video_beside(watcher, batch, tmp_path):
    manifest = batch.add()
    write_receipt(manifest, "crashed", attempts=3)
    watcher.start(manifest)
    watcher.dispatcher.consider(Target(manifest, tmp_path))
    assert watcher.dispatcher.ledger.given_up == {Target(manifest)}


def test_a_receipt_that_a_job_wrote_just_before_its_end_is_not_replaced_by_a_failure(watcher, batch):
    watcher.start(batch.add())
    place = watcher.engine.jobs[0].place
    place.write(success(place, fingerprint_of(watcher), (), (), 1.0))
    watcher.end(JobError("was ended by SIGKILL"))
    assert place.read().status == "skipped"
    assert watcher.dispatcher.failed == set()


def fingerprint_of(watcher):
    """Return the fingerprint that the job under way renders."""
    job = watcher.engine.jobs[0]
    return watcher.dispatcher._planner.decide(Target(job.place.manifest, job.batch)).task.fingerprint


def test_a_crash_is_recorded_as_a_failure(watcher, batch):
    manifest = batch.add()
    watcher.start(manifest)
    place = watcher.engine.jobs[0].place
    watcher.end(JobError("was ended by SIGKILL"))
    assert place.read().attempts[-1].error == "was ended by SIGKILL"
    assert watcher.dispatcher.failed == {Target(manifest)}


def test_a_job_that_is_killed_with_the_watcher_has_not_failed(watcher, batch):
    watcher.start(batch.add())
    place = watcher.engine.jobs[0].place
    watcher.dispatcher.stopping = True
    watcher.end(JobError("was ended by SIGTERM"))
    assert place.read() is None
    assert watcher.dispatcher.failed == set()


def test_during_a_pause_the_next_start_is_a_while_away(watcher, batch):
    manifest = batch.add()
    watcher.engine.error = OSError(errno.EMFILE, "Too many open files")
    assert watcher.start(manifest) == []
    assert "Too many open files" in watcher.paused
    watcher.engine.error = None
    assert watcher.start() == []
    assert watcher.pass_time() == pytest.approx(2, abs=0.5)
    assert watcher.start() == [manifest]


def test_a_video_that_does_not_fit_on_a_disk_does_not_block_those_that_do(tmp_path, batch, monkeypatch):
    watcher = Watcher(tmp_path, monkeypatch, settings=Settings(watcher={"workers": 1}))
    older, newest = batch.add(1), batch.add(2)
    os.utime(older, (1, 1))
    assert watcher.start(older, newest) == [newest]
    watcher.end(DISK_FULL)
    while watcher.start() == []:
        watcher.pass_time()
    assert watcher.start() == [older]
    assert watcher.waiting == 1


def test_a_wrong_manifest_ends_a_watcher_that_survives_no_failure(tmp_path, batch, monkeypatch):
    strict = Settings(visualization={"fail_on_visualization_error": True})
    for settings, gives_up in ((Settings(), False), (strict, True)):
        watcher = Watcher(tmp_path, monkeypatch, settings=settings)
        watcher.start(batch.add(video="../v.mp4"))
        assert watcher.dispatcher.gives_up is gives_up


def test_a_failure_is_logged_with_what_comes_next(tmp_path, batch, monkeypatch, caplog):
    for number, (once, then) in enumerate([(True, "`attnwatch render "), (False, "next attempt at ")], start=1):
        watcher = Watcher(tmp_path, monkeypatch, once=once)
        watcher.start(batch.add(number))
        watcher.end(JobError("crashed"))
        assert f"(attempt 1): crashed; {then}" in caplog.messages[-1]


@pytest.fixture
def collected(batch):
    """A batch that has ended, with a rendered collection that has no contact sheets yet."""
    manifest = batch.add()
    write_json(batch.folder / "batch.complete.json", {})
    write_receipt(manifest, batch=batch.folder)
    return Target(manifest, batch.folder)


def collecting(*, wanted=True):
    return Settings(visualization={"auto_generate_videos": wanted})


@pytest.fixture
def collector(tmp_path, collected, monkeypatch):
    """A watcher that collects, after its scan."""
    watcher = Watcher(tmp_path, monkeypatch, settings=collecting())
    watcher.dispatcher.consider(collected)
    return watcher


def test_contact_sheets_of_a_complete_collection_are_drawn_once(collector, collected):
    assert not collector.dispatcher.is_idle
    collector.start()
    assert [job.batch for job in collector.engine.jobs] == [collected.batch]
    collector.start()
    assert collector.engine.running == 1
    collector.end(SheetResult())
    assert collector.dispatcher.is_idle


def test_contact_sheets_that_other_settings_do_not_want_are_not_drawn(collector, collected):
    collector.dispatcher.reload(collecting(wanted=False))
    collector.dispatcher.consider(collected)
    collector.start()
    assert collector.engine.running == 0
    assert collector.dispatcher.is_idle


def test_contact_sheets_that_other_settings_want_too_are_drawn_after_the_next_scan(collector, collected):
    collector.dispatcher.reload(collecting())
    assert collector.dispatcher.is_idle
    collector.dispatcher.consider(collected)
    assert not collector.dispatcher.is_idle


SHEETS_DID_NOT_FIT = SheetResult(error="no space left on device", shortage=Shortage.DISK)


def test_contact_sheets_that_ran_short_are_not_drawn_again_for_other_settings(collector):
    collector.start()
    collector.dispatcher.reload(collecting(wanted=False))
    collector.end(SHEETS_DID_NOT_FIT)
    assert collector.dispatcher.is_idle


def test_contact_sheets_that_do_not_fit_on_a_disk_pause_it_until_they_are_drawn(collector):
    collector.start()
    collector.end(SHEETS_DID_NOT_FIT)
    assert collector.paused == "no space left on device"
    assert collector.dispatcher.failed == set()
    collector.start()
    assert collector.engine.running == 0
    collector._passed += 3
    collector.start()
    collector.end(SheetResult())
    assert collector.paused is None


def test_contact_sheets_that_fail_count_as_a_failure_of_the_collection(collector, collected, caplog):
    collector.start()
    collector.end(JobError("was ended by SIGKILL"))
    assert [target.batch for target in collector.dispatcher.failed] == [collected.batch]
    assert "no contact sheets: was ended by SIGKILL" in caplog.text
