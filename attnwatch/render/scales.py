"""Measures one colour scale per word over a whole batch, so that prompts can be compared."""

import json
from collections.abc import Iterable
from pathlib import Path

from attnwatch.batches.videos import open_attention, read_video
from attnwatch.errors import AttnwatchError
from attnwatch.render.maps import Scale, ends, part_of
from attnwatch.settings import Visualization
from attnwatch.system.files import write_atomically


def batch_scales(manifests: Iterable[Path], settings: Visualization, cache: Path | None) -> dict[str, Scale]:
    """Return, for each word, the lowest lower end and the highest upper end over all videos.

    Args:
        manifests: manifests of the batch; unreadable ones are skipped here and fail in their own rendering.
        settings: `clip`, `vmin` and `vmax` and the selected steps, layers and heads apply.
        cache: a file to keep the result in; None for no cache.

    """
    known = _read(cache) if cache is not None else None
    found = _measure(manifests, settings) if known is None else known
    if known is None and cache is not None:
        text = json.dumps({slug: [scale.low, scale.high] for slug, scale in found.items()}, sort_keys=True)
        write_atomically(cache, text.encode())
    return found


def _measure(manifests: Iterable[Path], settings: Visualization) -> dict[str, Scale]:
    scales: dict[str, Scale] = {}
    part = part_of(settings)
    for path in manifests:
        try:
            with open_attention(read_video(path)) as reader:
                measured = {slug: ends(word.frames(part), settings) for slug, word in reader.words.items()}
        except (AttnwatchError, OSError):
            continue
        for slug, scale in measured.items():
            known = scales.get(slug, scale)
            scales[slug] = Scale(min(known.low, scale.low), max(known.high, scale.high))
    return scales


def _read(cache: Path) -> dict[str, Scale] | None:
    try:
        return {slug: Scale(low, high) for slug, (low, high) in json.loads(cache.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
