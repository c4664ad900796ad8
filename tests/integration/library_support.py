"""Calls a tiny pipeline of any family as a user's script does."""

import torch

from tests import families

SIZES = {  # width, height, frames, and the latent grid
    "wan": ((64, 48, 5), (2, 3, 4)),
    "wan2.2": ((64, 48, 5), (2, 3, 4)),
    "cogvideox": ((64, 48, 9), (3, 3, 4)),
    "ltx": ((96, 64, 17), (3, 2, 3)),
    "hunyuan": ((64, 48, 5), (2, 3, 4)),
    "mochi": ((64, 48, 7), (2, 3, 4)),
    "animatediff": ((64, 40, 3), (3, 5, 8)),
}


def build(family):
    """Build the pipeline of a family as `from_pretrained` returns it."""
    torch.set_num_threads(1)
    pipe = families.build(family)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()  # disables dropout
    return pipe


def call(pipe, family, steps=3, **arguments):
    """Generate a video with the same seed as all others; return its frames."""
    (width, height, frames), _ = SIZES[family]
    usual = {
        "prompt": "a romantic kiss",
        "width": width,
        "height": height,
        "num_frames": frames,
        "num_inference_steps": steps,
        "generator": torch.Generator().manual_seed(1),
        "output_type": "np",
        **({"max_sequence_length": 32} if family == "cogvideox" else {}),  # the length of this small model
    }
    return pipe(**{**usual, **arguments}).frames[0]
