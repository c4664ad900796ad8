"""Generate configs/attnwatch.1 from the help of the command line (``make man``)."""

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc

from cyclopts import App
from cyclopts.argument import Argument

from attnwatch.cli.app import app
from attnwatch.cli.examples import EXAMPLES, SYNOPSIS

TAIL = r"""
.SH EXIT STATUS
.TP
.B 0
success; also for a watcher that was ended by SIGTERM
.TP
.B 1
a video failed, or a check found a problem
.TP
.B 2
wrong usage or configuration
.TP
.B 130
interrupted by Ctrl+C
.SH ENVIRONMENT
.TP
.BI ATTNWATCH_ NAME
a setting, such as ATTNWATCH_COLORMAP; \(lqattnwatch settings\(rq lists them. A flag counts more, a file less.
.TP
.B NO_COLOR
if set, no colours are used on a terminal
.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
end the watcher within 10 seconds; nothing is left half done
.TP
.B SIGHUP
read the configuration again
"""


def document() -> str:
    """Return the whole page."""
    lines = [
        '.\\" Generated from the help of the command line by "make man"; edit that instead.',
        '.TH ATTNWATCH 1 "" attnwatch "User commands"',
        ".SH NAME",
        r"attnwatch \- render where a text-to-video model attends for each word, as soon as each video is finished",
        ".SH SYNOPSIS",
        *_synopsis(""),
        ".SH DESCRIPTION",
        *_paragraphs(app.help),
        ".SH OPTIONS",
        *_options(app),
        ".SH COMMANDS",
    ]
    for name in filter(None, SYNOPSIS):
        command = app[name]
        lines += [f'.SS "{name}"', *_synopsis(name), ".PP", *_paragraphs(_summary(command)), *_options(command)]
        lines += _examples(name)
    return "\n".join([*lines, ".SH EXAMPLES", *_examples("")]) + TAIL


def _synopsis(name: str) -> Iterator[str]:
    yield ".nf"
    yield from (_safe(line.strip()) for line in SYNOPSIS[name].removeprefix("Usage: ").splitlines())
    yield ".fi"


def _examples(name: str) -> Iterator[str]:
    yield from (".PP", ".nf")
    yield from (_safe(line) for line in EXAMPLES[name].splitlines()[1:])
    yield ".fi"


def _summary(command: App) -> str:
    return cleandoc(command.help).partition("\n\nParameters")[0]  # Python 3.13 has removed the indentation already


def _options(command: App) -> Iterator[str]:
    """Yield what a command takes: what its help lists, or what distinguishes it from the program without a command."""
    arguments = list(command.assemble_argument_collection(parse_docstring=True))
    renders = any(argument.name == "--tokens" for argument in arguments)
    of_the_watcher = {argument.name for argument in app.assemble_argument_collection()}
    for argument in arguments:
        if argument.show and (command is app or not renders or argument.name not in of_the_watcher):
            yield ".TP"
            yield f".B {_safe(_label(argument))}"
            yield from _paragraphs(argument.parameter.help or "")
    if renders and command is not app:
        yield ".PP"
        yield "It also takes the options above that select videos, set something, or are about output."


def _label(argument: Argument) -> str:
    value = argument.parameter.metavar
    names = ", ".join(argument.names)
    return f"{names} {value}" if value and names.startswith("-") else value or names


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        yield _safe(" ".join(paragraph.split()))


def _safe(text: str) -> str:
    """Return a text without what has a meaning in roff; backticks become quotation marks."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    text = re.sub(r"`([^`]*)`", r"\\(lq\1\\(rq", text)
    return rf"\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    sys.stdout.write(document())
