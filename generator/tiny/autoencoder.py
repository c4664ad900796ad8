"""Trains the VAE of the embedded model to reconstruct clips of moving shapes."""

import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from generator.models.tiny import FRAMES, SIZE
from generator.tiny.descent import Descent, Phase
from generator.tiny.shapes import draw_scene, render

STEPS = 1200


class Crop(NamedTuple):
    """Size of the clips until a share ``until`` of the steps; ``size`` is both width and height in pixels."""

    until: float
    clips: int
    frames: int
    size: int


CROPS = (Crop(0.6, 16, 5, 32), Crop(0.9, 6, 9, 40), Crop(1.0, 2, FRAMES, SIZE))

_MARGIN = 16
"""Extra pixels of a scene beyond its crop, so that crops show shapes moving and cut off."""


def train(vae: AutoencoderKLWan, folder: Path, *, seed: int, workers: int, steps: int = STEPS) -> None:
    """Train ``vae`` in place, with checkpoints in ``folder``."""

    def crop(step: int) -> Crop:
        return next(crop for crop in CROPS if step < crop.until * steps)

    def loss_of(step: int, samples: range) -> Tensor:
        clips = (_draw(np.random.default_rng((seed, 0, step, sample)), crop(step)) for sample in samples)
        video = torch.stack([to_tensor(clip) for clip in clips]).to(vae.device)
        error = reconstruct(vae, video) - video
        return error.abs().mean() + 2 * error.square().mean()

    phase = Phase("vae", (vae,), lambda step: crop(step).clips, loss_of, steps, lr=0.01, adam_lr=2e-3)
    Descent(phase, folder, workers).run()


def _draw(rng: np.random.Generator, crop: Crop) -> np.ndarray:
    whole = min(crop.size + _MARGIN, SIZE)
    scene = draw_scene(rng, 2 if whole == SIZE else 1, size=whole, frames=crop.frames)
    video, _ = render(scene, size=whole, frames=crop.frames)
    top, left = rng.integers(whole - crop.size + 1, size=2)
    return video[:, top : top + crop.size, left : left + crop.size]


def to_tensor(video: np.ndarray) -> Tensor:
    """Convert 8-bit ``[frame, y, x, RGB]`` to the VAE's input, ``[RGB, frame, y, x]`` from -1 to 1."""
    return torch.from_numpy(video).permute(3, 0, 1, 2).float() / 127.5 - 1


def reconstruct(vae: AutoencoderKLWan, video: Tensor) -> Tensor:
    """Encode and decode ``[clip, RGB, frame, y, x]``; safe to call from several threads at once."""
    separate = _separate(vae)
    decoded: Tensor = separate.decode(separate.encode(video).latent_dist.mode()).sample
    return decoded


def encode(vae: AutoencoderKLWan, video: Tensor) -> Tensor:
    """Encode ``[clip, RGB, frame, y, x]`` to ``[clip, channel, latent frame, y, x]``."""
    latents: Tensor = _separate(vae).encode(video).latent_dist.mode()
    return latents


def _separate(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """Return a separate object with the same weights: a VAE stores its progress in attributes."""
    return copy.copy(vae)
