import logging
from pathlib import Path

import pytest

from attnwatch.batches.targets import Target
from attnwatch.system.shortage import Shortage
from attnwatch.watch.backlog import Backlog, Waiting
from attnwatch.watch.pauses import Pauses

A, OTHER_A, B = (Target(Path(f"/{name}.complete.json")) for name in ("a/one", "a/two", "b/three"))
SHEETS_A = Target(Path("/a/batch.complete.json"), Path("/a"))
NO_SPACE_NEEDED, ALL_SPACE = 0, 2**62


@pytest.fixture
def disks(monkeypatch):
    """Two folders, each on a disk of its own."""
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
    """Return what the dispatcher would start at once, beside what is busy."""
    pauses.look(busy, needed)
    found = []
    while (waiting := pauses.pop_due(clock.now, [*busy, *found])) is not None:
        found.append(waiting.target)
    return found


def fill_a(pauses):
    pauses.begin(Shortage.DISK, "no space left on device", A)


def test_without_a_shortage_everything_is_started(pauses, clock):
    assert started(pauses, clock) == [A, OTHER_A, B]
    assert (pauses.reason, pauses.next_look([])) == (None, None)


def test_a_full_disk_keeps_back_what_goes_there_and_nothing_else(pauses, clock):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    assert pauses.machine.lets_start(3)
    assert pauses.reason == "no space left on device"


def test_a_machine_that_is_short_of_something_starts_nothing(pauses):
    pauses.begin(Shortage.MACHINE, "too many open files", A)
    assert not pauses.machine.lets_start(0)


def test_a_full_disk_is_tried_after_a_while_with_one_at_a_time(pauses, clock):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    clock.now = pauses.next_look([])
    assert started(pauses, clock) == [A]
    assert pauses.next_look([A]) is None  # its end is what is waited for
    clock.now += 60
    assert started(pauses, clock, A) == []
    assert started(pauses, clock) == [OTHER_A]  # the first one gave no answer


def test_what_is_written_elsewhere_does_not_keep_a_disk_from_being_tried(pauses, clock):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    clock.now = pauses.next_look([B])
    assert started(pauses, clock, B) == [A]


def test_a_disk_is_not_tried_as_long_as_there_is_too_little_space(pauses, clock, monkeypatch):
    monkeypatch.setattr("attnwatch.system.shortage.free_space", {Path("/a"): 5}.get)
    fill_a(pauses)
    assert started(pauses, clock, needed=9) == [B]
    clock.now = pauses.next_look([])
    assert started(pauses, clock, needed=9) == []
    assert pauses.next_look([]) > clock.now
    clock.now = pauses.next_look([])
    assert started(pauses, clock, needed=5) == [A]


def test_a_rendering_that_succeeds_ends_the_pause_of_its_own_disk_only(pauses, clock, caplog):
    caplog.set_level(logging.INFO)
    fill_a(pauses)
    pauses.begin(Shortage.DISK, "read-only file system", B)
    assert started(pauses, clock) == []
    assert pauses.reason == "no space left on device; read-only file system"
    pauses.end(B)
    assert caplog.messages[-1] == "▶ going on after a pause of 0 s: what goes to the disk of /b"
    assert started(pauses, clock) == [B]
    pauses.end(A)
    assert started(pauses, clock) == [A, OTHER_A]
    assert pauses.reason is None


def test_any_rendering_that_succeeds_ends_the_pause_of_the_machine(pauses):
    pauses.begin(Shortage.MACHINE, "too many open files", A)
    pauses.end(B)
    assert pauses.machine.lets_start(3)


def test_a_disk_that_nothing_waits_for_is_not_looked_at(pauses, clock, backlog):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    backlog.discard(A)
    backlog.discard(OTHER_A)
    assert pauses.next_look([]) is None


@pytest.mark.parametrize("disk", [None, 3])
def test_what_waits_for_a_disk_that_is_not_there_any_more_goes_on(pauses, clock, disks, disk):
    fill_a(pauses)
    assert started(pauses, clock) == [B]
    disks[Path("/a")] = disk
    assert started(pauses, clock) == [A, OTHER_A]
    assert pauses.reason is None


def test_where_all_outputs_go_to_one_folder_its_disk_counts(clock, disks, backlog):
    pauses = Pauses(backlog, Path("/b"))
    fill_a(pauses)
    assert started(pauses, clock) == []


def test_contact_sheets_wait_for_the_disk_of_their_batch(pauses, clock):
    assert pauses.in_the_way(SHEETS_A, []) is None
    fill_a(pauses)
    assert pauses.in_the_way(SHEETS_A, []) == 1
    started(pauses, clock)
    clock.now = pauses.next_look([])
    assert pauses.in_the_way(SHEETS_A, []) is None
    assert pauses.in_the_way(A, [SHEETS_A]) == 1
