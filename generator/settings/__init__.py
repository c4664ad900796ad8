"""All settings of the generator: types, defaults and meanings.

Each field's ``description`` is its only wording: ``--help`` and SETTINGS.md are made from it.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, JsonValue

from generator.settings.values import (
    Area,
    Compilation,
    Index,
    Number,
    Paths,
    Positive,
    Seed,
    Word,
    file_name,
    listed,
    no_boolean,
)


def _finite(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse NaN and infinities, which JSON cannot hold."""
    for key, value in values.items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, float) and not isfinite(number) for number in numbers):
            raise ValueError(f"{key}: expected a finite number")
    return values


@dataclass(frozen=True)
class Sampling:
    """Arguments of one pipeline call except prompt and seed. Sizes are in pixels."""

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
    """Shift of the scheduler's noise levels; None: the scheduler's own."""


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(_Block):
    """The model, and where and how it runs."""

    id: str = Field(default="tiny", description="`tiny` (embedded), a folder, or a model on the Hugging Face hub")
    revision: str | None = Field(
        default=None, description="version of a model on the hub: a branch, a tag or a commit; by default the newest"
    )
    lora: Annotated[tuple[Word, ...], BeforeValidator(listed)] = Field(
        default=(),
        description="LoRA to add to the model: a file, a folder, or a repository of the hub (`USER/NAME` or "
        "`USER/NAME/FILE`), and `:WEIGHT` (1 without it)",
    )
    embeddings: Annotated[tuple[Word, ...], BeforeValidator(listed)] = Field(
        default=(),
        description="textual inversion to add to the tokenizer and the text encoder of AnimateDiff: as for `lora`, and "
        "`:TOKEN`, the word that stands for it in prompts (by default as the file says)",
    )
    device: str = Field(default="auto", description="`auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:1`")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="`auto` (bfloat16 on a GPU, float32 on a CPU), `float32`, `bfloat16` or `float16`",
    )
    offload: Literal["none", "model", "sequential"] = Field(
        default="none",
        description="what to move off the device to save memory, at the cost of time: `none`; `model`: all "
        "components except the one in use; `sequential`: all layers except the one in use",
    )
    vae_tiling: bool = Field(default=False, description="decode in tiles: less memory; seams are blended")
    vae_slicing: bool = Field(default=False, description="decode one sample at a time: less memory")
    attention_backend: str | None = Field(
        default=None,
        description="attention kernel by its diffusers name, such as `flash`, `sage` or `_native_cudnn`; by default "
        "torch chooses",
    )
    compile: Compilation = Field(
        default=False,
        description="compile the denoising networks with torch.compile, which takes minutes at the first video and "
        "makes the others faster: `true` (whole networks), `blocks` (their repeated block, in less time), or `false`",
    )


class VideoSettings(_Block):
    """The videos of a batch. None means the value that the model recommends."""

    image: Paths = Field(
        default=(),
        description="image that the videos begin with, for models that make videos from one: a file; or several files "
        "or a folder, of which each prompt is combined with each image",
    )
    last_image: Paths = Field(
        default=(),
        description="image that the videos end with, for models that take one: a file; or as many as `image`, in the "
        "same order",
    )
    images: Literal["crossed", "paired"] = Field(
        default="crossed",
        description="how several images and prompts are combined: `crossed` (each with each), or `paired` (the first "
        "with the first, and so on)",
    )
    width: Positive | None = Field(
        default=None, description="width in pixels; of videos from an image by default as its aspect ratio says"
    )
    height: Positive | None = Field(
        default=None, description="height in pixels; of videos from an image by default as its aspect ratio says"
    )
    max_area: Area | None = Field(
        default=None,
        description="largest number of pixels of a picture whose aspect ratio is that of its image, such as `832x480`; "
        "by default as many as the model recommends",
    )
    frames: Positive | None = Field(default=None, description="frames per video")
    fps: Annotated[Number, Field(gt=0, le=1000)] | None = Field(default=None, description="frames per second")
    steps: Positive | None = Field(default=None, description="denoising steps")
    guidance_scale: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="strength of classifier-free guidance"
    )
    guidance_scale_2: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="strength of guidance in the second network of Wan 2.2; by default `guidance_scale`"
    )
    flow_shift: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="shift of the scheduler's noise levels; by default the scheduler's own"
    )
    negative_prompt: str | None = Field(default=None, description="text to guide away from")
    seed: Seed = Field(
        default=42, description="seed of each prompt's first video; each further video of a prompt adds 1"
    )
    videos_per_variation: Positive = Field(default=1, description="videos per prompt")
    max_variations: Positive | None = Field(default=None, description="use only the first N prompts; by default all")
    sample: Positive | None = Field(
        default=None, description="use a random sample of N prompts instead of the first ones; by default all"
    )
    sample_seed: Seed = Field(
        default=0,
        description="seed of the sample, by default 0; a larger sample with the same seed begins with the smaller one",
    )
    order: Literal["seeds", "prompts"] = Field(
        default="seeds",
        description="order of the videos: `seeds` (the first video of every prompt, then the second ones), so that a "
        "batch that is stopped early has equally many of each; or `prompts` (all videos of a prompt, then the next)",
    )

    def over(self, recommended: Sampling) -> "VideoSettings":
        """Replace every None with the model's recommended value."""
        missing = {key for key in vars(recommended) if getattr(self, key) is None}
        return self.model_copy(update={key: getattr(recommended, key) for key in missing})

    def sampling(self) -> Sampling:
        """Return the arguments of one pipeline call. `over` must have replaced None before."""
        return Sampling(**{key: getattr(self, key) for key in Sampling.__dataclass_fields__})


