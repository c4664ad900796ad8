"""Measures the videos that are named on the command line, and saves tables of them."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from attnwatch.analysis.extras import extra
from attnwatch.analysis.formats import TableFormat, encoded
from attnwatch.analysis.table import Level, Table
from attnwatch.batches.videos import outputs_of, read_video
from attnwatch.cli.lookup import videos
from attnwatch.config import Settings
from attnwatch.contract.receipts import describe
from attnwatch.errors import AttnwatchError, ConfigError, nearest
from attnwatch.jobs.tables import add_video
from attnwatch.report.log import counted
from attnwatch.system.files import write_file

_log = logging.getLogger(__name__)


def kind_of(given: TableFormat | None, output: Path | None) -> TableFormat:
    """Return the format that was asked for. Raises `ConfigError` if it cannot be known, or cannot be printed."""
    suffixes: dict[str, TableFormat] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
    if output is None:
        if given == "parquet":
            raise ConfigError("--format: found parquet without a file; expected one; for example: -o demo.parquet")
        return given or "csv"
    require_folder("--output", output)
    found = given or suffixes.get(output.suffix.lower())
    if found is None:
        expected = f"one that ends in {', '.join(suffixes)}, or a format"
        raise ConfigError(f"--output: found {output.name}; expected {expected}; add --format csv")
    if found == "parquet":
        for library in ("pandas", "pyarrow"):  # before videos are measured, which may take long
            extra(library)
    return found


def require_folder(flag: str, file: Path) -> None:
    """Check that there is a folder for a file that will be written. Raises `ConfigError` if not."""
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"{flag}: found no folder {file.parent}; expected the folder of {file.name}; create it")


def measured(
    given: Iterable[Path], level: Level, words: tuple[str, ...] | None, settings: Settings
) -> tuple[Table, int, int]:
    """Return the table of some videos, how many videos there are, and how many could not be measured; those are logged.

    Args:
        given: paths as `lookup.videos` takes them.
        level: what a row is.
        words: slugs or texts of the words; None for all.
        settings: those of the command line and the environment; each batch's own count less.

    Raises:
        ConfigError: a path is not that of a video, or no video has one of the words.

    """
    paths = list(dict.fromkeys(path for one in given for path in videos(one)))
    table, found, missed, tracked = Table(), Counter[str](), 0, set[str]()
    for path in paths:
        name = outputs_of(path)[0]
        try:
            manifest = read_video(path)
            name = manifest.video_id
            tracked.update(manifest.document.texts)
            pictures, _ = settings.for_batch(manifest.document.visualization, manifest.path)
            found.update(add_video(table, manifest, level, pictures, words))
        except (AttnwatchError, OSError, MemoryError) as error:
            missed += 1
            _log.error("%s: not measured: %s", name, describe(error))
    for word in words or ():
        _say_if_missing(word, found[word], len(paths) - missed, tracked)
    return table, len(paths), missed


def _say_if_missing(word: str, found: int, measured: int, tracked: set[str]) -> None:
    """Log that some videos do not track a word. Raises `ConfigError` if none does."""
    if not found and measured:
        near = ", ".join(nearest(word, sorted(tracked), most=3, cutoff=0))
        raise ConfigError(f"--words: found no video with {word!r}; expected a tracked word, nearest: {near or 'none'}")
    if found < measured:
        _log.warning("%s: tracked in %s of %s", word, f"{found:,}", counted(measured, "measured video"))


def save_table(table: Table, kind: TableFormat, output: Path) -> None:
    """Write a table to a file. Raises `ConfigError` if that is impossible."""
    try:
        write_file(output.absolute(), encoded(table, kind))
    except OSError as error:
        raise unwritable("--output", output, error) from None
    _log.info("%s: %s of %s", output, counted(table.length, "row"), counted(len(table.columns), "column"))


def unwritable(flag: str, file: Path, error: OSError) -> ConfigError:
    """Return the error for a file that cannot be written."""
    return ConfigError(f"{flag}: found {file} ({error.strerror}); expected a file that can be written; check the path")
