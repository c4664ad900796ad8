"""Watchers that disagree about the pictures of one folder: one of them yields, and says so."""

import json
import os
import time
from dataclasses import asdict, replace

import pytest

from attnwatch.config import Settings
from attnwatch.report.activity import FOLDER, HEARTBEAT, Activity
from attnwatch.watch.options import Options
from attnwatch.watch.rivals import Rivals

EARLIER, NOW, LATER = (f"2026-01-02T03:04:0{second}.000+00:00" for second in (1, 5, 9))
VIRIDIS = Settings(visualization={"colormap": "viridis"})


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that only tests move."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def activity(*roots, started=NOW, **fields):
    return Activity(tuple(map(str, roots)), "0", started=started, **fields)


def rivals(*roots, settings=VIRIDIS, started=NOW, **options):
    return Rivals(settings, Options(tuple(roots), **options), activity(*roots, started=started))


def publish(folder, other, pid=None, **fields):
    """Write the activity file of another watcher, of a process that is alive."""
    document = replace(other, pid=pid or os.getppid(), **fields)
    path = folder / FOLDER / f"{document.host}.{document.pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(document)))
    return path


def other_watcher(*roots, settings=Settings(), started=EARLIER, **options):  # noqa: B008 - frozen
    found = activity(*roots, started=started)
    Rivals(settings, Options(tuple(roots), **options), found)
    return found


def test_without_another_watcher_nothing_is_yielded_to(tmp_path):
    assert rivals(tmp_path).look() is None


def test_the_watcher_that_started_later_yields_and_says_to_whom(tmp_path):
    publish(tmp_path, other_watcher(tmp_path))
    said = rivals(tmp_path).look()
    assert f"pid {os.getppid()} on " in said
    assert "--batch or --out" in said


@pytest.mark.parametrize(
    ("other", "mine"),
    [
        pytest.param({"started": LATER}, {}, id="it started later"),
        pytest.param({"settings": VIRIDIS}, {}, id="it has the same settings"),
        pytest.param({"batch": "a*"}, {"batch": "b*"}, id="each has batches of its own"),
        pytest.param({}, {"once": True}, id="this run was asked for by name"),
    ],
)
def test_no_watcher_yields_without_need(tmp_path, other, mine):
    publish(tmp_path, other_watcher(tmp_path, **other))
    assert rivals(tmp_path, **mine).look() is None


FUTURE = "2999-01-01T00:00:00.000+00:00"


def test_a_watcher_that_says_nothing_new_is_not_yielded_to_whatever_its_clock_says(tmp_path, clock):
    path = publish(tmp_path, other_watcher(tmp_path), heartbeat=FUTURE)
    os.utime(path, (2**35, 2**35))
    mine = rivals(tmp_path)
    for _ in range(3):
        assert mine.look() is not None
        clock.now += HEARTBEAT
    clock.now += HEARTBEAT
    assert mine.look() is None
    clock.now += HEARTBEAT
    assert mine.look() is None


def test_a_watcher_whose_clock_is_ahead_is_yielded_to_as_long_as_it_goes_on(tmp_path, clock):
    mine = rivals(tmp_path)
    for second in range(10):
        path = publish(tmp_path, other_watcher(tmp_path), heartbeat=FUTURE.replace("00.000", f"0{second}.000"))
        os.utime(path, (2**35, 2**35))
        assert mine.look() is not None
        clock.now += HEARTBEAT


def test_settings_that_shape_no_picture_may_differ(tmp_path):
    publish(tmp_path, other_watcher(tmp_path, settings=Settings(visualization={"visualization_timeout": 5})))
    assert rivals(tmp_path, settings=Settings()).look() is None


def test_other_words_are_other_settings(tmp_path):
    publish(tmp_path, other_watcher(tmp_path, tokens=("kiss",)))
    assert rivals(tmp_path, settings=Settings()).look() is not None


def test_separate_folders_of_outputs_separate_watchers(tmp_path):
    publish(tmp_path / "one", other_watcher(tmp_path / "in", out=tmp_path / "one"))
    assert rivals(tmp_path / "in", out=tmp_path / "two").look() is None
    assert rivals(tmp_path / "in", out=tmp_path / "one").look() is not None
    assert rivals(tmp_path / "elsewhere", out=tmp_path / "one").look() is None


@pytest.mark.parametrize("started", [EARLIER, LATER])
def test_the_watcher_of_an_inner_folder_yields_to_that_of_the_outer_one(tmp_path, started):
    publish(tmp_path, other_watcher(tmp_path, started=started))
    assert rivals(tmp_path / "a" / "b").look() is not None


@pytest.mark.parametrize(("started", "yields"), [(EARLIER, True), (LATER, False)])
def test_of_two_watchers_each_inside_of_the_other_only_one_yields(tmp_path, started, yields):
    theirs = tmp_path / "a", tmp_path / "b" / "inner"
    publish(tmp_path / "a", other_watcher(*theirs, started=started))
    assert (rivals(tmp_path / "b", tmp_path / "a" / "inner").look() is not None) is yields


def test_a_tree_under_two_paths_is_one_tree(tmp_path):
    (tmp_path / "outputs").mkdir()
    (tmp_path / "link").symlink_to("outputs")
    publish(tmp_path / "outputs", other_watcher(tmp_path / "outputs"))
    assert rivals(tmp_path / "link").look() is not None


def test_a_watcher_that_is_gone_or_silent_is_no_rival(tmp_path):
    path = publish(tmp_path, other_watcher(tmp_path), heartbeat="2026-01-02T03:04:05.000+00:00")
    assert rivals(tmp_path).look() is None
    path.unlink()
    publish(tmp_path, other_watcher(tmp_path), pid=2**22 + 1)
    assert rivals(tmp_path).look() is None


def test_a_watcher_of_an_earlier_version_is_no_rival(tmp_path):
    publish(tmp_path, activity(tmp_path, started=EARLIER))
    assert rivals(tmp_path).look() is None


def test_the_end_of_a_rival_is_noticed_soon(tmp_path, clock):
    path = publish(tmp_path, other_watcher(tmp_path))
    mine = rivals(tmp_path)
    assert mine.look() is not None
    path.unlink()
    assert mine.look() is not None  # not in every turn of the loop
    clock.now += 2.5
    assert mine.look() is None


def test_a_reload_to_the_same_settings_ends_the_pause_at_once(tmp_path):
    publish(tmp_path, other_watcher(tmp_path))
    mine = rivals(tmp_path)
    assert mine.look() is not None
    mine.reload(Settings())
    assert mine.look() is None


def test_a_quiet_folder_is_looked_at_once_per_heartbeat(tmp_path, clock, monkeypatch):
    looks = []
    monkeypatch.setattr("attnwatch.watch.rivals.read_activities", lambda *_, **__: looks.append(clock.now) or [])
    mine = rivals(tmp_path)
    clock.now += 1000
    for _ in range(100):
        mine.look()
        clock.now += 1
    assert len(set(looks)) == pytest.approx(100 / HEARTBEAT, abs=1)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to other users")
def test_a_file_that_somebody_else_has_put_there_stops_no_watcher(tmp_path):
    path = publish(tmp_path, other_watcher(tmp_path))
    os.chown(path, 12345, 12345)
    assert rivals(tmp_path).look() is None
    os.chown(tmp_path, 12345, 12345)  # the owner of the folder may
    assert rivals(tmp_path).look() is not None
