"""Calls a tiny pipeline of any family as a user's script does."""

import sys

import torch
from torch.nn import functional

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


def call(pipe, family, steps=3, **others):
    """Generate a video with the same seed as all others; return its frames."""
    (width, height, frames), _ = SIZES[family]
    given = {
        "prompt": "a romantic kiss",
        "width": width,
        "height": height,
        "num_frames": frames,
        "num_inference_steps": steps,
        "generator": torch.Generator().manual_seed(1),
        "output_type": "np",
        **({"max_sequence_length": 32} if family == "cogvideox" else {}),  # the length of this small model
        **others,
    }
    return pipe(**given).frames[0]


def attributes(pipes):
    """Return everything that capture could leave behind, by place; compare the values by identity."""
    sites = {sys.modules[f"diffusers.models.transformers.transformer_{name}"] for name in ("wan", "ltx")}
    found = {("torch", "attention"): functional.scaled_dot_product_attention}
    found |= {(site.__name__, "attention"): site.dispatch_attention_fn for site in sites}
    for pipe in pipes:
        found[type(pipe).__name__, "call"] = vars(type(pipe)).get("__call__")
        for part in pipe.components.values():
            for module in part.modules() if isinstance(part, torch.nn.Module) else ():
                own = vars(module).items()
                found |= {(id(module), name): value for name, value in own if callable(value) or name == "processor"}
    return found


def differences(before, after):
    """Return the places where two results of `attributes` are not the same objects."""
    return [place for place in before.keys() | after.keys() if before.get(place) is not after.get(place)]
