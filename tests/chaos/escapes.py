"""What must stay untouched outside a folder of batches, and the program that exchanges parts of them for links."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from tests.chaos.trial import REPOSITORY
from tests.support import environment

NOBODY = 65534
QUIET = 0.3  # seconds in which events must have arrived


@dataclass(eq=False)
class Seen(FileSystemEventHandler):
    """Everything that was opened, created, changed, moved or deleted."""

    events: list[str] = field(default_factory=list)

    def on_any_event(self, event: FileSystemEvent) -> None:
        self.events.append(f"{event.event_type} {os.fsdecode(event.src_path)}")


class Outside:
    """A folder outside, with a copy of everything that is exchanged for a link: as good to read, and as easy to hit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before: dict[str, bytes | None] = {}

    def copy(self, path: Path, name: str) -> Path:
        """Copy a file or folder of a batch; return the copy."""
        copy = self.folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, copy) if path.is_dir() else shutil.copy2(path, copy)
        return copy

    @contextlib.contextmanager
    def watched(self) -> Iterator[Seen]:
        """Record what happens in the folder."""
        self._before = self._content()
        seen, observer = Seen(), Observer()
        observer.schedule(seen, str(self.folder), recursive=True)
        observer.start()
        time.sleep(QUIET)
        seen.events.clear()  # of the observer itself, which lists the folders
        try:
            yield seen
            time.sleep(QUIET)
        finally:
            observer.stop()
            observer.join()

    def changes(self) -> list[str]:
        """Return the names of files and folders that were added, changed or removed since they were first watched."""
        now = self._content()
        return sorted(name for name in {*self._before, *now} if self._before.get(name, b"-") != now.get(name, b"-"))

    def _content(self) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for path in self.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # a temporary file of a watcher, renamed since it was listed
                found[str(path.relative_to(self.folder))] = path.read_bytes() if path.is_file() else None
        return found


@dataclass(frozen=True)
class Exchange:
    """A batch that appears, and the part of it that is exchanged for a link.

    Attributes:
        hidden: name of the batch before it appears.
        name: its name from then on.
        path: what is exchanged, relative to the batch.
        target: what the link leads to.

    """

    hidden: str
    name: str
    path: str
    target: Path


@contextlib.contextmanager
def attacking(root: Path, exchanges: Sequence[Exchange], seed: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Make the batches appear and exchange parts of them, if possible as another user who owns them."""
    owner = [NOBODY, NOBODY] if os.geteuid() == 0 else None
    if owner is not None:
        for path in (root, *root.rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # a temporary file of the watcher that runs meanwhile
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    batches = [[one.hidden, one.name, one.path, str(one.target)] for one in exchanges]
    plan = json.dumps({"root": str(root), "owner": owner, "seed": seed, "batches": batches})
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.attack"],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(plan.encode())
    process.stdin.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait()
