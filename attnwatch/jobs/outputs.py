"""Puts the outputs of a job into place: complete, all at once, and in the folder that was opened when it began."""

import contextlib
import errno
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.receipts import Place, Stored
from attnwatch.errors import AttnwatchError, BusyError
from attnwatch.system.files import move_into_place, remove_tree
from attnwatch.system.folders import Folder, Identity, PathError
from attnwatch.system.locks import exclusive, lock_file

if TYPE_CHECKING:
    from attnwatch.render.output import Output

_log = logging.getLogger(__name__)


class ExchangedError(AttnwatchError):
    """The folder of the outputs is not where it was when a job began."""


@contextlib.contextmanager
def temporary_folder(place: Place, folder: Folder) -> Iterator[Folder]:
    """Create the folder for unfinished outputs, without what a killed job may have left.

    No other user can enter it, so nobody can put a link where an encoder opens a file. Where locks do not reach from
    one machine to another, a job that was taken for dead loses the folder to the next one.

    Args:
        place: of the video's receipt. The caller holds the video's lock.
        folder: of the outputs.

    Raises:
        BusyError: in the context, if another process has removed the folder.

    """
    _remove_unfinished(place, folder)
    name = f".{place.video_id}.tmp"
    try:
        folder.make(name, private=True)
    except FileExistsError:  # of another user, whose job was killed
        name = f"{name}-{secrets.token_hex(_TOKEN_BYTES)}"
        folder.make(name, private=True)
    with folder.folder(name) as temporary:
        try:
            yield temporary
        except (AttnwatchError, OSError) as error:
            if not _is_at(name, folder, temporary):
                raise BusyError(f"{place.video_id}: another process has begun to render it") from error
            raise
        finally:
            with contextlib.suppress(OSError):
                if _is_at(name, folder, temporary):
                    remove_tree(name, folder)


def move_all(place: Place, outputs: Mapping[str, str], temporary: Folder, folder: Folder) -> None:
    """Move finished outputs into place.

    Args:
        place: of the video's receipt.
        outputs: final names of the outputs, by their names in the temporary folder.
        temporary: the folder that they are in.
        folder: of the outputs, as opened when the job began.

    Raises:
        ExchangedError: that folder was moved away or replaced since.
        PathError: a folder has the name of an output.

    """
    _require_in_place(place, folder)
    for unfinished, name in outputs.items():
        try:
            move_into_place(unfinished, temporary, folder, name)
        except IsADirectoryError as error:
            reason = "found a folder with the name of an output; expected a file, or nothing; rename or remove it"
            raise PathError(errno.EISDIR, reason, str(folder.path / name)) from error
    folder.sync()


def require_unchanged(place: Place, seen: Stored) -> None:
    """Raise `BusyError` if another process has replaced a receipt since it was `seen`."""
    if place.look().sha256 != seen.sha256:
        raise BusyError(f"{place.video_id}: another process has just rendered it")


def _is_at(name: str, folder: Folder, opened: Folder) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Identity.of(folder.stat(name)) == opened.identity
    return False


def _require_in_place(place: Place, folder: Folder) -> None:
    with contextlib.suppress(OSError), place.open() as current:
        if current.identity == folder.identity:
            return
    raise ExchangedError(
        f"{place.directory}: found it moved away or replaced while {place.video_id} was being rendered; expected it to "
        "stay, so nothing was written; leave the folder alone while the watcher works on it"
    )


def remove_leftovers(place: Place, patience: float = 0.0) -> None:
    """Remove what a killed job of this video left behind, unless another process is rendering it.

    Args:
        place: of the video's receipt.
        patience: seconds to wait for a job that was killed just now to release its lock.

    """
    with contextlib.suppress(BusyError, OSError), place.open() as folder:
        if lock_file(place.video_id) in (names := folder.names()) or any(_unfinished(place, names)):
            with exclusive(folder, place.video_id, patience):
                _remove_unfinished(place, folder)


def _remove_unfinished(place: Place, folder: Folder) -> None:
    """Remove unfinished outputs, and receipts whose writer was killed. The caller holds the video's lock."""
    for name in _unfinished(place, folder.names()):
        try:
            remove_tree(name, folder)
        except OSError as error:
            path, reason = (folder.path / name).absolute(), error.strerror
            found = f"{path}: found what a killed rendering of another user has left ({reason})"
            _log.warning("%s; it cannot be removed, and takes up space; ask that user to remove it", found)


def _unfinished(place: Place, names: Iterable[str]) -> Iterator[str]:
    folder = rf"\.{re.escape(place.video_id)}\.tmp(-[0-9a-f]{{{2 * _TOKEN_BYTES}}})?"
    receipt = rf"\.{re.escape(place.path.name)}\..*\.tmp"
    return (name for name in names if re.fullmatch(rf"{folder}|{receipt}", name, re.DOTALL))


_TOKEN_BYTES = 4


def record_of(output: "Output") -> OutputRecord:
    """Describe an output as a receipt does."""
    return OutputRecord(
        file=output.file,
        kind=output.kind.value,
        token=output.token,
        bytes=output.path.stat().st_size,
        scale=(output.scale.low, output.scale.high),
        scales={word: (scale.low, scale.high) for word, scale in output.scales.items()},
    )
