"""Pictures and videos that pipelines are given."""

import numpy as np
from PIL import Image


def picture(width, height, shade=100):
    """A picture that differs from place to place."""
    rows, columns = np.mgrid[:height, :width]
    values = np.stack([rows * 3 % 256, columns * 5 % 256, np.full_like(rows, shade)], -1)
    return Image.fromarray(values.astype(np.uint8))


def film(width, height, frames):
    """A list of different pictures."""
    return [picture(width, height, 10 * number) for number in range(frames)]
