"""Reads manifests, resolves the paths in them safely, and verifies the files that they list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Literal

from attnwatch.contract.documents import FileRecord, ManifestDocument, TokenRecord
from attnwatch.contract.names import MAX_FILES, MAX_ID_BYTES, MAX_SLUG_BYTES, OUTPUT_DIRECTORY, default_video_id
from attnwatch.contract.paths import locate, way_up
from attnwatch.contract.reading import problem, read_document
from attnwatch.contract.spelling import with_names_on_disk
from attnwatch.contract.stamps import Mark, Stamp, file_digest, folder_digest, required_stamp, sizes
from attnwatch.errors import ManifestError, NotReadyError, Problem
from attnwatch.system.folders import Links
from attnwatch.system.roots import Root

MAX_FOLDERS = MAX_FILES
"""Folders in the paths of a manifest, all together."""

_MOST_PROBLEMS = 100


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
        root: of the relative paths: `folder`, in which links that stay inside are followed.
        maps: of the tensor files, if they are elsewhere; None for `root`.
        finished_by: evidence that the video is complete: a `manifest` suffices; a `summary`, or `quiet` (no
            evidence), count only after the files have not changed for a while.
        notes: remarks for the receipt about data that was missing or ambiguous.
        known_as: identifier that its outputs have from before its folder was renamed; None for the default.
        accepted: files that a user has accepted as they are; see `attnwatch.contract.acceptance`.

    """

    path: Path
    document: ManifestDocument
    sha256: str
    folder: Path
    video: Path
    attention: tuple[Path, ...]
    output_directory: Path
    root: Root = field(compare=False)
    maps: Root | None = field(default=None, compare=False)
    finished_by: Literal["manifest", "summary", "quiet"] = "manifest"
    notes: tuple[str, ...] = ()
    known_as: str | None = None
    accepted: Mapping[str, FileRecord] = field(default_factory=dict, compare=False)
    _verified: dict[Path, Mark | None] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def video_id(self) -> str:
        """Stem of all output names."""
        return self.document.video_id or self.known_as or default_video_id(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """Relative paths of the video and the tensor files."""
        return (self.document.video, *self.document.attention)

    def records(self, name: str) -> tuple[FileRecord, ...]:
        """Return what a file may be: as listed, or as accepted. Empty if the manifest does not list it."""
        found = (self.document.files.get(name), self.accepted.get(name))
        return tuple(record for record in found if record is not None) if found[0] is not None else ()

    @property
    def is_incomplete(self) -> bool:
        """Whether its writer says that the maps do not show the whole denoising; its notes then have the reason."""
        return _what_is_lacking(self.document) is not None

    @property
    def outputs_root(self) -> Root:
        """Where lookups of `output_directory` start; unlike inputs, outputs never go through a link."""
        return self.root if self.root.links is Links.ALL else replace(self.root, links=Links.NONE)

    def open_file(self, path: Path) -> BufferedReader:
        """Open the video or a tensor file for reading. Once it is verified, only the very file that was verified opens.

        Args:
            path: `video`, one of `attention`, or in an older batch, a file in one of these.

        Raises:
            NotReadyError: it was exchanged or changed since it was verified.
            LinkError: the path goes through a link that does not stay inside the folder.
            OSError: it does not exist, cannot be read, or is not a regular file.

        """
        file = self._root_of(path).open_file(path)
        mark = Mark.of(file)
        # A file that appeared in a folder after it was verified is not part of what was verified.
        unknown = None if path.parent in self._verified else mark
        if self._verified.get(path, unknown) != mark:
            file.close()
            raise _changed(path)
        return file

    def digest(self, name: str) -> str:
        """Return the SHA-256 of the video, a tensor file or a folder of them.

        From now on, only the very files that were read open.

        Args:
            name: its relative path.

        Raises:
            NotReadyError: it was changed meanwhile.
            LinkError: as for `open_file`.
            OSError: it cannot be read.

        """
        path = self.folder / name
        if path.is_dir():
            digest, marks = folder_digest(path, self._root_of(path))
            self._verified.update({path / name: mark for name, mark in marks.items()})
            self._verified[path] = None
            return digest
        with self.open_file(path) as file:
            mark = Mark.of(file)
            digest = file_digest(file)
            if Mark.of(file) != mark:
                raise _changed(path)
        self._verified[path] = mark
        return digest

    def _root_of(self, path: Path) -> Root:
        return self.root if path == self.video or self.maps is None else self.maps

    def stamps(self) -> dict[str, Stamp | None]:
        """Return the stamp of the video and each tensor file by relative path; None if absent."""
        return {
            name: required_stamp(path) for name, path in zip(self.names, (self.video, *self.attention), strict=True)
        }

    def inputs(self) -> dict[str, int | None]:
        """Return the size in bytes of the video and each tensor file by relative path; None if absent."""
        return sizes(self.stamps())


def read_manifest(path: Path, root: Root | None = None) -> Manifest:
    """Read and validate a manifest. The files that it names need not exist.

    Args:
        path: the manifest.
        root: the folder that the user named, from which the manifest is reached without links; None for its own.

    Raises:
        ManifestError: fields are missing or malformed, or paths are refused; lists all of them.
        OSError: the manifest cannot be read.

    """
    root = root or Root(path.parent)
    document, digest = read_document(path, ManifestDocument, root=root)
    document = with_names_on_disk(document, path.parent, root)
    problems: list[Problem] = []
    paths: list[Path] = []
    passed: set[str] = set()
    fields = [("video", document.video), *((f"attention[{i}]", p) for i, p in enumerate(document.attention))]
    for where, name in fields:
        try:
            paths.append(locate(path, where, name, passed, root.links))
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
        root=root.below(path.parent, Links.INSIDE),
        maps=_older_maps(path.parent, document, root),
        notes=_notes(document),
    )


