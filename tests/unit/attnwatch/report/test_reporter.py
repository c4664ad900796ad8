"""Uses real listeners: a socket in place of the service manager, files, and a command."""

import json
import logging
import socket
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnwatch.batches.passed import excluded
from attnwatch.batches.targets import Target
from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.receipts import failure, success
from attnwatch.errors import JobError
from attnwatch.report.activity import Activity, Publisher, read_activities
from attnwatch.report.hooks import Hooks
from attnwatch.report.metrics import Metrics
from attnwatch.report.reporter import Audience, Report
from attnwatch.settings import Watcher
from attnwatch.system.notify import Notifier
from tests.planning import due, watching
from tests.support import Batch, wait_until

OUTPUT = OutputRecord(file="vid_kiss_overlay.mp4", kind="overlay", token="kiss", bytes=1, scale=(0.0, 1.0))


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog):
    caplog.set_level(logging.INFO, "attnwatch")


@pytest.fixture
def manager(tmp_path):
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def heard(manager):
    """Return the notifications since the last call."""
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


@pytest.fixture
def activity(tmp_path):
    return Activity((str(tmp_path),), "0.1")


@pytest.fixture
def task(tmp_path):
    manifest = Batch.make(tmp_path).add()
    return due(watching(tmp_path).decide(Target(manifest)))


def receipt_of(task, *outputs):
    return success(task.place, task.fingerprint, outputs, (), 1.25)


def failed_receipt_of(task, **limits):
    return failure(task.place, task.fingerprint, JobError("it crashed"), 1.25, Watcher(**limits))


def test_reporting_works_without_an_audience(activity, task):
    report = Report(activity, Audience())
    report.ready()
    report.rendered(task.target, task.place, receipt_of(task, OUTPUT))
    report.beat(waiting=0, paused=None)
    report.stopping(0, 5.0)
    report.close(once=False)
    assert report.patience is None


def test_the_service_manager_is_notified_of_the_start_of_every_beat_and_of_the_end(activity, manager, tmp_path):
    report = Report(activity, Audience(notifier=Notifier(str(tmp_path / "notify"), 20.0)))
    report.ready()
    assert heard(manager) == ["READY=1"]
    report.beat(waiting=2, paused=None)
    assert heard(manager) == ["WATCHDOG=1", "STATUS=0 rendered, 0 failed; 0 running, 2 waiting"]
    report.beat(waiting=2, paused="the disk is full")
    assert heard(manager) == ["STATUS=paused: the disk is full; 0 running, 2 waiting"]
    with report.reloading():
        assert heard(manager)[0].startswith("RELOADING=1")
    assert heard(manager) == ["READY=1"]
    report.stopping(1, 5.0)
    assert heard(manager) == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000"]


def test_a_beat_is_due_well_within_the_watchdog_interval(activity, tmp_path):
    report = Report(activity, Audience(notifier=Notifier(str(tmp_path / "notify"), 20.0)))
    assert report.patience == 5.0


def test_a_video_is_logged_line_by_line_and_counted(activity, task, caplog):
    report = Report(activity, Audience())
    report.rendered(task.target, task.place, receipt_of(task, OUTPUT, OUTPUT))
    assert caplog.messages == [
        "✅ Generated attention video: vid_kiss_overlay.mp4",
        "✅ Generated attention video: vid_kiss_overlay.mp4",
        "prompt_001_vid001: 2 outputs in 1.2 s (demo_20260102_030405)",
    ]
    assert activity.rendered == 1


def test_a_video_with_nothing_to_render_is_logged_and_not_counted_and_the_reason_told_once(activity, task, caplog):
    receipt = receipt_of(task).model_copy(update={"notes": ("no word was tracked",)})
    report = Report(activity, Audience())
    for _ in range(2):
        report.rendered(task.target, task.place, receipt)
    said = "prompt_001_vid001: nothing to render (demo_20260102_030405)"
    assert caplog.messages == [f"{said}: no word was tracked", said]
    assert activity.rendered == 0


def test_a_log_line_distinguishes_a_collection(activity, tmp_path, caplog):
    batch = Batch.make(tmp_path)
    manifest = batch.add(visualization={"auto_generate_videos": True})
    task = due(watching(tmp_path).decide(Target(manifest, batch.folder)))
    Report(activity, Audience()).rendered(task.target, task.place, receipt_of(task, OUTPUT))
    assert f"in the collection of {batch.folder.name}" in caplog.messages[-1]


