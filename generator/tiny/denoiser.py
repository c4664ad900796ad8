"""Training of the embedded model's transformer and text encoder, together, by flow matching.

A noised latent is x_s = (1 - s) x_0 + s n, and the transformer is to tell its velocity n - x_0, as in `WanPipeline`.
Nothing here looks at attention maps: what they show is found by the model, not taught.
"""

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

from generator.tiny.autoencoder import encode, to_tensor
from generator.tiny.captions import draw_caption
from generator.tiny.descent import Descent, Phase
from generator.tiny.networks import SCHEDULER, TEXT_KEYS
from generator.tiny.shapes import FRAMES, SIZE, Scene, draw_scene, render

log = logging.getLogger(__name__)

STEPS = 6400
KEYS = 20
"""Keys of text while training: no caption has more tokens. The last one stands for all padding after it."""

TWO_OBJECTS = 0.5


@dataclass(frozen=True)
class Bank:
    """Clips that are encoded once and seen many times, with another noise and another caption each time.

    ``until`` is the share of the steps up to which it is used, ``batch`` the clips of one step.
    """

    until: float
    clips: int
    batch: int
    frames: int
    size: int


BANKS = (Bank(0.375, 4000, 32, 5, 64), Bank(0.445, 2000, 32, 9, 64), Bank(1.0, 4000, 16, FRAMES, SIZE))


def train(pipe: WanPipeline, folder: Path, *, seed: int, workers: int, steps: int = STEPS) -> None:
    """Train the transformer and the text encoder of ``pipe`` in place; its VAE is trained already."""
    banks = [_encoded(pipe.vae, bank, folder, seed=seed, workers=workers) for bank in BANKS]
    _normalise(pipe.vae, [latents for latents, _ in banks])
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

    # Muon's steps would make the encoder's layers so loud that each word hears only itself: attention does not count
    # beside a sum that is hundreds of times as large. A prompt would be a bag of words, and no colour anybody's.
    encoder = {"text_encoder": pipe.text_encoder}
    modules = {"transformer": pipe.transformer}
    phase = Phase(
        "denoiser", modules, batch_of, loss_of, steps, lr=0.02, adam_lr=3e-3, adam_only=encoder, cool_down=0.2
    )
    with short_text(pipe.transformer):
        Descent(phase, folder, workers).run()


class _Drawn(NamedTuple):
    """One sample: which clip, what is said about it, its noise, and where in its share of the noise levels it is."""

    clip: int
    caption: str
    noise: np.ndarray
    spread: float


def _draw(rng: np.random.Generator, scenes: Sequence[Scene], shape: Sequence[int]) -> _Drawn:
    clip = int(rng.integers(len(scenes)))
    caption = draw_caption(rng, scenes[clip])
    return _Drawn(clip, caption, rng.standard_normal(tuple(shape), dtype=np.float32), rng.random())


def _flow_matching_loss(
    pipe: WanPipeline, clean: Tensor, captions: Sequence[str], noise: Tensor, uniform: Tensor
) -> Tensor:
    """Mean squared error of the velocity; noise levels are ``uniform`` ones, spread as the scheduler spreads them."""
    shift, device = SCHEDULER["flow_shift"], pipe.transformer.device
    clean, noise, uniform = clean.to(device), noise.to(device), uniform.to(device)
    sigma = shift * uniform / (1 + (shift - 1) * uniform)
    level = sigma.view(-1, 1, 1, 1, 1)
    noised = (1 - level) * clean + level * noise
    velocity = pipe.transformer(noised, sigma * 1000, embed(pipe, captions), return_dict=False)[0]
    loss: Tensor = (velocity - (noise - clean)).square().mean()
    return loss


def embed(pipe: WanPipeline, captions: Sequence[str]) -> Tensor:
    """Encode captions as the pipeline does, cut to `KEYS` keys: ``[caption, key, channel]``, zero after the end."""
    found = pipe.tokenizer(list(captions), padding="max_length", max_length=KEYS, return_tensors="pt")
    found = found.to(pipe.text_encoder.device)
    states: Tensor = pipe.text_encoder(found.input_ids, found.attention_mask).last_hidden_state
    embedded: Tensor = states * found.attention_mask[..., None]
    return embedded


@contextmanager
def short_text(transformer: WanTransformer3DModel) -> Iterator[None]:
    """Let the transformer take what `embed` returns, with the result of the pipeline's whole text."""
    for block in transformer.blocks:
        block.attn2.set_processor(_ShortTextProcessor())
    try:
        yield
    finally:
        for block in transformer.blocks:
            block.attn2.set_processor(WanAttnProcessor())


class _ShortTextProcessor:
    """Text attention over `KEYS` keys that equals the one over all of the pipeline's `TEXT_KEYS`.

    All padding has one and the same key and value, so n of them are one whose logit is greater by log(n).
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
    """Draw and encode the clips of a bank, or read them if that was done: ``[clip, channel, latent frame, y, x]``."""
    rng = np.random.default_rng((seed, 1, bank.size, bank.frames))
    scenes = [
        draw_scene(rng, 1 + int(rng.random() < TWO_OBJECTS), size=bank.size, frames=bank.frames)
        for _ in range(bank.clips)
    ]
    file = folder / f"latents-{bank.size}x{bank.size}x{bank.frames}.safetensors"
    if not file.exists():
        log.info("encoding %d clips of %d frames, %d x %d", bank.clips, bank.frames, bank.size, bank.size)
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            parts = pool.map(lambda first: _encode(vae, scenes[first : first + 8], bank), range(0, bank.clips, 8))
            save_file({"latents": torch.cat(list(parts))}, file.with_suffix(".tmp"))
        file.with_suffix(".tmp").replace(file)
    return load_file(file)["latents"], scenes


@torch.no_grad()
def _encode(vae: AutoencoderKLWan, scenes: Sequence[Scene], bank: Bank) -> Tensor:
    videos = [render(scene, size=bank.size, frames=bank.frames)[0] for scene in scenes]
    return encode(vae, torch.stack([to_tensor(video) for video in videos]).to(vae.device)).half().cpu()


def _normalise(vae: AutoencoderKLWan, banks: Sequence[Tensor]) -> None:
    """Write mean and standard deviation of each latent channel into the VAE's configuration."""
    channels = banks[-1].float().transpose(0, 1).flatten(1)
    vae.register_to_config(latents_mean=channels.mean(1).tolist(), latents_std=channels.std(1).tolist())
