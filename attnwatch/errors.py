"""The exceptions that `attnwatch` raises.

    AttnwatchError
    ├── ConfigError            a flag, an environment variable or a configuration file is invalid
    ├── ContractError          a file violates the contract of FORMAT.md; carries one or more `Problem`s
    │   ├── ManifestError      ... a manifest, a batch file, or a path in one of them
    │   ├── ReceiptError       ... a receipt
    │   └── TensorError        ... a tensor file
    ├── NotReadyError          files that a manifest names are missing or incomplete
    │   └── NoRoomError        ... or this machine lacks room for temporary files that they need
    ├── VideoError             a video cannot be decoded, or a picture cannot be encoded
    ├── BusyError              another process is rendering this video
    ├── JobError               a rendering job crashed, timed out or failed
    ├── SlowMachineError       a rendering job got too little of the processor or the disk
    ├── WorkerLostError        the machine of a cluster that ran a rendering job, or the way to it, was lost
    ├── EngineError            rendering jobs can no longer be started
    ├── CommandError           the command of `attnwatch run` cannot be started; carries the exit code
    └── UnknownNameError       no video or word has this name; also a `KeyError`

`ContractError` and `VideoError` mean invalid input, which would fail again. The others may be temporary.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path


class AttnwatchError(Exception):
    """Base class of all errors of this package."""


class ConfigError(AttnwatchError):
    """A setting is unknown or has an invalid value."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One violation of the contract in a file, described for the author of the program that wrote it."""

    file: Path
    field: str
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: found {self.found}; expected {self.expected}; {self.remedy}"


class ContractError(AttnwatchError):
    """A file violates the contract of FORMAT.md."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ManifestError(ContractError):
    """A manifest, a batch file, or a path in one of them violates the contract."""


class ReceiptError(ContractError):
    """A receipt exists, but cannot be read."""


class TensorError(ContractError):
    """A tensor file violates the contract."""


class NotReadyError(AttnwatchError):
    """Files that a manifest names are missing or too short, possibly because they are still being written."""


class NoRoomError(NotReadyError):
    """The disk for temporary files has too little room for files to be read; the video has not failed."""


class VideoError(AttnwatchError):
    """A video cannot be decoded or encoded."""


class BusyError(AttnwatchError):
    """Another process holds the lock of this video."""


class JobError(AttnwatchError):
    """A rendering job ended without a result."""


class SlowMachineError(AttnwatchError):
    """A rendering job was ended because other programs left it too little of the machine; the video has not failed."""


class WorkerLostError(AttnwatchError):
    """A worker of a cluster was lost with the job that it ran; the video has not failed."""


class EngineError(AttnwatchError):
    """The process that starts rendering jobs is gone."""


class CommandError(AttnwatchError):
    """The command of `attnwatch run` cannot be started."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UnknownNameError(AttnwatchError, KeyError):
    """A batch has no video, or a video has no word, of this name."""

    __str__ = Exception.__str__  # that of KeyError would quote the message


_MARK = 40  # characters at most of what takes the place of those left out


def shortened(text: str, most: int) -> str:
    """Return a text, or the beginning and the end of one that has far more than `most` characters.

    The end stays because it says what was expected and what to do. A text that was shortened stays as it is.
    """
    if len(text) <= most + _MARK:
        return text
    tail = most // 3
    return f"{text[: most - tail]} [{len(text) - most:,} characters left out] {text[-tail:]}"


def nearest(name: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return the known names that are most like `name`, the best first; `cutoff` is difflib's similarity.

    Names that begin with `name` come first; names that are equally like it, in the order in which they are known.
    """
    likeness = SequenceMatcher(b=name)
    similar = []
    for other in dict.fromkeys(known):
        likeness.set_seq1(other)
        if likeness.quick_ratio() >= cutoff and (ratio := likeness.ratio()) >= cutoff:
            similar.append((not other.startswith(name), -ratio, other))
    return [other for *_, other in sorted(similar, key=lambda each: each[:2])[:most]]


_MOST_LISTED = 20


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the nearest known name; if none is similar, all, or of many the nearest ones."""
    known = sorted(known)
    if found := nearest(name, known):
        return f"did you mean {found[0]!r}?"
    if len(known) <= _MOST_LISTED:
        return f"known: {', '.join(known)}"
    return f"nearest of {len(known)}: {', '.join(nearest(name, known, most=3, cutoff=0))}"