def _notes(document: ManifestDocument) -> tuple[str, ...]:
    """Say what the writer of the maps says that they lack."""
    reason = _what_is_lacking(document)
    return (f"the attention is incomplete: {reason}",) if reason else ()


def _what_is_lacking(document: ManifestDocument) -> str | None:
    """Return why the maps do not show the whole denoising; None if they do."""
    reason = (document.generation.capture or {}).get("incomplete")
    return reason if isinstance(reason, str) and reason else None


def _older_maps(folder: Path, document: ManifestDocument, root: Root) -> Root | None:
    """Return the root of the tensors that an import left in their older batch; None if they are below the manifest."""
    up, _ = way_up(document.attention[0] if document.attention else "")
    return Root(folder / up, root.links if root.links is Links.ALL else Links.INSIDE) if up else None


def verify(manifest: Manifest, *, video_may_be_absent: bool, digests: dict[str, str] | None = None) -> dict[str, str]:
    """Compare the files with the sizes and digests in the manifest; return the SHA-256 of each present file.

    Args:
        manifest: manifest to verify.
        video_may_be_absent: accept a missing video, which only means that there is no overlay.
        digests: takes the result, so that what was read of files that differ from the manifest is known too.

    Raises:
        NotReadyError: a file is missing or shorter than listed.
        ManifestError: a file is longer than listed, or its digest differs.

    """
    digests, problems = {} if digests is None else digests, []
    for name, size in require_whole(manifest, video_may_be_absent=video_may_be_absent).items():
        records = manifest.records(name)
        if records and all(size != record.bytes for record in records):
            problems.append(_file_problem(manifest.path, name, f"{size:,} bytes", f"{records[0].bytes:,} bytes"))
            continue
        digests[name] = manifest.digest(name)
        if records and all(digests[name] != record.sha256 for record in records):
            problems.append(_file_problem(manifest.path, name, f"SHA-256 {digests[name]}", records[0].sha256))
    if problems:
        raise ManifestError(*problems)
    return digests


def _changed(path: Path) -> NotReadyError:
    return NotReadyError(
        f"{path}: found it changed while it was in use; expected a finished file; wait until it is written, or write "
        "it under another name and rename it"
    )


_ACCEPT = "if it is right, run `attnwatch accept` with the video"
_INCOMPLETE = f"expected a complete file before the manifest; wait, write both again, or {_ACCEPT}"


def require_whole(manifest: Manifest, *, video_may_be_absent: bool) -> dict[str, int]:
    """Return the size in bytes of each present file, without reading any.

    Raises:
        NotReadyError: a file is missing or shorter than listed.

    """
    present = {}
    for name, size in manifest.inputs().items():
        expected = [record.bytes for record in manifest.records(name)]
        if size is None:
            if name == manifest.document.video and video_may_be_absent:
                continue
            raise NotReadyError(f"{manifest.path}: {name} is not there yet; {_INCOMPLETE}")
        if expected and size not in expected and size < max(expected):
            raise NotReadyError(
                f"{manifest.path}: {name} has only {size:,} of {expected[0]:,} bytes so far; {_INCOMPLETE}"
            )
        present[name] = size
    return present


def _inconsistencies(path: Path, document: ManifestDocument) -> Iterable[Problem]:
    if document.video_id and len(document.video_id.encode()) > MAX_ID_BYTES:
        found = f"{len(document.video_id.encode())} bytes"
        yield problem(path, "video_id", found, f"at most {MAX_ID_BYTES} bytes of UTF-8")
    yield from _inconsistent_words(path, "tokens", document.tokens)
    yield from _inconsistent_words(path, "negative_tokens", document.negative_tokens)


def _inconsistent_words(path: Path, listed: str, words: Sequence[TokenRecord]) -> Iterable[Problem]:
    seen: set[str] = set()
    for index, token in enumerate(words):
        place, name, size = f"{listed}[{index}]", token.slug.casefold(), len(token.slug.encode())
        if size > MAX_SLUG_BYTES:
            yield problem(path, f"{place}.slug", f"{size} bytes", f"at most {MAX_SLUG_BYTES} bytes of UTF-8")
        if name in seen:
            yield problem(path, f"{place}.slug", repr(name), "a slug that is unique within the video")
        seen.add(name)
        if token.span and token.span[0] >= token.span[1]:
            yield problem(path, f"{place}.span", str(list(token.span)), "[start, end] with start < end")


def _file_problem(path: Path, name: str, found: str, expected: str) -> Problem:
    remedy = f"the file changed after its manifest was written: write both again, manifest last, or {_ACCEPT}"
    return Problem(file=path, field=f"files[{name!r}]", found=found, expected=expected, remedy=remedy)
