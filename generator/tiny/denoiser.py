"""Trains the transformer of the embedded model by flow matching, with the text encoder of `generator.tiny.reading`.

A noised latent is x_s = (1 - s) x_0 + s n, and the transformer predicts its velocity n - x_0, as in `WanPipeline`.
Training never uses attention maps: the model learns on its own where each word attends.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import log as natural_log
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanPipeline, WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor
from safetensors.torch import load_file, save_file
from torch import Tensor

from generator.models.tiny import FRAMES, SIZE
from generator.tiny.autoencoder import encode, to_tensor
from generator.tiny.captions import draw_caption, text
from generator.tiny.descent import Descent, Phase
from generator.tiny.networks import SCHEDULER, TEXT_KEYS
from generator.tiny.reading import KEYS, embed
from generator.tiny.shapes import Scene, draw_scene, render

log = logging.getLogger(__name__)

STEPS = 6400
TWO_OBJECTS = 0.65
"""Share of the clips with two objects."""


@dataclass(frozen=True)
class Bank:
    """Clips that are encoded once and used many times, each time with new noise and a new caption.

    It is used until a share ``until`` of the steps, with ``batch`` clips per step.
    """

    until: float
    clips: int
    batch: int
    frames: int
    size: int


BANKS = (Bank(0.4, 4000, 32, 5, 64), Bank(1.0, 4000, 16, FRAMES, SIZE))


def train(pipe: WanPipeline, folder: Path, *, seed: int, workers: int, steps: int = STEPS) -> None:
    """Train the transformer of ``pipe`` in place; its VAE and text encoder must be trained already."""
    banks = [_encoded(pipe.vae, bank, folder, seed=seed, workers=workers) for bank in BANKS]
    _normalise(pipe.vae, banks[-1][0])
    mean, std = (torch.tensor(pipe.vae.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))

    def which(step: int) -> int:
        return next(index for index, bank in enumerate(BANKS) if step < bank.until * steps)

    def loss_of(step: int, samples: range) -> Tensor:
        latents, scenes = banks[which(step)]
        drawn = [_draw(np.random.default_rng((seed, 2, step, sample)), scenes, latents[0].shape) for sample in samples]
        clean = (latents[[one.clip for one in drawn]].float() - mean) / std
        noise = torch.from_numpy(np.stack([one.noise for one in drawn]))
        uniform = [(sample + one.spread) / batch_of(step) for sample, one in zip(samples, drawn, strict=True)]
        return _flow_matching_loss(pipe, clean, [one.caption for one in drawn], noise, torch.tensor(uniform))

    def batch_of(step: int) -> int:
        return BANKS[which(step)].batch

    phase = Phase("denoiser", (pipe.transformer,), batch_of, loss_of, steps, lr=0.02, adam_lr=3e-3)
    with short_text(pipe.transformer):
        Descent(phase, folder, workers).run()


class _Drawn(NamedTuple):
    """One sample: number of the clip, its caption, its noise, and its position within its share of the noise levels."""

    clip: int
    caption: str
    noise: np.ndarray
    spread: float


def _draw(rng: np.random.Generator, scenes: Sequence[Scene], shape: Sequence[int]) -> _Drawn:
    clip = int(rng.integers(len(scenes)))
    caption = text(draw_caption(rng, scenes[clip]))
    return _Drawn(clip, caption, rng.standard_normal(tuple(shape), dtype=np.float32), rng.random())


def _flow_matching_loss(
    pipe: WanPipeline, clean: Tensor, captions: Sequence[str], noise: Tensor, uniform: Tensor
) -> Tensor:
    """Mean squared error of the velocity; the noise levels are ``uniform``, shifted as in the scheduler."""
    shift, device = SCHEDULER["flow_shift"], pipe.transformer.device
    clean, noise, uniform = clean.to(device), noise.to(device), uniform.to(device)
    sigma = shift * uniform / (1 + (shift - 1) * uniform)
    level = sigma.view(-1, 1, 1, 1, 1)
    noised = (1 - level) * clean + level * noise
    with torch.no_grad():
        prompts = embed(pipe, captions)
    velocity = pipe.transformer(noised, sigma * 1000, prompts, return_dict=False)[0]
    loss: Tensor = (velocity - (noise - clean)).square().mean()
    return loss


@contextmanager
def short_text(transformer: WanTransformer3DModel) -> Iterator[None]:
    """Let the transformer take the short text of `embed`, with the same result as for the pipeline's full text."""
    for block in transformer.blocks:
        block.attn2.set_processor(_ShortTextProcessor())
    try:
        yield
    finally:
        for block in transformer.blocks:
            block.attn2.set_processor(WanAttnProcessor())


class _ShortTextProcessor:
    """Cross-attention over `KEYS` keys that equals that over all `TEXT_KEYS` keys of the pipeline.

    All padding tokens have the same key and value, so n of them equal one whose logit is greater by log(n).
    """

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        *_mask_and_rotary: None,
    ) -> Tensor:
        bias = hidden_states.new_zeros(1, 1, 1, KEYS)
        bias[..., -1] = natural_log(TEXT_KEYS - KEYS + 1)
        processor = WanAttnProcessor()
        found: Tensor = processor(attn, hidden_states, encoder_hidden_states, bias, None)
        return found


def _encoded(vae: AutoencoderKLWan, bank: Bank, folder: Path, *, seed: int, workers: int) -> tuple[Tensor, list[Scene]]:
    """Return the encoded clips of a bank, ``[clip, channel, latent frame, y, x]``, from an earlier run if possible."""
    rng = np.random.default_rng((seed, 1, bank.size, bank.frames))
    scenes = [
        draw_scene(rng, 1 + int(rng.random() < TWO_OBJECTS), size=bank.size, frames=bank.frames)
        for _ in range(bank.clips)
    ]
    name = f"latents-{bank.size}x{bank.size}x{bank.frames}-{_digest(vae, scenes)}"
    file = folder / f"{name}.safetensors"
    if not file.exists():
        log.info("Encoding %d clips of %d frames, %d x %d", bank.clips, bank.frames, bank.size, bank.size)
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            parts = pool.map(lambda first: _encode(vae, scenes[first : first + 8], bank), range(0, bank.clips, 8))
            save_file({"latents": torch.cat(list(parts))}, file.with_suffix(".tmp"))
        file.with_suffix(".tmp").replace(file)
    return load_file(file)["latents"], scenes


def _digest(vae: AutoencoderKLWan, scenes: Sequence[Scene]) -> str:
    """Return a digest of scenes and weights, so that encoded clips are never reused for others."""
    digest = hashlib.sha256(repr(scenes).encode())
    for weight in vae.parameters():
        digest.update(weight.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


@torch.no_grad()
def _encode(vae: AutoencoderKLWan, scenes: Sequence[Scene], bank: Bank) -> Tensor:
    videos = [render(scene, size=bank.size, frames=bank.frames)[0] for scene in scenes]
    return encode(vae, torch.stack([to_tensor(video) for video in videos]).to(vae.device)).half().cpu()


def _normalise(vae: AutoencoderKLWan, latents: Tensor) -> None:
    """Write the mean and the standard deviation of each latent channel into the VAE's configuration."""
    channels = latents.float().transpose(0, 1).flatten(1)
    vae.register_to_config(latents_mean=channels.mean(1).tolist(), latents_std=channels.std(1).tolist())
