"""Pydantic model of the document that lies beside exported pictures (FORMAT.md)."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from attnwatch.contract.fields import Count, Document, FormatField, Identifier, Index, PlainName

NUMBER = "%04d"
"""Stands for the number in the names of images, as for printf."""


class ExportedFrame(Document):
    """One frame of the video."""

    pts: int = Field(description="when it is shown, in units of `time_base`, as in the video's own file")
    duration: int = Field(description="how long it is shown, in units of `time_base`")
    seconds: float = Field(description="when it is shown, counted from the first frame")
    latent: float = Field(description="latent frame that its map shows, from 0, fractional in between")


class ExportedLatentFrame(Document):
    """One latent frame."""

    seconds: float = Field(description="its time: the middle of the frames that it covers, as `frames.seconds`")
    first: Index | None = Field(description="first frame of the video that it covers, from 0; null if it covers none")
    last: Index | None = Field(description="last frame of the video that it covers, from 0")


class ExportedWord(Document):
    """The exported pictures of one word."""

    slug: PlainName
    text: str = Field(description="the exact words as marked in the template")
    files: PlainName = Field(
        description=f"name of the film, or names of the images, with the number as for printf (`{NUMBER}`)"
    )
    low: float = Field(description="attention at the lower end of the scale")
    high: float = Field(description="attention at the upper end of the scale")


class ExportDocument(Document):
    """`<video_id>_export.json`: what exported pictures show, when, and on which scale."""

    model_config = ConfigDict(title="attnwatch export, version 1")

    format: FormatField = "attnwatch/1"
    attnwatch: str = Field(description="version of attnwatch that exported them")
    video_id: Identifier
    video: str = Field(description="file name of the video")
    manifest_sha256: str = Field(description="digest of the video's manifest")
    prompt: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    kind: str = Field(description="png16, exr or prores4444")
    content: Literal["frames", "grid"] = Field(
        description="frames: a picture for each frame of the video; grid: one for each latent frame, a pixel per cell"
    )
    width: Count = Field(description="width of the pictures in pixels")
    height: Count = Field(description="height of the pictures in pixels")
    pixel_aspect: tuple[Count, Count] = Field(description="width of a pixel : its height")
    first_number: Index | None = Field(description="number of the first image; null for films")
    rate: tuple[Count, Count] = Field(description="frames per second of the video as a fraction; the mean if it varies")
    time_base: tuple[Count, Count] = Field(description="seconds per unit of `pts` and `duration` as a fraction")
    channels: str = Field(description="what the channels hold, in words")
    alpha: Literal["premultiplied"] | None = Field(description="alpha is that of colours multiplied by it; null: none")
    transfer: Literal["linear"] = Field(default="linear", description="values are proportional to attention")
    unit: str = Field(default="attention probability", description="unit of `low`, `high`, and of values as they are")
    levels: Count | None = Field(
        description="attention is low + (high - low) * number / levels; null: values are attention as it is"
    )
    words: tuple[ExportedWord, ...]
    frames: tuple[ExportedFrame, ...] = Field(description="all frames of the video, in order")
    latent_frames: tuple[ExportedLatentFrame, ...]
    selection: dict[str, Any] = Field(description="denoising steps, layers and heads that were averaged; null: all")
    upsampling: str | None = Field(description="how maps were enlarged; null for the grid")
    interpolation_steps: int | None = Field(default=None, description="as the setting; null is smooth")
    notes: tuple[str, ...] = ()

    @property
    def file_names(self) -> frozenset[str]:
        """Names of all exported files."""
        if self.first_number is None:
            return frozenset(word.files for word in self.words)
        count = len(self.frames if self.content == "frames" else self.latent_frames)
        numbers = range(self.first_number, self.first_number + count)
        return frozenset(word.files.replace(NUMBER, NUMBER % number) for word in self.words for number in numbers)
