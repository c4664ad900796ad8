"""Videos whose frames tell their number: each is of one grey."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.support import Batch, blob_maps

GRID = (3, 6, 8)
_FIRST, _STEP = 40, 8  # luma of frame 0, and how much brighter each next one is


def add_numbered(
    batch: Batch, number: int, *, frames: int = 9, rate: int | Fraction = 16, size: tuple[int, int] = (64, 48), **fields
) -> Path:
    """Add a video to a batch whose frames tell their number; return its manifest."""
    words = fields.pop("words", ("kiss",))
    peak = fields.pop("peak", 0.5)
    manifest = batch.add(
        1,
        prompt=number,
        tensors={word: blob_maps(GRID, peak=peak) for word in words},
        video_id=f"prompt_{number:03d}_vid001",
        **fields,
    )
    write_numbered(manifest.with_name("video_001.mp4"), frames, rate, size)
    return manifest


def write_numbered(path: Path, frames: int, rate: int | Fraction, size: tuple[int, int]) -> None:
    """Encode frames of one grey each, without loss."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((size[1] * 3 // 2, size[0]), 128, np.uint8), format="yuv420p")
            frame.planes[0].update(bytes([_FIRST + _STEP * number]) * frame.planes[0].buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def number_of(luma: float) -> int:
    """Return the number of the frame that has this luma."""
    return round((luma - _FIRST) / _STEP)
