import json
import os
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from attnwatch.batches.entered import is_searched
from attnwatch.contract.names import printable
from attnwatch.report.activity import FOLDER, HEARTBEAT, Activity, Publisher, Running, read_activities


@pytest.fixture
def activity(tmp_path):
    return Activity(roots=(str(tmp_path),), version="1.2", reason="ext4 is local")


@pytest.fixture
def clock(monkeypatch):
    """Return a function that advances the monotonic clock."""
    start = time.monotonic()
    passed = [0.0]
    monkeypatch.setattr("attnwatch.report.activity.time.monotonic", lambda: start + passed[0])

    def sleep(seconds):
        passed[0] += seconds

    return sleep


def files(root):
    return sorted(path.name for path in (root / FOLDER).glob("*"))


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def pid_of_nobody():
    """Return the id of a process that has just ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_an_activity_can_be_read_until_its_watcher_ends(tmp_path, activity):
    activity.running.append(Running("prompt_001_vid001", "/o/v.complete.json", ago(1)))
    with Publisher([tmp_path]) as publisher:
        publisher.publish(activity)
        assert list(read_activities(tmp_path)) == [activity]
        assert files(tmp_path) == [f"{activity.host}.{os.getpid()}.json"]
    assert list(read_activities(tmp_path)) == []
    assert not (tmp_path / FOLDER).exists()


def test_the_folder_of_activity_files_is_not_scanned(tmp_path):
    assert not is_searched(tmp_path / FOLDER / "x.complete.json", tmp_path)


def test_changes_are_written_at_most_once_a_second_and_heartbeats_rarely(tmp_path, activity, clock):
    with Publisher([tmp_path]) as publisher:
        written = []
        for seconds, rendered in ((0, 0), (0.5, 1), (0.6, 1), (5, 1), (HEARTBEAT, 1)):
            clock(seconds)
            activity.rendered = rendered
            before = activity.heartbeat
            activity.heartbeat = "unchanged"
            publisher.publish(activity)
            written.append(activity.heartbeat != "unchanged")
            activity.heartbeat = before
    assert written == [True, False, True, False, True]


def test_a_changed_list_of_running_videos_is_a_change(tmp_path, activity, clock):
    with Publisher([tmp_path]) as publisher:
        publisher.publish(activity)
        activity.running.append(Running("a", "/o/a.complete.json", ago(0)))
        clock(2)
        publisher.publish(activity)
        (read,) = read_activities(tmp_path)
        assert [running.video_id for running in read.running] == ["a"]


def test_a_watcher_publishes_in_each_of_its_roots(tmp_path, activity):
    roots = [tmp_path / "a", tmp_path / "b"]
    for root in roots:
        root.mkdir()
    with Publisher(roots) as publisher:
        publisher.publish(activity)
        assert [len(files(root)) for root in roots] == [1, 1]


@pytest.mark.parametrize("kind", ["absent", "a file", "a folder that is a file", "a link"])
def test_a_root_that_cannot_be_written_is_skipped(tmp_path, activity, kind):
    root = tmp_path / "root"
    if kind == "a file":
        root.write_text("")
    elif kind == "a folder that is a file":
        root.mkdir()
        (root / FOLDER).write_text("")
    elif kind == "a link":
        root.mkdir()
        (root / FOLDER).symlink_to(tmp_path)
    with Publisher([root]) as publisher:
        publisher.publish(activity)
    assert list(read_activities(root)) == []
    assert list(tmp_path.glob("*.json")) == []


def test_names_that_are_not_utf8_are_escaped(tmp_path, activity):
    activity.roots = ("/\udcff é",)
    activity.running.append(Running("a", "/\udcff/a.complete.json", ago(0)))
    with Publisher([tmp_path]) as publisher:
        publisher.publish(activity)
        (read,) = read_activities(tmp_path)
    assert read.roots == ("/\\udcff é",)
    assert read.running[0].manifest == printable("/\udcff/a.complete.json")


def test_nothing_is_written_or_removed_through_a_link(tmp_path, activity):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    for folder in (elsewhere, root):
        folder.mkdir()
    (root / FOLDER).symlink_to(elsewhere)
    (elsewhere / "host.7.json").write_text("somebody else's")
    os.utime(elsewhere / "host.7.json", (0, 0))
    with Publisher([root]) as publisher:
        publisher.publish(activity)
        assert [path.name for path in elsewhere.iterdir()] == ["host.7.json"]


def written(root, activity, **changes):
    """Write an activity as another process would have."""
    other = replace(activity, **changes)
    content = {**vars(other), "running": [vars(running) for running in other.running]}
    (root / FOLDER).mkdir(exist_ok=True)
    path = root / FOLDER / f"{other.host}.{other.pid}.json"
    path.write_text(json.dumps(content))
    return path


def test_a_killed_watcher_of_this_machine_is_ignored_and_its_file_removed_by_the_next(tmp_path, activity):
    left = written(tmp_path, activity, pid=pid_of_nobody())
    assert list(read_activities(tmp_path)) == []
    assert left.exists()
    with Publisher([tmp_path]):
        assert not left.exists()


def test_a_watcher_of_another_machine_counts_until_it_has_been_silent_for_long(tmp_path, activity):
    nobody = pid_of_nobody()
    alive = written(tmp_path, activity, host="elsewhere", pid=nobody)
    silent = written(tmp_path, activity, host="hanging", pid=nobody, heartbeat=ago(4 * HEARTBEAT))
    gone = written(tmp_path, activity, host="long-gone", pid=nobody, heartbeat=ago(31 * HEARTBEAT))
    assert {(a.host, a.silent) for a in read_activities(tmp_path)} == {("elsewhere", False), ("hanging", True)}
    with Publisher([tmp_path]):
        assert [path.exists() for path in (alive, silent, gone)] == [True, True, False]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"[" * 100_000, b"\xff"])
def test_an_unreadable_file_is_ignored_and_removed_once_it_is_old(tmp_path, content):
    (tmp_path / FOLDER).mkdir()
    for name in ("host.7.json", ".host.7.json.8.tmp", "mine.json", "notes.txt"):
        (tmp_path / FOLDER / name).write_bytes(content)
    assert list(read_activities(tmp_path)) == []
    with Publisher([tmp_path]):
        assert len(files(tmp_path)) == 4
    for name in files(tmp_path):
        os.utime(tmp_path / FOLDER / name, (0, 0))
    with Publisher([tmp_path]):
        assert files(tmp_path) == ["mine.json", "notes.txt"]


def test_a_fifo_does_not_block_readers(tmp_path):
    (tmp_path / FOLDER).mkdir()
    os.mkfifo(tmp_path / FOLDER / "host.7.json")
    assert list(read_activities(tmp_path)) == []


def test_an_unreadable_time_counts_as_long_ago(activity):
    assert replace(activity, heartbeat="tomorrow").gone
    assert replace(activity, heartbeat="2026-01-01T00:00:00").gone
    assert not activity.gone


def test_an_update_from_the_future_has_the_time_of_its_file(tmp_path, activity):
    path = written(tmp_path, activity, heartbeat=ago(-3600))
    (found,) = read_activities(tmp_path)
    assert not found.silent
    os.utime(path, (time.time() - 60, time.time() - 60))
    (found,) = read_activities(tmp_path)
    assert found.silent
    os.utime(path, (time.time() - 600, time.time() - 600))
    assert list(read_activities(tmp_path)) == []


def test_a_clock_that_is_a_little_ahead_is_no_reason_to_doubt_an_update(tmp_path, activity):
    ahead = replace(activity, heartbeat=ago(-5))
    os.utime(written(tmp_path, ahead), (1, 1))
    assert list(read_activities(tmp_path)) == [ahead]


def test_a_file_from_the_far_future_does_not_stay(tmp_path, activity):
    later = time.time() + 86_400
    os.utime(written(tmp_path, activity, heartbeat=ago(-86_400)), (later, later))
    with Publisher([tmp_path]):
        assert files(tmp_path) == []
