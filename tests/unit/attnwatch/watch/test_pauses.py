import logging
import shutil
from pathlib import Path

import pytest

from attnwatch.batches.targets import Target
from attnwatch.system.shortage import Shortage
from attnwatch.watch.backlog import Backlog, Waiting
from attnwatch.watch.pauses import Pause, Pauses

A, OTHER_A, B = (Target(Path(f"/{name}.complete.json")) for name in ("a/one", "a/two", "b/three"))
SHEETS_A = Target(Path("/a/batch.complete.json"), Path("/a"))
NO_SPACE_NEEDED, ALL_SPACE = 0, 2**62


@pytest.fixture
def disks(monkeypatch):
    """The disk of each of two folders."""
    disks = {Path("/a"): 1, Path("/b"): 2}
    monkeypatch.setattr("attnwatch.watch.pauses.disk_of", disks.get)
    monkeypatch.setattr("attnwatch.system.shortage.free_space", lambda _folder: 2**40)
    return disks


@pytest.fixture
def backlog():
    backlog = Backlog()
    for target in (A, OTHER_A, B):
        backlog.put(Waiting(target))
    return backlog


@pytest.fixture
def pauses(clock, disks, backlog):
    return Pauses(backlog, None)


def started(pauses, clock, *busy, needed=NO_SPACE_NEEDED):
    """Return the targets that the dispatcher would start now, beside those in `busy`."""
    pauses.look(busy, needed)
    found = []
    while (waiting := pauses.pop_due(clock.now, [*busy, *found])) is not None:
        found.append(waiting.target)
    return found


def fill_a(pauses):
    pauses.begin(Shortage.DISK, "no space left on device", A)


def test_everything_is_started_without_a_shortage(pauses, clock):
    assert started(pauses, clock) == [A, OTHER_A, B]
    assert (pauses.reason, pauses.next_look([])) == (None, None)


def test_a_full_disk_holds_back_only_its_own_targets(pauses, clock):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    assert pauses.machine.lets_start(3)
    assert pauses.reason == "no space left on device"


def test_nothing_is_started_while_the_machine_is_paused(pauses):
    pauses.begin(Shortage.MACHINE, "too many open files", A)
    assert not pauses.machine.lets_start(0)


def test_a_full_disk_is_retried_with_one_job_at_a_time(pauses, clock):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    clock.now = pauses.next_look([])
    assert started(pauses, clock) == [A]
    assert pauses.next_look([A]) is None  # the try has yet to end
    clock.now += 60
    assert started(pauses, clock, A) == []
    assert started(pauses, clock) == [OTHER_A]  # the first try was inconclusive


def test_a_job_on_another_disk_does_not_delay_a_retry(pauses, clock):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    clock.now = pauses.next_look([B])
    assert started(pauses, clock, B) == [A]


def test_a_disk_is_not_retried_while_it_has_too_little_space(pauses, clock, monkeypatch):
    monkeypatch.setattr("attnwatch.system.shortage.free_space", {Path("/a"): 5}.get)
    fill_a(pauses)
    assert started(pauses, clock, needed=9) == [B]
    clock.now = pauses.next_look([])
    assert started(pauses, clock, needed=9) == []
    assert pauses.next_look([]) > clock.now
    clock.now = pauses.next_look([])
    assert started(pauses, clock, needed=5) == [A]


def test_a_successful_rendering_ends_only_the_pause_of_its_own_disk(pauses, clock, caplog):
    caplog.set_level(logging.INFO, "attnwatch")
    fill_a(pauses)
    pauses.begin(Shortage.DISK, "read-only file system", B)
    assert started(pauses, clock) == []
    assert pauses.reason == "no space left on device; read-only file system"
    pauses.end(B)
    assert caplog.messages[-1] == "Resumed for outputs on the disk of /b after a pause of 0 s"
    assert started(pauses, clock) == [B]
    pauses.end(A)
    assert started(pauses, clock) == [A, OTHER_A]
    assert pauses.reason is None


def test_any_successful_rendering_ends_the_pause_of_the_machine(pauses):
    pauses.begin(Shortage.MACHINE, "too many open files", A)
    pauses.end(B)
    assert pauses.machine.lets_start(3)


def test_a_full_disk_without_waiting_targets_is_not_checked(pauses, clock, backlog):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    backlog.discard(A)
    backlog.discard(OTHER_A)
    assert pauses.next_look([]) is None


