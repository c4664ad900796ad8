"""Results of a scenario: figures with their bars, and parts that cannot run on this machine."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias, TypeVar

_T = TypeVar("_T")
_NAMED = 3


class Scale(Enum):
    """Scale of a scenario: `quick` for every change, `full` for the stated bars."""

    QUICK = "quick"
    FULL = "full"

    def pick(self, quick: _T, full: _T) -> _T:
        """Return the value for this scale."""
        return quick if self is Scale.QUICK else full


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        what: description of what was measured.
        found: the measured value.
        bar: the highest acceptable value.
        unit: unit of both.
        timed: whether the value depends on the machine's load; only `make chaos` judges such figures.
        detail: context that explains a miss.

    """

    what: str
    found: float
    bar: float
    unit: str = ""
    timed: bool = False
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the value meets the bar; a missing value (NaN) does not."""
        return self.found <= self.bar


@dataclass(frozen=True)
class Skipped:
    """A part that cannot run on this machine, and what it needs."""

    what: str
    reason: str


Line: TypeAlias = Figure | Skipped
Scenario: TypeAlias = Callable[[Path, Scale], Iterator[Line]]


def seconds(what: str, found: float, bar: float, detail: str = "") -> Figure:
    """Return a figure for a duration."""
    return Figure(what, found, bar, "s", timed=True, detail=detail)


def none_of(what: str, found: Iterable[object]) -> Figure:
    """Return a figure that counts distinct items, of which there should be none, and names the first few."""
    different = list(dict.fromkeys(map(str, found)))
    return Figure(what, len(different), 0, detail=", ".join(different[:_NAMED]))


def missing_tool(*names: str) -> str | None:
    """Return which programs are missing, as a reason to skip, or None."""
    absent = [name for name in names if shutil.which(name) is None]
    return f"needs {', '.join(absent)} on the PATH" if absent else None
