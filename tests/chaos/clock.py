"""A system clock that jumps, for one program: `time.time` and `datetime.now` are shifted by what a file says."""

import datetime
import time
from pathlib import Path


def shift(file: str) -> None:
    """Shift the clock of this process from now on by the number of seconds in the file, which may change at any time.

    To be called before whoever uses `datetime` imports it.
    """
    path, real_time, real_datetime = Path(file), time.time, datetime.datetime

    def seconds() -> float:
        return float(path.read_text() or 0)

    class Shifted(real_datetime):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Shifted":
            shifted: Shifted = cls.fromtimestamp(time.time(), tz)
            return shifted

    time.time = lambda: real_time() + seconds()
    time.time_ns = lambda: int(time.time() * 1e9)
    datetime.datetime = Shifted  # type: ignore[misc]


def set_shift(path: Path, seconds: float) -> None:
    """Let the clock jump."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(str(seconds))
    temporary.rename(path)
