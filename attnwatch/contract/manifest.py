"""Reads manifests, resolves the paths in them safely, and verifies the files that they list."""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal

from attnwatch.contract.documents import ManifestDocument
from attnwatch.contract.names import MAX_FILES, MAX_ID_BYTES, MAX_SLUG_BYTES, default_video_id
from attnwatch.contract.reading import problem, read_document
from attnwatch.contract.spelling import with_names_on_disk
from attnwatch.contract.stamps import Mark, Stamp, file_digest, open_file_digest, required_stamp, sizes
from attnwatch.errors import ManifestError, NotReadyError, Problem
from attnwatch.system.folders import Folder, Links

BATCH_FILE = "batch.json"
OUTPUT_DIRECTORY = "attention_videos"
TENSOR_DIRECTORY = "attention_maps"
MAX_DEPTH = 64
"""Components of a path in a manifest."""
MAX_FOLDERS = MAX_FILES
"""Folders in the paths of a manifest, all together."""

_MOST_PROBLEMS = 100
_MOST_SHOWN = 200  # characters of a path
_IS_OUTPUT = f"is an output, as all files in {OUTPUT_DIRECTORY} are"


@dataclass(frozen=True)
class Manifest:
    """A validated manifest whose paths are safe to open; for a video of an older batch, its equivalent.

    Attributes:
        path: path of the manifest; in an older batch, the folder of the video's tensors.
        document: content of the manifest, with the names that its files have on disk.
        sha256: digest of its bytes.
        folder: base of the relative paths.
        video: absolute path of the video, which may be absent.
        attention: absolute paths of the tensor files, in step order; in an older batch, of folders of such files.
        output_directory: folder of the video's outputs and receipt.
        finished_by: evidence that the video is complete: a `manifest` suffices; a `summary`, or `quiet` (no
            evidence), count only after the files have not changed for a while.
        notes: remarks for the receipt about data that was missing or ambiguous.
        known_as: identifier that its outputs have from before its folder was renamed; None for the default.

    """

    path: Path
    document: ManifestDocument
    sha256: str
    folder: Path
    video: Path
    attention: tuple[Path, ...]
    output_directory: Path
    finished_by: Literal["manifest", "summary", "quiet"] = "manifest"
    notes: tuple[str, ...] = ()
    known_as: str | None = None
    _verified: dict[Path, Mark] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def video_id(self) -> str:
        """Stem of all output names."""
        return self.document.video_id or self.known_as or default_video_id(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """Relative paths of the video and the tensor files."""
        return (self.document.video, *self.document.attention)

    def open_file(self, path: Path) -> BinaryIO:
        """Open the video or a tensor file for reading. Once it is verified, only the very file that was verified opens.

        Args:
            path: `video`, or one of `attention`.

        Raises:
            NotReadyError: it was exchanged or changed since it was verified.
            LinkError: the path goes through a link that does not stay inside the folder.
            OSError: it does not exist, cannot be read, or is not a regular file.

        """
        with Folder.open(self.folder, links=Links.INSIDE) as folder:
            file = folder.open_file(os.path.relpath(path, self.folder))
        if self._verified.get(path, mark := Mark.of(file)) != mark:
            file.close()
            raise _changed(path)
        return file

    def digest(self, path: Path) -> str:
        """Return the SHA-256 of the video, a tensor file or a folder of them; from now on, only that file opens.

        Raises:
            NotReadyError: it was changed meanwhile.
            OSError: it cannot be read.

        """
        if path.is_dir():
            return file_digest(path)
        with self.open_file(path) as file:
            mark = Mark.of(file)
            digest = open_file_digest(file)
            if Mark.of(file) != mark:
                raise _changed(path)
        self._verified[path] = mark
        return digest

    def stamps(self) -> dict[str, Stamp | None]:
        """Return the stamp of the video and each tensor file by relative path; None if absent."""
        return {
            name: required_stamp(path) for name, path in zip(self.names, (self.video, *self.attention), strict=True)
        }

    def inputs(self) -> dict[str, int | None]:
        """Return the size in bytes of the video and each tensor file by relative path; None if absent."""
        return sizes(self.stamps())


def read_manifest(path: Path) -> Manifest:
    """Read and validate a manifest. The files that it names need not exist.

    Raises:
        ManifestError: fields are missing or malformed, or paths are refused; lists all of them.
        OSError: the manifest cannot be read.

    """
    document, digest = read_document(path, ManifestDocument)
    document = with_names_on_disk(document, path.parent)
    problems: list[Problem] = []
    paths: list[Path] = []
    passed: set[str] = set()
    fields = [("video", document.video), *((f"attention[{i}]", p) for i, p in enumerate(document.attention))]
    for where, name in fields:
        try:
            paths.append(locate(path, where, name, passed))
        except ManifestError as error:
            problems.extend(error.problems)
        if len(passed) > MAX_FOLDERS:
            found = f"paths through more than {MAX_FOLDERS:,} folders"
            raise ManifestError(problem(path, where, found, "fewer folders, such as one for all tensor files"))
    problems.extend(_inconsistencies(path, document))
    if problems:
        raise ManifestError(*problems[:_MOST_PROBLEMS])
    return Manifest(
        path=path,
        document=document,
        sha256=digest,
        folder=path.parent,
        video=paths[0],
        attention=tuple(paths[1:]),
        output_directory=path.parent / OUTPUT_DIRECTORY,
    )


def locate(manifest: Path, field: str, name: str, passed: set[str] | None = None) -> Path:
    """Return the absolute path of a file that a manifest names. The file may be absent.

    Args:
        manifest: path of the manifest.
        field: field that names the file, for the error.
        name: relative path in that field.
        passed: folders that are known to be no links, as relative paths with a slash at the end; those on the way to
            the file are added. None to know nothing.

    Raises:
        ManifestError: the path leaves the manifest's directory through a link, is not that of a regular file, or names
            an output: its rendering would ask for the next one, for ever.

    """
    reason = _path_problem(manifest.parent, name, set() if passed is None else passed)
    if reason is None:
        return manifest.parent / name
    raise ManifestError(
        Problem(
            file=manifest,
            field=field,
            found=f"{_shown(name)} ({reason})",
            expected="the path of a regular file inside the manifest's directory, relative to it",
            remedy="keep the file in the manifest's directory and write its relative path",
        )
    )


def _shown(name: str) -> str:
    return repr(name) if len(name) <= _MOST_SHOWN else f"{name[:_MOST_SHOWN]!r}... ({len(name):,} characters)"


def _path_problem(directory: Path, name: str, passed: set[str]) -> str | None:
    parts = name.split("/")
    if len(parts) > MAX_DEPTH:
        return f"goes through more than {MAX_DEPTH} folders"
    if OUTPUT_DIRECTORY in parts:
        return _IS_OUTPUT
    way_up, _, below = name.rpartition("../")
    if way_up or name.startswith("../"):  # validation allows this only for the tensors of an older batch
        return _folder_problem(directory / f"{way_up}..", below)
    try:
        if _has_link(directory, parts, passed):
            inside = _inside(directory, name)
            if inside is None:
                return "leaves the directory through a link"
            if OUTPUT_DIRECTORY in inside.parts:
                return _IS_OUTPUT
        mode = os.stat(directory / name).st_mode  # noqa: PTH116 - beside os.lstat
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    return None if stat.S_ISREG(mode) else "not a regular file"


def _folder_problem(batch: Path, name: str) -> str | None:
    if not (batch / name).exists():
        return None
    return None if (batch / name).is_dir() and _inside(batch, name) is not None else "not a folder of the batch"


def _has_link(directory: Path, parts: Sequence[str], passed: set[str]) -> bool:
    """Whether a relative path goes through a link. Resolving every path would take most of the time of a scan."""
    known = f"{'/'.join(parts[:-1])}/" if len(parts) > 1 else ""
    if known and known not in passed:
        known = ""
        for part in parts[:-1]:
            known += f"{part}/"
            if known not in passed:
                if _is_link(f"{directory}/{known[:-1]}"):
                    return True
                passed.add(known)
    return _is_link(f"{directory}/{known}{parts[-1]}")


def _is_link(path: str) -> bool:
    return stat.S_ISLNK(os.lstat(path).st_mode)


def _inside(directory: Path, name: str) -> Path | None:
    """Return where a relative path leads to, relative to the directory; None if it leads out of it."""
    base, actual = Path(os.path.realpath(directory)), Path(os.path.realpath(directory / name))
    return actual.relative_to(base) if actual.is_relative_to(base) else None


def verify(manifest: Manifest, *, video_may_be_absent: bool) -> dict[str, str]:
    """Compare the files with the sizes and digests in the manifest; return the SHA-256 of each present file.

    Args:
        manifest: manifest to verify.
        video_may_be_absent: accept a missing video, which only means that there is no overlay.

    Raises:
        NotReadyError: a file is missing or shorter than listed.
        ManifestError: a file is longer than listed, or its digest differs.

    """
    digests, problems = {}, []
    for name, size in require_whole(manifest, video_may_be_absent=video_may_be_absent).items():
        record = manifest.document.files.get(name)
        if record is not None and size != record.bytes:
            problems.append(_file_problem(manifest.path, name, f"{size:,} bytes", f"{record.bytes:,} bytes"))
            continue
        digests[name] = manifest.digest(manifest.folder / name)
        if record is not None and digests[name] != record.sha256:
            problems.append(_file_problem(manifest.path, name, f"SHA-256 {digests[name]}", record.sha256))
    if problems:
        raise ManifestError(*problems)
    return digests


def _changed(path: Path) -> NotReadyError:
    return NotReadyError(
        f"{path}: found it changed while it was in use; expected a finished file; wait until it is written, or write "
        "it under another name and rename it"
    )


_INCOMPLETE = "expected a complete file before the manifest; wait, or write both again"


def require_whole(manifest: Manifest, *, video_may_be_absent: bool) -> dict[str, int]:
    """Return the size in bytes of each present file, without reading any.

    Raises:
        NotReadyError: a file is missing or shorter than listed.

    """
    present = {}
    for name, size in manifest.inputs().items():
        record = manifest.document.files.get(name)
        if size is None:
            if name == manifest.document.video and video_may_be_absent:
                continue
            raise NotReadyError(f"{manifest.path}: {name} is not there yet; {_INCOMPLETE}")
        if record and size < record.bytes:
            raise NotReadyError(
                f"{manifest.path}: {name} has only {size:,} of {record.bytes:,} bytes so far; {_INCOMPLETE}"
            )
        present[name] = size
    return present


def _inconsistencies(path: Path, document: ManifestDocument) -> Iterable[Problem]:
    if document.video_id and len(document.video_id.encode()) > MAX_ID_BYTES:
        found = f"{len(document.video_id.encode())} bytes"
        yield problem(path, "video_id", found, f"at most {MAX_ID_BYTES} bytes of UTF-8")
    seen: set[str] = set()
    for index, name in enumerate(token.slug.casefold() for token in document.tokens):
        if len(document.tokens[index].slug.encode()) > MAX_SLUG_BYTES:
            found = f"{len(document.tokens[index].slug.encode())} bytes"
            yield problem(path, f"tokens[{index}].slug", found, f"at most {MAX_SLUG_BYTES} bytes of UTF-8")
        if name in seen:
            yield problem(path, f"tokens[{index}].slug", repr(name), "a slug that is unique within the video")
        seen.add(name)
    for index, token in enumerate(document.tokens):
        if token.span and token.span[0] >= token.span[1]:
            yield problem(path, f"tokens[{index}].span", str(list(token.span)), "[start, end] with start < end")


def _file_problem(path: Path, name: str, found: str, expected: str) -> Problem:
    remedy = "the file changed after its manifest was written: write both again, manifest last"
    return Problem(file=path, field=f"files[{name!r}]", found=found, expected=expected, remedy=remedy)
