"""`attnwatch measure`: a table of where attention is, from many videos."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from attnwatch.cli.flags import OUTPUT, OUTPUT_FILE, RENDERED_IN, WORDS, ClusterFlags, words_of
from attnwatch.cli.output import FAILED, OK
from attnwatch.errors import ConfigError
from attnwatch.report.log import console, counted, set_up

if TYPE_CHECKING:
    from attnwatch.analysis.formats import TableFormat
    from attnwatch.analysis.table import Level, Table

_NOTHING = ClusterFlags()
_log = logging.getLogger(__name__)


def measure(
    *batches: Path,
    words: Annotated[tuple[str, ...], WORDS] = (),
    level: Annotated[Literal["video", "frame", "step", "head"], Parameter(group=OUTPUT)] = "video",
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["csv", "json", "parquet"] | None, Parameter(name=["--format", "-f"], group=OUTPUT, metavar="FORMAT")
    ] = None,
    output: Annotated[Path | None, OUTPUT_FILE] = None,
    figure: Annotated[Path | None, Parameter(group=OUTPUT, metavar="FILE")] = None,
    rendered_in: Annotated[Path | None, RENDERED_IN] = None,
    flags: ClusterFlags = _NOTHING,
) -> int:
    """Measure where attention is: one table of many videos, a row for each word of each video.

    Each row has the prompt, the choices in the template, seed, model and settings, and the measures of MEASURES.md.
    Videos that cannot be measured are named on stderr, and the exit code is 1.

    Parameters
    ----------
    batches
        Videos, their manifests, folders or batches of them, or patterns of their names such as 'demo/prompt_001_*'.
        They need not have been rendered.
    words
        Measure only these words, separated by commas (default: all).
    level
        `video` (the default): a row for each word, with means over its frames.
        `frame`, `step`, `head`: a row for each of its latent frames, denoising steps, or heads of layers.
    format
        `csv` (the default), `json`, or `parquet`; needless if the file's suffix says it.
    output
        The file to write: CSV, JSON or Parquet, by its suffix (default: print the table, if there is no figure).
    figure
        Draw the table: the focus of layers and heads (`head`), or the overlap of words (`video`), as PNG, PDF or SVG.
    rendered_in
        Folder of outputs, if the watcher was started with `--out`: what it has measured is not measured again.
    flags
        Options that set something.

    """
    if not batches:
        raise ConfigError("found no batch; expected at least one; for example: attnwatch measure demo -o demo.csv")
    from attnwatch.cli.measuring import kind_of, measured, require_figure, save_table  # noqa: PLC0415 - help needs none

    set_up(logging.INFO, console(), "auto")
    kind, settings = kind_of(format, output), flags.settings()
    if figure is not None:
        require_figure(figure)
    (table,), count, missed = measured(batches, [level], words_of(words), settings, rendered_in)
    if table.length and output is not None:
        save_table(table, kind, output)
    if table.length and figure is not None:
        _draw(table, level, figure)
    elif table.length and output is None:
        _print(table, kind)
    if missed:
        _log.error("%s of %s not measured", f"{missed:,}", counted(count, "video"))
    return FAILED if missed else OK


ALL: tuple[Callable[..., int], ...] = (measure,)


def _draw(table: "Table", level: "Level", output: Path) -> None:
    from attnwatch.analysis.matrices import matrices  # noqa: PLC0415
    from attnwatch.cli.measuring import save_figure  # noqa: PLC0415
    from attnwatch.render.charts.matrices import matrices_chart  # noqa: PLC0415

    save_figure(matrices_chart(matrices(list(table.rows()), level)), output)


def _print(table: "Table", kind: "TableFormat") -> None:
    from attnwatch.analysis.formats import write_csv, write_json  # noqa: PLC0415
    from attnwatch.system.display import visible  # noqa: PLC0415

    if kind == "csv":
        write_csv(table, sys.stdout, visible if sys.stdout.isatty() else str)
    else:
        write_json(table, sys.stdout)
