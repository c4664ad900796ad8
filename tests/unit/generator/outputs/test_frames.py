"""Frames in every form in which scripts have them: the right pictures, or one sentence that says what to do."""

import numpy as np
import pytest
import torch
from PIL import Image

from generator.errors import VideoError
from generator.outputs.frames import as_frames

FRAMES = np.random.default_rng(0).random((5, 32, 48, 3))
BYTES = (FRAMES * 255).round().astype(np.uint8)
"""With all values from 0 to 255."""

FORMS = {
    "float64": FRAMES,
    "float32": FRAMES.astype(np.float32),
    "float16": FRAMES.astype(np.float16),
    "8 bit": BYTES,
    "int64": BYTES.astype(np.int64),
    "16 bit": BYTES.astype(np.uint16),
    "a list": list(FRAMES),
    "a tuple": tuple(BYTES),
    "a generator": (frame for frame in FRAMES),
    "nested lists": FRAMES.tolist(),
    "a tensor": torch.from_numpy(FRAMES),
    "a bfloat16 tensor": torch.from_numpy(FRAMES).bfloat16(),
    "a tensor with a gradient": torch.from_numpy(FRAMES).requires_grad_(),
    "a tensor of 8 bit": torch.from_numpy(BYTES),
    "channels first": torch.from_numpy(FRAMES).permute(0, 3, 1, 2),
    "a list of tensors": list(torch.from_numpy(FRAMES).half()),
    "images": [Image.fromarray(frame) for frame in BYTES],
    "images with an alpha channel": [Image.fromarray(frame).convert("RGBA") for frame in BYTES],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_frames_in_any_form_are_the_same_pictures(form):
    found = as_frames(form)
    assert found.shape == FRAMES.shape
    assert np.abs(found - FRAMES).max() < 1 / 128


def test_grey_images_are_grey_pictures():
    grey = as_frames([Image.fromarray(frame).convert("L") for frame in BYTES])
    assert grey.shape == FRAMES.shape
    assert np.array_equal(grey[..., 0], grey[..., 2])


def test_values_that_sharpening_drives_over_the_edge_are_accepted():
    assert as_frames(FRAMES * 1.04 - 0.02).max() > 1


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        (FRAMES * 255, r"found float64 from .* to 255; expected float from 0 to 1. Convert them .* frames / 255"),
        (FRAMES * 2 - 1, r"found float64 from -1 to 1; expected float from 0 to 1. Convert .* \(frames \+ 1\) / 2"),
        (BYTES.astype(np.int32) - 300, "found int32 from -300 to -45; expected float from 0 to 1, or integers from 0"),
        (BYTES.astype(np.int32) * 2, "found int32 from 0 to 510; expected"),
        (FRAMES > 0.5, "found bool from False to True; expected float from 0 to 1"),
        (FRAMES * 1j, "found complex128"),
        ([], "found no frame"),
        (FRAMES[:0], "found no frame"),
        (torch.zeros(0, 3, 32, 48), "found no frame"),
        (FRAMES[None], r"shape \[1, 5, 32, 48, 3\]; expected one video .*use `\.frames\[0\]`"),
        (FRAMES[..., 0], r"shape \[5, 32, 48\]"),
        (np.zeros((5, 32, 48, 4)), r"shape \[5, 32, 48, 4\]"),
        (FRAMES[:, :31], "height and width even"),
        ([FRAMES[0], FRAMES[0, :16]], r"frames of the shapes \[32, 48, 3\] and \[16, 48, 3\]; expected one shape"),
        ([[[1, 2], [3]]], "is no picture"),
        (None, "found NoneType; expected one video"),
        ("clip.mp4", "found str; expected one video"),
        (["a.png", "b.png"], r"shape \[2\]; expected one video"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(frames, complaint):
    with pytest.raises(VideoError, match=f"frames: .*{complaint}"):
        as_frames(frames)
