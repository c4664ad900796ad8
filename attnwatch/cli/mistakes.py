"""Says what is wrong with a command line in the same form as every other error: found, expected, what to do."""

from datetime import datetime
from typing import Literal, get_args, get_origin

from cyclopts import (
    Argument,
    ArgumentCollection,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from attnwatch.cli.examples import EXAMPLES
from attnwatch.errors import nearest

_EXPECTED = {
    int: "a whole number",
    float: "a number",
    datetime: "a date such as 2025-06-01, or a time such as 2025-06-01T18:30",
}


def described(error: CycloptsError) -> str:
    """Return what is wrong with a command line, and where its help is."""
    command = " ".join(("attnwatch", *(error.command_chain or ())))
    return f"{_about(error, command)}; `{command} --help` explains the options"


def _about(error: CycloptsError, command: str) -> str:
    if isinstance(error, UnknownOptionError):
        known = (name for argument in error.argument_collection if argument.show for name in argument.names)
        name = error.token.keyword or error.token.value
        meant = nearest(name, known, cutoff=0.7) or _setting(name, error.argument_collection)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        return f"{name}: found an unknown option of `{command}`{hint}"
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        name = error.token.keyword or error.argument.name.lstrip("-").upper()
        return f"{name}: found {error.token.value!r}; expected {_expected(error.argument.hint)}"
    if isinstance(error, UnusedCliTokensError):
        return f"found {' '.join(error.unused_tokens or ())!r} after what `{command}` takes; expected nothing more"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword}: found more than once; expected it once"
    if isinstance(error, MissingArgumentError) and error.keyword:
        return f"{error.keyword}: found no value; expected one after it"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return _missing(error.argument, command)
    return str(error).rstrip(".")


def _missing(argument: Argument, command: str) -> str:
    """Return that something is missing that a command needs, with an example in which it is given."""
    lines = EXAMPLES[command.rpartition(" ")[2]].splitlines()[1:]
    examples = [line.strip().partition("  ")[0] for line in lines]  # without a comment behind it
    given = next((each for each in examples if any(f" {name} " in each for name in argument.names)), examples[0])
    what = argument.name if argument.name.startswith("-") else argument.name.lower()
    return f"found no {what}; expected one; for example: {given}"


def _setting(name: str, options: ArgumentCollection) -> list[str]:
    """Return how to give a setting of this or a similar name to a command that takes settings; else nothing."""
    if not any("--set" in option.names for option in options):
        return []
    from attnwatch.settings import Visualization, Watcher  # noqa: PLC0415

    wanted = name.lstrip("-").replace("-", "_").replace("colour", "color")
    return [f"--set {found}=VALUE" for found in nearest(wanted, (*Visualization.model_fields, *Watcher.model_fields))]


def _expected(hint: object) -> str:
    """Return what an option takes, by its type."""
    if hint is bool:
        return "no value: the option alone switches it on"
    for kind in (hint, *get_args(hint)):
        if kind in _EXPECTED:
            return _EXPECTED[kind]
        if get_origin(kind) is Literal:
            return f"one of {', '.join(map(str, get_args(kind)))}"
    return "another value"
