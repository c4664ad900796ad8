"""AnimateDiff and PIA: the text-to-image UNet of Stable Diffusion with motion modules."""

from diffusers.models.attention_processor import AttnProcessor2_0, FusedAttnProcessor2_0

from generator.errors import ModelError
from generator.models.families.unet import UNetModel
from generator.models.inputs import Takes, Use
from generator.settings import Sampling

NEGATIVE_PROMPT = "bad quality, worse quality"


class AnimateDiffModel(UNetModel):
    """The UNet of an image model with motion modules, which attend to other frames."""

    one_video_per_prompt = True
    processors = (AttnProcessor2_0, FusedAttnProcessor2_0)
    over_time = "motion_modules"

    def clean(self, prompt: str) -> str:
        """Expand the placeholder of a textual inversion into one token per vector, as the pipeline does."""
        expanded: str = self.pipe.maybe_convert_prompt(prompt, self.tokenizer)
        return expanded

    def check(self, sampling: Sampling) -> None:
        """Raise ModelError, also for overlapping windows, and for more frames than the motion modules support."""
        super().check(sampling)
        if getattr(self.pipe, "free_noise_enabled", False):
            raise ModelError(
                f"model {self.name}: FreeNoise computes frames in overlapping windows; capture expects each frame "
                "once. Call disable_free_noise(), or generate without capture"
            )
        most: int = self._network.config.motion_max_seq_length
        if sampling.frames > most:
            raise ModelError(f"frames {sampling.frames}: {self.name} supports at most {most}")

    def passes(self) -> int:
        """Return the iterations of FreeInit, which denoises again with the low frequencies of the result before."""
        return int(self.pipe._free_init_num_iters) if getattr(self.pipe, "free_init_enabled", False) else 1

    def _recommended(self) -> Sampling:
        return Sampling(512, 512, 16, 8.0, 25, 7.5, NEGATIVE_PROMPT)


class AnimateDiffVideoModel(AnimateDiffModel):
    """Beginning with the noised latents of a video."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"


class AnimateDiffControlModel(AnimateDiffModel):
    """With pictures that control each frame, or some."""

    inputs = Takes(video=Use.REQUIRED)


class AnimateDiffPAGModel(AnimateDiffModel):
    """With perturbed-attention guidance, whose sample follows those of both branches."""

    @property
    def extra_samples(self) -> int:  # type: ignore[override]
        """One if the running call uses that guidance."""
        return int(self.pipe.do_perturbed_attention_guidance)


class AnimateDiffSDXLModel(AnimateDiffModel):
    """The UNet of Stable Diffusion XL. Its text is what two encoders make of the same tokens, side by side."""

    def _recommended(self) -> Sampling:
        return Sampling(1024, 1024, 16, 8.0, 20, 8.0, "low quality, worst quality")


class PIAModel(AnimateDiffModel):
    """PIA: animates an image."""

    inputs = Takes(image=Use.REQUIRED)
