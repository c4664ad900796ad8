"""Command line: parses arguments, makes one call, and returns an exit code.

Exit codes: 0 success, 1 a video failed, 2 wrong usage or configuration, 130 interrupted.

The commands import what they need when they run: help and completion need no more than what parses arguments.
"""

import io
import os
import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError, Parameter
from rich.markup import escape

from attnwatch.cli import about, commands, rendering
from attnwatch.cli.output import INTERRUPTED, OK, USAGE
from attnwatch.errors import AttnwatchError
from attnwatch.report.log import STDERR, console
from attnwatch.system.display import visible
from attnwatch.system.font_cache import matplotlib_folder

app = App(
    name="attnwatch",
    help="Render where a text-to-video model attends for each tracked word, as soon as each video is finished.",
    version=lambda: version("attnwatch"),
    version_flags=["--version", "-V"],
    result_action="return_value",
    default_parameter=Parameter(show_default=False),
)
app.default(rendering.watch)
for _command in (*rendering.ALL, *commands.ALL, *about.ALL):
    app.command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8 are printed as they are
    try:
        with matplotlib_folder():
            code = app(arguments, exit_on_error=False, error_console=console())
        sys.stdout.flush()
    except CycloptsError:
        code = USAGE
    except AttnwatchError as error:
        text = "\n".join(map(visible, str(error).split("\n")))
        console().print(f"[red]error:[/red] {escape(text)}", soft_wrap=True)
        code = USAGE
    except BrokenPipeError:  # the reader has stopped reading: `attnwatch outputs --dry-run | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        STDERR.finish()
    sys.exit(code)
