"""What a worker must have before it gets jobs: this version, the folders of the watcher, and about the same time.

These checks run on the worker. Their answers are sentences: what was found, what was expected, what to do.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from attnwatch.system.refusals import remedy as to_do

MOST_SECONDS_APART = 60.0
_MOST_ENTRIES = 20


@dataclass(frozen=True)
class ExpectedFolder:
    """A folder as the watcher sees it.

    Attributes:
        path: where workers should have it.
        here: where the watcher has it.
        entries: names of some folders in it; a worker must have one of them, if there are any.
        is_written: outputs go there.

    """

    path: Path
    here: str
    entries: tuple[str, ...]
    is_written: bool

    def problem(self) -> str | None:
        """Return what is wrong with it on this machine; None if nothing is."""
        where = str(self.path) if str(self.path) == self.here else f"{self.path} (here {self.here})"
        remedy = f"mount it there, or say where it is: --path-map {self.here}=PATH"
        if not self.path.is_dir():
            return f"found no folder {where}; expected the one that is watched; {remedy}"
        if self.entries and not any((self.path / name).exists() for name in self.entries):
            return f"found other files in {where}; expected those of the folder that is watched; {remedy}"
        if not self.is_written:
            return None
        try:
            with tempfile.TemporaryFile(dir=self.path, prefix=".attnwatch-worker-"):
                return None
        except OSError as error:  # the name of the file differs each time, and what is said again is not logged again
            return f"found {where}, where it cannot write ({error.strerror}); {to_do(error)}"


@dataclass(frozen=True)
class Expected:
    """What a worker must have.

    Attributes:
        version: of attnwatch.
        folders: of the watcher.

    """

    version: str
    folders: tuple[ExpectedFolder, ...]

    def problem(self) -> str | None:
        """Return what is wrong on this machine; None if nothing is."""
        if (wrong := wrong_version(version("attnwatch"), self.version)) is not None:
            return wrong
        return next((problem for folder in self.folders if (problem := folder.problem()) is not None), None)


@dataclass(frozen=True)
class Answer:
    """What a worker has found; `time` is that of its clock."""

    problem: str | None
    time: float


def look(expected: Expected) -> Answer:
    """Check this machine."""
    problem = expected.problem()
    return Answer(problem, time.time())


def wrong_version(found: str | None, expected: str) -> str | None:
    """Return what is wrong with a version, None for a missing one; None if it is the expected one."""
    if found == expected:
        return None
    there = "no attnwatch" if found is None else f"attnwatch {found}"
    return f"found {there}; expected attnwatch {expected}, as here; install that version there"


def wrong_clock(ahead: float) -> str | None:
    """Return what is wrong with a clock that is some seconds ahead of the watcher's; None if nothing is."""
    if abs(ahead) <= MOST_SECONDS_APART:
        return None
    how = f"{abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} the watcher's"
    return f"found its clock {how}; expected less than {MOST_SECONDS_APART:g} s; set both by NTP"


def expected_folder(here: Path, there: Path, *, is_written: bool) -> ExpectedFolder:
    """Describe a folder of the watcher."""
    entries: Iterable[str] = ()
    with contextlib.suppress(OSError), os.scandir(here) as found:
        folders = (entry.name for entry in found if entry.is_dir() and not entry.name.startswith("."))
        entries = list(islice(folders, _MOST_ENTRIES))
    return ExpectedFolder(there, str(here), tuple(entries), is_written)
