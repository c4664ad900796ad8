"""The dispatcher with a fake engine and a fake clock: cases that take too long with real processes."""

import errno
import os
import time
from pathlib import Path

import pytest

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.contract.fingerprint import RENDERER_VERSION, Fingerprint
from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.receipts import failure, success
from attnwatch.errors import EngineError, JobError, NoRoomError, SlowMachineError, VideoError, WorkerLostError
from attnwatch.jobs.collection import Collection
from attnwatch.jobs.sheets import SheetJob, SheetResult
from attnwatch.jobs.work import Result, obstructed
from attnwatch.report.activity import Activity
from attnwatch.report.reporter import Audience, Report
from attnwatch.settings import Visualization
from attnwatch.settings import Watcher as WatcherSettings
from attnwatch.system.roots import Root
from attnwatch.system.shortage import Shortage
from attnwatch.watch.dispatch import Dispatcher
from attnwatch.watch.options import Options
from tests.planning import FakeEngine
from tests.support import Batch, write_json, write_receipt

DISK_FULL = Result(None, "no space left on device", shortage=Shortage.DISK)


class Watcher:
    """A dispatcher whose clock moves only when the test moves it."""

    def __init__(self, root, monkeypatch, *, settings=None, **options):
        self.engine = FakeEngine()
        self.report = Report(Activity((str(root),), "0"), Audience())
        self.dispatcher = Dispatcher(settings or Settings(), Options((root,), **options), self.engine, self.report)
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def start(self, *manifests):
        """Queue videos and start those that are due; return the manifests of the running jobs."""
        for manifest in manifests:
            self.dispatcher.consider(Target(manifest))
        self.dispatcher.start_due(searching=False)
        return [job.place.manifest for job in self.engine.jobs if not isinstance(job, SheetJob)]

    def end(self, outcome):
        """End the first job."""
        self.engine.end(outcome)
        self.dispatcher.take(self.engine.wait())

    def pass_time(self):
        """Move the clock to the next start; return the seconds that this skips."""
        before = self.now
        self.now = max(before, self.dispatcher.next_start())
        return self.now - before

    @property
    def paused(self):
        """The reported reason for the pause; None if there is none."""
        self.dispatcher.tell()
        return self.report.activity.paused

    @property
    def waiting(self):
        """The reported number of waiting targets."""
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


def test_an_incomplete_video_is_checked_with_growing_delays_and_never_dropped(watcher, batch):
    manifest = batch.add()
    (manifest.parent / "attention_maps/vid001.safetensors").unlink()
    watcher.start(manifest)
    waits = []
    for _ in range(200):
        waits.append(watcher.pass_time())
        assert watcher.start() == []
    assert waits[:5] == [0.5, 1, 2, 4, 8]
    assert waits[-1] == 30
    assert watcher.waiting == 1


def test_what_a_video_waits_for_is_said_once_it_has_waited_for_long(watcher, batch, caplog):
    manifest = batch.add()
    (manifest.parent / "attention_maps/vid001.safetensors").unlink()
    watcher.start(manifest)
    waited = 0
    while waited < 30:
        assert "still waiting" not in caplog.text
        waited += watcher.pass_time()
        watcher.start()
    for _ in range(5):
        watcher.pass_time()
        watcher.start()
    (said,) = (message for message in caplog.messages if "still waiting" in message)
    assert said.startswith("still waiting for prompt_001_vid001: ")
    assert "vid001.safetensors is not there yet" in said


def test_outputs_that_cannot_be_written_are_said_at_once_and_once_for_all_prompts(watcher, batch, caplog):
    manifests = [batch.add(), batch.add(prompt=2)]
    for manifest in manifests:
        (manifest.parent / "attention_videos").write_text("in the way")
    watcher.start(*manifests)
    for _ in range(9):
        watcher.pass_time()
        watcher.start()
    (said,) = (message for message in caplog.messages if "waiting" in message)
    assert said.startswith("waiting to render prompt_00")
    assert "attention_videos: found a file; expected a folder for the outputs" in said


def test_giving_up_a_video_does_not_give_up_its_collection(watcher, batch, tmp_path):
    manifest = batch.add()
    write_receipt(manifest, "crashed", attempts=3)
    watcher.start(manifest)
    watcher.dispatcher.consider(Target(manifest, tmp_path))
    assert watcher.dispatcher.ledger.given_up == {Target(manifest)}


