"""stub"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """What one call of a pipeline is asked for, beside the prompt and the seed."""

    width: int
    height: int
    frames: int
    fps: float
    steps: int
    guidance_scale: float
    negative_prompt: str = ""


@dataclass(frozen=True)
class ModelSettings:
    id: str = "tiny"
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
