import json
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jsonschema
import pytest

from attnwatch.cli.summary import summary
from attnwatch.contract.schemas import json_schema
from attnwatch.contract.status_document import (
    LARGEST_COUNT,
    FailureRecord,
    RunningRecord,
    StatusDocument,
    VideoCounts,
    WatcherRecord,
)
from attnwatch.report.activity import FOLDER, Activity, Publisher, Running
from attnwatch.report.status import status
from attnwatch.system.locks import exclusive
from tests.support import Batch, closed_folder, write_json, write_manifest, write_receipt

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")


def light(batch, number=1, **fields):
    return write_manifest(batch.prompt() / f"video_{number:03d}.complete.json", **{"attention": [], **fields})


def counts(root):
    return status(root).videos.model_dump()


def changed(place, **fields):
    place.write(place.read().model_copy(update=fields))


def test_what_an_older_renderer_made_is_counted_and_said_with_what_to_do(batch):
    write_receipt(light(batch, 1))
    changed(write_receipt(light(batch, 2)), renderer=2)
    stock = status(batch.folder)
    assert (stock.videos.rendered, stock.outdated) == (2, 1)
    (line,) = [line for line in summary(stock).splitlines() if "older renderer" in line]
    assert line.strip().startswith("1 by an older renderer")
    assert line.endswith(f"attnwatch render --outdated {batch.folder}")
    (batch.prompt() / "attention_videos/prompt_001_vid002.rendered.json").unlink()
    assert "older renderer" not in summary(status(batch.folder))


def test_every_finished_video_is_in_one_state(batch):
    write_receipt(light(batch, 1))
    changed(write_receipt(light(batch, 2)), status="skipped", outputs=())
    write_receipt(light(batch, 3), "crashed")
    light(batch, 4)
    running = write_receipt(light(batch, 5))
    with running.open(create=True) as folder, exclusive(folder, running.video_id):
        assert counts(batch.folder) == {
            "finished": 5,
            "rendered": 1,
            "skipped": 1,
            "running": 1,
            "waiting": 1,
            "failed": 1,
        }


def test_an_empty_folder_has_a_status(batch):
    assert set(counts(batch.folder).values()) == {0}
    assert status(batch.folder).mean_seconds is None


def test_failures_have_a_reason_and_the_next_attempt(batch):
    write_receipt(light(batch, 1), "crashed")
    write_receipt(light(batch, 2), "crashed for good", attempts=3)
    first, second = status(batch.folder).failures
    assert (first.video_id, first.reason, first.attempts) == ("prompt_001_vid001", "crashed", 1)
    assert datetime.fromisoformat(first.next_attempt) > datetime.now(UTC)
    assert (second.reason, second.attempts, second.next_attempt) == ("crashed for good", 3, None)


def test_a_failure_in_a_collection_is_listed_but_not_counted_as_a_video(batch):
    manifest = light(batch)
    write_receipt(manifest)
    write_receipt(manifest, "crashed", batch=batch.folder)
    stock = status(batch.folder.parent)
    assert (stock.videos.finished, stock.videos.rendered, stock.videos.failed) == (1, 1, 0)
    assert [failure.collection for failure in stock.failures] == [str(batch.folder)]


def test_the_video_waiting_longest_is_named(batch):
    for number, age in ((1, 60), (2, 600), (3, 6000)):
        manifest = light(batch, number)
        os.utime(manifest, (NOW.timestamp() - age,) * 2)
    write_receipt(manifest)
    oldest = status(batch.folder).oldest_waiting
    assert (oldest.video_id, oldest.since) == ("prompt_001_vid002", "2026-01-02T11:50:00+00:00")


def test_the_rate_covers_the_last_hour_and_the_mean_all_videos(batch):
    for number, (minutes, seconds) in enumerate(((10, 1.0), (50, 2.0), (70, 6.0)), 1):
        place = write_receipt(light(batch, number))
        at = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
        changed(place, attempts=(place.read().attempts[0].model_copy(update={"at": at, "seconds": seconds}),))
    stock = status(batch.folder)
    assert (stock.rendered_last_hour, stock.mean_seconds) == (2, 3.0)


