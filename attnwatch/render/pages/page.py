"""Finished pages, into which pictures and numbers are pasted."""

from collections.abc import Sequence

import av
import numpy as np

from attnwatch.render.boxes import Box
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.compose import pixels
from attnwatch.render.pages.canvas import Canvas
from attnwatch.render.pages.counter import Counter

_NEUTRAL = 128


class Page:
    """A drawn page with boxes for pictures and an optional counter.

    Args:
        canvas: what is drawn.
        boxes: where the pictures of each frame belong.
        counter: the numbers that change from frame to frame, drawn on the canvas; None for none.
        fixed: pictures that are the same in every frame, with their boxes.

    Attributes:
        texts: what is written, without the numbers of the counter, with the boxes of its ink.
        drawn: boxes of the fixed pictures.
        counter: the numbers that change; None if there are none.

    """

    def __init__(
        self,
        canvas: Canvas,
        boxes: Sequence[Box],
        counter: Counter | None = None,
        fixed: Sequence[tuple[Box, av.VideoFrame]] = (),
    ) -> None:
        self.boxes = tuple(boxes)
        self.size = canvas.size
        self.texts = tuple(canvas.texts)
        self.drawn = tuple(box for box, _ in fixed)
        self.counter = counter
        width, height = canvas.size
        self._background = av.VideoFrame(width, height, PIXEL_FORMAT)
        luma, *chroma = map(pixels, self._background.planes)
        np.copyto(luma, canvas.luma)
        for plane in chroma:
            plane[:] = _NEUTRAL
        for box, picture in fixed:
            _paste(self._background, box, picture)

    def compose(self, pictures: Sequence[av.VideoFrame], **numbers: float) -> av.VideoFrame:
        """Return the page with a picture in each box and, if it has a counter, the numbers of the frame by name."""
        frame = av.VideoFrame(*self.size, PIXEL_FORMAT)
        for plane, drawn in zip(frame.planes, self._background.planes, strict=True):
            np.copyto(pixels(plane), pixels(drawn))
        for box, picture in zip(self.boxes, pictures, strict=True):
            _paste(frame, box, picture)
        if self.counter is not None:
            self.counter.write(pixels(frame.planes[0]), numbers)
        return frame


def _paste(frame: av.VideoFrame, box: Box, picture: av.VideoFrame) -> None:
    """Put a picture into a box of a frame."""
    for plane, source in zip(frame.planes, picture.planes, strict=True):
        subsampling = frame.width // plane.width
        left, top = box.left // subsampling, box.top // subsampling
        part = pixels(source)[: box.height // subsampling, : box.width // subsampling]
        pixels(plane)[top : top + part.shape[0], left : left + part.shape[1]] = part