def test_a_crash_does_not_replace_a_receipt_that_the_job_has_written(watcher, batch):
    watcher.start(batch.add())
    (job,) = watcher.engine.jobs
    place = job.place
    place.write(success(place, fingerprint_of(job), (), (), 1.0))
    watcher.end(JobError("was ended by SIGKILL"))
    assert place.read().status == "skipped"
    assert watcher.dispatcher.results.failed == set()


def fingerprint_of(job):
    """Return the fingerprint that a job writes into its receipt."""
    manifest = read_manifest(job.place.manifest)
    return Fingerprint.of(manifest.sha256, job.settings, job.tokens, manifest.inputs())


def test_what_a_job_cannot_do_is_tried_with_growing_delays_however_often_scans_find_the_video(watcher, batch, caplog):
    manifest = batch.add()
    watcher.start(manifest)
    waits = []
    for _ in range(9):
        watcher.end(Result(None, "the lock cannot be opened"))
        assert watcher.start(manifest) == []
        waits.append(watcher.pass_time())
        assert watcher.start(manifest) == [manifest]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert "still waiting for prompt_001_vid001: the lock cannot be opened" in caplog.text


def test_what_a_job_cannot_do_is_tried_at_once_when_a_file_changes(watcher, batch):
    manifest = batch.add()
    watcher.start(manifest)
    watcher.end(Result(None, "the video is incomplete"))
    assert watcher.start(manifest) == []
    os.utime(manifest.with_name("video_001.mp4"), (1, 1))
    assert watcher.start(manifest) == [manifest]


def test_a_failure_whose_files_were_only_touched_is_not_told_again(watcher, batch, caplog):
    manifest = batch.add()
    watcher.start(manifest)
    (job,) = watcher.engine.jobs
    receipt = failure(job.place, fingerprint_of(job), VideoError("no frames"), 1.0, WatcherSettings(max_attempts=1))
    job.place.write(receipt)
    watcher.end(Result(receipt, unchanged=True))
    assert "❌" not in caplog.text
    assert watcher.start() == []
    assert watcher.dispatcher.ledger.given_up == {Target(manifest)}


def test_a_crash_is_recorded_as_a_failure(watcher, batch):
    manifest = batch.add()
    watcher.start(manifest)
    place = watcher.engine.jobs[0].place
    watcher.end(JobError("was ended by SIGKILL"))
    assert place.read().attempts[-1].error == "was ended by SIGKILL"
    assert watcher.dispatcher.results.failed == {Target(manifest)}


def test_a_job_killed_while_the_watcher_stops_has_not_failed(watcher, batch):
    watcher.start(batch.add())
    place = watcher.engine.jobs[0].place
    watcher.dispatcher.stopping = True
    watcher.end(JobError("was ended by SIGTERM"))
    assert place.read() is None
    assert watcher.dispatcher.results.failed == set()


SLOW = SlowMachineError("slow machine: the job got only 3.0 s of processor time in 1200 s")


def test_a_starved_job_starts_again_without_a_failed_attempt(watcher, batch, caplog):
    manifest = batch.add()
    waits = []
    for _ in range(5):
        watcher.start(manifest)
        (job,) = watcher.engine.jobs
        watcher.end(SLOW)
        assert watcher.start() == []
        waits.append(watcher.pass_time())
    assert waits == [0.5, 1, 2, 4, 8]
    assert job.place.read() is None
    assert watcher.dispatcher.results.failed == set()
    assert "slow machine: the job got only 3.0 s" in caplog.text
    assert watcher.report.activity.slow == f"{job.place.video_id}: {SLOW}"
    watcher.start()
    watcher.end(Result(success(job.place, fingerprint_of(job), (), (), 1.0)))
    assert watcher.report.activity.slow is None


LOST = WorkerLostError("the cluster has lost it: KilledWorker()")


@pytest.mark.parametrize("once", [False, True])
def test_a_job_that_was_lost_with_its_worker_starts_again_for_ever_without_a_failed_attempt(
    tmp_path, batch, monkeypatch, caplog, once
):
    watcher, manifest = Watcher(tmp_path, monkeypatch, once=once), batch.add()
    for number in range(9):
        assert watcher.start(manifest) == [manifest]
        (job,) = watcher.engine.jobs
        watcher.end(LOST)
        assert watcher.start() == []
        assert watcher.pass_time() <= 30
        assert ("not rendered by a worker in 3 tries; starts again: the cluster has lost it" in caplog.text) == (
            number >= 2
        )
    assert job.place.read() is None
    assert (watcher.dispatcher.results.failed, watcher.dispatcher.results.gives_up) == (set(), False)