def test_a_video_that_is_also_collected_counts_once(batch):
    manifest = light(batch)
    write_receipt(manifest)
    write_receipt(manifest, batch=batch.folder)
    assert status(batch.folder).rendered_last_hour == 1


@pytest.mark.parametrize("at", ["", "yesterday", "2026-01-01T00:00:00"])
def test_an_unreadable_time_is_not_recent(batch, at):
    place = write_receipt(light(batch))
    changed(place, attempts=(place.read().attempts[0].model_copy(update={"at": at}),))
    assert status(batch.folder).rendered_last_hour == 0


@pytest.mark.parametrize("seconds", [1e308, -1e308])
def test_the_mean_is_finite_whatever_receipts_say(batch, seconds):
    for number in (1, 2):
        place = write_receipt(light(batch, number))
        changed(place, attempts=(place.read().attempts[0].model_copy(update={"seconds": seconds}),))
    assert 0 <= status(batch.folder).mean_seconds <= 1e9


def test_a_time_that_the_calendar_does_not_have_is_a_long_time_ago(batch, monkeypatch):
    manifest = light(batch)
    real = type(manifest).stat

    def early(path, **options):
        return real(path, **options) if path != manifest else SimpleNamespace(st_mtime=-1e11)

    monkeypatch.setattr(type(manifest), "stat", early)  # few file systems hold such times
    assert status(batch.folder).oldest_waiting.since == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("name", ["scans", "overflows", "rendered", "failed", "waiting"])
@pytest.mark.parametrize("number", [-1, 2**31, 10**400])
def test_a_file_with_a_count_that_no_watcher_reports_is_not_the_file_of_a_watcher(batch, name, number):
    assert not reported(batch, {name: number}).watchers


@pytest.mark.parametrize("name", ["rescan_interval", "last_scan_seconds"])
@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_file_with_a_duration_that_is_not_finite_is_not_the_file_of_a_watcher(batch, name, number):
    assert not reported(batch, {name: number}).watchers


def test_the_largest_counts_of_several_watchers_are_shown(batch):
    largest = {"overflows": LARGEST_COUNT, "scans": LARGEST_COUNT, "rendered": LARGEST_COUNT}
    stock = reported(batch, largest, {**largest, "host": "another"})
    assert (len(stock.watchers), stock.overflows) == (2, LARGEST_COUNT)


def reported(batch, *changes):
    """Return the status with an activity file for each dictionary of changes to what a watcher writes."""
    folder = batch.folder / FOLDER
    folder.mkdir()
    for number, change in enumerate(changes):
        activity = asdict(Activity(roots=(str(batch.folder),), version="1.2"))
        (folder / f"host.{number}.json").write_text(json.dumps({**activity, **change}))
    return status(batch.folder)


@pytest.mark.parametrize("asked", [".", "demo_20260102_030405", ".."])
def test_a_watcher_is_found_from_its_folder_a_subfolder_and_the_parent(batch, asked):
    outputs = batch.folder.parent
    root = (outputs / asked).resolve()
    activity = Activity(roots=(str(outputs),), version="1.2", mode="polling", reason="nfs4 is shared", overflows=3)
    with Publisher([outputs]) as publisher:
        publisher.publish(activity)
        stock = status(root)
        assert [(w.pid, w.mode, w.reason, w.silent) for w in stock.watchers] == [
            (os.getpid(), "polling", "nfs4 is shared", False)
        ]
        assert stock.overflows == 3
    assert status(root).watchers == ()


def test_a_video_rendered_on_another_machine_is_running_although_its_lock_is_invisible(batch):
    manifest = light(batch)
    since = datetime.now(UTC).isoformat()
    running = [Running("prompt_001_vid001", str(manifest), since)]
    with Publisher([batch.folder]) as publisher:
        publisher.publish(Activity(roots=(), version="1.2", running=running))
        stock = status(batch.folder)
    assert (stock.videos.running, stock.videos.waiting, stock.oldest_waiting) == (1, 0, None)
    assert stock.running == (RunningRecord(video_id="prompt_001_vid001", manifest=str(manifest), since=since),)


