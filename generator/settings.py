"""What can be set, and what each setting may be.

Some settings are null by default: the model's own recommended value is taken when the model is known.
"""

import re
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

MAX_NAME_BYTES = 200


def _no_boolean(value: object) -> object:
    """Refuse true and false where a number is expected; Python takes them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - what pydantic turns into a ValidationError
    return value


def file_name(name: str, *, most_bytes: int = MAX_NAME_BYTES) -> str:
    """Return ``name``, unless it cannot be the beginning of a file's name, or would hide it.

    Raises:
        ValueError: says what is expected instead.

    """
    if not re.fullmatch(r"[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]*", name) or len(name.encode()) > most_bytes:
        raise ValueError(f"expected a name of 1 to {most_bytes} bytes without `/`, control characters, a leading `.`")
    return name


def _finite(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse NaN and infinities, which JSON cannot hold."""
    for key, value in values.items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, float) and not isfinite(number) for number in numbers):
            raise ValueError(f"{key}: expected a finite number")
    return values


def _listed(value: object) -> object:
    """Split text at commas, as flags and environment variables have lists."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Whole = Annotated[int, BeforeValidator(_no_boolean)]
Positive = Annotated[Whole, Field(ge=1, le=100_000)]
Index = Annotated[Whole, Field(ge=0, le=100_000)]
Number = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]


@dataclass(frozen=True)
class Sampling:
    """What one call of a pipeline is asked for, beside the prompt and the seed. Sizes are in pixels."""

    width: int
    height: int
    frames: int
    fps: float
    steps: int
    guidance_scale: float
    negative_prompt: str = ""
    guidance_scale_2: float | None = None
    """Guidance of a second network, which denoises at low noise; None: the same."""
    flow_shift: float | None = None
    """Shift of the scheduler's noise levels; None: as the model comes."""


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(_Block):
    """Which model, and where and how it runs."""

    id: str = "tiny"
    revision: str | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    offload: Literal["none", "model", "sequential"] = "none"
    vae_tiling: bool = False
    vae_slicing: bool = False
    attention_backend: str | None = None


class VideoSettings(_Block):
    """What is generated. Null means the model's own recommended value."""

    width: Positive | None = None
    height: Positive | None = None
    frames: Positive | None = None
    fps: Annotated[Number, Field(gt=0, le=1000)] | None = None
    steps: Positive | None = None
    guidance_scale: Annotated[Number, Field(ge=0)] | None = None
    guidance_scale_2: Annotated[Number, Field(ge=0)] | None = None
    flow_shift: Annotated[Number, Field(gt=0)] | None = None
    negative_prompt: str | None = None
    seed: Annotated[Whole, Field(ge=0, le=2**62)] = 42
    videos_per_variation: Positive = 1
    max_variations: Positive | None = None

    def over(self, recommended: Sampling) -> "VideoSettings":
        """Fill in the model's recommended value for everything that is null."""
        missing = {key for key in vars(recommended) if getattr(self, key) is None}
        return self.model_copy(update={key: getattr(recommended, key) for key in missing})

    def sampling(self) -> Sampling:
        """Return what one call of the pipeline is asked for; what the model recommends must be filled in."""
        return Sampling(**{key: getattr(self, key) for key in Sampling.__dataclass_fields__})


class AttentionSettings(_Block):
    """What is kept of the attention to tracked words."""

    store_attention: bool = True
    store_aggregated_attention: bool = True
    compress_attention: bool = False
    storage_interval: Positive = 1
    storage_dtype: Literal["float16", "float32"] = "float16"
    spatial_downsample_factor: Positive = 1
    store_per_block: bool = False
    store_per_head: bool = False
    layers: Annotated[tuple[Index, ...], Field(min_length=1), BeforeValidator(_listed)] | None = None
    branch: Literal["cond", "uncond", "both"] = "cond"
    store_reserved: bool = False
    track: Annotated[
        tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ...], BeforeValidator(_listed)
    ] = ()
    max_attention_bytes: Annotated[ByteSize, BeforeValidator(_no_boolean), Field(ge=1)] = ByteSize(4 * 2**30)
    self_check: bool = False

    @property
    def stores_anything(self) -> bool:
        """Whether attention is captured at all."""
        return self.store_attention or self.store_aggregated_attention


class Settings(_Block):
    """All settings of one batch. ``visualization`` is copied into the manifests and not interpreted."""

    model: ModelSettings = ModelSettings()
    video: VideoSettings = VideoSettings()
    attention_analysis: AttentionSettings = AttentionSettings()
    template: str | None = None
    batch_name: Annotated[str, AfterValidator(file_name)] = "batch"
    output: str = "outputs"
    visualization: Annotated[dict[str, JsonValue], AfterValidator(_finite)] = {}
