"""Flags as a command line."""

from dataclasses import fields

from attnwatch.cli.app import app
from attnwatch.cli.flags import Flags

GIVEN = [
    *("--force", "--outdated", "--config=a b.yaml", "--workers=3", "--tokens=two men,kiss", "--tokens=-x"),
    *(
        "--set=figsize=12x8",
        "--set=colormap=-hot",
        "--out=there",
        "--since=2025-06-01T12:30:00",
        "--batch=kiss_*",
        "--oldest-first",
    ),
    *("--follow-links", "--verbose", "--quiet", "--log-format=json", "--exclude=old_*"),
]


def parsed(arguments):
    _, bound, _ = app.parse_args(["outputs/", *arguments])
    return bound.arguments.get("flags", Flags())


def test_flags_are_given_again_as_they_were_given():
    flags = parsed(GIVEN)
    unset = [option.name for option in fields(flags) if getattr(flags, option.name) == option.default]
    assert unset == [], "give a value to every flag above"
    assert parsed(flags.as_arguments()) == flags


def test_flags_that_were_not_given_are_left_out():
    assert Flags().as_arguments() == []
