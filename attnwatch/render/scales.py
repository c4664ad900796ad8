"""Measures one colour scale per word over a whole batch, so that prompts can be compared."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from attnwatch.batches.videos import open_attention, read_video
from attnwatch.errors import AttnwatchError
from attnwatch.render.maps import Scale, ends, part_of
from attnwatch.settings import Visualization
from attnwatch.system.folders import Folder
from attnwatch.system.roots import Root

_MOST_BYTES = 2**20  # twice the size for as many words as a video may have


def batch_scales(
    manifests: Iterable[Path], settings: Visualization, root: Root, cache: tuple[Folder, str] | None = None
) -> dict[str, Scale]:
    """Return, for each word, the lowest lower end and the highest upper end over all videos.

    Args:
        manifests: manifests of the batch; unreadable ones are skipped here and fail in their own rendering.
        settings: `clip`, `vmin` and `vmax` and the selected steps, layers and heads apply.
        root: where the manifests are looked up from.
        cache: folder and name of a file to keep the result in; None for no cache.

    """
    known = _read(cache) if cache is not None else None
    found = _measure(manifests, settings, root) if known is None else known
    if known is None and cache is not None:
        text = json.dumps({slug: [scale.low, scale.high] for slug, scale in found.items()}, sort_keys=True)
        folder, name = cache
        folder.write(name, text.encode())
    return found


def _measure(manifests: Iterable[Path], settings: Visualization, root: Root) -> dict[str, Scale]:
    scales: dict[str, list[Scale]] = {}
    part = part_of(settings)
    for path in manifests:
        try:
            with open_attention(read_video(path, root)) as reader:
                found = {slug: ends(word.frames(part), settings) for slug, word in reader.words.items()}
        except (AttnwatchError, OSError):
            continue
        for slug, scale in found.items():
            scales.setdefault(slug, []).append(scale)
    return {slug: widest(measured) for slug, measured in scales.items()}


def widest(scales: Iterable[Scale]) -> Scale:
    """Return the lowest lower end with the highest upper end; 0 and 0 if there are no scales."""
    low, high = np.inf, -np.inf
    for scale in scales:
        low, high = min(low, scale.low), max(high, scale.high)
    return Scale(low, high) if low <= high else Scale(0.0, 0.0)


def _read(cache: tuple[Folder, str]) -> dict[str, Scale] | None:
    folder, name = cache
    try:
        with folder.open_file(name) as file:
            return {slug: Scale(low, high) for slug, (low, high) in json.loads(file.read(_MOST_BYTES)).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
