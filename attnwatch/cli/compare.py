"""`attnwatch compare`: how attention differs between two choices of a template, in numbers."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from attnwatch.cli.flags import OUTPUT, OUTPUT_FILE, RENDERED_IN, SELECTION, PictureFlags, words_of
from attnwatch.cli.output import FAILED, OK
from attnwatch.errors import ConfigError
from attnwatch.report.log import console, counted, set_up

if TYPE_CHECKING:
    from attnwatch.analysis.comparison import Comparison
    from attnwatch.analysis.courses import Over
    from attnwatch.analysis.table import Level, Table
    from attnwatch.render.plots.plot import Plot

_NOTHING = PictureFlags()
_log = logging.getLogger(__name__)


def compare(
    *batches: Path,
    by: Annotated[str, Parameter(group=SELECTION, metavar="SLOT")],
    word: Annotated[str | None, Parameter(group=SELECTION, metavar="WORD")] = None,
    measures: Annotated[
        tuple[str, ...],
        Parameter(name=["--measure", "-m"], group=SELECTION, metavar="MEASURES", consume_multiple=False, negative=""),
    ] = (),
    output: Annotated[Path | None, OUTPUT_FILE] = None,
    figure: Annotated[Path | None, Parameter(group=OUTPUT, metavar="FILE")] = None,
    over: Annotated[Literal["time", "steps"] | None, Parameter(group=OUTPUT)] = None,
    rendered_in: Annotated[Path | None, RENDERED_IN] = None,
    flags: PictureFlags = _NOTHING,
) -> int:
    """Compare where attention is between the choices in one bracket of the template, between models, images or batches.

    Videos of the same seed are pairs.
    Told of every two choices and each measure: the mean difference with its 95 % interval, effect size and p-value.
    The p-value is that of a permutation test, corrected for everything that was asked (Holm).
    It ends with a sentence for a paper about each. MEASURES.md explains all figures.

    Parameters
    ----------
    batches
        Videos, their manifests, folders or batches of them, or patterns of their names such as 'demo/prompt_001_*'.
        They need not have been rendered.
    by
        What differs: the number of a bracket of the template, from 1; `model`; `image`; or `batch`.
    word
        The word to follow: text, slug, or `slot:1` for that in bracket 1 (default: the only one that all videos have).
    measures
        Measures, separated by commas (default: mass,concentration,spread,speed).
        Each further one makes the correction stricter for all.
    output
        Also write the results as a table to this file: CSV, JSON or Parquet, by its suffix.
    figure
        Draw the seeds of each choice beside the differences: PNG, PDF or SVG, by its suffix.
    over
        Let the figure show how the measures of a map go over time, or over the denoising steps.
        Each choice has a line, with the 95 % interval of its mean.
    rendered_in
        Folder of outputs, if the watcher was started with `--out`: what it has measured is not measured again.
    flags
        Options that set something.

    """
    if not batches:
        raise ConfigError("found no batch; expected at least one; for example: attnwatch compare demo --by 1")
    from attnwatch.analysis.comparison import compare as compared  # noqa: PLC0415 - help needs nothing of it
    from attnwatch.analysis.courses import LEVELS  # noqa: PLC0415
    from attnwatch.analysis.extras import extra  # noqa: PLC0415
    from attnwatch.analysis.named import USUAL  # noqa: PLC0415
    from attnwatch.analysis.records import table_of  # noqa: PLC0415
    from attnwatch.cli.comparing import show_comparison  # noqa: PLC0415
    from attnwatch.cli.measuring import kind_of, measured, require_figure, save_figure, save_table  # noqa: PLC0415

    set_up(logging.INFO, console(), "auto")
    extra("scipy.stats")  # before videos are measured, which may take long
    kind = kind_of(None, output)
    if figure is not None:
        require_figure(figure)
    elif over is not None:
        raise ConfigError(f"--over: found {over} without a figure; expected one; for example: --figure {over}.pdf")

    levels: list[Level] = ["video"] if over is None else ["video", LEVELS[over]]
    tables, count, missed = measured(batches, levels, None, flags.settings(), rendered_in)
    comparison = compared(list(tables[0].rows()), by, word=word, measures=words_of(measures) or USUAL)
    show_comparison(comparison)
    if output is not None:
        save_table(table_of(comparison), kind, output)
    if figure is not None:
        save_figure(_chart(comparison, over, tables[-1]), figure)
    if missed:
        _log.error("%s of %s not measured", f"{missed:,}", counted(count, "video"))
    return FAILED if missed else OK


def _chart(comparison: "Comparison", over: "Over | None", table: "Table") -> "Plot":
    """Return the figure of a comparison, or of how its measures go over time or steps, which are in a table."""
    from attnwatch.analysis.courses import courses  # noqa: PLC0415
    from attnwatch.render.charts.comparison import comparison_chart  # noqa: PLC0415
    from attnwatch.render.charts.courses import courses_chart  # noqa: PLC0415

    if over is None:
        return comparison_chart(comparison)
    measures = [measure.name for measure in comparison.measures]
    followed = courses(list(table.rows()), comparison.by, over, word=comparison.word.name, measures=measures)
    for note in followed.notes:
        _log.warning("%s", note)
    return courses_chart(followed)


ALL: tuple[Callable[..., int], ...] = (compare,)
