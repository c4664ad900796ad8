"""How values of settings are written in flags and environment variables, and how errors and tables describe them."""

import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import ByteSize
from pydantic.fields import FieldInfo

from attnwatch.settings.base import Accepts
from attnwatch.settings.visualization import Choice, Inches

_BETWEEN = re.compile(r"\s*[,x×]\s*")
_NUMBER = re.compile(r"-?\d+(\.\d*)?|-?\.\d+")
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def parse_value(text: str, field: FieldInfo | None = None) -> Any:  # noqa: ANN401 - any YAML value
    """Parse a value as YAML: `5`, `true`, `null`, `[12, 8]`, `viridis`.

    Args:
        text: as it was written.
        field: the setting; one that takes several values needs no brackets: `12,8`, `12x8`, `old_*,#recycle`.

    """
    kinds = [] if field is None else [kind for kind, _ in _kinds(field) if get_origin(kind) is tuple]
    if any(_of_names(kind) for kind in kinds) and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",")]
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str) and kinds:
        parts = _BETWEEN.split(value.strip())
        if len(parts) > 1 and all(map(_NUMBER.fullmatch, parts)):
            return [yaml.safe_load(part) for part in parts]
    return value


def _of_names(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    return _bare(get_args(kind)[0])[0] is str


def accepted(field: FieldInfo) -> str:
    """Return what a setting accepts, such as `a number from 0 to 1, or null`."""
    members = _members(field.annotation)
    said = [note.text for note in field.metadata if isinstance(note, Accepts)]
    if said:
        text = said[0]
    elif set(_members(Choice)) <= set(members):
        text = "a number, a range such as 0-9, or a list of at most 10,000 numbers such as 0,4,9"
    else:
        text = " or ".join(_described(kind, limits) for kind, limits in _kinds(field))
    return f"{text}, or null" if type(None) in members else text


def as_written(value: object) -> str:
    """Return a value as it can be written in a flag: `true`, `null`, `12,8`, `2GiB`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ByteSize):
        size, unit = next(((size, unit) for size, unit in _UNITS if value and value % size == 0), (1, "B"))
        return f"{value // size}{unit}"
    if isinstance(value, list | tuple):
        return ",".join(map(as_written, value)) or "[]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _members(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any annotation
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _kinds(field: FieldInfo) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the types that a setting may have, each with its limits; null is left out."""
    for member in _members(field.annotation):
        kind, limits = _bare(member)
        if kind is not type(None):
            yield kind, [*limits, *field.metadata]


def _bare(hint: Any) -> tuple[Any, list[Any]]:  # noqa: ANN401 - any annotation
    """Return a type without its limits, and the limits."""
    if get_origin(hint) is not Annotated:
        return hint, []
    kind, *notes = get_args(hint)
    return kind, [limit for note in notes for limit in (note.metadata if isinstance(note, FieldInfo) else [note])]


def _described(kind: Any, limits: Iterable[Any]) -> str:  # noqa: ANN401 - any annotation
    if kind is bool:
        return "true or false"
    if kind is ByteSize:
        return "a size such as 500MiB or 2GiB"
    if kind in (int, float):
        return f"{'a whole number' if kind is int else 'a number'}{_range(limits)}"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if get_origin(kind) is tuple:
        each, last = get_args(kind)
        if last is Ellipsis:
            return "a list such as a,b or [a, b]"
        example = "12x8, 12,8 or [12, 8]" if each is Inches else "1,99 or [1, 99]"
        return f"two numbers{_range(_bare(each)[1])}, such as {example}"
    return "a name"


def _range(limits: Iterable[Any]) -> str:
    found = {
        name: value
        for limit in limits
        for name in ("ge", "gt", "le")
        if (value := getattr(limit, name, None)) is not None
    }
    least = f"above {found['gt']:g}" if "gt" in found else f"from {found['ge']:g}" if "ge" in found else ""
    if "le" in found:
        return f" {least} {'and at most' if 'gt' in found else 'to'} {found['le']:g}"
    return f" {least.replace('from', 'of at least')}".rstrip()
