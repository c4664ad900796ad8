import numpy as np
import numpy.typing as npt

def add_halves(
    total: npt.NDArray[np.float32], halves: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64], /
) -> bool: ...
def colour(target: npt.NDArray[np.uint8], grey: npt.NDArray[np.uint8], table: bytes, /) -> None: ...
def tint(
    target: npt.NDArray[np.uint8],
    below: npt.NDArray[np.uint8],
    grey: npt.NDArray[np.uint8],
    table: bytes,
    weights: bytes,
    /,
) -> None: ...