@pytest.mark.parametrize(("slots", "workers", "started"), [(3, None, 3), (3, 2, 2), (0, 2, 0), (None, 2, 2)])
def test_as_many_jobs_run_as_a_cluster_takes_unless_workers_is_set(watcher, batch, slots, workers, started):
    given = WatcherSettings() if workers is None else WatcherSettings(workers=workers)
    watcher.dispatcher.reload(Settings(watcher=given))
    watcher.engine.slots = slots
    assert len(watcher.start(*(batch.add(number) for number in range(1, 5)))) == started
    assert all(job.threads == 1 for job in watcher.engine.jobs)


def test_what_no_worker_of_a_cluster_has_yet_is_waiting(watcher, batch):
    watcher.engine.slots = 2
    watcher.start(batch.add(1), batch.add(2), batch.add(3))
    first, _ = watcher.engine.jobs
    watcher.engine.workers[id(first)] = "tcp://n1:1"
    watcher.dispatcher.tell()
    activity = watcher.report.activity
    assert ([running.video_id for running in activity.running], activity.waiting) == ([first.place.video_id], 2)


def test_what_one_worker_of_a_cluster_runs_out_of_pauses_no_other_one(watcher, batch):
    watcher.engine.slots = 1
    first, second = batch.add(1), batch.add(2)
    watcher.start(first)
    watcher.end(Result(None, "too many open files", shortage=Shortage.MACHINE))
    assert watcher.start(second) == [second]
    assert watcher.paused is None


def test_what_a_worker_does_not_see_yet_is_no_failure_of_a_single_run(tmp_path, batch, monkeypatch):
    """A file on a network file system, which the watcher has seen."""
    watcher, manifest, waited = Watcher(tmp_path, monkeypatch, once=True), batch.add(), 0.0
    watcher.engine.slots = 2
    unseen = Result(None, "found no such folder")
    while waited < 60:
        assert watcher.start(manifest) == [manifest]
        (job,) = watcher.engine.jobs
        watcher.end(unseen)
        assert watcher.dispatcher.results.failed == set()
        waited += watcher.pass_time()
    assert not job.video_may_be_absent
    assert job.place.read() is None
    watcher.start()
    watcher.end(unseen)
    assert watcher.dispatcher.results.failed == {Target(manifest)}
    assert watcher.dispatcher.is_idle


NO_ROOM = obstructed(NoRoomError("decompressing maps needs 2,000 bytes for temporary files; free some space"))


def test_a_single_run_charges_no_video_with_a_lack_of_room_for_temporary_files(tmp_path, batch, monkeypatch, caplog):
    watcher, manifest = Watcher(tmp_path, monkeypatch, once=True), batch.add()
    watcher.start(manifest)
    (job,) = watcher.engine.jobs
    watcher.end(NO_ROOM)
    assert (watcher.dispatcher.results.failed, watcher.dispatcher.is_idle) == ({Target(manifest)}, True)
    assert job.place.read() is None
    watcher.dispatcher.results.close()
    assert caplog.messages == [f"1 video not rendered: {NO_ROOM.obstacle}; then run the command again"]


def test_a_worker_that_lacks_room_for_temporary_files_charges_no_video(tmp_path, batch, monkeypatch):
    watcher, manifest, waited = Watcher(tmp_path, monkeypatch, once=True), batch.add(), 0.0
    watcher.engine.slots = 2
    while waited < 60:  # others are asked meanwhile
        assert watcher.start(manifest) == [manifest]
        (job,) = watcher.engine.jobs
        watcher.end(NO_ROOM)
        assert watcher.dispatcher.results.failed == set()
        waited += watcher.pass_time()
    watcher.start()
    watcher.end(NO_ROOM)
    assert (watcher.dispatcher.results.failed, watcher.dispatcher.is_idle) == ({Target(manifest)}, True)
    assert job.place.read() is None


def test_a_lack_of_room_for_temporary_files_delays_no_other_video(watcher, batch):
    first, second = batch.add(1), batch.add(2)
    watcher.start(first)
    watcher.end(NO_ROOM)
    assert watcher.start(second) == [second]
    assert watcher.paused is None