def collected(tmp_path):
    """Return a collection that is due."""
    batch = Batch.make(tmp_path)
    manifest = batch.add(visualization={"auto_generate_videos": True})
    return due(watching(tmp_path).decide(Target(manifest, batch.folder)))


def test_a_collection_does_not_log_the_names_of_the_videos_again(activity, task, tmp_path, caplog):
    report = Report(activity, Audience())
    report.rendered(task.target, task.place, receipt_of(task, OUTPUT))
    other = collected(tmp_path)
    report.rendered(other.target, other.place, receipt_of(other, OUTPUT))
    named = [message for message in caplog.messages if "✅" in message]
    assert named == [
        "✅ Generated attention video: vid_kiss_overlay.mp4",
        "✅ Generated attention video: demo_20260102_030405/attention_videos/vid_kiss_overlay.mp4",
    ]


def test_outputs_that_are_linked_into_a_collection_are_not_called_generated(activity, tmp_path, caplog):
    task = collected(tmp_path)
    Report(activity, Audience()).rendered(task.target, task.place, receipt_of(task, OUTPUT), linked=True)
    assert caplog.messages == ["prompt_001_vid001: 1 linked in the collection of demo_20260102_030405"]


def test_the_end_of_collect_says_what_is_in_the_collection(activity, tmp_path, caplog):
    task = collected(tmp_path)
    report = Report(activity, Audience())
    report.rendered(task.target, task.place, receipt_of(task, OUTPUT), linked=True)
    for name in ("contact_sheet_kiss.png", "contact_sheet_dog.png"):
        (task.target.batch / name).touch()
    report.collected([task.target.batch], up_to_date=3, failed=1)
    assert caplog.messages[-1] == (
        f"collected in {task.target.batch}: 0 rendered, 1 linked, 3 up to date, 1 failed; "
        "2 contact sheets: contact_sheet_dog.png, contact_sheet_kiss.png"
    )


def test_each_reason_for_leaving_out_videos_is_logged_once_whatever_their_number(activity, caplog):
    report = Report(activity, Audience())
    for number in (2, 3):
        report.leaves_out((f"{number} videos: finished before --since", "1 video: no word was tracked"))
    assert caplog.messages == [
        "not rendered: 2 videos: finished before --since",
        "not rendered: 1 video: no word was tracked",
    ]
    assert activity.left_out == ("3 videos: finished before --since", "1 video: no word was tracked")


def test_what_the_user_leaves_out_is_logged_once_while_more_of_it_is_made(activity, caplog):
    report, paths = Report(activity, Audience()), [Path(f"/o/draft_{number}.mp4") for number in range(3)]
    for number in range(3, 7):
        report.leaves_out((excluded(paths, number),))
    assert len(caplog.messages) == 1
    assert activity.left_out[0].startswith("6 match")


def test_reasons_that_differ_from_video_to_video_do_not_fill_the_memory(activity, caplog):
    caplog.set_level(logging.WARNING, "attnwatch")  # so that it keeps none of them
    report = Report(activity, Audience())
    tracemalloc.start()
    for number in range(10_000):
        report.leaves_out((f"1 video: {number} {'x' * 400}",))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 10**6


def test_a_failure_is_logged_with_the_next_step(activity, task, caplog):
    report = Report(activity, Audience())
    receipt = failed_receipt_of(task)
    report.failed(task.target, task.place, receipt, "next attempt in a minute")
    report.failed(task.target, task.place, receipt, "`attnwatch render x` tries again")
    said = f"❌ prompt_001_vid001 (demo_20260102_030405, attempt 1): {receipt.attempts[0].error}; "
    assert caplog.messages == [f"{said}next attempt in a minute", f"{said}`attnwatch render x` tries again"]
    assert activity.failed == 2


def test_the_users_command_gets_the_receipt(activity, task, tmp_path):
    with Hooks(f'cat > {tmp_path}/heard.new && mv {tmp_path}/heard.new "{tmp_path}/$ATTNWATCH_VIDEO_ID"') as hooks:
        report = Report(activity, Audience(hooks=hooks))
        receipt = receipt_of(task, OUTPUT)
        report.rendered(task.target, task.place, receipt)
        path = tmp_path / "prompt_001_vid001"
        wait_until(path.exists)
        assert json.loads(path.read_text()) == json.loads(receipt.model_dump_json())


