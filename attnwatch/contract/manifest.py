"""Reader of the on-disk contract (FORMAT.md): manifests, and the files that they name."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from attnwatch.contract.documents import ManifestDocument
from attnwatch.contract.names import MAX_ID_BYTES, MAX_SLUG_BYTES, default_video_id
from attnwatch.contract.stamps import Stamp, file_digest, required_stamp, sizes
from attnwatch.errors import ManifestError, NotReadyError, Problem
from attnwatch.system.files import read_regular

BATCH_FILE = "batch.json"
OUTPUT_DIRECTORY = "attention_videos"
TENSOR_DIRECTORY = "attention_maps"

MAX_DOCUMENT_BYTES = 4 * 2**20
_MOST_PROBLEMS = 100

_Document = TypeVar("_Document", bound=BaseModel)


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read, with its paths made safe; or what stands for one in an older batch (`legacy`).

    Attributes:
        path: the manifest itself; in an older batch, the folder of the video's tensors.
        document: its content.
        sha256: digest of its bytes.
        folder: where the paths in it start from.
        video: absolute path of the video; it may be absent.
        attention: absolute paths of the tensor files, in step order; in an older batch, of folders of such files.
        output_directory: where the attention videos and the receipt of this video go.
        finished_by: what says that the video is finished: the manifest does by being there; a `summary` or mere
            `quiet` do when nothing has changed for a while.
        notes: what was found wanting when it was read, for the receipt.

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

    @cached_property
    def video_id(self) -> str:
        """The stem of all output names."""
        return self.document.video_id or default_video_id(self.path)

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of the video and the tensor files, as the manifest gives them."""
        return (self.document.video, *self.document.attention)

    def stamps(self) -> dict[str, Stamp | None]:
        """Return the stamps of the video and each tensor file, None where absent, by relative path."""
        return {
            name: required_stamp(path) for name, path in zip(self.names, (self.video, *self.attention), strict=True)
        }

    def inputs(self) -> dict[str, int | None]:
        """Return the size in bytes of the video and each tensor file, None where absent, by relative path."""
        return sizes(self.stamps())


def read_manifest(path: Path) -> Manifest:
    """Read and validate one manifest; the files that it names need not exist.

    Raises:
        ManifestError: for each field that is missing or malformed, and each path that is refused.
        OSError: when the manifest itself cannot be read.

    """
    document, digest = read_document(path, ManifestDocument)
    problems: list[Problem] = []
    paths: list[Path] = []
    fields = [("video", document.video), *((f"attention[{i}]", p) for i, p in enumerate(document.attention))]
    for field, name in fields:
        try:
            paths.append(locate(path, field, name))
        except ManifestError as error:
            problems.extend(error.problems)
    problems.extend(_inconsistencies(path, document))
    if problems:
        raise ManifestError(*problems)
    return Manifest(
        path=path,
        document=document,
        sha256=digest,
        folder=path.parent,
        video=paths[0],
        attention=tuple(paths[1:]),
        output_directory=path.parent / OUTPUT_DIRECTORY,
    )


def read_document(path: Path, model: type[_Document]) -> tuple[_Document, str]:
    """Read one JSON document of the contract; return it with the SHA-256 of its bytes.

    Raises:
        ManifestError: naming every field that is missing or malformed.
        OSError: when the file cannot be read.

    """
    data = read_bytes(path)
    if len(data) > MAX_DOCUMENT_BYTES:
        size = f"more than {MAX_DOCUMENT_BYTES:,} bytes"
        raise ManifestError(_problem(path, "the file itself", size, f"at most {MAX_DOCUMENT_BYTES:,} bytes"))
    try:
        return model.model_validate_json(data), hashlib.sha256(data).hexdigest()
    except ValidationError as error:
        if error.error_count() > _MOST_PROBLEMS:  # a list of them would be longer than any document
            found = f"{error.error_count():,} wrong values"
            raise ManifestError(_problem(path, "the file itself", found, "a document of the contract")) from None
        raise ManifestError(*(_problem_of(path, model, detail) for detail in error.errors())) from None


def read_bytes(path: Path) -> bytes:
    """Read a document, up to one byte more than one may have.

    Raises:
        ManifestError: it is no regular file, or a link, which may lead anywhere.
        OSError: it cannot be read.

    """
    try:
        data = read_regular(path, MAX_DOCUMENT_BYTES + 1, follow=False)
        found = "no regular file"
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        data, found = None, "a link"
    if data is not None:
        return data
    raise ManifestError(_problem(path, "the file itself", found, "a JSON document"))


def locate(manifest: Path, field: str, name: str) -> Path:
    """Return the absolute path of a file that a manifest names; the file may be absent.

    Raises:
        ManifestError: the path leaves the manifest's directory through a link, or is not a regular file.

    """
    problem = _path_problem(manifest.parent, name)
    if problem:
        expected = "the path of a regular file inside the manifest's directory, relative to it"
        raise ManifestError(
            Problem(
                file=manifest,
                field=field,
                found=f"{name!r} ({problem})",
                expected=expected,
                remedy=_PATH_REMEDY,
            )
        )
    return manifest.parent / name


_PATH_REMEDY = "keep the file beside the manifest and write its relative path"