def test_why_a_cluster_takes_no_jobs_is_reported_as_a_pause(watcher):
    watcher.engine.obstacle = "no scheduler answers"
    assert watcher.paused == "no scheduler answers"


def test_a_single_run_starts_a_starved_job_again_as_often_as_a_failing_one(tmp_path, batch, monkeypatch):
    watcher = Watcher(tmp_path, monkeypatch, once=True)
    manifest = batch.add()
    for attempt in (1, 2, 3):
        assert watcher.dispatcher.results.failed == set()
        assert watcher.start(manifest) == [manifest], attempt
        watcher.end(SLOW)
        if attempt < 3:
            watcher.pass_time()
    assert watcher.dispatcher.results.failed == {Target(manifest)}
    assert watcher.dispatcher.is_idle


def test_a_single_run_says_once_for_a_full_disk_how_many_videos_it_concerns_and_what_to_do(
    tmp_path, monkeypatch, caplog
):
    watcher = Watcher(tmp_path, monkeypatch, settings=Settings(watcher={"min_free_space": 2**60}), once=True)
    manifests = [Batch.make(tmp_path, name=name).add() for name in ("one", "two", "three")]
    assert watcher.start(*manifests) == []
    assert caplog.messages == []
    assert watcher.dispatcher.results.failed == {Target(manifest) for manifest in manifests}
    assert watcher.dispatcher.videos == 3
    watcher.dispatcher.results.close()
    (said,) = caplog.messages
    assert said.startswith("3 videos not rendered: the disk of ")
    assert said.endswith(
        "; free some space, lower min_free_space, or name another folder with --out; then run the command again"
    )


def test_a_pause_delays_the_next_start(watcher, batch):
    manifest = batch.add()
    watcher.engine.error = OSError(errno.EMFILE, "Too many open files")
    assert watcher.start(manifest) == []
    assert "Too many open files" in watcher.paused
    watcher.engine.error = None
    assert watcher.start() == []
    assert watcher.pass_time() == 2
    assert watcher.start() == [manifest]


def test_a_video_that_does_not_fit_on_the_disk_does_not_block_others(tmp_path, batch, monkeypatch):
    watcher = Watcher(tmp_path, monkeypatch, settings=Settings(watcher={"workers": 1}))
    older, newest = batch.add(1), batch.add(2)
    for path in (older, *older.parent.rglob("*001.[ms]*")):  # a video newer than its manifest would be waited for
        os.utime(path, (1, 1))
    assert watcher.start(older, newest) == [newest]
    watcher.end(DISK_FULL)
    while watcher.start() == []:
        watcher.pass_time()
    assert watcher.start() == [older]
    assert watcher.waiting == 1


def test_a_refused_manifest_ends_the_run_only_with_fail_on_visualization_error(tmp_path, batch, monkeypatch):
    strict = Settings(visualization={"fail_on_visualization_error": True})
    for settings, gives_up in ((Settings(), False), (strict, True)):
        watcher = Watcher(tmp_path, monkeypatch, settings=settings)
        watcher.start(batch.add(video="../v.mp4"))
        assert watcher.dispatcher.results.gives_up is gives_up


def test_a_logged_failure_says_what_happens_next(tmp_path, batch, monkeypatch, caplog):
    for number, (once, then) in enumerate([(True, "`attnwatch render "), (False, "next attempt in ")], start=1):
        watcher = Watcher(tmp_path, monkeypatch, once=once)
        watcher.start(batch.add(number))
        watcher.end(JobError("crashed"))
        assert f"({batch.folder.name}, attempt 1): crashed; {then}" in caplog.messages[-1]


MEASURING = Result(None, "another process is measuring", busy=True)


def test_a_collection_whose_scale_is_measured_beside_it_waits_for_that_job_and_not_for_a_time(
    tmp_path, batch, monkeypatch
):
    settings = Settings(visualization={"auto_generate_videos": True}, watcher=WatcherSettings(workers=2))
    watcher = Watcher(tmp_path, monkeypatch, settings=settings, oldest_first=True)
    first, second = batch.add(1), batch.add(2)
    write_json(batch.folder / "batch.complete.json", {})
    for manifest in (first, second):
        write_receipt(manifest)
        watcher.dispatcher.consider(Target(manifest, batch.folder))
    assert watcher.start() == [first, second]
    measuring = watcher.engine.jobs.pop(0)
    watcher.end(MEASURING)
    watcher.engine.jobs.insert(0, measuring)
    watcher.now += 60
    assert watcher.start() == [first]
    watcher.end(JobError("crashed"))
    watcher.now += 1
    assert second in watcher.start()


