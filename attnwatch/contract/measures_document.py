"""`<video_id>.measures.json`: where a video's attention is, in numbers (MEASURES.md has the formulas)."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from attnwatch.contract.fields import Count, Document, FormatField, Identifier, Index

MAX_MEASURES_BYTES = 64 * 2**20
MOST_MEASURES = 2_000_000
"""JSON values in the document: 12 words of 50 steps, 30 layers and 12 heads have 250,000."""

Values = tuple[float | None, ...]
"""A value for each frame, step, layer or head; null where a measure is undefined."""

Measure = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
"""Name of a measure."""


class StepMeasures(Document):
    """The measures of a word over the denoising steps."""

    numbers: tuple[Index, ...] = Field(description="number of each stored step")
    correlation: Values = Field(description="correlation of each step's map with that of the last one")
    settled: Index | None = Field(
        default=None, description="number of the first step from which on it is at least 0.9; null if there is none"
    )
    frames: dict[Measure, tuple[Values, ...]] = Field(description="each measure of a map: [step][frame]")

    @model_validator(mode="after")
    def _require_each_step(self) -> Self:
        if {len(self.correlation), *map(len, self.frames.values())} - {len(self.numbers)}:
            raise PydanticCustomError(
                "steps", "measures of {steps} steps, as many as numbers", {"steps": len(self.numbers)}
            )
        return self


class WordMeasures(Document):
    """The measures of one word."""

    text: str | None = Field(default=None, description="the word, as it is in the prompt; null if that is unknown")
    grid: tuple[Count, Count, Count] = Field(description="frames, height and width of its maps")
    frames: dict[Measure, Values] = Field(description="each measure of the mean map: [frame]")
    over_time: dict[Measure, float | None] = Field(description="the measures of the sequence of frames")
    steps: StepMeasures | None = Field(default=None, description="null if single steps are not stored")
    layers: dict[Measure, tuple[Values, ...]] | None = Field(
        default=None, description="each measure of the map of each layer: [layer][frame]; null if they are not stored"
    )
    heads: dict[Measure, tuple[Values, ...]] | None = Field(
        default=None, description="each measure of the map of each head: [head][frame]; null if they are not stored"
    )
    focus: tuple[Values, ...] | None = Field(
        default=None,
        description="mean concentration of each head's maps: [layer][head]; null if neither layers nor heads are "
        "stored",
    )
    each_head: dict[Measure, tuple[Values, ...]] | None = Field(
        default=None,
        description="further measures of each head's maps, as means over steps and frames: [layer][head]; null with "
        "focus",
    )


class PairMeasures(Document):
    """How two words share the picture."""

    words: tuple[str, str] = Field(description="their slugs")
    cosine_similarity: Values = Field(description="[frame]")
    overlap: Values = Field(description="[frame]")

    @model_validator(mode="after")
    def _require_two(self) -> Self:
        if self.words[0] == self.words[1]:
            raise PydanticCustomError("pair", "two words")
        return self


class MeasuresDocument(Document):
    """The measures of one video."""

    model_config = ConfigDict(title="attnwatch measures, version 1")

    format: FormatField = "attnwatch/1"
    video_id: Identifier
    manifest_sha256: str = Field(description="digest of the manifest")
    inputs: dict[str, int | None] = Field(description="path -> bytes of the video and the tensors; null if absent")
    seconds: Values = Field(description="time of each latent frame: the middle of the video frames that it covers")
    words: dict[str, WordMeasures] = Field(description="slug -> measures, in prompt order")
    pairs: tuple[PairMeasures, ...] = Field(default=(), description="each pair of words on the same grid")
    notes: tuple[str, ...] = Field(default=(), description="what is left out, and why")
