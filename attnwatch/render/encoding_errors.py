"""Says in our own words what FFmpeg cannot encode; its errors do not say what they are about."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction

import av

from attnwatch.errors import VideoError
from attnwatch.system.limits import room
from attnwatch.system.sizes import size_text

_LARGEST = 2**31 - 1  # of the numbers in MP4 and MOV files


@contextlib.contextmanager
def in_our_words(name: str, found: str, expected: str, remedy: str, needed: float = 0) -> Iterator[None]:
    """Translate errors of encoders and of writers of files.

    Args:
        name: name of the file.
        found: what cannot be written.
        expected: what can be written.
        remedy: what to do about it.
        needed: bytes of memory that the encoder takes, if that is known.

    Raises:
        VideoError: the pictures cannot be written.
        MemoryError: there is not enough memory for the encoder.
        OSError: the file cannot be written, such as to a full disk.

    """
    try:
        yield
    except av.MemoryError as error:
        raise MemoryError(f"{name}: no memory to encode") from error
    except (av.FFmpegError, OverflowError) as error:
        if isinstance(error, OSError):
            raise
        left = room() if needed else None
        # x264 reports "generic error" if it cannot allocate something.
        if isinstance(error, av.error.ExternalError) and left is not None and left < needed:
            raise MemoryError(f"{name}: no memory to encode; {size_text(left)} are left") from error
        said = getattr(error, "strerror", None) or error  # without the path, which is that of a descriptor
        raise VideoError(f"{name}: found {found} ({said}); expected {expected}; {remedy}") from error


def require_small_numbers(name: str, rate: Fraction, time_base: Fraction, remedy: str) -> None:
    """Check that MP4 and MOV files can hold a rate and a time base. Raises `VideoError` if not."""
    for what, number in (("rate", rate), ("time base", time_base)):
        if not 0 < max(number.numerator, number.denominator) <= _LARGEST or number <= 0:
            expected = "a positive fraction of numbers below 2^31"
            raise VideoError(f"{name}: found a {what} of {number}; expected {expected}; {remedy}")