def test_a_collection_whose_scale_another_watcher_measures_is_tried_again_later(tmp_path, batch, monkeypatch):
    watcher = Watcher(tmp_path, monkeypatch, settings=Settings(visualization={"auto_generate_videos": True}))
    manifest = batch.add()
    write_json(batch.folder / "batch.complete.json", {})
    write_receipt(manifest)
    watcher.dispatcher.consider(Target(manifest, batch.folder))
    assert watcher.start() == [manifest]
    watcher.end(MEASURING)
    assert watcher.start() == []
    assert 0 < watcher.pass_time() < 5
    assert watcher.start() == [manifest]


@pytest.fixture
def collected(batch):
    """The rendered collection of an ended batch, without contact sheets."""
    manifest = batch.add()
    write_json(batch.folder / "batch.complete.json", {})
    write_receipt(manifest, batch=batch.folder)
    return Target(manifest, batch.folder)


def collection_settings(*, enabled=True):
    return Settings(visualization={"auto_generate_videos": enabled})


@pytest.fixture
def collector(tmp_path, collected, monkeypatch):
    """A watcher with collections enabled that has found `collected`."""
    watcher = Watcher(tmp_path, monkeypatch, settings=collection_settings())
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


def test_collections_are_checked_in_short_slices(collector, batch, tmp_path, monkeypatch):
    """A turn of the loop does not last for as long as it takes to read the receipts of many batches."""
    checked = []

    def check_slowly(collection, settings):
        checked.append(collection)
        collector.now += 1.0
        return False

    monkeypatch.setattr(Collection, "is_due", check_slowly)
    for number in range(3):
        collector.dispatcher.ledger.collections[tmp_path / f"{number}"] = None
        (tmp_path / f"{number}" / "attention_videos").mkdir(parents=True)
        collector.dispatcher._sheets.check(tmp_path / f"{number}")
    for turn in range(1, 5):
        collector.start()
        assert len(checked) == turn
        assert collector.dispatcher.next_start() == (collector.now if turn < 4 else None)
    assert collector.dispatcher.is_idle


def test_large_collections_are_read_by_the_job_alone(collector, collected, monkeypatch):
    monkeypatch.setattr(Collection, "is_due", None)
    monkeypatch.setattr("attnwatch.jobs.collection._LARGE", 1)
    collector.start()
    assert [job.batch for job in collector.engine.jobs] == [collected.batch]


def test_contact_sheets_are_not_drawn_after_a_reload_disables_collections(collector, collected):
    collector.dispatcher.reload(collection_settings(enabled=False))
    collector.dispatcher.consider(collected)
    collector.start()
    assert collector.engine.running == 0
    assert collector.dispatcher.is_idle


def test_after_a_reload_contact_sheets_wait_for_the_next_scan(collector, collected):
    collector.dispatcher.reload(collection_settings())
    assert collector.dispatcher.is_idle
    collector.dispatcher.consider(collected)
    assert not collector.dispatcher.is_idle


SHEETS_DISK_FULL = SheetResult(error="no space left on device", shortage=Shortage.DISK)


def test_contact_sheets_are_not_retried_after_a_reload_disables_collections(collector):
    collector.start()
    collector.dispatcher.reload(collection_settings(enabled=False))
    collector.end(SHEETS_DISK_FULL)
    assert collector.dispatcher.is_idle


def test_contact_sheets_pause_a_full_disk_until_they_are_drawn(collector):
    collector.start()
    collector.end(SHEETS_DISK_FULL)
    assert collector.paused == "no space left on device"
    assert collector.dispatcher.results.failed == set()
    collector.start()
    assert collector.engine.running == 0
    collector.now += 3
    collector.start()
    collector.end(SheetResult())
    assert collector.paused is None


NO_PROCESS = OSError(errno.EAGAIN, "no process can be started; raise the limit (ulimit -u)")


@pytest.mark.parametrize("outcome", [NO_PROCESS, obstructed(NO_PROCESS)])
def test_contact_sheets_whose_job_could_not_begin_wait_with_what_is_exhausted(collector, outcome):
    collector.start()
    collector.end(outcome)
    assert collector.paused == "no process can be started; raise the limit (ulimit -u)"
    assert collector.dispatcher.results.failed == set()