def _path_problem(directory: Path, name: str) -> str | None:
    way_up, _, below = name.rpartition("../")
    if way_up or name.startswith("../"):  # to the tensors of an older batch; nothing else gets as far as this
        return _folder_problem(directory / f"{way_up}..", below)
    try:
        if _has_link(directory, name) and not _stays_inside(directory, name):
            return "leaves the directory through a link"
        mode = os.stat(directory / name).st_mode  # noqa: PTH116 - beside os.lstat
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    return None if stat.S_ISREG(mode) else "not a regular file"


def _folder_problem(batch: Path, name: str) -> str | None:
    if not (batch / name).exists():
        return None
    return None if (batch / name).is_dir() and _stays_inside(batch, name) else "not a folder of the batch"


def _has_link(directory: Path, name: str) -> bool:
    """Tell whether a relative path goes through a link; resolving every path of a scan would take most of its time."""
    path = str(directory)
    for part in name.split("/"):
        path = f"{path}/{part}"
        if stat.S_ISLNK(os.lstat(path).st_mode):
            return True
    return False


def _stays_inside(directory: Path, name: str) -> bool:
    base = os.path.realpath(directory)
    return os.path.commonpath([base, os.path.realpath(directory / name)]) == base


def verify(manifest: Manifest, *, video_may_be_absent: bool) -> dict[str, str]:
    """Compare the files with what the manifest says of them; return the SHA-256 of each that is there.

    Args:
        manifest: what to verify.
        video_may_be_absent: accept that the video is not there; rendering goes on without an overlay.

    Raises:
        NotReadyError: a file is missing, or shorter than listed.
        ManifestError: a listed file is longer than listed, or its digest differs.

    """
    digests, problems = {}, []
    for name, size in require_whole(manifest, video_may_be_absent=video_may_be_absent).items():
        record = manifest.document.files.get(name)
        if record is not None and size != record.bytes:
            problems.append(_file_problem(manifest.path, name, f"{size:,} bytes", f"{record.bytes:,} bytes"))
            continue
        digests[name] = file_digest(manifest.folder / name)
        if record is not None and digests[name] != record.sha256:
            problems.append(_file_problem(manifest.path, name, f"SHA-256 {digests[name]}", record.sha256))
    if problems:
        raise ManifestError(*problems)
    return digests


_TO_COME = "expected all of it before the manifest; wait, or write both again"


def require_whole(manifest: Manifest, *, video_may_be_absent: bool) -> dict[str, int]:
    """Return the sizes of the files that are there; refuse, without reading any, if one is still to come.

    Raises:
        NotReadyError: a file is missing, or shorter than listed.

    """
    present = {}
    for name, size in manifest.inputs().items():
        record = manifest.document.files.get(name)
        if size is None:
            if name == manifest.document.video and video_may_be_absent:
                continue
            raise NotReadyError(f"{manifest.path}: {name} is not there yet; {_TO_COME}")
        if record and size < record.bytes:
            raise NotReadyError(f"{manifest.path}: {name} has {size:,} of {record.bytes:,} bytes yet; {_TO_COME}")
        present[name] = size
    return present


def _inconsistencies(path: Path, document: ManifestDocument) -> Iterable[Problem]:
    if document.video_id and len(document.video_id.encode()) > MAX_ID_BYTES:
        found = f"{len(document.video_id.encode())} bytes"
        yield _problem(path, "video_id", found, f"at most {MAX_ID_BYTES} bytes of UTF-8")
    seen: set[str] = set()
    for index, name in enumerate(token.slug.casefold() for token in document.tokens):
        if len(document.tokens[index].slug.encode()) > MAX_SLUG_BYTES:
            found = f"{len(document.tokens[index].slug.encode())} bytes"
            yield _problem(path, f"tokens[{index}].slug", found, f"at most {MAX_SLUG_BYTES} bytes of UTF-8")
        if name in seen:
            yield _problem(path, f"tokens[{index}].slug", repr(name), "a slug that no other token of the video has")
        seen.add(name)
    for index, token in enumerate(document.tokens):
        if token.span and token.span[0] >= token.span[1]:
            yield _problem(path, f"tokens[{index}].span", str(list(token.span)), "[start, end] with start < end")


def _problem_of(path: Path, model: type[BaseModel], detail: Any) -> Problem:  # noqa: ANN401 - pydantic's ErrorDetails
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    if detail["type"] == "json_invalid":
        reason = detail["ctx"]["error"]
        return _problem(path, "the file itself", f"invalid JSON ({reason})", "a JSON document in UTF-8")
    known = model.model_fields.get(str(detail["loc"][0])) if detail["loc"] else None
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value should ")
    if detail["type"] == "missing":
        found, expected = "nothing", "a value (the field is required)"
    else:
        found = _shorten(repr(detail["input"]))
    if field == "format":
        expected = "'attnwatch/1' or 'attnwatch/1.N' (this reader knows major version 1)"
    remedy = f"write there {known.description} (FORMAT.md)" if known and known.description else "see FORMAT.md"
    return Problem(file=path, field=field or "the file itself", found=found, expected=expected, remedy=remedy)


def _problem(path: Path, field: str, found: str, expected: str) -> Problem:
    remedy = "see FORMAT.md and `attnwatch schema`"
    return Problem(file=path, field=field, found=found, expected=expected, remedy=remedy)


def _file_problem(path: Path, name: str, found: str, expected: str) -> Problem:
    remedy = "the file changed after its manifest was written: write both again, manifest last"
    return Problem(file=path, field=f"files[{name!r}]", found=found, expected=expected, remedy=remedy)


def _shorten(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
