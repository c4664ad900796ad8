"""Generators with --claim, killed or put to sleep at random instants: each video is made once, the batch completed."""

import os
import random
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tests.chaos.figures import Figure, Line, Scale, none_of
from tests.support import wait_until

PICTURES = ("--width", "32", "--height", "32", "--frames", "5", "--steps", "2", "--device", "cpu")
LEASE = 20.0
"""Seconds after which processes on other machines count as dead."""
NAP = 1.5 * LEASE


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Kill and replace processes while they make a batch; compare it with that of a single process."""
    from tests.integration.generator_support import batch_below, contents, generated, manifests, read

    count, videos, kills, naps, distant = scale.pick((3, 8, 2, 0, False), (6, 60, 40, 10, True))
    asked = ["--template", "a (red) [square|circle]", "--videos-per-variation", videos // 2, *PICTURES]
    code, said = generated(*asked, "--output", folder / "alone")
    assert code == 0, said
    crowd = Crowd(folder, [*asked, "--claim", folder / "outputs" / "batch"], count, distant=distant)
    with crowd:
        for kill in range(kills):
            wait_until(lambda due=(kill + 1) * videos // (kills + 2): len(manifests(folder / "outputs")) >= due)
            crowd.kill_one()
            if kill * naps // kills < (kill + 1) * naps // kills:
                crowd.put_to_sleep()
        codes = crowd.wait()
    batch = folder / "outputs" / "batch"
    yield Figure(
        "exit codes of the last processes that are not 0", sum(code != 0 for code in codes), 0, detail=crowd.end
    )
    yield Figure("videos lost", videos - len(manifests(batch)), 0)
    alone = contents(batch_below(folder / "alone"))
    yield none_of("files that differ from those of a single process", alone.items() ^ contents(batch).items())
    yield none_of("videos made more than once", [name for name, times in crowd.made().items() if times > 1])
    outcome = read(batch / "batch.complete.json")["counts"]
    yield Figure("videos that the outcome misses", videos - outcome["complete"], 0)
    yield none_of("unfinished files and leases left", batch.rglob(".*"))
    yield Figure(f"kills that did not happen, of {kills}", kills - crowd.kills, 0)
    detail = f"{crowd.overtaken} abandoned what another process had taken over"
    yield Figure(f"naps that did not happen, of {naps}", naps - crowd.naps, 0, detail=detail)


class Crowd:
    """Processes of one batch, with what they said in files; every other one is as if on a machine of its own."""

    def __init__(self, folder: Path, arguments: list[Any], count: int, *, distant: bool) -> None:
        self.kills = self.naps = 0
        self._folder, self._arguments, self._count, self._distant = folder, arguments, count, distant
        self._chance, self._stack = random.Random(20), ExitStack()
        self._running: list[Any] = []
        self._started = 0

    def __enter__(self) -> "Crowd":
        """Start the first processes."""
        for _ in range(self._count):
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill whatever still runs."""
        self._stack.close()

    def kill_one(self) -> None:
        """Kill a process at some instant of its work, and start another one."""
        time.sleep(self._chance.uniform(0, 0.3))
        victim = self._running.pop(self._chance.randrange(len(self._running)))
        victim.kill()
        self.kills += victim.wait(60) == -9
        self._start()

    def put_to_sleep(self) -> None:
        """Stop a process at some instant of its work, until it counts as dead and another one may have its video."""
        time.sleep(self._chance.uniform(0, 0.3))
        sleeper = self._chance.choice(self._running)
        self.naps += sleeper.poll() is None
        sleeper.send_signal(signal.SIGSTOP)
        awake = threading.Timer(NAP, _wake, [sleeper.pid])
        self._stack.callback(awake.join)
        awake.start()

    @property
    def overtaken(self) -> int:
        """How often a process has found, after a nap, that another one had taken over."""
        return sum(path.read_text().count(" abandoned: this process did not") for path in self._folder.glob("*.log"))

    def wait(self) -> list[int]:
        """Return the exit codes of the processes that were not killed."""
        return [process.wait(900) for process in self._running]

    def made(self) -> Counter[str]:
        """Count how often each video was reported as made."""
        said = "".join(path.read_text() for path in self._folder.glob("*.log"))
        return Counter(re.findall(r" video \d+/\d+ (\S+) seed .* [\d.]+ s$", said, re.MULTILINE))

    @property
    def end(self) -> str:
        """The end of what they said."""
        return " ".join(path.read_text()[-200:] for path in self._folder.glob("*.log"))

    def _start(self) -> None:
        from tests.integration.generator_support import FORKS, environment

        self._started += 1
        with (self._folder / f"{self._started}.log").open("wb") as said:
            function = run_elsewhere if self._distant and self._started % 2 else run_here
            arguments = map(str, self._arguments)
            process = FORKS.start(function, self._started, *arguments, environment=environment(), stderr=said)
        self._running.append(self._stack.enter_context(process))


def _wake(pid: int) -> None:
    with suppress(ProcessLookupError):  # it was killed meanwhile
        os.kill(pid, signal.SIGCONT)


def run_here(_number: int, *arguments: str) -> int:
    """Run the generator."""
    from generator.batch import leases
    from tests.forking import run_program

    leases.DURATION = LEASE
    return run_program("generator", *arguments)


def run_elsewhere(number: int, *arguments: str) -> int:
    """Run the generator as if on another machine, whose kernel knows nothing of this one's processes."""
    from generator.batch import leases

    leases._kernel = lambda: None
    socket.gethostname = lambda: f"node{number}"
    return run_here(number, *arguments)
