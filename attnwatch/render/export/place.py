"""Puts an export into its folder, whole or not at all, and leaves alone what it did not write itself."""

import contextlib
from collections.abc import Iterator

from pydantic import ValidationError

from attnwatch.contract.export_document import ExportDocument
from attnwatch.contract.names import EXPORT_SUFFIX
from attnwatch.errors import ConfigError, JobError
from attnwatch.system.files import remove_tree
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
from attnwatch.system.shortage import Shortage, free_space, shortage_behind
from attnwatch.system.sizes import size_text

_OTHER_FOLDER = "choose another folder with --out, or move it away"


def document_name(video_id: str) -> str:
    """Return the name of the document about an export."""
    return f"{video_id}{EXPORT_SUFFIX}"


@contextlib.contextmanager
def new_export(parent: Folder, name: str, video_id: str, digest: str | None) -> Iterator[Folder]:
    """Make a folder for the files of an export; at the end of the context it takes the place of an earlier export.

    Args:
        parent: the folder that it will be in.
        name: its name.
        video_id: identifier of the video.
        digest: of the video's manifest, if `parent` may have exports of other videos with this identifier.

    Raises:
        ConfigError: something else has this name.
        BusyError: another process is exporting this.
        JobError: the disk is full.
        OSError: something cannot be written. Whatever is raised, nothing is left of the new export.

    """
    with exclusive(parent, name):
        _require_own(parent, name, video_id, digest)
        unfinished = f".{name}.tmp"
        remove_tree(unfinished, parent)  # of a process that was killed
        # No other user can enter it, so nobody can put a link where an encoder opens a file.
        parent.make(unfinished, private=True)
        try:
            with parent.folder(unfinished) as outer:
                outer.make(name)
                with outer.folder(name) as inner:
                    yield inner
                    inner.sync()
                _exchange(name, outer, parent)
        except OSError as error:
            if shortage_behind(error) is not Shortage.DISK:
                raise
            raise JobError(
                f"{parent.path}: found no room while {name} was written ({error.strerror}); expected room for all of "
                "its files, so nothing was kept; make room, or name another folder with --out"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                remove_tree(unfinished, parent)


def _exchange(name: str, outer: Folder, parent: Folder) -> None:
    """Move a folder into place; if it cannot be, what was there before stays."""
    before = "before"
    with contextlib.suppress(FileNotFoundError):
        parent.rename(name, outer, before)
    try:
        outer.rename(name, parent, name)
    except OSError:
        with contextlib.suppress(OSError):
            outer.rename(before, parent, name)
        raise
    parent.sync()


def _require_own(parent: Folder, name: str, video_id: str, digest: str | None) -> None:
    path = parent.path / name
    try:
        with parent.folder(name) as folder:
            names = {found for found in folder.names() if not found.startswith(".")}
            document = _document(folder, video_id)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise ConfigError(f"{path}: found a file; expected nothing, or an earlier export; {_OTHER_FOLDER}") from None
    known = frozenset[str]() if document is None else document.file_names | {document_name(video_id)}
    if names - known:
        other = min(names - known)
        raise ConfigError(f"{path}: found {other!r}; expected an earlier export and nothing else; {_OTHER_FOLDER}")
    if document is not None and digest not in (None, document.manifest_sha256):
        raise ConfigError(
            f"{path}: found the export of another video that is called {video_id!r}, or of this one before it was made "
            f"again; expected one of this video; {_OTHER_FOLDER}"
        )


def _document(folder: Folder, video_id: str) -> ExportDocument | None:
    try:
        with folder.open_file(document_name(video_id)) as file:
            return ExportDocument.model_validate_json(file.read())
    except (FileNotFoundError, ValidationError):
        return None


def require_space(folder: Folder, needed: float, what: str) -> None:
    """Check that the disk of a folder has room for so many bytes.

    Raises:
        JobError: it has not.

    """
    left = free_space(folder.handle)
    if left is not None and left < needed:
        raise JobError(
            f"{folder.path}: found {size_text(left)} of free space; expected about {size_text(round(needed))} for "
            f"{what}; make room, name another folder with --out, or export fewer words with --words"
        )
