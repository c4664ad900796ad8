"""Text-to-video synthesis of ModelScope and Zeroscope."""

from dataclasses import replace

from diffusers.models.attention_processor import AttnProcessor2_0

from generator.models.contract import Arguments
from generator.models.families.unet import UNetModel
from generator.models.inputs import Takes, Use
from generator.settings import Sampling


class TextToVideoSDModel(UNetModel):
    """The UNet of an image model with layers over time.

    The pipeline does not tell its guidance scale. A batch of two is guided, because there is one prompt.
    """

    processors = (AttnProcessor2_0,)
    over_time = "temp_attentions"

    def is_guided(self) -> bool:
        """Return True."""
        return True

    def _recommended(self) -> Sampling:
        return Sampling(256, 256, 16, 8.0, 50, 9.0)


class VideoToVideoSDModel(TextToVideoSDModel):
    """Beginning with the noised latents of a video."""

    inputs = Takes(video=Use.REQUIRED)
    video_argument = "video"
    _steps: int | None = None

    def sampling_of(self, given: Arguments) -> Sampling:
        """Read the arguments and the size of the video; note the number of steps, which the pipeline does not tell."""
        first = given["video"][0]
        height, width = first.shape[:2] if hasattr(first, "shape") else first.size[::-1]
        sampling = replace(super().sampling_of(given), width=width, height=height)
        self._steps = min(int(sampling.steps * given["strength"]), sampling.steps)
        return sampling

    def announced(self) -> int:
        """Return the number of steps that are left."""
        return super().announced() if self._steps is None else self._steps
