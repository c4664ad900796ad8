"""Everything that `attnwatch` raises on purpose.

    AttnwatchError
    ├── ConfigError            a flag, an environment variable or a configuration file is wrong
    ├── ContractError          a file breaks the contract of FORMAT.md: carries one or more `Problem`s
    │   ├── ManifestError      ... the manifest, the batch file or a path that it names
    │   └── TensorError        ... a tensor file
    ├── NotReadyError          files that a manifest names are not there yet, or not whole yet
    ├── VideoError             a video that cannot be decoded, or a picture that cannot be encoded
    ├── BusyError              another process is rendering this video right now
    ├── JobError               a rendering job crashed, ran out of time or failed
    ├── EngineError            renderings can no longer be started
    └── UnknownNameError       no video or word has this name; a `KeyError` too

`ContractError` and `VideoError` say that the input is wrong: the same input fails again.
The others may pass by themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


class AttnwatchError(Exception):
    """Base of all errors of this package."""


class ConfigError(AttnwatchError):
    """A setting is unknown or has a value that it cannot have."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One way in which a file breaks the contract, in the words of whoever writes such files."""

    file: Path
    field: str
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: found {self.found}; expected {self.expected}; {self.remedy}"


class ContractError(AttnwatchError):
    """A file breaks the contract of FORMAT.md."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ManifestError(ContractError):
    """A manifest, a batch file, or a path in one of them breaks the contract."""


class TensorError(ContractError):
    """A tensor file breaks the contract."""


class NotReadyError(AttnwatchError):
    """Files that a manifest names are missing or shorter than it says, and may still be on their way."""


class VideoError(AttnwatchError):
    """A video cannot be decoded or encoded."""


class BusyError(AttnwatchError):
    """Another process holds the lock of this video."""


class JobError(AttnwatchError):
    """A rendering job ended without a result."""


class EngineError(AttnwatchError):
    """What rendering jobs are started from is gone."""


class UnknownNameError(AttnwatchError, KeyError):
    """A batch has no video of this name, or a video no word."""

    __str__ = Exception.__str__  # KeyError's own would quote the message


def nearest(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the known names that are most like `name`, the best first; `cutoff` is difflib's similarity."""
    return get_close_matches(name, list(known), n=most, cutoff=cutoff)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the nearest known name, or the list of known names if none is similar."""
    known = sorted(known)
    found = nearest(name, known)
    return f"did you mean {found[0]!r}?" if found else f"known: {', '.join(known)}"