def test_a_status_matches_its_schema(batch):
    write_receipt(light(batch, 1), "crashed")
    light(batch, 2)
    with Publisher([batch.folder]) as publisher:
        publisher.publish(Activity(roots=(str(batch.folder),), version="1.2"))
        document = json.loads(status(batch.folder).model_dump_json())
    jsonschema.validate(document, json_schema("status"))
    assert document["failures"]
    assert document["watchers"]


def listed(root):
    """Return the state and reason of each video that is not rendered."""
    return {record.video_id: (record.state, record.reason) for record in status(root).unrendered}


@pytest.mark.parametrize(
    ("collects", "reason"),
    [(False, "neither auto_generate_per_video nor"), (True, "rendered when the batch has ended, for its collection")],
)
def test_a_video_that_its_batch_does_not_ask_for_says_so(batch, collects, reason):
    light(batch, visualization={"auto_generate_per_video": False, "auto_generate_videos": collects})
    state, said = listed(batch.folder)["prompt_001_vid001"]
    assert state == "skipped"
    assert reason in said


def test_a_video_of_which_there_was_nothing_to_render_has_the_notes_of_its_receipt(batch):
    changed(write_receipt(light(batch)), status="skipped", outputs=(), notes=("no word was tracked",))
    assert listed(batch.folder) == {"prompt_001_vid001": ("skipped", "no word was tracked")}


def test_a_video_whose_files_are_incomplete_says_which(batch):
    batch.add_full(1)
    batch.add_full(2)
    batch.add_full(3)
    maps = batch.prompt() / "attention_maps"
    (maps / "vid001.safetensors").write_bytes(b"short")
    (maps / "vid002.safetensors").unlink()
    (batch.prompt() / "video_003.mp4").write_bytes(b"")
    found = listed(batch.folder)
    start = "its files are incomplete: video_00"
    assert found["prompt_001_vid001"][1].startswith(
        f"{start}1.complete.json: attention_maps/vid001.safetensors has only 5 of "
    )
    assert (
        found["prompt_001_vid002"][1] == f"{start}2.complete.json: attention_maps/vid002.safetensors is not there yet"
    )
    assert found["prompt_001_vid003"][1].startswith(f"{start}3.complete.json: video_003.mp4 has only 0 of ")
    assert [(record.reason, record.videos) for record in status(batch.folder).reasons] == [
        ("its files are incomplete", 3)
    ]


def test_a_manifest_that_cannot_be_used_says_why(batch):
    batch.add(attention=["../elsewhere.safetensors"])
    assert (
        "its manifest cannot be used: video_001.complete.json: attention"
        in listed(batch.folder)["prompt_001_vid001"][1]
    )


def test_outputs_that_cannot_be_written_are_a_reason(batch):
    light(batch)
    (batch.prompt() / "attention_videos").write_bytes(b"")
    assert "its outputs cannot be written: " in listed(batch.folder)["prompt_001_vid001"][1]


def test_a_video_that_changed_since_it_was_rendered_says_what_changed(batch):
    write_receipt(batch.add(1))
    (batch.prompt() / "video_001.mp4").write_bytes(b"another")
    write_receipt(batch.add(2))
    batch.add(2, generation={"seed": 7})
    changed(write_receipt(batch.add(3)), renderer=0)
    assert listed(batch.folder) == {
        "prompt_001_vid001": ("waiting", "changed since it was rendered: video_001.mp4"),
        "prompt_001_vid002": ("waiting", "changed since it was rendered: its manifest"),
        "prompt_001_vid003": ("waiting", "rendered by another version, whose pictures differ"),
    }


def test_the_list_of_videos_that_are_not_rendered_is_limited_and_their_number_is_not(batch):
    for number in range(1005):
        light(batch, number)
    stock = status(batch.folder)
    assert len(stock.unrendered) == 1000
    assert [(reason.state, reason.reason, reason.videos) for reason in stock.reasons] == [
        ("waiting", "not rendered yet", 1005)
    ]


