"""One folder under test: daemons that watch it, what they rendered, and what they left behind."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.material import receipt_path
from tests.chaos.processes import MARK, Process, kill_all, marked
from tests.support import environment, wait_until

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 180.0  # seconds to wait for what comes in a few, enough on a busy machine
QUICK_PICTURES = ("--set", "static_duration=0.2", "--set", "quality=fast")


@dataclass(frozen=True)
class Note:
    """A line of the jobs' log.

    Attributes:
        event: `start` or `end` of a rendering, `child` for a process that it started, `unlimited` if it met no limit.
        at: seconds of the monotonic clock.
        pid: the process that wrote the line.
        manifest: the video's manifest.

    """

    event: str
    at: float
    pid: int
    manifest: str


class Daemon:
    """A running daemon, the leader of its session."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, mark: str, started: float) -> None:
        self.process = process
        self.log = log
        self.started = started
        self._mark = mark

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        """Everything that it has written to stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def family(self) -> set[Process]:
        """Return the daemon and all its descendants, in whatever session they are."""
        return marked(self._mark)

    def wait_for(self, text: str, limit: float = PATIENCE) -> None:
        """Wait until its stderr contains a text."""

        def said() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said[-3000:]}"
            return text in self.said

        wait_until(said, limit, f"{text!r} in the log:\n{self.said[-3000:]}")

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to its whole process group."""
        os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM, limit: float = PATIENCE) -> tuple[int | None, float]:
        """Send a signal; return the exit code (None if it is still running) and the seconds that it took to exit."""
        start = time.monotonic()
        self.send(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(limit)
        return self.process.returncode, time.monotonic() - start


class Trial:
    """A folder with the outputs to watch, and the logs beside them."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.root = root or folder / "outputs"
        self.root.mkdir(exist_ok=True)
        self.mark = uuid.uuid4().hex
        self._jobs_log = folder / "jobs.jsonl"
        self._daemons = 0

    @contextlib.contextmanager
    def daemon(
        self,
        *arguments: object,
        stubbed: bool = True,
        prefix: Sequence[object] = (),
        **variables: str,
    ) -> Iterator[Daemon]:
        """Run a daemon on the root; no process that it starts outlives the context.

        Args:
            arguments: command line arguments after the root.
            stubbed: whether jobs do what the videos' prompts say instead of rendering.
            prefix: program that runs the daemon, with its arguments.
            variables: additional environment variables.

        """
        self._daemons += 1
        log = self.folder / f"daemon_{self._daemons}.log"
        module = "tests.chaos.stubbed" if stubbed else "attnwatch"
        command = [*map(str, prefix), sys.executable, "-m", module, str(self.root), *map(str, arguments)]
        mark = f"{self.mark}-{self._daemons}"
        started = time.monotonic()
        with log.open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment(**{MARK: mark, "CHAOS_LOG": str(self._jobs_log), **variables}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Daemon(process, log, mark, started)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            kill_all(mark)
            process.wait()

    def notes(self, event: str | None = None) -> list[Note]:
        """Return the lines of the jobs' log in order, of one event only if given."""
        try:
            lines = self._jobs_log.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        notes = [Note(entry["event"], entry["at"] / 1e9, entry["pid"], entry["manifest"]) for entry in entries]
        return [note for note in notes if event in (None, note.event)]

    def renderings(self) -> Counter[str]:
        """Return how often the rendering of each manifest was started."""
        return Counter(note.manifest for note in self.notes("start"))

    def wait_for_receipts(
        self, manifests: Sequence[Path], limit: float, receipt: Callable[[Path], Path] = receipt_path
    ) -> list[Path]:
        """Wait until all videos have receipts; return the manifests of those that have none after `limit` seconds."""
        end = time.monotonic() + limit
        for manifest in manifests:
            while not receipt(manifest).exists() and time.monotonic() < end:
                time.sleep(0.02)
        return [manifest for manifest in manifests if not receipt(manifest).exists()]

    def command(self, *arguments: object, limit: float = PATIENCE) -> "subprocess.CompletedProcess[str]":
        """Run `attnwatch` with these arguments to completion."""
        return subprocess.run(
            [sys.executable, "-m", "attnwatch", *map(str, arguments)],
            cwd=REPOSITORY,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """Return the output of `attnwatch status --json`; empty if it is not JSON."""
        done = self.command("status", self.root, "--json")
        try:
            status: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            return {}
        return status

    def activities(self) -> list[Any]:
        """Return the activity files of the running daemons."""
        found = []
        for path in (self.root / ".attnwatch").glob("*.json"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found.append(json.loads(path.read_text(encoding="utf-8")))
        return found


def longest_pause(times: Sequence[float], since: float) -> float:
    """Return the longest interval after `since` in which nothing was started."""
    later = [since, *sorted(time for time in times if time > since)]
    return max((after - before for before, after in itertools.pairwise(later)), default=0.0)


def stated(answer: object, name: str) -> float:
    """Return the largest number stored under a name anywhere in a JSON value, or NaN if there is none."""
    found = [*_values(answer, name)]
    return max(found) if found else float("nan")


def _values(answer: object, name: str) -> Iterator[float]:
    if isinstance(answer, dict):
        for key, value in answer.items():
            if key == name and isinstance(value, int | float):
                yield value
            yield from _values(value, name)
    elif isinstance(answer, list):
        for value in answer:
            yield from _values(value, name)
