"""What can be set, with defaults and meanings; the README's table is checked against it."""

import os
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from attnwatch.errors import nearest

Quality = Literal["fast", "balanced", "high"]
Inches = Annotated[float, Field(ge=1, le=100)]
Percentile = Annotated[float, Field(ge=0, le=100)]


# Which of an axis: one number, a range with both ends such as "0-9", or a list.
Choice = Annotated[int, Field(strict=True)] | Annotated[str, Field(pattern=r"^\d+-\d+$")] | tuple[int, ...]
Rate = Annotated[float, Field(ge=0.1, le=240)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_boolean(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever was given
        """Refuse true and false where something else is expected; Python takes them for 1 and 0."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise PydanticCustomError("boolean", "a value that is not true or false")
        return value


class Visualization(_Settings):
    """What is rendered, and how it looks. A batch may ask for these in its manifests."""

    auto_generate_per_video: bool = Field(default=True, description="render each video as soon as it is finished")
    auto_generate_videos: bool = Field(
        default=False, description="collect all attention videos of a batch in one folder when the batch has ended"
    )
    generate_attention_only: bool = Field(default=True, description="make `..._attention.mp4`: the map alone")
    generate_overlay: bool = Field(default=True, description="make `..._overlay.mp4`: the map over the source video")
    generate_aggregated: bool = Field(
        default=True, description="make `..._static.mp4`: the mean over time, as a still picture"
    )
    generate_step_evolution: bool = Field(
        default=False, description="make `..._evolution.mp4`: the map after each denoising step, one after the other"
    )
    colormap: str = Field(default="hot", description="any matplotlib colormap")
    overlay_alpha: Share = Field(
        default=0.6, description="share of the map in the overlay: 0 shows the source alone, 1 the map alone"
    )
    normalization: Literal["video", "frame", "batch"] = Field(
        default="video",
        description="what the colormap spans: the values of the `video`, of each `frame`, or of the word in the whole "
        "`batch` (in its collection only, which `auto_generate_videos` or `attnwatch collect` makes; beside the "
        "videos, `vmin` and `vmax` can stand in for it)",
    )
    vmin: float | None = Field(default=None, description="attention value of the colormap's lower end; null: measured")
    vmax: float | None = Field(default=None, description="attention value of the colormap's upper end; null: measured")
    clip: tuple[Percentile, Percentile] | None = Field(
        default=None, description="percentiles that measured ends are taken from, such as [1, 99]; null: the extremes"
    )
    invert: bool = Field(default=False, description="let the colormap's lower end stand for the highest attention")
    threshold: Share = Field(default=0.0, description="show attention below this share of the scale like the lowest")
    interpolation_steps: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description="values between two latent frames: null is smooth, 0 holds each latent frame, n makes n in between",
    )
    steps: Choice | None = Field(
        default=None,
        description="denoising steps to average: null for all (the stored mean, where there is one), "
        "one (`-1`: the last), `0-9`, or a list",
    )
    layers: Choice | None = Field(default=None, description="layers to average, likewise, where they are stored")
    heads: Choice | None = Field(default=None, description="attention heads to average, likewise")
    figsize: tuple[Inches, Inches] | None = Field(
        default=None,
        description="width and height in inches at 100 dpi: attention-only and static videos become figures with a "
        "title, a frame counter and a colorbar; null: the plain map at the size of the video",
    )
    include_colorbar: bool = Field(default=True, description="draw the colorbar in figures")
    static_duration: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=3.0, description="length of the static video in seconds"
    )
    fps: Rate | None = Field(
        default=None, description="frames per second of the outputs, for the same duration; null: as the video"
    )
    quality: Quality = Field(default="balanced", description="encoder effort and size: `fast`, `balanced` or `high`")
    per_video_fps: Rate | None = Field(default=None, description="`fps` of what is rendered per video; null: `fps`")
    per_video_quality: Quality | None = Field(
        default=None, description="`quality` of what is rendered per video; null: `quality`"
    )
    batch_fps: Rate | None = Field(default=None, description="`fps` of the collection at the end; null: `fps`")
    batch_quality: Quality | None = Field(
        default=None, description="`quality` of the collection at the end; null: `quality`"
    )
    visualization_timeout: Annotated[float, Field(gt=0, le=86400)] = Field(
        default=120.0, description="seconds that rendering one video may take"
    )
    fail_on_visualization_error: bool = Field(
        default=False, description="stop at the first video that cannot be rendered (exit code 1) instead of going on"
    )

    @field_validator("colormap")
    @classmethod
    def _is_a_colormap(cls, name: str) -> str:
        from matplotlib import colormaps  # noqa: PLC0415 - 0.2 s, only when a colormap is asked for

        if name not in colormaps:
            near = nearest(name, colormaps, most=3, cutoff=0.4)
            hint = f"nearest: {', '.join(near)}" if near else "see matplotlib's list of colormaps"
            raise PydanticCustomError("colormap", "the name of a matplotlib colormap; {hint}", {"hint": hint})
        return name

    @model_validator(mode="after")
    def _ends_in_order(self) -> "Visualization":
        for name, ends in (("vmin and vmax", (self.vmin, self.vmax)), ("clip", self.clip or (None, None))):
            low, high = ends
            if low is not None and high is not None and low >= high:
                message = "{name} in ascending order, but they are {low} and {high}"
                raise PydanticCustomError("order", message, {"name": name, "low": low, "high": high})
        return self

    @property
    def measures_batch(self) -> bool:
        """Whether the colour scale has an end that is measured over the whole batch."""
        return self.normalization == "batch" and None in (self.vmin, self.vmax)

    def per_video(self) -> "Visualization":
        """Return what holds for rendering per video."""
        return self._resolved(self.per_video_fps, self.per_video_quality)

    def for_collection(self) -> "Visualization":
        """Return what holds for the collection at the end of a batch."""
        return self._resolved(self.batch_fps, self.batch_quality)

    def _resolved(self, fps: float | None, quality: Quality | None) -> "Visualization":
        mode_only = dict.fromkeys(("per_video_fps", "per_video_quality", "batch_fps", "batch_quality"))
        own = {"fps": fps or self.fps, "quality": quality or self.quality}
        return self.model_copy(update={**mode_only, **own})


# Settings that say how to work, not what the pictures look like: changing them asks for no new rendering.
NOT_IN_PICTURES = frozenset(
    {"auto_generate_per_video", "auto_generate_videos", "visualization_timeout", "fail_on_visualization_error"}
)


def _half_the_cores() -> int:
    return max(1, (os.cpu_count() or 1) // 2)


class Watcher(_Settings):
    """How the daemon works. Only its own configuration sets these."""

    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        default_factory=_half_the_cores,
        description="videos rendered at the same time (default: half of the cores)",
    )
    rescan_interval: Annotated[float, Field(ge=0.1)] = Field(
        default=60.0,
        description="seconds between two scans of the whole folder; "
        "sooner where file events miss something, later where scans take long",
    )
    max_attempts: Annotated[int, Field(ge=1)] = Field(
        default=3, description="how often a video is tried before it is left alone; twice where its files are wrong"
    )
    retry_backoff: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="seconds before the second attempt; doubled for each further one"
    )
    nice: Annotated[int, Field(ge=0, le=19)] = Field(
        default=10, description="niceness of renderings: a generation on the same machine goes first"
    )
    memory_limit: ByteSize | None = Field(
        default=ByteSize(2 * 2**30),
        description="memory that rendering one video may take, such as `4GiB`; null: no limit",
    )
    min_free_space: ByteSize = Field(
        default=ByteSize(100 * 2**20),
        description="nothing is started while the disk that it goes to has less left, such as `1GiB`",
    )
    settle_time: Annotated[float, Field(ge=0)] = Field(
        default=10.0,
        description="seconds for which the files of an older batch's video must not have changed before it is rendered",
    )
    settle_time_unmarked: Annotated[float, Field(ge=0)] = Field(
        default=120.0, description="likewise, where no `summary.json` says that they are complete"
    )
    file_events: bool = Field(
        default=True, description="notice new videos by file events; false: by scanning only, every 10 s at least"
    )
