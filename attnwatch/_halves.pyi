import numpy as np
import numpy.typing as npt

def add(total: npt.NDArray[np.float32], halves: npt.NDArray[np.uint16], starts: npt.NDArray[np.int64], /) -> bool: ...
