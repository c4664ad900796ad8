"""Field types and the base class that the documents of the contract share."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from attnwatch.contract.names import MAX_ID_BYTES, MAX_NAME_BYTES

_PATH_PATTERN = r"^(?!/)(?!([^\x00]*/)?\.\.(/|$))[^\x00]+$"
_TENSOR_PATH_PATTERN = rf"^(?:(?:\.\./){{1,2}}attention_maps/)?{_PATH_PATTERN[1:]}"
_NAME_PATTERN = r"^(?!\.{1,2}$)[^/\x00]+$"
_PLAIN_NAME_PATTERN = r"^[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]*$"
_OLDER_TENSORS = re.compile(r"^(\.\./){1,2}attention_maps/")


class Document(BaseModel):
    """Base of the documents: strict about the types of known fields, lenient about unknown ones."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


def _name(name: str) -> str:
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise PydanticCustomError("name", "the name of a file: without '/' and NUL, and neither '.' nor '..'")
    return name


def _plain_name(name: str) -> str:
    if not re.fullmatch(_PLAIN_NAME_PATTERN, name) or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        expected = "the name of a file: without '/' and control characters, not hidden, at most {most} bytes"
        raise PydanticCustomError("plain_name", expected, {"most": MAX_NAME_BYTES})
    return name


def _inside(path: str) -> str:
    """Check a path in Python, as pydantic's regular expressions have no lookahead; name the reason for a refusal."""
    reasons = {
        "is absolute": path.startswith("/"),
        "contains '..'": ".." in path.split("/"),
        "contains a NUL character": "\0" in path,
    }
    for reason, applies in reasons.items():
        if applies:
            expected = "the path of a file inside the manifest's directory, relative to it (this path {reason})"
            raise PydanticCustomError("path", expected, {"reason": reason})
    return path


def _inside_batch(path: str) -> str:
    """Check a path as `_inside` does, but allow `../` to the tensors of an older batch."""
    _inside(_OLDER_TENSORS.sub("", path))
    return path


Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Index = Annotated[int, Field(ge=0, le=2**31 - 1)]

FormatField = Annotated[
    str, Field(pattern=r"^attnwatch/1(\.[0-9]+)?$", description="the version of the contract, 'attnwatch/1'")
]

Identifier = Annotated[str, Field(pattern=r"^[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]*$", max_length=MAX_ID_BYTES)]

Name = Annotated[
    str,
    Field(description="the name of a file in a folder that is known", json_schema_extra={"pattern": _NAME_PATTERN}),
    AfterValidator(_name),
]

PlainName = Annotated[
    str,
    Field(
        description=f"a file name without '/', control characters or leading '.', at most {MAX_NAME_BYTES} bytes",
        json_schema_extra={"pattern": _PLAIN_NAME_PATTERN},
    ),
    AfterValidator(_plain_name),
]

RelativePath = Annotated[
    str,
    Field(
        description="a path inside the manifest's directory, relative to it",
        min_length=1,
        json_schema_extra={"pattern": _PATH_PATTERN},
    ),
    AfterValidator(_inside),
]

TensorPath = Annotated[
    str,
    Field(
        description="a path inside the manifest's directory, or in an older batch's attention_maps, relative to it",
        min_length=1,
        json_schema_extra={"pattern": _TENSOR_PATH_PATTERN},
    ),
    AfterValidator(_inside_batch),
]
