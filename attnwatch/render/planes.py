"""The memory of a frame's planes as arrays."""

from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane


def samples(plane: VideoPlane, kind: npt.DTypeLike, components: int = 1) -> npt.NDArray[Any]:
    """Return a view of a plane of so many components, `[height, width * components]`, without row padding."""
    values = np.frombuffer(memoryview(plane), kind)
    columns = plane.line_size // values.itemsize
    return values[: plane.height * columns].reshape(plane.height, columns)[:, : plane.width * components]
