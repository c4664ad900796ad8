"""Says what is wrong with a command line in the same form as every other error: found, expected, what to do."""

import re
from collections.abc import Sequence
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
    ValidationError,
)
from cyclopts.validators import Number

from attnwatch.cli.examples import EXAMPLES
from attnwatch.errors import nearest

_EXPECTED = {
    int: "a whole number",
    float: "a number",
    datetime: "a date such as 2025-06-01, or a time such as 2025-06-01T18:30",
}

_ELSEWHERE = {
    "--cluster": "--engine",
    "--debug": "--verbose",
    "--figsize": "--size",
    "--filter": "--batch",
    "--ignore": "--exclude",
    "--jobs": "--workers",
    "--log-level": "--verbose or --quiet",
    "--loglevel": "--verbose or --quiet",
    "--num-workers": "--workers",
    "--outdir": "--out",
    "--output-dir": "--out",
    "--overwrite": "--force",
    "--resolution": "--dpi",
    "--scheduler": "--engine",
    "--silent": "--quiet",
    "--skip": "--exclude",
    "--threads": "--workers",
    "--width": "--size",
}
"""What other programs call our options. A command that lacks the option gets no such hint."""


def described(error: CycloptsError) -> str:
    """Return what is wrong with a command line, and where its help is."""
    command = " ".join(("attnwatch", *(error.command_chain or ())))
    return f"{_about(error, command)}; `{command} --help` explains the options"


_PARAMETER = re.compile(r"^([a-z_]+)(?=: found )", re.MULTILINE)


def with_options(message: str, options: ArgumentCollection, arguments: Sequence[str]) -> str:
    """Return a message of the library with the options of the command line in place of the parameters of a call.

    A message about a parameter begins with its name. An option has the name by which it was given, such as `-m`. A
    setting that was not given as an option keeps its name, because its value is from elsewhere.
    """
    if not _PARAMETER.search(message):
        return message
    from attnwatch.settings import SETTING_NAMES  # noqa: PLC0415

    given = {word.partition("=")[0] for word in arguments}
    known: dict[str, str] = {}
    for option in options:
        used = next((name for name in option.names if name in given), None)
        is_setting = option.field_info.name in SETTING_NAMES
        if used is not None or (option.name.startswith("--") and not is_setting):
            known[option.field_info.name] = used or option.name
    return _PARAMETER.sub(lambda found: known.get(found[1], found[1]), message)


def _about(error: CycloptsError, command: str) -> str:
    if isinstance(error, UnknownOptionError):
        known = [name for argument in error.argument_collection if argument.show for name in argument.names]
        name = error.token.keyword or error.token.value
        meant = _elsewhere(name, known) or nearest(name, known, cutoff=0.7) or _setting(name, error.argument_collection)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        return f"{name}: found an unknown option of `{command}`{hint}"
    if isinstance(error, CoercionError) and error.token is not None and error.argument is not None:
        name = error.token.keyword or error.argument.name.lstrip("-").upper()
        return f"{name}: found {error.token.value!r}; expected {_expected(error.argument.hint)}"
    if isinstance(error, ValidationError) and error.argument is not None and error.argument.tokens:
        given = error.argument.tokens[0]
        return f"{given.keyword}: found {given.value}; expected {_in_range(error.argument)}"
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


def _elsewhere(name: str, known: Sequence[str]) -> list[str]:
    """Return the options, if the command has them, that other programs call so."""
    meant = _ELSEWHERE.get(name.partition("=")[0], "")
    return [meant] if meant and all(option in known for option in meant.split(" or ")) else []


def _setting(name: str, options: ArgumentCollection) -> list[str]:
    """Return how to give a setting of this or a similar name to a command that takes settings; else nothing."""
    if not any("--set" in option.names for option in options):
        return []
    from attnwatch.settings import SETTING_NAMES  # noqa: PLC0415

    wanted = name.lstrip("-").replace("-", "_").replace("colour", "color")
    return [f"--set {found}=VALUE" for found in nearest(wanted, SETTING_NAMES)]


def _in_range(argument: Argument) -> str:
    """Return what an option takes, by its type and its limits."""
    kind, validators = _expected(argument.hint), argument.parameter.validator
    for limits in validators if isinstance(validators, tuple) else ():
        if isinstance(limits, Number) and None not in (limits.gte, limits.lte):
            return f"{kind} from {limits.gte} to {limits.lte}"
    return kind


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
