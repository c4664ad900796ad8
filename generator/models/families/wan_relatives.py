"""Models with the architecture of Wan: SkyReels V2, AnyFlow and ChronoEdit."""

from dataclasses import replace
from typing import Any

from diffusers.models.transformers.transformer_anyflow import AnyFlowCrossAttnProcessor
from diffusers.models.transformers.transformer_chronoedit import WanAttnProcessor
from diffusers.models.transformers.transformer_skyreels_v2 import SkyReelsV2AttnProcessor

from generator.errors import ModelError
from generator.models.contract import Arguments
from generator.models.families.wan import WanModel
from generator.models.inputs import Takes, Use
from generator.settings import Sampling


class SkyReelsV2Model(WanModel):
    """SkyReels V2 from text."""

    processors = (SkyReelsV2AttnProcessor,)

    def _recommended(self) -> Sampling:
        return Sampling(960, 544, 97, 24.0, 50, 6.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        arguments = super()._arguments(sampling)
        del arguments["guidance_scale_2"]
        return arguments


class SkyReelsV2ImageModel(SkyReelsV2Model):
    """SkyReels V2 from an image."""

    inputs = Takes(image=Use.REQUIRED, last_image=Use.OPTIONAL)

    def _recommended(self) -> Sampling:
        return replace(super()._recommended(), guidance_scale=5.0)


class SkyReelsV2ForcingModel(SkyReelsV2Model):
    """Diffusion forcing in one window, in which all frames have the same noise level."""

    def sampling_of(self, given: Arguments) -> Sampling:
        """Refuse windows and frames at different noise levels: a latent frame then has no one map in each step."""
        sampling, window = super().sampling_of(given), given.get("base_num_frames") or 0
        if given.get("ar_step"):
            raise ModelError(
                f"ar_step {given['ar_step']}: frames would be at different noise levels in each step; capture expects "
                "the same one. Pass ar_step=0, or generate without capture"
            )
        if given.get("overlap_history") is not None and sampling.frames > window:
            raise ModelError(
                f"num_frames {sampling.frames}: the pipeline would make them in several windows of {window}; capture "
                "expects one. Pass overlap_history=None, or fewer frames, or generate without capture"
            )
        return sampling


class SkyReelsV2ForcingImageModel(SkyReelsV2ForcingModel):
    """The same from an image."""

    inputs = Takes(image=Use.REQUIRED, last_image=Use.OPTIONAL)


class AnyFlowModel(WanModel):
    """AnyFlow from text or from the beginning of a video, in few steps, with guidance distilled into the network."""

    processors = (AnyFlowCrossAttnProcessor,)
    guidance_in_one_batch = True
    inputs = Takes(video=Use.OPTIONAL)

    def _recommended(self) -> Sampling:
        return Sampling(832, 480, 33, 16.0, 4, 1.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        arguments = super()._arguments(sampling)
        del arguments["guidance_scale_2"]
        return arguments


class ChronoEditModel(WanModel):
    """ChronoEdit: changes an image as a video does. The pipeline does not name its calls."""

    processors = (WanAttnProcessor,)
    inputs = Takes(image=Use.REQUIRED)

    def sampling_of(self, given: Arguments) -> Sampling:
        """Refuse steps from which on the frames between are left out; without them, there are 5 frames."""
        sampling = super().sampling_of(given)
        if not given.get("enable_temporal_reasoning"):
            return replace(sampling, frames=5)
        steps = given.get("num_temporal_reasoning_steps") or 0
        if steps < sampling.steps:
            raise ModelError(
                f"num_temporal_reasoning_steps {steps}: the pipeline leaves out frames after these steps; capture "
                f"expects the same frames in all {sampling.steps}. Pass {sampling.steps}, or no temporal reasoning"
            )
        return sampling

    def _recommended(self) -> Sampling:
        return Sampling(1280, 720, 5, 16.0, 50, 5.0)

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        arguments = super()._arguments(sampling)
        del arguments["guidance_scale_2"]
        return arguments
