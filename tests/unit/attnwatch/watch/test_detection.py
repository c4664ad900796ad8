from types import SimpleNamespace

import pytest

from attnwatch.watch.detection import POLL_INTERVAL, Detection, choose_detection
from attnwatch.watch.events import Hints, RootWatcher
from attnwatch.watch.scanner import Scanner
from tests.support import Batch

LOCAL = "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
SHARED = LOCAL + "40 21 0:50 / {} rw,relatime - nfs4 server:/export rw\n"


@pytest.fixture(autouse=True)
def mounts(monkeypatch):
    """A machine with one local disk, and whatever a test says beside."""
    mounts = SimpleNamespace(table=LOCAL)
    monkeypatch.setattr("attnwatch.watch.detection.read_mountinfo", lambda: mounts.table)
    return mounts


@pytest.fixture
def watcher(tmp_path):
    Batch.make(tmp_path).add_full()
    with RootWatcher([tmp_path], Hints()) as watcher:
        yield watcher


def folders_below(root):
    search = Scanner([root])
    list(search.find(None))
    return search.folders


def test_on_a_local_disk_file_events_tell_everything(tmp_path, watcher):
    way = choose_detection([tmp_path], watcher, folders_below(tmp_path))
    assert way.mode == "events"
    assert way.interval(60.0) == 60.0


def test_without_file_events_everything_is_found_by_scanning_often(tmp_path):
    way = choose_detection([tmp_path], None, 0)
    assert way.mode == "polling"
    assert "file_events" in way.reason
    assert way.interval(60.0) == POLL_INTERVAL


def test_where_file_events_could_not_be_had_the_systems_reason_is_given(tmp_path, watcher):
    watcher.failures[tmp_path] = "inotify watch limit reached"
    way = choose_detection([tmp_path], watcher, 0)
    assert way.mode == "polling"
    assert way.reason == f"{tmp_path}: inotify watch limit reached"


def test_where_folders_stay_unwatched_both_ways_are_taken(tmp_path, watcher):
    first, second = (choose_detection([tmp_path], watcher, 1_000_000) for _ in range(2))
    assert first.mode == "events"  # some are always new
    assert second.mode == "events and polling"
    assert "max_user_watches" in second.reason
    assert choose_detection([tmp_path], watcher, 1).mode == "events"


def test_where_the_kernel_does_not_say_how_many_it_watches_events_are_believed(tmp_path, watcher, monkeypatch):
    monkeypatch.setattr(watcher, "watched_folders", lambda: None)
    assert choose_detection([tmp_path], watcher, 1_000_000).mode == "events"


def test_on_a_share_that_others_write_to_both_ways_are_taken(tmp_path, watcher, mounts):
    mounts.table = SHARED.format(tmp_path)
    way = choose_detection([tmp_path], watcher, 0)
    assert way.mode == "events and polling"
    assert str(tmp_path) in way.reason
    mounts.table = SHARED.format("/elsewhere")
    assert choose_detection([tmp_path], watcher, 0).mode == "events"


def test_a_share_below_the_folder_counts_and_is_named_once(tmp_path, watcher, mounts):
    mounts.table = SHARED.format(tmp_path / "deep")
    way = choose_detection([tmp_path, tmp_path], watcher, 0)
    assert way.mode == "events and polling"
    assert way.reason.count("deep") == 1


def test_who_asks_for_scans_more_often_gets_them():
    assert Detection("polling", "").interval(2.0) == 2.0
    assert Detection("events", "").interval(2.0) == 2.0
