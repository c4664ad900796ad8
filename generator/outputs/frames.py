"""Reads the frames of a video in every form that pipelines and scripts have them in."""

from typing import Any

import numpy as np
from PIL import Image

from generator.errors import VideoError

_BRIGHTEST = 255
_CHANNELS = 3
_AXES = 4
_MARGIN = 0.05
"""How far brightness may leave 0 to 1: sharpening overshoots, and the encoder cuts it off."""
_EXPECTED = "expected one video [frame, height, width, 3], height and width even"


def as_frames(frames: Any) -> np.ndarray:  # noqa: ANN401 - anything that holds frames
    """Return frames as float from 0 to 1, ``[frame, height, width, 3]``.

    Args:
        frames: an array, a tensor (also ``[frame, 3, height, width]``, as pipelines return it with
            ``output_type="pt"``), or a list of images, arrays or tensors; float from 0 to 1, or integers from 0 to 255

    Raises:
        VideoError: for anything else, naming what was found and how to convert it.

    """
    pictures = _array(frames) if isinstance(frames, np.ndarray) or _is_tensor(frames) else _stacked(frames)
    if _is_tensor(frames) and pictures.ndim == _AXES and pictures.shape[1] == _CHANNELS:
        pictures = pictures if pictures.shape[-1] == _CHANNELS else pictures.transpose(0, 2, 3, 1)
    if pictures.size == 0:
        raise VideoError(f"frames: found no frame (shape {list(pictures.shape)}); {_EXPECTED}")
    if pictures.ndim != _AXES or pictures.shape[-1] != _CHANNELS or any(side % 2 for side in pictures.shape[1:3]):
        raise VideoError(
            f"frames: found an array of shape {list(pictures.shape)}; {_EXPECTED}. From a pipeline's output, use "
            "`.frames[0]`"
        )
    return _from_0_to_1(pictures)


def _stacked(frames: Any) -> np.ndarray:  # noqa: ANN401
    if isinstance(frames, str | bytes) or not hasattr(frames, "__iter__"):
        raise VideoError(f"frames: found {type(frames).__name__}; {_EXPECTED}, or a list of images")
    each = [_array(frame) for frame in frames]
    shapes = dict.fromkeys(frame.shape for frame in each)
    if len(shapes) > 1:
        first, second = (list(shape) for shape in list(shapes)[:2])
        raise VideoError(f"frames: found frames of the shapes {first} and {second}; expected one shape for all")
    return np.stack(each) if each else np.zeros((0, 0, 0, _CHANNELS))


def _is_tensor(value: object) -> bool:
    """Whether it is a tensor of torch, without the import of torch, which takes seconds."""
    return hasattr(value, "detach") and hasattr(value, "is_floating_point")


def _array(value: Any) -> np.ndarray:  # noqa: ANN401
    if _is_tensor(value):
        tensor = value.detach().cpu()
        numbers: np.ndarray = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return numbers
    if isinstance(value, Image.Image):
        return np.asarray(value.convert("RGB"))
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise VideoError(f"frames: found a {type(value).__name__} that is no picture ({error}); {_EXPECTED}") from None


def _from_0_to_1(pictures: np.ndarray) -> np.ndarray:
    kind, low, high = pictures.dtype, pictures.min(), pictures.max()
    if np.issubdtype(kind, np.integer) and low >= 0 and high <= _BRIGHTEST:
        return pictures / np.float32(_BRIGHTEST)
    if not np.issubdtype(kind, np.floating):
        raise VideoError(
            f"frames: found {kind} from {low} to {high}; expected float from 0 to 1, or integers from 0 to 255"
        )
    if not np.isfinite(high - low):
        return pictures  # the encoder says what to do about it
    if low < -_MARGIN or high > 1 + _MARGIN:
        advice = {True: "(frames + 1) / 2", False: "frames / 255"}[bool(low < -_MARGIN)]
        raise VideoError(
            f"frames: found {kind} from {low:.3g} to {high:.3g}; expected float from 0 to 1. "
            f"Convert them first, such as with {advice}"
        )
    return pictures