def test_what_is_passed_without_finding_a_video_is_listed(batch):
    forgotten = batch.prompt() / "video_001.mp4"
    forgotten.parent.mkdir()
    forgotten.write_bytes(b"video")
    os.utime(forgotten, (0, 0))
    stock = status(batch.folder)
    assert (stock.without_manifest, stock.without_manifest_number) == ((str(forgotten),), 1)
    assert f"1 video has no manifest, and so no attention to render: {forgotten}" in summary(stock)
    with closed_folder() as closed:
        stock = status(closed.parent)
    assert [(folder.path, folder.reason) for folder in stock.unreadable] == [(str(closed), "Permission denied")]
    assert f"{closed} (Permission denied); allow the watcher's user" in summary(stock)


def planned(batch, prompts=2, videos=2):
    """Write the plan of a batch."""
    names = [f"prompt_{number:03d}" for number in range(1, prompts + 1)]
    write_json(batch.folder / "batch.json", {"videos": [{"prompt_id": name} for name in names for _ in range(videos)]})


def test_the_videos_of_each_batch_and_prompt_are_counted(batch):
    planned(batch)
    write_receipt(batch.add(1))
    write_receipt(batch.add(1, prompt=2), "crashed")
    batch.add(2, prompt=2)
    other = Batch.make(batch.folder.parent, "other")
    light(other)
    stock = status(batch.folder.parent)
    assert [(record.name, record.planned, record.ended, record.videos.finished) for record in stock.batches] == [
        (batch.folder.name, 4, None, 3),
        ("other", None, None, 1),
    ]
    prompts = {record.name: (record.planned, record.videos) for record in stock.batches[0].prompts}
    assert prompts["prompt_001"][0] == 2
    assert (prompts["prompt_001"][1].rendered, prompts["prompt_001"][1].finished) == (1, 1)
    assert (prompts["prompt_002"][1].waiting, prompts["prompt_002"][1].failed) == (1, 1)


def test_a_batch_without_a_finished_video_is_listed(batch):
    planned(batch)
    assert [(record.name, record.planned, record.videos.finished) for record in status(batch.folder).batches] == [
        (batch.folder.name, 4, 0)
    ]


@pytest.mark.parametrize("ended", ["complete", "interrupted"])
def test_the_summary_of_a_batch_says_how_far_it_is_and_how_it_ended(batch, ended):
    planned(batch, prompts=3, videos=1)
    counts = {"expected": 3, "complete": 2, "failed": 0}
    write_json(
        batch.folder / "batch.complete.json",
        {"format": "attnwatch/1", "status": ended, "finished": "2026-01-02T11:00:00+00:00", "counts": counts},
    )
    for number in (1, 2):
        write_receipt(batch.add(prompt=number))
    stock = status(batch.folder.parent)
    line = f"    {batch.folder.name}: 2 of 3 videos, {ended}, 2 rendered\n"
    assert line in summary(stock)
    assert "prompt_003" not in summary(stock)
    assert f"{line}      prompt_001: 1 of 1 video, 1 rendered\n" in summary(stock, verbose=True)
    assert "      prompt_003: 0 of 1 video\n" in summary(stock, verbose=True)


def test_the_summary_of_a_batch_that_has_not_ended_says_when_it_last_changed(batch):
    planned(batch)
    assert "0 of 4 videos, not ended, last change 0 s ago\n" in summary(status(batch.folder))


def test_the_summary_has_a_line_for_each_reason_and_for_each_video_with_a_reason_of_its_own(batch):
    for number in (1, 2):
        light(batch, number)
    batch.add_full(3)
    (batch.prompt() / "video_003.mp4").write_bytes(b"")
    text = summary(status(batch.folder))
    assert "\n    2 videos: not rendered yet\n" in text
    assert "\n    prompt_001_vid003: its files are incomplete: video_003.complete.json: video_003.mp4 has only" in text
    assert f"\n    no watcher runs here: start `attnwatch {batch.folder}`\n" in text


