"""Shifts the system clock as one program sees it: `time.time` and `datetime.now` are offset by seconds in a file."""

import datetime
import time
from pathlib import Path


def shift(file: str) -> None:
    """Shift the clock of this process by the number of seconds in a file, which may change at any time.

    Call this before any module that uses `datetime` is imported.
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
    """Set the shift of the clock, in seconds."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(str(seconds))
    temporary.rename(path)
