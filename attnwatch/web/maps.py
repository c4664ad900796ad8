"""Maps, colour scales and tables, as the page draws with them."""

import base64
import json
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np

from attnwatch.batches.words import word_named
from attnwatch.contract.manifest import Manifest
from attnwatch.library.maps import open_maps, part_of
from attnwatch.render.colormap import colormap_rgb
from attnwatch.render.combined.hues import HUES
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import Part
from attnwatch.tensors.reduction import Float32Array
from attnwatch.web.documents import ScaleDocument

Steps: TypeAlias = Literal["mean", "each"]

_COLORMAPS = ("hot", "viridis", "magma", "inferno", "plasma", "cividis", "turbo", "gray")


def container(manifest: Manifest, word: str, steps: Steps, layers: str | None, heads: str | None) -> bytes:
    """Return the maps of a word as one binary file: a header in JSON, then halves `[step, frame, y, x]`.

    Args:
        manifest: manifest of the video.
        word: slug of the word.
        steps: their mean, or each of them.
        layers: layers to average; None for all.
        heads: heads to average; None for all.

    Raises:
        UnknownNameError: the video has no such word.
        ConfigError: what is selected is not stored.
        NotReadyError, TensorError, OSError: a file is missing, breaks the contract, or cannot be read.

    """
    part = part_of(None, layers, heads)
    part = Part(None, part.layers, part.heads, masked=True)
    with open_maps(manifest) as reader:
        found = word_named(word, manifest, reader.words)
        maps = found.frames(part)[None] if steps == "mean" else np.stack([step.mean() for step in found.steps(part)])
        numbers = None if steps == "mean" else list(found.step_numbers)
        return _packed(found.slug, maps, numbers)


def _packed(word: str, maps: Float32Array, steps: list[int] | None) -> bytes:
    finite = maps[np.isfinite(maps)]
    factor = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    about = {"format": "attnwatch-maps/1", "word": word, "shape": maps.shape, "steps": steps, "factor": factor}
    header = json.dumps(about).encode()
    header += b" " * (-(len(header) + 4) % 8)
    return len(header).to_bytes(4, "little") + header + (maps / factor).astype("<f2").tobytes()


def scale(manifests: Iterable[Manifest], word: str) -> ScaleDocument:
    """Return the ends of a word's colour scale over several videos; those without the word do not count."""
    low, high = np.inf, -np.inf
    for manifest in manifests:
        with open_maps(manifest) as reader:
            if word in reader.words:
                maps = reader.words[word].frames(Part(masked=True))
                low, high = min(low, float(np.nanmin(maps))), max(high, float(np.nanmax(maps)))
    return ScaleDocument(low=low, high=high) if low <= high else ScaleDocument(low=0.0, high=0.0)


def tables() -> dict[str, Any]:
    """Return the colormaps as 256 RGB bytes each in base64, the hues of words, and the renderer's defaults."""
    colours = {name: np.rint(colormap_rgb(name) * 255).astype(np.uint8).tobytes() for name in _COLORMAPS}
    return {
        "colormaps": {name: base64.b64encode(table).decode() for name, table in colours.items()},
        "hues": HUES,
        "settings": Visualization().model_dump(mode="json"),
    }
