"""`attnwatch measure`: a table of where attention is, from many videos."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from attnwatch.cli.flags import OUTPUT, SELECTION, SettingFlags, words_of
from attnwatch.cli.output import FAILED, OK
from attnwatch.errors import AttnwatchError, ConfigError, nearest
from attnwatch.report.log import console, counted, set_up

if TYPE_CHECKING:
    from attnwatch.analysis.formats import TableFormat
    from attnwatch.analysis.table import Level, Table
    from attnwatch.config import Settings

_NOTHING = SettingFlags()
_log = logging.getLogger(__name__)


def measure(
    *batches: Path,
    words: Annotated[
        tuple[str, ...], Parameter(group=SELECTION, metavar="WORDS", consume_multiple=False, negative="")
    ] = (),
    level: Annotated[Literal["video", "frame", "step", "head"], Parameter(group=OUTPUT)] = "video",
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["csv", "json", "parquet"] | None, Parameter(name=["--format", "-f"], group=OUTPUT, metavar="FORMAT")
    ] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT, metavar="FILE")] = None,
    flags: SettingFlags = _NOTHING,
) -> int:
    """Measure where attention is: one table of many videos, a row for each word of each video.

    Each row has the prompt, what was chosen in each slot of the template, the seed, the model and its settings, and the
    measures that MEASURES.md explains. Videos that cannot be measured are named on stderr, and the exit code is 1.

    Parameters
    ----------
    batches
        Videos, their manifests, folders or batches of them, or patterns of their names such as 'demo/prompt_001_*'.
        They need not have been rendered.
    words
        Measure only these words, separated by commas.
    level
        A row for each word (`video`, the default: means over its frames), or for each of its latent frames (`frame`),
        its denoising steps (`step`), or its layers and heads (`head`).
    format
        `csv` (the default), `json`, or `parquet`; needless if the file's suffix says it.
    output
        The file to write (default: print the table).
    flags
        Options that set something.

    """
    if not batches:
        raise ConfigError("found no batch; expected at least one; for example: attnwatch measure demo -o demo.csv")
    from attnwatch.cli.lookup import videos  # noqa: PLC0415 - help and errors of usage need nothing of it

    set_up(logging.INFO, console(), "auto")
    kind, settings = _kind(format, output), flags.settings()
    paths = list(dict.fromkeys(path for given in batches for path in videos(given)))
    table, missed = _measured(paths, level, words_of(words), settings)
    if table.length:
        _write(table, kind, output)
    if missed:
        _log.error("%s of %s not measured", f"{missed:,}", counted(len(paths), "video"))
    return FAILED if missed else OK


ALL: tuple[Callable[..., int], ...] = (measure,)


def _kind(given: "TableFormat | None", output: Path | None) -> "TableFormat":
    """Return the format that was asked for. Raises `ConfigError` if it cannot be known, or cannot be printed."""
    suffixes: dict[str, TableFormat] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
    if output is None:
        if given == "parquet":
            raise ConfigError("--format: found parquet without a file; expected one; for example: -o demo.parquet")
        return given or "csv"
    if not output.absolute().parent.is_dir():
        raise ConfigError(f"--output: found no folder {output.parent}; expected the folder of {output.name}; create it")
    found = given or suffixes.get(output.suffix.lower())
    if found is None:
        expected = f"one that ends in {', '.join(suffixes)}, or a format"
        raise ConfigError(f"--output: found {output.name}; expected {expected}; add --format csv")
    if found == "parquet":
        from attnwatch.analysis.extras import extra  # noqa: PLC0415

        for library in ("pandas", "pyarrow"):  # before videos are measured, which may take long
            extra(library)
    return found


def _measured(
    paths: Sequence[Path], level: "Level", words: tuple[str, ...] | None, settings: "Settings"
) -> tuple["Table", int]:
    """Return the table of some videos, and how many could not be measured; those are logged."""
    from attnwatch.analysis.table import Table  # noqa: PLC0415
    from attnwatch.batches.videos import outputs_of, read_video  # noqa: PLC0415
    from attnwatch.contract.receipts import describe  # noqa: PLC0415
    from attnwatch.jobs.tables import add_video  # noqa: PLC0415

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
    return table, missed


def _say_if_missing(word: str, found: int, measured: int, tracked: set[str]) -> None:
    """Log that some videos do not track a word. Raises `ConfigError` if none does."""
    if not found and measured:
        near = ", ".join(nearest(word, sorted(tracked), most=3, cutoff=0))
        raise ConfigError(f"--words: found no video with {word!r}; expected a tracked word, nearest: {near or 'none'}")
    if found < measured:
        _log.warning("%s: tracked in %s of %s", word, f"{found:,}", counted(measured, "measured video"))


def _write(table: "Table", kind: "TableFormat", output: Path | None) -> None:
    from attnwatch.analysis.formats import encoded, write_csv, write_json  # noqa: PLC0415
    from attnwatch.system.display import visible  # noqa: PLC0415
    from attnwatch.system.files import write_file  # noqa: PLC0415

    if output is None:
        if kind == "csv":
            write_csv(table, sys.stdout, visible if sys.stdout.isatty() else str)
        else:
            write_json(table, sys.stdout)
        return
    try:
        write_file(output.absolute(), encoded(table, kind))
    except OSError as error:
        raise ConfigError(
            f"--output: found {output} ({error.strerror}); expected a file that can be written; check the path"
        ) from None
    _log.info("%s: %s of %s", output, counted(table.length, "row"), counted(len(table.columns), "column"))