def test_a_run_with_once_waits_for_its_commands(activity, task, tmp_path):
    hooks = Hooks(f"sleep 0.3; touch {tmp_path}/done")
    report = Report(activity, Audience(hooks=hooks))
    report.rendered(task.target, task.place, receipt_of(task, OUTPUT))
    report.close(once=True)
    assert (tmp_path / "done").exists()


def test_a_beat_publishes_the_activity(activity, tmp_path):
    with Publisher([tmp_path]) as publisher:
        report = Report(activity, Audience(publisher=publisher))
        report.beat(waiting=7, paused="the disk is full")
        (published,) = read_activities(tmp_path)
        assert (published.waiting, published.paused) == (7, "the disk is full")


def test_metrics_are_written_while_running_and_at_the_end(activity, task, tmp_path):
    path = tmp_path / "metrics.prom"
    report = Report(activity, Audience(metrics=Metrics(activity, path)))
    report.beat(waiting=0, paused=None)
    assert "attnwatch_videos_rendered_total" in path.read_text()
    report.rendered(task.target, task.place, receipt_of(task, OUTPUT))
    report.close(once=False)
    (line,) = [line for line in path.read_text().splitlines() if line.startswith("attnwatch_videos_rendered_total")]
    assert line.endswith(" 1.0")


def test_metrics_that_cannot_be_written_are_logged_once(activity, tmp_path, caplog):
    report = Report(activity, Audience(metrics=Metrics(activity, tmp_path / "no such folder" / "metrics.prom")))
    report.beat(waiting=0, paused=None)
    report.close(once=False)
    (complaint,) = caplog.messages
    assert complaint.startswith("--metrics-file: ")


def test_the_progress_bar_gets_the_numbers_done_and_known(activity, task):
    shown = []
    report = Report(activity, Audience(progress=lambda done, known: shown.append((done, known))))
    report.beat(waiting=2, paused=None)
    report.runs([(task.place, None)])
    report.beat(waiting=1, paused=None)
    report.rendered(task.target, task.place, receipt_of(task, OUTPUT))
    report.runs([])
    report.beat(waiting=1, paused=None)
    assert shown == [(0, 2), (0, 2), (1, 2)]


@pytest.mark.parametrize(
    "to_go",
    [
        (9, "3 rendered, 9 renderings to go, at 3.0 a minute about 3 min"),
        (1, "3 rendered, 1 rendering to go, at 3.0 a minute about 1 min"),
    ],
)
def test_without_a_bar_a_line_per_minute_reports_progress(to_go, activity, task, monkeypatch, caplog):
    left, said = to_go
    caplog.set_level(logging.INFO, "attnwatch")
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("attnwatch.report.reporter.time", SimpleNamespace(monotonic=lambda: clock.now))
    report = Report(activity, Audience())
    for _ in range(3):
        report.rendered(task.target, task.place, receipt_of(task, OUTPUT))
    caplog.clear()
    for clock.now, waiting in ((30.0, 9), (60.0, left), (90.0, 6), (120.0, 6), (240.0, 3)):
        report.beat(waiting=waiting, paused=None)
    assert caplog.messages == [said]


def test_a_running_video_keeps_its_start_time(activity, task, monkeypatch):
    report = Report(activity, Audience())
    times = iter(["first", "second"])
    monkeypatch.setattr("attnwatch.report.reporter.now", lambda: next(times))
    report.runs([(task.place, None)])
    report.runs([(task.place, None)])
    assert [(running.video_id, running.since) for running in activity.running] == [("prompt_001_vid001", "first")]
    report.runs([])
    assert activity.running == []


def test_a_reason_for_polling_is_logged_once(activity, caplog):
    report = Report(activity, Audience())
    report.learns("events", "file events tell of every change", 60.0)
    assert caplog.messages == []
    for _ in range(2):
        report.learns("polling", "file events are switched off", 10.0)
    assert caplog.messages == ["the folders are scanned every 10 s: file events are switched off"]
    assert (activity.mode, activity.reason, activity.rescan_interval) == ("polling", "file events are switched off", 10)


def test_a_scan_is_recorded_once(activity):
    report = Report(activity, Audience())
    report.scanned(1, 0.5)
    first = activity.last_scan
    report.scanned(1, 0.7)
    assert (activity.scans, activity.last_scan, activity.last_scan_seconds) == (1, first, 0.5)
    report.scanned(2, 0.7)
    assert (activity.scans, activity.last_scan_seconds) == (2, 0.7)
