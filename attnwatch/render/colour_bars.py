"""What the colour bars of outputs show: the colours of maps, or what overlays do to the video at each attention."""

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np

from attnwatch.contract.kinds import OutputKind
from attnwatch.render.colormap import YuvTables
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.compose import Enlarged, HeatPainter, pixels
from attnwatch.render.maps import Scale, to_levels
from attnwatch.render.overlay import CONTOURS, overlay
from attnwatch.render.pages.colour_bar import ColourBar, Label
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

_SQUARES = 150, 200  # luma of the squares that stand for the video
_NEUTRAL = 128
UNIT = "attention probability"
_SHORT = "attention"


def colour_bar(kind: OutputKind, scale: Scale, settings: Visualization, tables: YuvTables) -> ColourBar | None:
    """Return the colour bar of an output; None if the settings ask for none.

    Args:
        kind: an overlay, or an output that shows maps.
        scale: attention at the ends of the colormap.
        settings: how outputs look.
        tables: the colormap.

    """
    if not settings.include_colorbar:
        return None
    return ColourBar(_Painted(kind, settings, tables), scale, tuple(_labels(kind, settings)))


@dataclass(frozen=True)
class _Painted:
    """Paints attention as an output shows it."""

    kind: OutputKind
    settings: Visualization
    tables: YuvTables

    def __call__(self, shares: Float32Array, size: tuple[int, int]) -> av.VideoFrame:
        """Paint shares of the scale in a width and height; an overlay lies over squares instead of a video."""
        settings = self.settings
        whole = settings.model_copy(update={"normalization": "video", "vmin": None, "vmax": None})
        levels = to_levels(shares[None], whole, Scale(0, 1)).shares[0]
        painter = HeatPainter(*size, self.tables, settings.upsampling)
        if self.kind is not OutputKind.OVERLAY:
            return painter.paint(levels)
        laid = overlay(settings.overlay, self.tables, settings.overlay_alpha, inverted=settings.invert)
        return laid.over(_squares(*size), Enlarged(painter, levels))


def _squares(width: int, height: int) -> av.VideoFrame:
    """Return light squares, as they usually stand for what is transparent."""
    picture = av.VideoFrame(width, height, PIXEL_FORMAT)
    side = max(2, min(width, height) // 2)
    rows, columns = np.ogrid[:height, :width]
    luma, *chroma = map(pixels, picture.planes)
    luma[:] = np.where((rows // side + columns // side) % 2, *_SQUARES)
    for plane in chroma:
        plane[:] = _NEUTRAL
    return picture


def _labels(kind: OutputKind, settings: Visualization) -> Iterator[Label]:
    """Yield what the scale is about, from the longest wording to the shortest."""
    alpha = f"{100 * settings.overlay_alpha:.0f} %"
    effect = {
        "weighted": f"0–{alpha} opaque",
        "uniform": f"{alpha} opaque",
        "contour": f"lines at {', '.join(f'{100 * share:.0f}' for share in CONTOURS)} %",
        "spotlight": "dark where it is low",
    }
    unit = f"{UNIT}, extremes of all frames" if settings.normalization == "frame" else UNIT
    if kind is OutputKind.OVERLAY:
        yield from (Label(about, effect[settings.overlay]) for about in (unit, UNIT, _SHORT))
    yield from map(Label, (unit, UNIT, _SHORT))