def test_no_watcher_is_missed_while_a_single_run_holds_the_lock_of_a_video(batch):
    place = write_receipt(light(batch, 1))
    light(batch, 2)
    with place.open(create=True) as folder, exclusive(folder, place.video_id):
        text = summary(status(batch.folder))
    assert "\n    1 video: not rendered yet\n" in text
    assert "no watcher" not in text
    assert text.endswith("\n  watcher   none running here; a single run, as with --once, is rendering")


def test_the_summary_says_that_every_watcher_pauses(batch):
    light(batch)
    watcher = full_status().watchers[0]
    for watchers, said in (((watcher,), True), ((watcher, watcher.model_copy(update={"paused": None})), False)):
        text = summary(status(batch.folder).model_copy(update={"watchers": watchers}))
        assert ("\n    every watcher here pauses: see below\n" in text) is said


def test_the_summary_says_what_each_watcher_leaves_out():
    watcher = full_status().watchers[0].model_copy(update={"left_out": ("3 videos: finished before",)})
    assert summary(full_status(watchers=(watcher,))).endswith(
        "\n    not rendered by pid 123: 3 videos: finished before"
    )


def full_status(**fields):
    failure = FailureRecord(
        video_id="prompt_001_vid003", manifest="/o/v.complete.json", reason="video_003.mp4:\nno frames", attempts=2
    )
    due = failure.model_copy(
        update={"attempts": 1, "next_attempt": "2026-01-02T12:00:30+00:00", "collection": "/o/demo"}
    )
    watcher = WatcherRecord(
        host="node7",
        pid=123,
        version="0.1.0",
        started="2025-12-31T12:00:00+00:00",
        heartbeat="2026-01-02T11:59:00+00:00",
        silent=True,
        mode="events and polling",
        reason="overlay: some events are missed",
        rescan_interval=5,
        scans=1200,
        last_scan="2026-01-02T11:59:00+00:00",
        last_scan_seconds=0.12,
        overflows=1,
        rendered=7,
        failed=2,
        paused="the disk is full",
    )
    values = {
        "root": "/o",
        "at": NOW.isoformat(),
        "videos": VideoCounts(finished=1236, rendered=1200, skipped=3, running=2, waiting=30, failed=1),
        "running": (
            RunningRecord(video_id="prompt_001_vid001", manifest="a", since="2026-01-02T11:59:48+00:00"),
            RunningRecord(video_id="prompt_001_vid002", manifest="b"),
        ),
        "oldest_waiting": RunningRecord(video_id="prompt_002_vid001", manifest="c", since="2026-01-02T11:58:00+00:00"),
        "failures": (failure, due),
        "rendered_last_hour": 120,
        "mean_seconds": 1.25,
        "overflows": 1,
        "watchers": (watcher,),
    }
    return StatusDocument(**{**values, **fields})


def test_the_summary_is_aligned_text():
    assert (
        summary(full_status())
        == """\
/o: 1,236 finished videos
  rendered  1,200   120 in the last hour; 1.2 s each
  skipped       3   nothing to render
  running       2   prompt_001_vid001 for 12 s, prompt_001_vid002
  waiting      30   prompt_002_vid001 for 2 min
  failed        1
    prompt_001_vid003: video_003.mp4: no frames; 2 attempts, given up
    prompt_001_vid003 in the collection of /o/demo: video_003.mp4: no frames; 1 attempt, \
next attempt in 30 s
  watcher   node7 pid 123 for 2 d; events and polling (overlay: some events are missed); 1,200 scans, \
the last in 0.1 s; 1 overflow of file events; paused: the disk is full; silent for 1 min: it hangs or was stopped"""
    )


def test_only_the_first_of_many_failures_are_listed():
    text = summary(full_status(failures=full_status().failures * 100))
    assert text.count("\n    prompt_001") == 10
    assert "    and 190 more: --json lists all\n" in text


def test_the_summary_says_that_no_watcher_runs():
    assert summary(full_status(watchers=(), running=())).endswith("\n  watcher   none running here")
