"""Flags as a command line."""

from dataclasses import fields
from pathlib import Path

import pytest

from attnwatch.cli.app import app
from attnwatch.cli.flags import Flags, words_of

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
    *("--engine=dask://h:1", "--path-map=/a=/b"),
]

WRITERS = [
    "outputs/",
    "render a",
    "collect a",
    "compose a",
    "still a",
    "export a",
    "measure a",
    "compare a --by=1",
    "accept a",
]
SELECTORS = [
    "outputs/",
    "still a -o b",
    "render a",
    "collect a",
    "compose a",
    "export a",
    "measure a",
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


@pytest.mark.parametrize("command", WRITERS)
def test_what_is_written_has_the_same_names_in_every_command(command):
    for option in ("--output", "--out", "-o"):
        _, bound, _ = app.parse_args([*command.split(), option, "there"])
        given = bound.arguments.get("output") or bound.arguments.get("out") or bound.arguments["flags"].out
        assert given == Path("there")


@pytest.mark.parametrize("command", SELECTORS)
def test_words_have_the_same_names_in_every_command(command):
    for option in ("--words", "--word"):
        _, bound, _ = app.parse_args([*command.split(), option, "two men,kiss", option, "park"])
        given = bound.arguments.get("words") or bound.arguments["flags"].tokens
        assert words_of(given) == ("two men", "kiss", "park")
