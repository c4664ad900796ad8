"""Records attention on known scenes: the transformer denoises a half-noised clip once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DiffusionPipeline

from generator.capture.maps import CONDITIONAL
from generator.capture.recorder import capture
from generator.models.families.base import PipelineModel
from generator.models.families.wan import WanModel
from generator.models.tiny import SAMPLING
from generator.prompts.template import Template
from generator.prompts.tokens import locate
from generator.tiny.autoencoder import encode, to_tensor
from generator.tiny.captions import describe, track
from generator.tiny.networks import TEXT_KEYS
from generator.tiny.shapes import Scene, render

HALFWAY = 0.5
"""Noise level at which half of the latent is noise."""


@dataclass(frozen=True)
class Probed:
    """A scene's exact masks, ``[object, frame, y, x]``, and the maps of its words, ``[latent frame, y, x]``."""

    scene: Scene
    masks: np.ndarray
    maps: Mapping[str, np.ndarray]


class Probe:
    """A pipeline that denoises known scenes."""

    def __init__(self, pipe: DiffusionPipeline) -> None:
        self._pipe = pipe
        self._model: PipelineModel = WanModel(pipe, "probed")

    @classmethod
    def of(cls, folder: Path) -> "Probe":
        """Load the pipeline in ``folder``."""
        return cls(DiffusionPipeline.from_pretrained(folder, dtype=torch.float32))

    @torch.no_grad()
    def show(self, scene: Scene, seed: int) -> Probed:
        """Denoise a noised scene once and record the mean attention to its colours and shapes."""
        video, masks = render(scene)
        words = locate(Template(track(scene.things)).variation(1), self._model.clean, self._model.tokenise)
        prompt = describe(scene.things)
        with capture(self._model, words, self._model.grid(SAMPLING), prompts={CONDITIONAL: prompt}) as recorder:
            self._denoise_once(video, prompt, seed)
        maps = recorder.aggregated()
        assert maps is not None  # noqa: S101 - for the type checker; capture raises without maps
        return Probed(scene, masks, {word.text: maps[number].numpy() for number, word in enumerate(words)})

    def _denoise_once(self, video: np.ndarray, prompt: str, seed: int) -> None:
        pipe = self._pipe
        mean, std = (
            torch.tensor(pipe.vae.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std")
        )
        clean = (encode(pipe.vae, to_tensor(video)[None]) - mean) / std
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
        text, _ = pipe.encode_prompt(prompt, do_classifier_free_guidance=False, max_sequence_length=TEXT_KEYS)
        noised = (1 - HALFWAY) * clean + HALFWAY * noise
        with pipe.transformer.cache_context("cond"):
            pipe.transformer(noised, torch.tensor([1000 * HALFWAY]), text, return_dict=False)
