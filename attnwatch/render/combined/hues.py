"""The hue of each word: six that are told apart on dark, bright and green footage, with any kind of colour vision.

They are those of Okabe and Ito without blue and black, more saturated because they are seen through the picture, and
moved apart: between any two, CIELAB's difference is 29 or more, also as people without one kind of cone see them.
"""

import numpy as np
import numpy.typing as npt

HUES = ("#ED8D00", "#428DFA", "#EC2DA1", "#FFFF75", "#0BE191", "#E71C38")
"""Orange, azure, magenta, pale yellow, green, red."""


def hues_rgb(count: int) -> npt.NDArray[np.float64]:
    """Return the first hues as sRGB: `[hue, 3]`, 0..1."""
    return np.array([list(bytes.fromhex(hue[1:])) for hue in HUES[:count]]) / 255
