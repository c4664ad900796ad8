"""Pictures of contact sheets, as RGB: frames, maps over frames as in the overlays, and maps alone."""

import numpy as np
import numpy.typing as npt

from attnwatch.render.colormap import colormap_rgb, yuv_tables
from attnwatch.render.colours import srgb
from attnwatch.render.compose import Enlarged, HeatPainter
from attnwatch.render.overlay import overlay
from attnwatch.render.sheets.moments import Footage
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

Picture = npt.NDArray[np.uint8]

_DIVERGING = "RdBu_r"


def frame_of(footage: Footage) -> Picture | None:
    """Return the middle frame of a video; None if the video is absent."""
    return None if footage.middle is None else srgb(footage.middle, footage.timeline.colours)


def overlaid(footage: Footage, shares: Float32Array, settings: Visualization) -> list[Picture]:
    """Lay maps over the frames at the moments, as in the overlays; maps alone where the video is absent.

    Args:
        footage: the frames.
        shares: positions in the colormap, `[moment, height, width]`, 0..1.
        settings: `overlay`, `overlay_alpha`, `colormap`, `invert` and `upsampling` apply.

    """
    colours = footage.timeline.colours
    tables = yuv_tables(settings.colormap, colours)
    painter = HeatPainter(*footage.size, tables, settings.upsampling)
    laid = overlay(settings.overlay, tables, settings.overlay_alpha, inverted=settings.invert)
    pictures = []
    for frame, share in zip(footage.moments, shares, strict=True):
        enlarged = Enlarged(painter, share)
        shown = painter.coloured(enlarged) if frame is None else laid.over(frame, enlarged)
        pictures.append(srgb(shown, colours))
    return pictures


def alone(footage: Footage, shares: Float32Array, colours: Picture, settings: Visualization) -> list[Picture]:
    """Return maps without frames, in the size of the frames.

    Args:
        footage: tells the size.
        shares: positions among the colours, `[moment, height, width]`, 0..1.
        colours: RGB, `[256, 3]`.
        settings: `upsampling` applies.

    """
    tables = yuv_tables(settings.colormap, footage.timeline.colours)
    painter = HeatPainter(*footage.size, tables, settings.upsampling)
    return [colours[Enlarged(painter, share).greys[0]] for share in shares]


def map_colours(settings: Visualization) -> Picture:
    """Return the colours of maps alone, by position in the colormap: RGB, `[256, 3]`."""
    return _bytes(colormap_rgb(settings.colormap))


def difference_colours() -> Picture:
    """Return the colours of differences, from negative to positive ones, with zero in the middle: RGB, `[256, 3]`."""
    return _bytes(colormap_rgb(_DIVERGING))


def gradient(colours: Picture, size: tuple[int, int]) -> Picture:
    """Return a bar of colours (RGB, `[256, 3]`) from left to right, of a width and height."""
    width, height = size
    columns = (np.arange(width) * len(colours)) // width
    return np.broadcast_to(colours[columns], (height, width, 3))


def _bytes(colours: npt.NDArray[np.float64]) -> Picture:
    return np.rint(255 * colours).astype(np.uint8)
