"""Writes attention maps that a script has computed itself."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from generator.errors import VideoError
from generator.outputs.manifest import FORMAT, Document
from generator.outputs.tensor_file import Stored, write_tensors
from generator.prompts.tokens import unique_slugs

MOST_WORDS = 1000
"""Largest number of words that FORMAT.md allows."""
_AXES = "[step, layer, head, frame, height, width]"
_STEP_AXES, _FRAME_AXES = 6, 3


def check_maps(maps: Mapping[str, np.ndarray]) -> None:
    """Check maps by word, as a video may have them.

    Raises:
        VideoError: for too many words, and for maps of another type or shape, of several grids, or with values that
            no attention has.

    """
    if len(maps) > MOST_WORDS:
        raise VideoError(f"attention: found {len(maps):,} words; expected at most {MOST_WORDS:,}")
    for word, array in maps.items():
        _check_map(word, array)
    grids = {array.shape[-_FRAME_AXES:]: word for word, array in maps.items()}
    if len(grids) > 1:
        shown = ", ".join(f"{list(grid)} of {word!r}" for grid, word in list(grids.items())[:2])
        raise VideoError(f"attention: found the grids {shown}; expected one [frame, height, width] for all words")


def _check_map(word: str, array: np.ndarray) -> None:
    if array.ndim != _STEP_AXES or 0 in array.shape or array.dtype not in (np.float16, np.float32):
        raise VideoError(
            f"attention to {word!r}: found {array.dtype} of shape {list(array.shape)}; expected float16 or float32 "
            f"{_AXES}. Axes that were averaged have length 1"
        )
    if not array.min() >= 0 or not np.isfinite(array.max()):  # also false for NaN
        raise VideoError(
            f"attention to {word!r}: found values from {array.min()} to {array.max()}; expected probabilities, which "
            "are finite and not negative"
        )


def write_maps(path: Path, maps: Mapping[str, np.ndarray]) -> tuple[tuple[Path, ...], list[Document]]:
    """Write maps by word to one tensor file; return its path and ``tokens`` of the manifest, none without words."""
    if not maps:
        return (), []
    slugs = unique_slugs(list(maps))
    tensors = {slug: Stored.whole(array) for slug, array in zip(slugs, maps.values(), strict=True)}
    write_tensors(path, tensors, {"format": FORMAT})
    return (path,), [{"slug": slug, "text": word} for slug, word in zip(slugs, maps, strict=True)]
