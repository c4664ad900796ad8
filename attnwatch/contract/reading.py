"""Reads the JSON documents of the contract and describes every problem of a malformed one."""

import hashlib
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from attnwatch.errors import ManifestError, Problem, shortened
from attnwatch.system.folders import LinkError, PathError
from attnwatch.system.roots import Root

MAX_DOCUMENT_BYTES = 4 * 2**20
MAX_RECEIPT_BYTES = 16 * 2**20
"""A receipt repeats each path of a manifest twice, with sizes, times and digests; see `attnwatch.contract.receipts`."""
MOST_VALUES = 250_000
"""JSON values in a document: what takes time and memory is not its size but their number."""

_MOST_PROBLEMS = 100
_MOST_OF_A_VALUE = 80  # characters that an error quotes

_Document = TypeVar("_Document", bound=BaseModel)


def read_document(
    path: Path,
    model: type[_Document],
    most: int = MAX_DOCUMENT_BYTES,
    *,
    values: int = MOST_VALUES,
    root: Root | None = None,
) -> tuple[_Document, str]:
    """Read and validate a JSON document of at most `most` bytes; return it with the SHA-256 of its bytes.

    Args:
        path: the document.
        model: what it should be.
        most: its largest size in bytes.
        values: the most JSON values in it.
        root: the folder that was named by the user, from which the document is reached without links; None for its own.

    Raises:
        ManifestError: fields are missing or malformed; lists all of them.
        OSError: the file cannot be read.

    """
    data = read_bytes(path, most, root=root)
    if len(data) > most:
        raise ManifestError(problem(path, "the file itself", f"more than {most:,} bytes", f"at most {most:,} bytes"))
    if most_values_in(data) > values:
        raise ManifestError(problem(path, "the file itself", f"more than {values:,} values", "fewer"))
    try:
        return model.model_validate_json(data.removeprefix(BOM_UTF8)), hashlib.sha256(data).hexdigest()
    except ValidationError as error:
        if error.error_count() > _MOST_PROBLEMS:  # the list of problems would be longer than the document
            found = f"{error.error_count():,} wrong values"
            raise ManifestError(problem(path, "the file itself", found, "a document of the contract")) from None
        raise ManifestError(*(_problem_of(path, model, detail) for detail in error.errors())) from None


def most_values_in(data: bytes) -> int:
    """Return a number of values, objects and lists included, that a JSON document cannot exceed."""
    return 1 + sum(map(data.count, (b",", b"[", b"{")))


def read_bytes(path: Path, most: int = MAX_DOCUMENT_BYTES, *, root: Root | None = None) -> bytes:
    """Read a document, at most one byte beyond `most`; see `read_document`.

    Raises:
        ManifestError: the path is a link, which may lead anywhere, or not a regular file.
        OSError: the file cannot be read.

    """
    try:
        return (root or Root(path.parent)).read(path, most + 1)
    except NotADirectoryError:  # a folder on the way may be a link, for now
        raise
    except PathError as error:
        found = "a link" if isinstance(error, LinkError) else "no regular file"
        raise ManifestError(problem(path, "the file itself", found, "a JSON document")) from None


def _problem_of(path: Path, model: type[BaseModel], detail: Any) -> Problem:  # noqa: ANN401 - pydantic's ErrorDetails
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    if detail["type"] == "json_invalid":
        reason = detail["ctx"]["error"]
        return problem(path, "the file itself", f"invalid JSON ({reason})", "a JSON document in UTF-8")
    known = model.model_fields.get(str(detail["loc"][0])) if detail["loc"] else None
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("Value should ")
    if detail["type"] == "missing":
        found, expected = "nothing", "a value (the field is required)"
    else:
        found = shortened(repr(detail["input"]), _MOST_OF_A_VALUE)
    if field == "format":
        expected = "'attnwatch/1' or 'attnwatch/1.N' (this reader knows major version 1)"
    remedy = f"write {known.description} (see FORMAT.md)" if known and known.description else "see FORMAT.md"
    return Problem(file=path, field=field or "the file itself", found=found, expected=expected, remedy=remedy)


def problem(path: Path, field: str, found: str, expected: str) -> Problem:
    """Return a problem of a document whose remedy is to read the contract."""
    remedy = "see FORMAT.md and `attnwatch schema`"
    return Problem(file=path, field=field, found=found, expected=expected, remedy=remedy)
