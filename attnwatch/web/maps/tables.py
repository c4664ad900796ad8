"""What the renderer colours maps with, as the page does too."""

import base64
from functools import cache

import numpy as np
from pydantic import BaseModel, ConfigDict

from attnwatch.analysis.named import MEASURES, USUAL
from attnwatch.render.colormap import colormap_rgb
from attnwatch.render.combined.hues import HUES
from attnwatch.render.sheets.pictures import difference_colours
from attnwatch.settings import Visualization

_COLORMAPS = ("viridis", "magma", "inferno", "plasma", "cividis", "turbo", "hot", "gray")
_SETTINGS = {
    "colormap", "overlay", "overlay_alpha", "upsampling", "normalization", "vmin", "vmax", "clip", "invert", "threshold"
}  # fmt: skip


class Tables(BaseModel):
    """Tables and defaults.

    Attributes:
        colormaps: 256 colours of each colormap, as bytes of red, green and blue in base64; the default one first.
        diverging: those of differences, from negative to positive, with zero in the middle.
        hues: of words that are shown together, in order, such as `#ED8D00`.
        settings: the renderer's settings of maps, where nobody has set others.
        measures: how measures are called, and their units, by name; the usual ones first.

    """

    model_config = ConfigDict(frozen=True)

    colormaps: dict[str, str]
    diverging: str
    hues: tuple[str, ...]
    settings: dict[str, object]
    measures: dict[str, dict[str, str]]


@cache
def tables() -> Tables:
    """Return the renderer's own tables."""
    settings = Visualization()
    names = dict.fromkeys([settings.colormap, *_COLORMAPS])
    colours = {name: np.rint(colormap_rgb(name) * 255).astype(np.uint8).tobytes() for name in names}
    return Tables(
        colormaps={name: base64.b64encode(table).decode() for name, table in colours.items()},
        diverging=base64.b64encode(difference_colours().tobytes()).decode(),
        hues=HUES,
        settings=settings.model_dump(mode="json", include=_SETTINGS),
        measures={name: {"label": MEASURES[name].label, "unit": MEASURES[name].unit} for name in [*USUAL, *MEASURES]},
    )
