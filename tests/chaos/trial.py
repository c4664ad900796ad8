"""One folder under trial: daemons that watch it, what they rendered, and what they left there."""

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
QUICK_PICTURES = ("--set", "static_duration=0.2", "--set", "quality=fast")


@dataclass(frozen=True)
class Note:
    """A line of the jobs' log.

    Attributes:
        event: `start` and `end` of a rendering, `child` of a process that it started.
        at: when, in seconds of the monotonic clock.
        pid: which process.
        manifest: of the video.

    """

    event: str
    at: float
    pid: int
    manifest: str


class Daemon:
    """A running daemon, the first of its session."""

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
        """Everything on its stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def family(self) -> set[Process]:
        """Return it and all processes that come from it, whatever session they are in."""
        return marked(self._mark)

    def wait_for(self, text: str, limit: float = 20.0) -> None:
        """Wait until it has said something."""

        def said() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said[-3000:]}"
            return text in self.said

        wait_until(said, limit, f"{text!r} in the log:\n{self.said[-3000:]}")

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to its whole process group."""
        os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM, limit: float = 20.0) -> tuple[int | None, float]:
        """Send a signal; return the exit code (None: still there) and how long it took."""
        start = time.monotonic()
        self.send(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(limit)
        return self.process.returncode, time.monotonic() - start


class Trial:
    """A folder with the outputs to watch, and beside them the logs."""

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
        """Start a daemon of the root; nothing that it started outlives the context.

        Args:
            arguments: of the command line, after the root.
            stubbed: jobs do what the videos' prompts say instead of rendering.
            prefix: a program that runs it, with its arguments.
            variables: of the environment.

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
        """Return what the jobs noted, in the order of time."""
        try:
            lines = self._jobs_log.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        notes = [Note(entry["event"], entry["at"] / 1e9, entry["pid"], entry["manifest"]) for entry in entries]
        return [note for note in notes if event in (None, note.event)]

    def renderings(self) -> Counter[str]:
        """Return how often the rendering of each manifest was begun."""
        return Counter(note.manifest for note in self.notes("start"))

    def wait_for_receipts(
        self, manifests: Sequence[Path], limit: float, receipt: Callable[[Path], Path] = receipt_path
    ) -> list[Path]:
        """Wait until all videos have receipts; return the manifests of those that have none after so many seconds."""
        end = time.monotonic() + limit
        for manifest in manifests:
            while not receipt(manifest).exists() and time.monotonic() < end:
                time.sleep(0.02)
        return [manifest for manifest in manifests if not receipt(manifest).exists()]

    def command(self, *arguments: object, limit: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """Run `attnwatch` with other arguments than a root."""
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
        """Return what `attnwatch status --json` says, nothing where it cannot say anything."""
        done = self.command("status", self.root, "--json")
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            return {}
        return answer

    def activities(self) -> list[Any]:
        """Return what the running daemons tell about themselves."""
        found = []
        for path in (self.root / ".attnwatch").glob("*.json"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found.append(json.loads(path.read_text(encoding="utf-8")))
        return found


def longest_pause(times: Sequence[float], since: float) -> float:
    """Return the longest time in which nothing was begun, from an instant on."""
    later = [since, *sorted(time for time in times if time > since)]
    return max((after - before for before, after in itertools.pairwise(later)), default=0.0)


def stated(answer: object, name: str) -> float:
    """Return the number that stands under a name anywhere in a JSON answer; the largest of several, NaN for none."""
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
