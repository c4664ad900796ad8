"""Measures the videos that are named on the command line, and saves tables of them."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attnwatch.analysis.extras import extra
from attnwatch.analysis.formats import TableFormat, encoded
from attnwatch.analysis.table import Level, Table
from attnwatch.cli.lookup import videos
from attnwatch.config import Settings
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import MeasuresDocument
from attnwatch.contract.names import is_document
from attnwatch.errors import ConfigError
from attnwatch.jobs import open_engine
from attnwatch.jobs.measures import measures_at
from attnwatch.jobs.measuring import MeasuresElsewhere
from attnwatch.jobs.tables import tables_of
from attnwatch.report.log import counted
from attnwatch.settings import Visualization
from attnwatch.system.files import write_file
from attnwatch.system.output_files import require_place, require_suffix, require_writable
from attnwatch.system.refusals import remedy

if TYPE_CHECKING:
    from attnwatch.render.plots.plot import Plot

_log = logging.getLogger(__name__)


def kind_of(given: TableFormat | None, output: Path | None) -> TableFormat:
    """Return the format that was asked for. Raises `ConfigError` if it cannot be known, or cannot be printed."""
    suffixes: dict[str, TableFormat] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
    if output is None:
        if given == "parquet":
            raise ConfigError("--format: found parquet without a file; expected one; for example: -o demo.parquet")
        return given or "csv"
    require_place(output)
    if is_document(output.name):
        raise ConfigError(f"found {output.name}, a name of attnwatch's own documents; expected another name")
    if given is None or output.is_file():  # with a format, a new file may have any name, but nothing else is replaced
        require_suffix(output, tuple(suffixes))
    found = given or suffixes[output.suffix.lower()]
    if found == "parquet":
        for library in ("pandas", "pyarrow"):  # before videos are measured, which may take long
            extra(library)
    return found


def measured(
    given: Iterable[Path],
    levels: Sequence[Level],
    words: tuple[str, ...] | None,
    settings: Settings,
    rendered_in: Path | None = None,
) -> tuple[tuple[Table, ...], int, int]:
    """Return a table for each level, how many videos there are, and how many could not be measured; those are logged.

    Args:
        given: paths as `lookup.videos` takes them.
        levels: what a row of each table is.
        words: slugs or texts of the words; None for all.
        settings: those of the command line and the environment; each batch's own count less.
        rendered_in: folder of outputs, if the videos were rendered with `--out`.

    Raises:
        ConfigError: a path is not that of a video, or there is no such folder.
        UnknownNameError: no video has one of the words.
        EngineError: the cluster that should measure cannot be reached, or has failed.

    """
    if rendered_in is not None and not rendered_in.is_dir():
        raise ConfigError(f"--rendered-in: found no folder {rendered_in}; expected that of the outputs; check the path")
    paths = videos(*given)

    def settings_of(manifest: Manifest) -> Visualization:
        return settings.for_batch(manifest.document.visualization, manifest.path)[0]

    where = None if rendered_in is None else rendered_in.absolute()
    with _measuring(paths, levels, settings, where) as measure:
        tables, missed = tables_of(paths, levels, settings_of, words, measure=measure)
    return tables, len(paths), missed


@contextlib.contextmanager
def _measuring(
    paths: list[Path], levels: Sequence[Level], settings: Settings, rendered_in: Path | None
) -> Iterator[Callable[..., MeasuresDocument]]:
    """Measure in this process, or on the cluster that the settings name."""
    if settings.watcher.engine == "local" or not paths:
        yield partial(measures_at, rendered_in=rendered_in)
        return
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    with open_engine(settings.watcher, lambda: [(folder, False)]) as engine:
        yield MeasuresElsewhere(engine, paths, levels, settings, rendered_in)


def save_table(table: Table, kind: TableFormat, output: Path) -> None:
    """Write a table to a file. Raises `ConfigError` if that is impossible."""
    try:
        write_file(output.absolute(), encoded(table, kind))
    except OSError as error:
        raise unwritable("--output", output, error) from None
    _log.info("%s: %s of %s", output, counted(table.length, "row"), counted(len(table.columns), "column"))


def require_figure(file: Path) -> None:
    """Check that a figure can have this name, and that there is a folder for it. Raises `ConfigError` if not."""
    from attnwatch.render.plots.plot import SUFFIXES  # noqa: PLC0415 - takes half a second

    require_writable(file, SUFFIXES)


def save_figure(plot: "Plot", output: Path) -> None:
    """Write a figure to a file. Raises `ConfigError` if that is impossible."""
    try:
        plot.save(output.absolute())
    except OSError as error:
        raise unwritable("--figure", output, error) from None
    _log.info("%s", output)


def unwritable(flag: str, file: Path, error: OSError) -> ConfigError:
    """Return the error for a file that cannot be written."""
    return ConfigError(f"{flag}: {file} cannot be written ({error.strerror}); {remedy(error)}")
