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
    """The mount table: one local disk, unless a test replaces `table`."""
    mounts = SimpleNamespace(table=LOCAL)
    monkeypatch.setattr("attnwatch.watch.detection.read_mountinfo", lambda: mounts.table)
    return mounts


@pytest.fixture
def watcher(tmp_path):
    Batch.make(tmp_path).add_full()
    with RootWatcher([tmp_path], Hints()) as watcher:
        yield watcher


def folders_below(root):
    scanner = Scanner([root])
    while scanner.is_busy:
        list(scanner.find(None))
    return scanner.folders


def test_events_alone_are_used_on_a_local_disk(tmp_path, watcher):
    detection = choose_detection([tmp_path], watcher, folders_below(tmp_path))
    assert detection.mode == "events"
    assert detection.interval(60.0) == 60.0


def test_polling_is_used_when_file_events_are_switched_off(tmp_path):
    detection = choose_detection([tmp_path], None, 0)
    assert detection.mode == "polling"
    assert "file_events" in detection.reason
    assert detection.interval(60.0) == POLL_INTERVAL


def test_polling_gives_the_systems_reason_when_events_fail(tmp_path, watcher):
    watcher.failures[tmp_path] = "inotify watch limit reached"
    detection = choose_detection([tmp_path], watcher, 0)
    assert detection.mode == "polling"
    assert detection.reason == f"{tmp_path}: inotify watch limit reached"


def watches_in_use(monkeypatch, watches):
    found = SimpleNamespace(watches=watches, max_watches=1000)
    monkeypatch.setattr("attnwatch.watch.detection.read_inotify", lambda: found)


def test_the_limit_of_watches_is_blamed_only_when_it_is_reached(tmp_path, watcher, monkeypatch):
    watches_in_use(monkeypatch, 6)
    reason = [choose_detection([tmp_path], watcher, 1_000_000) for _ in range(2)][1].reason
    assert "max_user_watches" not in reason
    assert "6 of 1,000 watches are in use" in reason


def test_events_and_polling_are_combined_when_folders_stay_unwatched(tmp_path, watcher, monkeypatch):
    watches_in_use(monkeypatch, 1000)
    first, second = (choose_detection([tmp_path], watcher, 1_000_000) for _ in range(2))
    assert first.mode == "events"  # once is not enough: a new folder is unwatched for a moment
    assert second.mode == "events and polling"
    assert "max_user_watches" in second.reason
    assert choose_detection([tmp_path], watcher, 1).mode == "events"


def test_events_alone_are_used_when_the_number_of_watched_folders_is_unknown(tmp_path, watcher, monkeypatch):
    monkeypatch.setattr(watcher, "watched_folders", lambda: None)
    assert choose_detection([tmp_path], watcher, 1_000_000).mode == "events"


def test_events_and_polling_are_combined_on_a_network_share(tmp_path, watcher, mounts):
    mounts.table = SHARED.format(tmp_path)
    detection = choose_detection([tmp_path], watcher, 0)
    assert detection.mode == "events and polling"
    assert str(tmp_path) in detection.reason
    mounts.table = SHARED.format("/elsewhere")
    assert choose_detection([tmp_path], watcher, 0).mode == "events"


def test_a_network_share_below_a_root_counts_and_is_named_once(tmp_path, watcher, mounts):
    mounts.table = SHARED.format(tmp_path / "deep")
    detection = choose_detection([tmp_path, tmp_path], watcher, 0)
    assert detection.mode == "events and polling"
    assert detection.reason.count("deep") == 1


def test_a_rescan_interval_below_the_poll_interval_is_kept():
    assert Detection("polling", "").interval(2.0) == 2.0
    assert Detection("events", "").interval(2.0) == 2.0
