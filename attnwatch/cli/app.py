"""Command line: parses arguments, makes one call, and returns an exit code.

Exit codes: 0 success, 1 a video failed, 2 wrong usage or configuration, 130 interrupted.

The commands import what they need when they run: help and completion need no more than what parses arguments.
"""

import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Literal

from cyclopts import App, ArgumentCollection, CycloptsError, Group, Parameter
from rich.markup import escape

from attnwatch.cli import about, commands, compare, compose, export, measure, rendering, still, view
from attnwatch.cli.examples import EXAMPLES, SYNOPSIS
from attnwatch.cli.mistakes import described, with_options
from attnwatch.cli.output import INTERRUPTED, OK, USAGE, write
from attnwatch.errors import AttnwatchError, CommandError
from attnwatch.report.log import STDERR, console
from attnwatch.system.display import visible
from attnwatch.system.font_cache import writable_font_folders

_BROKEN = re.compile(r"^( *)((?!--)\S.*)\n\1(?=[^\s-])", re.MULTILINE)  # lines of the same indentation; not a heading's


def _convert_given(_app: App, _commands: Sequence[str], options: ArgumentCollection) -> None:
    """Refuse what was given with a wrong value, before anything that was not given is found missing."""
    for option in options:
        if option.tokens:
            option.convert_and_validate()


app = App(
    name="attnwatch",
    help="Render where a text-to-video model attends for each tracked word, as soon as each video is finished.\n\n"
    "Given folders, attnwatch watches them until it is stopped: it renders every finished video below them, then each "
    "new one.",
    usage=SYNOPSIS[""],
    help_epilogue=EXAMPLES[""],
    help_format="plaintext",
    group_parameters=Group("Options", sort_key=0),
    version=lambda: version("attnwatch"),
    version_flags=["--version", "-V"],
    config=_convert_given,
    result_action="return_value",
    default_parameter=Parameter(show_default=False),
)


def _in_whole_paragraphs(command: Callable[..., int]) -> Callable[..., int]:
    """Join the lines of each paragraph of a docstring, so that help breaks them where the terminal ends."""
    text = command.__doc__ or ""
    while (joined := _BROKEN.sub(r"\1\2 ", text)) != text:
        text = joined
    command.__doc__ = text
    return command


app.default(_in_whole_paragraphs(rendering.watch))


def completion(shell: Literal["bash", "zsh", "fish"] = "bash", /) -> int:
    """Print a script with which the shell completes commands and options when Tab is pressed.

    Parameters
    ----------
    shell
        The shell that the script is for.

    """
    write(app.generate_completion(shell=shell))
    if shell == "zsh":
        write("compdef _cyclopts_attnwatch attnwatch")  # so that the script can be sourced, too
    return OK


_ALL: tuple[Callable[..., int], ...] = (
    *rendering.ALL,
    *compose.ALL,
    *still.ALL,
    *export.ALL,
    *measure.ALL,
    *compare.ALL,
    *view.ALL,
    *commands.ALL,
    *about.ALL,
    completion,
)
for _command in _ALL:
    _name = _command.__name__.strip("_")
    app.command(_in_whole_paragraphs(_command), name=_name, usage=SYNOPSIS[_name], help_epilogue=EXAMPLES[_name])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8 are printed as they are
    try:
        with writable_font_folders():
            code = app(_with_command(arguments), exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        code = _refused(described(error))
    except AttnwatchError as error:
        _, apps, _ = app.parse_commands(arguments)
        options = apps[-1].assemble_argument_collection()
        code = _refused(*with_options(str(error), options, arguments).split("\n"))
        code = error.exit_code if isinstance(error, CommandError) else code
    except BrokenPipeError:  # the reader has stopped reading: `attnwatch outputs --dry-run | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        STDERR.finish()
    sys.exit(code)


def _with_command(arguments: list[str]) -> list[str]:
    """Make options of the words after `--` of `attnwatch run`, which would be taken for further folders."""
    if arguments[:1] != ["run"] or "--" not in arguments:
        return arguments
    at = arguments.index("--")
    return [*arguments[:at], *(f"--command={word}" for word in arguments[at + 1 :])]


def _refused(*problems: str) -> int:
    """Print what is wrong with the command line or the configuration, and return the exit code."""
    for problem in problems:
        console().print(f"[red]error:[/red] {escape(visible(problem))}", soft_wrap=True)
    return USAGE
