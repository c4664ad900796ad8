"""Leases: one owner at a time, and never two after one has died."""

import json
import os
import threading
import time

import pytest

from generator.batch import leases as module
from generator.batch.leases import LeaseLost, Leases, State
from generator.errors import OutputError
from tests.forking import ForkServer

NAME = "prompt_001_vid001"
LONG = 3600.0
FORKS = ForkServer("generator.batch.leases")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "leases"


@pytest.fixture
def elsewhere(folder):
    """Write the lease of a process on another machine."""

    def write(renewals, number=1, **more):
        folder.mkdir(exist_ok=True)
        owner = {"host": "node7", "pid": 7, "token": f"theirs {number}", "kernel": "other", "device": 1}
        content = {**owner, "renewals": renewals, "state": "held", **more}
        path = folder / f"{NAME}.{number}.lease"
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture
def clock(monkeypatch):
    """Replace the clock with which processes are observed."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def take_and_die(folder):
    Leases(module.Path(folder)).take(NAME, 1)
    os._exit(9)


def test_of_many_that_want_one_lease_exactly_one_gets_it(folder):
    found, start = [], threading.Barrier(8)

    def take():
        start.wait()
        found.append(Leases(folder, LONG).take(NAME, 1))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (lease,) = [each for each in found if each is not None]
    assert Leases(folder).held() == [NAME]
    lease.end(State.FREE)


@pytest.mark.parametrize("state", [State.FREE, State.DONE])
def test_others_see_at_once_how_a_lease_was_ended(folder, state):
    leases = Leases(folder, LONG)
    lease = leases.take(NAME, 1)
    assert leases.state(NAME, 1) is State.HELD
    lease.end(state)
    assert Leases(folder).state(NAME, 1) is state


def test_the_lease_of_a_process_that_died_on_this_machine_is_free_at_once(folder):
    with FORKS.start(take_and_die, str(folder), environment=dict(os.environ)) as process:
        assert process.wait(60) == 9
    assert Leases(folder, LONG).newest() == {NAME: 1}
    assert Leases(folder, LONG).state(NAME, 1) is State.FREE


def test_an_owner_elsewhere_counts_as_dead_once_its_lease_was_seen_unchanged_for_a_minute(folder, elsewhere, clock):
    leases = Leases(folder, 60.0)
    elsewhere(5)
    assert leases.state(NAME, 1) is State.HELD
    clock[0] += 59
    assert leases.state(NAME, 1) is State.HELD
    elsewhere(6)
    clock[0] += 59
    assert leases.state(NAME, 1) is State.HELD
    clock[0] += 60
    assert leases.state(NAME, 1) is State.FREE


@pytest.mark.parametrize("age", [-86_400, 86_400 * 365])
def test_how_old_the_clocks_of_others_make_a_lease_is_irrelevant(folder, elsewhere, clock, age):
    leases = Leases(folder, 60.0)
    written = time.time() - age
    os.utime(elsewhere(5), (written, written))
    assert leases.state(NAME, 1) is State.HELD
    clock[0] += 61
    os.utime(elsewhere(6), (written, written))
    assert leases.state(NAME, 1) is State.HELD


def test_a_lock_on_another_mount_says_nothing_about_its_owner(folder, elsewhere):
    elsewhere(5, kernel=module._kernel(), device=-1)
    assert Leases(folder, 60.0).state(NAME, 1) is State.HELD


def test_a_lease_that_is_being_written_is_held(folder):
    folder.mkdir()
    (folder / f"{NAME}.1.lease").touch()
    assert Leases(folder).state(NAME, 1) is State.HELD


def test_of_two_that_see_a_dead_owner_one_takes_over(folder, elsewhere, clock):
    elsewhere(5)
    first, second = Leases(folder, 60.0), Leases(folder, 60.0)
    for leases in (first, second):
        leases.state(NAME, 1)
    clock[0] += 61
    assert [leases.state(NAME, 1) for leases in (first, second)] == [State.FREE, State.FREE]
    lease = first.take(NAME, 2)
    assert second.take(NAME, 2) is None
    assert second.state(NAME, 2) is State.HELD
    assert second.deaths(NAME) == 1
    lease.end(State.FREE)


def test_an_owner_that_was_asleep_finds_its_lease_lost_and_leaves_the_others_alone(folder, elsewhere, monkeypatch):
    lease = Leases(folder, LONG).take(NAME, 1)
    lease.confirm()
    theirs = elsewhere(1, number=2)
    before = theirs.read_bytes()
    lease.confirm()  # renewed lately: nothing is looked up
    awake = time.clock_gettime(module._CLOCK) + LONG
    monkeypatch.setattr(module.time, "clock_gettime", lambda _clock: awake)
    with pytest.raises(LeaseLost):
        lease.confirm()
    lease.end(State.DONE)
    assert theirs.read_bytes() == before
    assert Leases(folder).state(NAME, 1) is not State.DONE


def test_renewing_notices_that_another_has_taken_over(folder, elsewhere):
    lease = Leases(folder, 0.2).take(NAME, 1)
    elsewhere(1, number=2)
    lease._thread.join(60)
    with pytest.raises(LeaseLost):
        lease.confirm()
    lease.end(State.FREE)


def test_a_live_owner_renews_its_lease(folder):
    lease = Leases(folder, 0.2).take(NAME, 1)
    path = folder / f"{NAME}.1.lease"
    first = path.read_bytes()
    deadline = time.monotonic() + 60
    while path.read_bytes() == first and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.read_bytes() != first
    lease.end(State.FREE)


def test_a_survivor_is_named_and_a_dead_owner_elsewhere_is_waited_for(folder, elsewhere):
    elsewhere(5)
    assert Leases(folder, 0.1).survivor() is None
    lease = Leases(folder, 0.5).take(NAME, 2)
    assert Leases(folder, 60.0).survivor("process-") is None
    assert f"process {os.getpid()} on " in Leases(folder, 0.5).survivor()
    lease.end(State.FREE)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        Leases(tmp_path / "file").take(NAME, 1)
