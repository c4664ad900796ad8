"""Pages drawn in colours, into which pictures are pasted."""

from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt

from attnwatch.render.colormap import rgb_to_yuv
from attnwatch.render.colours import PIXEL_FORMAT, Colours
from attnwatch.render.compose import pixels
from attnwatch.render.pages.boxes import Box
from attnwatch.render.pages.figure import DPI
from attnwatch.render.pages.page import paste

__all__ = ["DPI", "Box", "Page"]


class Page:
    """A drawn page with boxes for pictures.

    Args:
        rgb: the page, `[height, width, 3]`, 0..1; height and width even.
        boxes: positions of the pictures.
        colours: colours of the frames.

    """

    def __init__(self, rgb: npt.NDArray[np.float64], boxes: Sequence[Box], colours: Colours) -> None:
        self.boxes = tuple(boxes)
        height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
        self.size = width, height
        luma, _, _ = rgb_to_yuv(rgb[:height, :width], colours)
        quarters = rgb[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))
        self._planes = luma, *rgb_to_yuv(quarters, colours)[1:]

    def compose(self, pictures: Sequence[av.VideoFrame]) -> av.VideoFrame:
        """Return the page with a picture in each box."""
        frame = av.VideoFrame(*self.size, PIXEL_FORMAT)
        for plane, drawn in zip(frame.planes, self._planes, strict=True):
            pixels(plane)[:] = drawn
        for box, picture in zip(self.boxes, pictures, strict=True):
            paste(frame, box, picture)
        return frame
