"""Checks values against the settings' models; every wrong one is reported, with its source and what is accepted."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from attnwatch.errors import ConfigError, did_you_mean, shortened
from attnwatch.settings.values import accepted

_MOST_OF_A_VALUE = 200  # characters that a message quotes
_Result = TypeVar("_Result")


def validated(
    model: type[BaseModel],
    values: dict[str, Any],
    prefix: str,
    spell: Callable[[str], str] = str,
    known: list[str] | None = None,
) -> dict[str, Any]:
    """Check the values against the model; return them without each null that means the same as absent.

    Args:
        model: the model of the settings.
        values: values by name of the setting.
        prefix: where they are from, for errors.
        spell: returns the name of a setting as it is written there.
        known: names to suggest for an unknown one; None for all of the model.

    Raises:
        ConfigError: values are wrong, or names unknown; one line for each.

    """
    values = {name: value for name, value in values.items() if value is not None or _means_something(model, name)}
    try:
        model.model_validate(values)
    except ValidationError as error:
        by_setting = {detail["loc"][:1]: detail for detail in reversed(error.errors())}
        problems = (_problem(model, values, detail, spell, known) for detail in reversed(by_setting.values()))
        raise ConfigError("\n".join(f"{prefix}{problem}" for problem in problems)) from None
    return values


def together(*readers: Callable[[], _Result]) -> list[_Result]:
    """Return what the readers return.

    Raises:
        ConfigError: the errors of all of them, one line for each.

    """
    found: list[_Result] = []
    problems: list[str] = []
    for read in readers:
        try:
            found.append(read())
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return found


def quoted(value: object) -> str:
    """Return a value as a message quotes it."""
    return shortened(repr(value), _MOST_OF_A_VALUE)


def _problem(
    model: type[BaseModel],
    values: Mapping[str, Any],
    detail: ErrorDetails,
    spell: Callable[[str], str],
    known: list[str] | None,
) -> str:
    if not detail["loc"]:
        return f"found values that do not go together; expected {detail['msg']}"
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return f"{spell(name)}: found an unknown setting; {did_you_mean(name, known or list(model.model_fields))}"
    field = model.model_fields[name]
    expected = detail["msg"] if detail["type"] == "colormap" else accepted(field)
    found = quoted(values.get(name, detail["input"]))
    return f"{spell(name)}: found {found}; expected {expected}; meaning: {field.description}"


def _means_something(model: type[BaseModel], name: str) -> bool:
    """Whether null is a valid value of a setting; true for unknown names, so that they are reported."""
    field = model.model_fields.get(name)
    return field is None or type(None) in get_args(field.annotation)
