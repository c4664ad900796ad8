"""Makes tables of the measures of videos."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from attnwatch.analysis.table import Level, Table, lacking, rows_of
from attnwatch.batches.targets import batch_of
from attnwatch.batches.videos import outputs_of, read_video, why_no_words
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.measures_document import MeasuresDocument
from attnwatch.contract.receipts import describe
from attnwatch.errors import AttnwatchError, ConfigError, UnknownNameError, nearest
from attnwatch.jobs.measures import measures_at
from attnwatch.settings import Visualization

_log = logging.getLogger(__name__)


def tables_of(
    paths: Sequence[Path],
    levels: Sequence[Level],
    settings_of: Callable[[Manifest], Visualization],
    words: Collection[str] | None = None,
    *,
    measure: Callable[..., MeasuresDocument] = measures_at,
) -> tuple[tuple[Table, ...], int]:
    """Return a table for each level of some videos, and how many could not be measured for all; the log says why.

    Each video is read once.

    Args:
        paths: what identifies each video; see `find_videos`.
        levels: what a row of each table is.
        settings_of: returns the settings that apply to a video.
        words: slugs or texts of the words; None for all.
        measure: measures a video, as `measures_at` does.

    Raises:
        UnknownNameError: no video has one of the words.

    """
    tables: dict[Level, Table] = {level: Table() for level in levels}
    found, missed, tracked = Counter[str](), defaultdict[str, list[str]](list), set[str]()
    for path in paths:
        name = outputs_of(path)[0]
        try:
            manifest = read_video(path)
            name = manifest.video_id
            tracked.update(manifest.document.texts)
            found.update(add_video(tables, manifest, settings_of(manifest), words, measure=measure))
        except (AttnwatchError, OSError, MemoryError) as error:
            missed[describe(error)].append(name)
    count = sum(map(len, missed.values()))
    for reason, names in missed.items():
        others = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        _log.error("%s%s: not measured: %s", names[0], others, reason)
    for word in words or ():
        _say_if_missing(word, found[word], len(paths) - count, tracked)
    return tuple(tables.values()), count


def _say_if_missing(word: str, found: int, measured: int, tracked: set[str]) -> None:
    """Log that some videos do not track a word. Raises `UnknownNameError` if none does."""
    if not found and measured:
        near = ", ".join(nearest(word, sorted(tracked), most=3, cutoff=0)) or "none"
        raise UnknownNameError(f"found no video with the word {word!r}; expected a tracked word, nearest: {near}")
    if found < measured:
        _log.warning("%s: tracked in %s of %s measured videos", word, f"{found:,}", f"{measured:,}")


def add_video(
    tables: Mapping[Level, Table],
    manifest: Manifest,
    settings: Visualization,
    words: Collection[str] | None = None,
    *,
    measure: Callable[..., MeasuresDocument] = measures_at,
) -> frozenset[str]:
    """Add the rows of a video to tables; it need not have been rendered.

    Args:
        tables: by what a row is.
        manifest: manifest of the video.
        settings: those that apply to the video; `nonfinite` has an effect.
        words: slugs or texts of the words; None for all. Those that the video does not have are left out.
        measure: measures it, as `measures_at` does.

    Returns:
        Those of the given words that the video has.

    Raises:
        ConfigError: it has no word, or what a row of one of the tables is was not stored; the others have its rows.
        ContractError, VideoError, OSError: as for `measures_of`.

    """
    document = measure(manifest, *tables, masked=settings.nonfinite == "mask")
    if not document.words:
        raise ConfigError(why_no_words(manifest))
    asked = None if words is None else frozenset(words)
    names = {slug: {slug, word.text} for slug, word in document.words.items()}
    chosen = None if asked is None else frozenset(slug for slug, known in names.items() if known & asked)
    batch = batch_of(manifest.path).name
    for level, table in tables.items():
        for row in rows_of(document, manifest, batch, level, chosen):
            table.add(row)
    for reason in filter(None, (lacking(document, level, chosen) for level in tables)):
        raise ConfigError(reason)
    return frozenset(word for word in asked or () if any(word in known for known in names.values()))