@pytest.mark.parametrize("outcome", [SLOW, LOST])
def test_contact_sheets_whose_job_was_starved_or_lost_are_drawn_again(collector, outcome):
    for _ in range(2):
        collector.start()
        assert len(collector.engine.jobs) == 1
        collector.end(outcome)
    assert collector.dispatcher.results.failed == set()


def test_failed_contact_sheets_count_as_a_failure_of_the_collection(collector, collected, caplog):
    collector.start()
    collector.end(JobError("was ended by SIGKILL"))
    assert [target.batch for target in collector.dispatcher.results.failed] == [collected.batch]
    assert "no contact sheets: was ended by SIGKILL" in caplog.text


def sheets_drawn(tmp_path, monkeypatch, collected, renderer, **asked):
    """Return how often a run draws contact sheets that show their collection as it is."""
    directory = collected.batch / "attention_videos"
    key = Collection(directory, Root(collected.batch)).key()
    record = {"format": "attnwatch/1", "collection_sha256": key, "rows": "videos", "renderer": renderer}
    write_json(directory / "contact_sheets.json", record)
    watcher = Watcher(tmp_path, monkeypatch, settings=collection_settings(), **asked)
    watcher.dispatcher.ledger.collections[collected.batch] = Visualization()
    drawn = 0
    for _ in range(3):
        watcher.dispatcher._sheets.check(collected.batch)
        watcher.start()
        drawn += watcher.engine.running
        if watcher.engine.running:
            watcher.end(SheetResult())
    return drawn


@pytest.mark.parametrize("renderer", [None, RENDERER_VERSION - 1, RENDERER_VERSION])
def test_contact_sheets_are_drawn_anew_once_if_that_is_forced(tmp_path, monkeypatch, collected, renderer):
    assert sheets_drawn(tmp_path, monkeypatch, collected, renderer) == 0
    assert sheets_drawn(tmp_path, monkeypatch, collected, renderer, force=True) == 1


@pytest.mark.parametrize("renderer", [None, RENDERER_VERSION - 1, RENDERER_VERSION])
def test_outdated_contact_sheets_are_those_of_an_older_renderer(tmp_path, monkeypatch, collected, renderer):
    drawn = sheets_drawn(tmp_path, monkeypatch, collected, renderer, outdated=True)
    assert drawn == (renderer != RENDERER_VERSION)


def test_pages_of_a_contact_sheet_are_logged_in_one_line(collector, caplog):
    caplog.set_level("INFO", "attnwatch")
    collector.start()
    pages = tuple(Path(f"/a/contact_sheet_kiss{number}.png") for number in ("", "_2", "_3"))
    collector.end(SheetResult((pages, (Path("/a/contact_sheet_man.png"),))))
    said = [record.getMessage() for record in caplog.records if "contact sheet" in record.getMessage()]
    assert said == [
        "✅ Generated contact sheet: /a/contact_sheet_kiss.png (page 1 of 3; the last one is contact_sheet_kiss_3.png)",
        "✅ Generated contact sheet: /a/contact_sheet_man.png",
    ]


def test_an_unforeseen_error_about_one_video_delays_no_other(watcher, batch, monkeypatch):
    first, second = batch.add(1), batch.add(2)
    started = FakeEngine.start

    def start_except_one(engine, job):
        if job.place.manifest == first:
            raise RuntimeError("nobody has foreseen this")
        started(engine, job)

    monkeypatch.setattr(FakeEngine, "start", start_except_one)
    assert watcher.start(first, second) == [second]


def test_the_loss_of_the_engine_ends_the_run(watcher, batch):
    watcher.engine.error = EngineError("gone")
    with pytest.raises(EngineError):
        watcher.start(batch.add())


def test_a_watcher_that_yields_starts_nothing_and_says_why(watcher, batch, monkeypatch, caplog):
    manifest, rival = batch.add(), ["another watcher renders this tree"]
    monkeypatch.setattr("attnwatch.watch.rivals.Rivals.look", lambda _self: rival[0])
    assert watcher.start(manifest) == []
    assert watcher.paused == rival[0]
    assert watcher.start() == []
    assert [message for message in caplog.messages if "another watcher" in message] == [
        f"Paused: {rival[0]}; resumes automatically, no work is lost"
    ]
    rival[0] = None
    assert watcher.start() == [manifest]
    assert watcher.paused is None