class AttentionSettings(_Block):
    """Which attention to tracked words is stored, and how."""

    store_attention: bool = Field(default=True, description="store a map for each denoising step")
    store_aggregated_attention: bool = Field(
        default=True, description="store the mean over all denoising steps, layers and heads"
    )
    compress_attention: bool = Field(
        default=False, description="compress tensor files with zstd, as `.safetensors.zst`"
    )
    storage_interval: Positive = Field(default=1, description="store only every Nth denoising step")
    storage_dtype: Literal["float16", "float32"] = Field(
        default="float16", description="precision of the maps for each step: `float16` or `float32`"
    )
    spatial_downsample_factor: Positive = Field(
        default=1, description="divide the height and width of the maps by N, by averaging"
    )
    store_per_block: bool = Field(default=False, description="store each layer instead of the mean over layers")
    store_per_head: bool = Field(default=False, description="store each attention head instead of the mean over heads")
    layers: Annotated[tuple[Index, ...], Field(min_length=1), BeforeValidator(listed)] | None = Field(
        default=None,
        description="record only these text attention layers, counted from 0, such as `0,14,29`; by default all",
    )
    branch: Literal["cond", "uncond", "both"] = Field(
        default="cond", description="branch of classifier-free guidance to record: `cond`, `uncond` or `both`"
    )
    store_reserved: bool = Field(
        default=False, description="also store the attention to padding and to the end-of-text token"
    )
    track: Annotated[tuple[Word, ...], BeforeValidator(listed)] = Field(
        default=(), description="track these words wherever they occur, besides those that the template marks"
    )
    track_negative: Annotated[tuple[Word, ...], BeforeValidator(listed)] = Field(
        default=(),
        description="track these words of the negative prompt, in the unconditional branch, which is recorded for them",
    )
    max_attention_bytes: Annotated[ByteSize, BeforeValidator(no_boolean), Field(ge=1)] = Field(
        default=ByteSize(4 * 2**30),
        description="largest size of one video's maps, such as `2GiB`; checked before generation starts",
    )
    self_check: bool = Field(
        default=False,
        description="recompute a random sample of rows in float64; the manifest records the largest error",
    )

    @property
    def stores_anything(self) -> bool:
        """Whether attention is captured at all."""
        return self.store_attention or self.store_aggregated_attention


class Settings(_Block):
    """All settings of one batch. ``visualization`` is copied into the manifests without being interpreted."""

    model: ModelSettings = ModelSettings()
    video: VideoSettings = VideoSettings()
    attention_analysis: AttentionSettings = AttentionSettings()
    template: str | None = Field(
        default=None, description="prompt template: `[a|b]` are alternatives, `(word)` is tracked"
    )
    prompts: str | None = Field(
        default=None,
        description="file with a template per line (`.txt`), or with the columns prompt, negative, seed and name "
        "(`.csv`, `.jsonl`); instead of `template`",
    )
    batch_name: Annotated[str, AfterValidator(file_name)] = Field(
        default="batch", description="first part of the batch folder's name; the date and time follow"
    )
    output: str = Field(default="outputs", description="folder that holds the batches")
    visualization: Annotated[dict[str, JsonValue], AfterValidator(_finite)] = {}
