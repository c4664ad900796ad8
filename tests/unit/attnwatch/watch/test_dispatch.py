"""What the process tests cannot wait for."""

import os
import time

import pytest

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.receipts import success
from attnwatch.errors import JobError
from attnwatch.jobs.engine import Finished
from attnwatch.jobs.local import LocalEngine
from attnwatch.jobs.sheets import SheetJob, SheetResult
from attnwatch.jobs.video import Job
from attnwatch.jobs.work import Result
from attnwatch.report.activity import Activity
from attnwatch.report.reporter import Audience, Report
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.shortage import Shortage
from attnwatch.watch.backlog import Waiting
from attnwatch.watch.dispatch import Dispatcher
from attnwatch.watch.options import Options
from attnwatch.watch.plan import Planner
from tests.support import Batch, write_json, write_receipt


@pytest.fixture
def task(tmp_path):
    manifest = Batch.make(tmp_path).add()
    task = Planner(Settings(), Options((tmp_path,))).plan(Target(manifest))
    assert task is not None
    return task


def test_a_video_is_waited_for_as_long_as_it_takes(task, tmp_path):
    options = Options((tmp_path,))
    report = Report(Activity((str(tmp_path),), "0"), Audience())
    dispatcher = Dispatcher(Settings(), options, Planner(Settings(), options), LocalEngine(), report)
    waiting = Waiting(task.target)
    for _ in range(5000):
        dispatcher._put_back(task, waiting, Result(None, "not there yet"))
        waiting = dispatcher._backlog.get(task.target)
    assert waiting.looks == 5000


def test_a_failure_of_the_collection_is_not_one_of_the_video_beside(task, tmp_path):
    planner = Planner(Settings(), Options((tmp_path,)))
    planner.given_up.add(task.target)
    planner.plan(Target(task.target.manifest, tmp_path))
    assert planner.given_up == {task.target}


def test_a_receipt_that_a_job_wrote_just_before_its_end_is_not_replaced_by_a_failure(task, tmp_path):
    options = Options((tmp_path,))
    report = Report(Activity((str(tmp_path),), "0"), Audience())
    dispatcher = Dispatcher(Settings(), options, Planner(Settings(), options), LocalEngine(), report)
    task.place.write(success(task.place, task.fingerprint, (), (), 1.0))
    dispatcher._running[task.target] = (task, Waiting(task.target))
    job = Job(task.place, None, task.settings, None, Watcher(), video_may_be_absent=False)
    dispatcher.take([Finished(job, JobError("was ended by SIGKILL"), 1.0)])
    assert task.place.read().status == "skipped"
    assert dispatcher.failed == set()


def test_while_it_is_paused_the_next_start_is_a_while_away(task, tmp_path):
    options = Options((tmp_path,))
    report = Report(Activity((str(tmp_path),), "0"), Audience())
    dispatcher = Dispatcher(Settings(), options, Planner(Settings(), options), LocalEngine(), report)
    shortage = Result(None, "too many open files", shortage=Shortage.MACHINE)
    dispatcher._put_back(task, Waiting(task.target), shortage)
    assert time.monotonic() < dispatcher.next_start() < time.monotonic() + 3


@pytest.fixture
def collected(tmp_path):
    """A batch that has ended, with a collection that has no contact sheets yet."""
    batch = Batch.make(tmp_path)
    manifest = batch.add()
    write_json(batch.folder / "batch.complete.json", {})
    write_receipt(manifest, batch=batch.folder)
    return Target(manifest, batch.folder)


@pytest.fixture
def collecting(collected, tmp_path):
    """The planner and the dispatcher of a watcher that collects, after its scan."""
    settings, options = Settings(visualization={"auto_generate_videos": True}), Options((tmp_path,))
    planner = Planner(settings, options)
    report = Report(Activity((str(tmp_path),), "0"), Audience())
    dispatcher = Dispatcher(settings, options, planner, LocalEngine(), report)
    dispatcher.consider(collected)
    return planner, dispatcher


def reload(collecting, *, wanted):
    """Take other settings, as the daemon does."""
    settings = Settings(visualization={"auto_generate_videos": wanted})
    for part in collecting:
        part.reload(settings)


def test_contact_sheets_that_other_settings_do_not_want_are_not_drawn(collecting, collected):
    _, dispatcher = collecting
    assert not dispatcher.is_idle
    reload(collecting, wanted=False)
    dispatcher.consider(collected)
    dispatcher.start_due(searching=False)
    assert dispatcher.is_idle


def test_contact_sheets_that_other_settings_want_too_are_drawn_after_the_next_scan(collecting, collected):
    _, dispatcher = collecting
    reload(collecting, wanted=True)
    assert dispatcher.is_idle
    dispatcher.consider(collected)
    assert not dispatcher.is_idle


def test_contact_sheets_that_ran_short_are_not_drawn_again_for_other_settings(collecting, collected):
    planner, dispatcher = collecting
    reload(collecting, wanted=False)
    sheets = SheetJob(collected.batch, planner.collection_of(collected.batch), Visualization(), Watcher())
    dispatcher.take([Finished(sheets, SheetResult(error="no space", shortage=Shortage.DISK), 1.0)])
    assert dispatcher.is_idle


def test_a_video_that_a_disk_has_no_room_for_does_not_stand_before_those_that_it_has_room_for(tmp_path):
    batch = Batch.make(tmp_path)
    older, newest = batch.add(1), batch.add(2)
    os.utime(older, (1, 1))
    options = Options((tmp_path,))
    report = Report(Activity((str(tmp_path),), "0"), Audience())
    planner = Planner(Settings(), options)
    dispatcher = Dispatcher(Settings(), options, planner, LocalEngine(), report)
    for manifest in (older, newest):
        dispatcher.consider(Target(manifest))
    backlog = dispatcher._backlog
    first = backlog.pop_due(time.monotonic())
    assert first.target.manifest == newest
    shortage = Result(None, "no space left on device", shortage=Shortage.DISK)
    dispatcher._put_back(planner.plan(first.target), first, shortage)
    assert backlog.pop_due(time.monotonic()).target.manifest == older
    assert newest in {target.manifest for target in backlog._waiting}


def test_contact_sheets_that_a_disk_had_no_room_for_pause_what_goes_there_until_they_are_drawn(tmp_path):
    options = Options((tmp_path,))
    report = Report(Activity((str(tmp_path),), "0"), Audience())
    dispatcher = Dispatcher(Settings(), options, Planner(Settings(), options), LocalEngine(), report)
    job = SheetJob(tmp_path, tmp_path / "attention_videos", Visualization(), Watcher())
    full = SheetResult(error="no space left on device", shortage=Shortage.DISK)
    dispatcher.take([Finished(job, full, 1.0)])
    assert dispatcher._pauses.reason == "no space left on device"
    assert dispatcher.failed == set()
    dispatcher.take([Finished(job, SheetResult((tmp_path / "contact_sheet_kiss.png",)), 1.0)])
    assert dispatcher._pauses.reason is None
