"""Settings of pictures: which outputs are rendered, and how they look."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from attnwatch.errors import nearest
from attnwatch.settings.base import Concern, Settings

Quality = Literal["fast", "balanced", "high"]
OverlayStyle = Literal["weighted", "uniform", "contour", "spotlight"]
Upsampling = Literal["bilinear", "nearest", "lanczos"]
SheetRows = Literal["videos", "means", "first"]
Inches = Annotated[float, Field(ge=1, le=100)]
Percentile = Annotated[float, Field(ge=0, le=100)]

# Entries of one axis: a number, an inclusive range such as "0-9", or a list. Limited, because a receipt repeats them.
_Entry = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Choice = (
    Annotated[_Entry, Field(strict=True)]
    | Annotated[str, Field(pattern=r"^\d{1,9}-\d{1,9}$")]
    | Annotated[tuple[_Entry, ...], Field(max_length=10_000)]
)
Rate = Annotated[float, Field(ge=0.1, le=240)]
Share = Annotated[float, Field(ge=0, le=1)]


class Visualization(Settings):
    """Settings of pictures: which outputs to render, and how they look. A batch can set them in its manifests."""

    auto_generate_per_video: Annotated[bool, Concern.OPERATION] = Field(
        default=True,
        description="render each video as soon as it is finished; if a file sets only `auto_generate_videos: true`, "
        "false is meant",
    )
    auto_generate_videos: Annotated[bool, Concern.OPERATION] = Field(
        default=False, description="collect all attention videos of a batch in one folder when the batch ends"
    )
    generate_attention_only: bool = Field(default=True, description="make `..._attention.mp4`: the map alone")
    generate_overlay: bool = Field(default=True, description="make `..._overlay.mp4`: the map over the source video")
    generate_aggregated: bool = Field(
        default=True,
        description="make `..._static.mp4`: the mean over time as a still picture; the generator asks "
        "for none if it stores steps and no mean",
    )
    generate_step_evolution: bool = Field(
        default=False, description="make `..._evolution.mp4`: the map at each denoising step, one after the other"
    )
    generate_combined: bool = Field(
        default=False,
        description="make `..._combined.mp4`: up to six words in one overlay, each in a hue of its own, with a legend",
    )
    sheet: Annotated[SheetRows, Concern.SHEETS] = Field(
        default="videos",
        description="rows of contact sheets: all `videos`, `means` over those of each prompt, or its `first` one",
    )
    audio: bool = Field(
        default=True,
        description="keep the sound of the source video in overlays: copied if it is AAC, MP3, Opus or FLAC, else "
        "encoded to AAC",
    )
    measures: Annotated[bool, Concern.OPERATION] = Field(
        default=True,
        description="write `<video_id>.measures.json` with each rendering: where attention is, how it moves and when "
        "it forms, in numbers",
    )
    colormap: str = Field(default="viridis", description="name of a matplotlib colormap")
    overlay: OverlayStyle = Field(
        default="weighted",
        description="how the overlay shows the map over the source: `weighted` colours it the more, the higher the "
        "attention; `uniform` colours it everywhere alike; `contour` draws lines where attention is at 25, 50 and 75 % "
        "of the scale; `spotlight` darkens it where attention is low",
    )
    overlay_alpha: Share = Field(
        default=0.8,
        description="opacity of the colour in the overlay, where it is greatest: 0 shows only the source, "
        "1 hides the source there",
    )
    upsampling: Upsampling = Field(
        default="bilinear",
        description="how maps are enlarged to the size of the picture: `bilinear`, `lanczos` (sharper, may overshoot), "
        "or `nearest`, which shows the cells of the latent grid as they are",
    )
    normalization: Literal["video", "frame", "batch"] = Field(
        default="video",
        description="range of the colormap: the values of the `video`, of each `frame`, or of the word in the whole "
        "`batch`; `batch` applies only to the collection, which `auto_generate_videos` or `attnwatch collect` makes; "
        "for the outputs beside each video, set `vmin` and `vmax` instead",
    )
    vmin: float | None = Field(
        default=None, description="attention value at the lower end of the colormap; null: measured"
    )
    vmax: float | None = Field(
        default=None, description="attention value at the upper end of the colormap; null: measured"
    )
    clip: tuple[Percentile, Percentile] | None = Field(
        default=None, description="percentiles to use as measured ends, such as [1, 99]; null: minimum and maximum"
    )
    invert: bool = Field(
        default=False, description="reverse the colormap, so that its lower end shows the highest attention"
    )
    nonfinite: Literal["refuse", "mask"] = Field(
        default="refuse",
        description="attention that is NaN or infinite: `refuse` the video, or `mask` it: such cells are drawn as the "
        "lower end of the scale, and counted in the receipt's notes",
    )
    threshold: Share = Field(
        default=0.0, description="show attention below this share of the scale as the lowest value"
    )
    interpolation_steps: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description="interpolation between latent frames: null is smooth, 0 holds each latent frame, n adds n values",
    )
    steps: Choice | None = Field(
        default=None,
        description="denoising steps to average: null for all (the stored mean, if there is one), "
        "a number (`-1` is the last), a range such as `0-9`, or a list of at most 10,000",
    )
    layers: Choice | None = Field(
        default=None,
        description="layers to average, in the same form; only of batches that store them (`store_per_block`)",
    )
    heads: Choice | None = Field(
        default=None,
        description="attention heads to average, in the same form; only of batches that store them (`store_per_head`)",
    )
    rotation: Literal["refuse", "apply"] = Field(
        default="refuse",
        description="videos that players turn or mirror because their header says so: `refuse` them, because nothing "
        "tells whether the maps refer to the stored or to the shown picture, or `apply` it, if they refer to the shown "
        "one",
    )
    figsize: tuple[Inches, Inches] | None = Field(
        default=None,
        description="width and height in inches at 100 dpi of figures, with title, colorbar, frame number and seconds "
        "around the pictures of attention, overlay and static videos; null: pictures as large as the video",
    )
    include_colorbar: bool = Field(default=True, description="draw a colorbar in figures and full captions")
    caption: Literal["none", "word", "full"] = Field(
        default="none",
        description="band below the pictures: with the `word`, or in `full` also with prompt, seconds and colorbar; "
        "ignored with `figsize`, because figures say all that",
    )
    static_duration: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=3.0, description="length of the static video in seconds"
    )
    fps: Rate | None = Field(
        default=None, description="frames per second of the outputs, with the same duration; null: those of the video"
    )
    quality: Quality = Field(
        default="balanced", description="encoder effort and file size: `fast`, `balanced` or `high`"
    )
    per_video_fps: Rate | None = Field(default=None, description="`fps` of the outputs beside each video; null: `fps`")
    per_video_quality: Quality | None = Field(
        default=None, description="`quality` of the outputs beside each video; null: `quality`"
    )
    batch_fps: Rate | None = Field(default=None, description="`fps` of the collection of a batch; null: `fps`")
    batch_quality: Quality | None = Field(
        default=None, description="`quality` of the collection of a batch; null: `quality`"
    )
    visualization_timeout: Annotated[float, Field(gt=0, le=86400), Concern.RESOURCES] = Field(
        default=120.0,
        description="time limit in seconds for rendering one video; time in which a rendering has to wait for a "
        "processor or a disk does not count, up to ten times the limit; a batch can only lower it",
    )
    fail_on_visualization_error: Annotated[bool, Concern.OPERATION] = Field(
        default=False, description="exit with code 1 at the first video that cannot be rendered, instead of continuing"
    )

    @field_validator("colormap")
    @classmethod
    def _require_colormap(cls, name: str) -> str:
        from matplotlib import colormaps  # noqa: PLC0415 - takes 0.2 s, so only when a colormap is set

        if name not in colormaps:
            near = nearest(name, colormaps, most=3, cutoff=0.4)
            *others, last = map(repr, near or [name])
            either = f"{', '.join(others)} or {last}" if others else last
            hint = f"did you mean {either}?" if near else "see matplotlib's list of colormaps"
            raise PydanticCustomError("colormap", "the name of a matplotlib colormap; {hint}", {"hint": hint})
        return name

    @model_validator(mode="after")
    def _require_ascending_ends(self) -> "Visualization":
        for name, ends in (("vmin and vmax", (self.vmin, self.vmax)), ("clip", self.clip or (None, None))):
            low, high = ends
            if low is not None and high is not None and low >= high:
                message = "{name} in ascending order, not {low} and {high}"
                raise PydanticCustomError("order", message, {"name": name, "low": low, "high": high})
        return self

    @property
    def measures_batch(self) -> bool:
        """Whether an end of the color scale is measured over the whole batch."""
        return self.normalization == "batch" and None in (self.vmin, self.vmax)

    def per_video(self) -> "Visualization":
        """Return the settings for the outputs beside each video."""
        return self._resolved(self.per_video_fps, self.per_video_quality)

    def for_collection(self) -> "Visualization":
        """Return the settings for the collection of a batch."""
        return self._resolved(self.batch_fps, self.batch_quality)

    def _resolved(self, fps: float | None, quality: Quality | None) -> "Visualization":
        mode_only = dict.fromkeys(("per_video_fps", "per_video_quality", "batch_fps", "batch_quality"))
        own = {"fps": fps or self.fps, "quality": quality or self.quality}
        return self.model_copy(update={**mode_only, **own})


def _about(*concerns: Concern) -> frozenset[str]:
    fields = Visualization.model_fields.items()
    return frozenset(name for name, field in fields if any(concern in field.metadata for concern in concerns))


NOT_IN_PICTURES = _about(Concern.OPERATION, Concern.RESOURCES)
"""Settings that do not affect pictures."""

NOT_IN_VIDEOS = NOT_IN_PICTURES | _about(Concern.SHEETS)
"""Settings that do not affect the outputs of a video; changing them makes no receipt stale."""

LIMITED_BY_WATCHER = _about(Concern.RESOURCES)
"""Settings that a batch cannot raise above what the watcher would use without it."""

# Settings that shape pictures and that version 0.1.0 did not know.
ADDED_SINCE_0_1_0 = frozenset(
    {"audio", "caption", "generate_combined", "nonfinite", "overlay", "rotation", "upsampling"}
)
