"""What a scenario returns: figures with their bars, or why a part of it cannot run here."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias, TypeVar

_T = TypeVar("_T")
_NAMED = 3


class Scale(Enum):
    """How much of everything: `quick` for every change, `full` as the bars are stated."""

    QUICK = "quick"
    FULL = "full"

    def pick(self, quick: _T, full: _T) -> _T:
        """Return the one of two values that belongs to this scale."""
        return quick if self is Scale.QUICK else full


@dataclass(frozen=True)
class Figure:
    """One measured value.

    Attributes:
        what: what was measured, in words.
        found: the value.
        bar: what it may be at most.
        unit: of both.
        timed: it depends on how busy the machine is, so that only `make chaos` judges it.
        detail: what helps to understand a miss.

    """

    what: str
    found: float
    bar: float
    unit: str = ""
    timed: bool = False
    detail: str = ""

    @property
    def met(self) -> bool:
        """Whether the bar is kept; a value that could not be had (NaN) keeps none."""
        return self.found <= self.bar


@dataclass(frozen=True)
class Skipped:
    """A part that cannot run here, and what it would need."""

    what: str
    reason: str


Line: TypeAlias = Figure | Skipped
Scenario: TypeAlias = Callable[[Path, Scale], Iterator[Line]]


def seconds(what: str, found: float, bar: float, detail: str = "") -> Figure:
    """Make a figure of a duration."""
    return Figure(what, found, bar, "s", timed=True, detail=detail)


def none_of(what: str, found: Iterable[object]) -> Figure:
    """Make a figure that counts what there should be none of, each once, and names the first ones."""
    different = list(dict.fromkeys(map(str, found)))
    return Figure(what, len(different), 0, detail=", ".join(different[:_NAMED]))


def missing_tool(*names: str) -> str | None:
    """Return why programs cannot be used, or None if all are there."""
    absent = [name for name in names if shutil.which(name) is None]
    return f"needs {', '.join(absent)} on the PATH" if absent else None
