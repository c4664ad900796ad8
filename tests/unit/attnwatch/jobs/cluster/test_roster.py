"""Which workers get jobs, with a cluster whose workers answer as a test says."""

import asyncio
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from attnwatch.jobs.cluster.expected import Answer, Expected, expected_folder

pytest.importorskip("distributed", reason="needs the extra attnwatch[dask]")

from attnwatch.jobs.cluster import remote, roster
from attnwatch.jobs.cluster.roster import Roster

EXPECTED = Expected(version("attnwatch"), ())
ONE, TWO = "tcp://one:1", "tcp://two:1"


class Workers:
    """Stands for a client: `answers` maps addresses to what the next check there finds."""

    def __init__(self):
        self.answers = {}
        self.asked = []

    async def run(self, function, *_arguments, workers, **_):
        (address,) = workers
        if function is not remote.check:
            return {address: EXPECTED.version}
        self.asked.append(address)
        answer = self.answers.get(address)
        if answer == "hangs":
            await asyncio.sleep(600)
        return {address: answer if isinstance(answer, Exception) else Answer(answer, time.time())}


@pytest.fixture
def workers():
    return Workers()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(roster, "_AGAIN_AFTER", 0.0)
    monkeypatch.setattr(roster, "_PATIENCE", 0.05)
    monkeypatch.setattr(roster, "_LONG_PATIENCE", 0.05)


def looked(found, workers, times=1, expected=EXPECTED):
    """Check all workers some times."""

    async def look():
        for _ in range(times):
            found.update(workers, {ONE: 2, TWO: 2}, expected)
            await asyncio.gather(*found._checks)

    asyncio.run(look())


def test_a_worker_that_was_fit_is_checked_again_and_again(workers):
    found = Roster()
    looked(found, workers)
    assert (found.threads, found.choice()) == (4, None)
    workers.answers[ONE] = "its clock is wrong"
    looked(found, workers)
    assert (found.threads, found.choice(), found.hangs(ONE)) == (2, [TWO], False)
    workers.answers[ONE] = "hangs"
    looked(found, workers)
    assert (found.choice(), found.hangs(ONE)) == ([TWO], True)
    workers.answers.clear()
    looked(found, workers)
    assert (found.choice(), found.hangs(ONE)) == (None, False)


def test_what_a_worker_lacks_that_is_not_expected_any_more_is_looked_at_again_at_once(workers, monkeypatch):
    monkeypatch.setattr(roster, "_AGAIN_AFTER", 3600.0)
    found = Roster()
    workers.answers[ONE] = "found other files"
    looked(found, workers, times=2)
    assert (found.choice(), len(workers.asked)) == ([TWO], 2)
    workers.answers.clear()
    looked(found, workers, expected=replace(EXPECTED, folders=(expected_folder(Path(), Path(), is_written=False),)))
    assert (found.choice(), workers.asked[2:]) == (None, [ONE])


def test_a_problem_is_told_once_however_its_figures_change(workers, caplog):
    found = Roster()
    for seconds in (90, 91, 4000):
        workers.answers[ONE] = f"found its clock {seconds} s ahead"
        looked(found, workers)
    workers.answers[ONE] = "found no folder /data"
    looked(found, workers)
    assert [message.partition(": ")[2] for message in caplog.messages if "gets no jobs" in message] == [
        "found its clock 90 s ahead",
        "found no folder /data",
    ]


def test_a_worker_is_called_by_the_name_that_it_was_given_or_else_by_its_address(workers, caplog):
    workers.answers = {ONE: "found no folder", TWO: "found no folder"}
    found = Roster()

    async def look():
        found.update(workers, {ONE: 2, TWO: 2}, EXPECTED, {ONE: "gpu-node-7"})
        await asyncio.gather(*found._checks)

    asyncio.run(look())
    assert (found.name_of(ONE), found.name_of(TWO), found.name_of("tcp://gone:1")) == (
        "gpu-node-7",
        TWO,
        "tcp://gone:1",
    )
    assert [message.split(" gets")[0] for message in caplog.messages] == ["worker gpu-node-7", f"worker {TWO}"]


def test_a_check_that_was_lost_on_its_way_is_made_again(workers, monkeypatch):
    monkeypatch.setattr(roster, "_AGAIN_AFTER", 3600.0)
    found = Roster()
    monkeypatch.setattr(roster, "_ask", lost := Lost(roster._ask))
    looked(found, workers)
    assert (lost.number, workers.asked) == (1, [TWO])
    looked(found, workers)
    assert sorted(workers.asked) == [ONE, TWO]


class Lost:
    """Loses the first question."""

    def __init__(self, ask):
        self._ask = ask
        self.number = 0

    async def __call__(self, client, address, *question):
        if not self.number:
            self.number += 1
            return OSError("it has left")
        return await self._ask(client, address, *question)


def test_that_there_are_no_workers_is_said_once_and_again_when_the_last_has_gone(workers, caplog):
    caplog.set_level("INFO", "attnwatch")
    found = Roster()

    async def look():
        for threads in ({}, {}, {ONE: 2}, {}):
            found.update(workers, threads, EXPECTED)
            await asyncio.gather(*found._checks)

    asyncio.run(look())
    said = [message.partition(": ")[0] for message in caplog.messages]
    first, last = "the cluster has no workers yet", "the cluster has no workers any more"
    assert said == [first, "the cluster has 1 worker with 2 threads", last]