@pytest.mark.parametrize("disk", [None, 3])
def test_targets_resume_when_their_disk_disappears_or_is_replaced(pauses, clock, disks, disk):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    disks[Path("/a")] = disk
    assert started(pauses, clock) == [A, OTHER_A]
    assert pauses.reason is None


def test_the_disk_of_a_common_output_folder_counts_for_every_target(clock, disks, backlog):
    pauses = Pauses(backlog, Path("/b"))
    fill_a(pauses)
    assert started(pauses, clock) == []


def test_contact_sheets_wait_for_the_disk_of_their_batch(pauses, clock):
    assert pauses.blocking_disk(SHEETS_A, []) is None
    fill_a(pauses)
    assert pauses.blocking_disk(SHEETS_A, []) == 1
    started(pauses, clock)
    clock.now = pauses.next_look([])
    assert pauses.blocking_disk(SHEETS_A, []) is None
    assert pauses.blocking_disk(A, [SHEETS_A]) == 1


@pytest.fixture
def pause(clock):
    """A pause of the machine that has just begun."""
    pause = Pause()
    pause.begin("too many open files")
    return pause


def lets_start(pause, running, needed):
    """Return whether a job may start, after the check of the disk that the dispatcher does first."""
    pause.look(running, needed)
    return pause.lets_start(running)


def seconds_until_try(pause, clock):
    """Move the clock to the next try; return the seconds that this skips."""
    began = clock.now
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)
    return clock.now - began


def test_any_job_may_start_outside_of_a_pause():
    pause = Pause()
    assert lets_start(pause, 7, ALL_SPACE)
    assert (pause.reason, pause.next_look(0)) == (None, None)


def test_no_job_may_start_right_after_a_shortage(pause):
    assert pause.reason == "too many open files"
    assert not lets_start(pause, 0, NO_SPACE_NEEDED)


def test_after_the_wait_a_single_job_may_try(pause, clock):
    assert seconds_until_try(pause, clock) == 2
    assert not lets_start(pause, 1, NO_SPACE_NEEDED)
    assert pause.next_look(1) is None  # the try has yet to end


def test_no_job_may_try_while_earlier_jobs_are_running(pause, clock):
    clock.now += 60
    assert not lets_start(pause, 1, NO_SPACE_NEEDED)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)


def test_an_inconclusive_try_is_followed_by_another(pause, clock):
    seconds_until_try(pause, clock)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)


def test_each_failed_try_doubles_the_wait_up_to_30_seconds(pause, clock):
    waits = []
    for _ in range(6):
        waits.append(seconds_until_try(pause, clock))
        pause.begin("too many open files")
    assert waits == [2, 4, 8, 16, 30, 30]


def test_several_failures_from_one_shortage_do_not_lengthen_the_wait(pause, clock):
    for _ in range(4):
        pause.begin("too many open files")
    assert seconds_until_try(pause, clock) == 2


def test_a_successful_rendering_ends_the_pause(pause, clock):
    seconds_until_try(pause, clock)
    pause.end()
    assert pause.reason is None
    assert lets_start(pause, 7, NO_SPACE_NEEDED)


def test_the_wait_starts_over_in_the_next_pause(pause, clock):
    for _ in range(3):
        seconds_until_try(pause, clock)
        pause.begin("too many open files")
    pause.end()
    pause.begin("too many open files")
    assert seconds_until_try(pause, clock) == 2


def test_free_space_is_checked_before_a_try(clock, tmp_path):
    pause = Pause(tmp_path)
    pause.begin("no space left on device")
    for _ in range(3):
        clock.now = pause.next_look(0)
        assert not lets_start(pause, 0, ALL_SPACE)
        assert pause.next_look(0) > clock.now
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, NO_SPACE_NEEDED)


def test_a_try_is_allowed_when_the_folder_is_gone(clock, tmp_path):
    pause = Pause(tmp_path / "mounted")
    pause.begin("read-only file system")
    shutil.rmtree(tmp_path)
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, ALL_SPACE)


def test_a_pause_of_the_machine_does_not_check_disk_space(pause, clock):
    clock.now = pause.next_look(0)
    assert lets_start(pause, 0, ALL_SPACE)


def test_a_pause_is_logged_once_when_it_begins_and_once_when_it_ends(clock, caplog):
    caplog.set_level(logging.INFO, "attnwatch")
    pause = Pause()
    for _ in range(3):
        pause.begin("too many open files")
        seconds_until_try(pause, clock)
    pause.end()
    pause.end()
    began, ended = caplog.messages
    assert began == "Paused: too many open files; resumes automatically, no work is lost"
    assert ended == "Resumed after a pause of 14 s"
