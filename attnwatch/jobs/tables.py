"""Adds videos to a table of measures."""

from collections.abc import Collection

from attnwatch.analysis.table import Level, Table, lacking, rows_of
from attnwatch.batches.targets import batch_of
from attnwatch.batches.videos import why_no_words
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import ConfigError
from attnwatch.jobs.measures import measures_at
from attnwatch.settings import Visualization


def add_video(
    table: Table,
    manifest: Manifest,
    level: Level,
    settings: Visualization,
    words: Collection[str] | None = None,
) -> frozenset[str]:
    """Add the rows of a video to a table; it need not have been rendered.

    Args:
        table: the table.
        manifest: manifest of the video.
        level: what a row is.
        settings: those that apply to the video; `nonfinite` has an effect.
        words: slugs or texts of the words; None for all. Those that the video does not have are left out.

    Returns:
        Those of the given words that the video has.

    Raises:
        ConfigError: it has no word, or what a row is was not stored.
        ContractError, VideoError, OSError: as for `measures_of`.

    """
    document = measures_at(manifest, level, masked=settings.nonfinite == "mask")
    if not document.words:
        raise ConfigError(why_no_words(manifest))
    asked = None if words is None else frozenset(words)
    names = {slug: {slug, word.text} for slug, word in document.words.items()}
    chosen = None if asked is None else frozenset(slug for slug, known in names.items() if known & asked)
    reason = lacking(document, level, chosen)
    if reason is not None:
        raise ConfigError(reason)
    for row in rows_of(document, manifest, batch_of(manifest.path).name, level, chosen):
        table.add(row)
    return frozenset(word for word in asked or () if any(word in known for known in names.values()))
