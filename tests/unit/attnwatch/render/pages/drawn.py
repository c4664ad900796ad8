"""What tests of pages share: pictures, a colour bar, and what is wrong with a page."""

from itertools import combinations

import av
import numpy as np
from av.video.reformatter import Colorspace

from attnwatch.render.boxes import Box
from attnwatch.render.colormap import yuv_tables
from attnwatch.render.colours import Colours
from attnwatch.render.compose import HeatPainter, pixels
from attnwatch.render.maps import Scale
from attnwatch.render.pages.colour_bar import ColourBar, Label

LABELS = (Label("attention probability", "0–80 % opaque"), Label("attention probability"), Label("attention"))
_LATIN = "two men kissing in the rain under a red umbrella while the city lights shimmer behind them, "
_CHINESE = "两个男人在雨中接吻，城市的灯光在他们身后闪烁。"


def painted(shares, size):
    return HeatPainter(*size, yuv_tables("gray", Colours.of_matrix(Colorspace.ITU601))).paint(shares)


def bar(low=0.0, high=0.0123):
    return ColourBar(painted, Scale(low, high), LABELS)


def title(characters, *, chinese=False):
    """Return a title with a prompt of so many characters."""
    text = _CHINESE if chinese else _LATIN
    return f"“kiss” in “{(text * characters)[:characters]}”"


TITLES = [title(length, chinese=chinese) for chinese in (False, True) for length in (20, 150, 600)]


def flat(box, level):
    frame = av.VideoFrame(box.width, box.height, "yuv420p")
    for plane, value in zip(frame.planes, (level, 90, 200), strict=True):
        pixels(plane)[:] = value
    return frame


def luma(frame):
    return pixels(frame.planes[0]).astype(int)


def faults(page):
    """Return what is cut by the edges of a page, and what covers something else."""
    numbers = [] if page.counter is None else page.counter.cells
    texts = [*page.texts, *((number.name, _around(cells)) for number, cells in numbers)]
    shown = [*texts, *(("picture", box) for box in page.boxes), *(("bar", box) for box in page.drawn)]
    whole = Box(0, 0, *page.size)
    cut = [f"{name} is cut" for name, box in shown if not whole.contains(box)]
    covered = [f"{one[0]} covers {other[0]}" for one, other in combinations(shown, 2) if one[1].overlaps(other[1])]
    return cut + covered


def _around(cells):
    return Box(cells[0].left, cells[0].top, cells[-1].right - cells[0].left, cells[0].height)


def composed(page, **numbers):
    """Return the luma of a page with grey pictures."""
    return luma(page.compose([flat(box, 77) for box in page.boxes], **numbers)).astype(np.int64)
