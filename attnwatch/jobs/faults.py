"""Whose fault an error of a rendering is: the video's, or that of something that passes or that others meet too."""

import errno
import tempfile
from pathlib import Path

from attnwatch.batches.settling import seconds_since
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import JobError, NoRoomError, NotReadyError, TensorError, VideoError
from attnwatch.system.refusals import in_words
from attnwatch.system.shortage import Shortage, free_space, lasting_shortage, shortage_behind
from attnwatch.system.sizes import size_text

_MOST_NAMED = 3


def raise_if_short(error: BaseException, directory: Path, min_free_space: int) -> None:
    """Raise an error again if a resource has run out that others need too. Codecs do not always report a full disk.

    Args:
        error: what the rendering met; its unfinished files are removed.
        directory: folder of the outputs.
        min_free_space: bytes to leave on its disk.

    Raises:
        OSError: the disk of the outputs is full, or the machine has run out of something.
        NoRoomError: only the disk for temporary files is full, which most videos do not need.

    """
    if lasting_shortage(error, directory) is not None:
        raise error
    left = free_space(directory)
    if left is not None and left < min_free_space:
        raise OSError(errno.ENOSPC, f"{error}; {size_text(left)} are left on the disk", str(directory)) from error
    if not isinstance(error, OSError) or shortage_behind(error) is not Shortage.DISK:
        return
    if error.filename == tempfile.gettempdir():
        raise NoRoomError(in_words(error)) from None


def raise_if_unfinished(error: BaseException, manifest: Manifest, settle_time: float) -> None:
    """Raise `NotReadyError` if files are damaged, but may be incomplete because they are still being written."""
    if manifest.finished_by == "manifest" or not isinstance(error, (TensorError, VideoError)):
        return
    if seconds_since(manifest.stamps().values()) < settle_time:
        raise NotReadyError(f"{error} (it was changed just now, and may be incomplete)") from error


def explained(error: BaseException, manifest: Manifest, memory_limit: int | None) -> BaseException:
    """Return the error for the receipt: if the video asks for more than there is, with what to do about it."""
    if isinstance(error, MemoryError):
        allowed = f"memory_limit ({size_text(memory_limit)})" if memory_limit is not None else "this machine's memory"
        found = f"more to hold than {allowed} allows ({error or 'out of memory'})"
        return _asks_too_much(manifest, found, "smaller maps or pictures; raise memory_limit if they are meant")
    shortage, said = shortage_behind(error), getattr(error, "strerror", None) or error
    if shortage is Shortage.DISK:
        found = f"more to write than there is room for ({said})"
        return _asks_too_much(manifest, found, "smaller files; free some space if they are meant")
    if shortage is Shortage.MACHINE:
        found = f"more to open at once than a process may ({said})"
        return _asks_too_much(manifest, found, "fewer files; raise the limit (ulimit -n, LimitNOFILE= of the service)")
    return error


def _asks_too_much(manifest: Manifest, found: str, expected: str) -> JobError:
    more = ", ..." if len(manifest.names) > _MOST_NAMED else ""
    return JobError(f"{', '.join(manifest.names[:_MOST_NAMED])}{more}: found {found}; expected {expected}")
