"""Pydantic models of the documents about a whole batch, and about a video that could not be generated (FORMAT.md)."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from attnwatch.contract.documents import Attempt, TokenRecord
from attnwatch.contract.fields import Document, FormatField, Index, RelativePath


class VariationRecord(Document):
    """One variation of the template."""

    prompt_id: str
    prompt: str
    tokens: tuple[TokenRecord, ...] = ()
    negative_tokens: tuple[TokenRecord, ...] = ()
    choices: tuple[str, ...] = ()
    number: Annotated[int, Field(ge=1)] | None = Field(default=None, description="its number in its template")
    template: str | None = Field(default=None, description="its own template; null for that of the batch")
    negative_prompt: str | None = Field(default=None, description="its own negative prompt; null for that of the batch")
    seed: int | None = Field(default=None, description="the seed of its first video; null for that of the batch")
    image: str | None = Field(default=None, description="path of the image that its videos begin with")
    last_image: str | None = Field(default=None, description="path of the image that they end with")


class PlannedVideo(Document):
    """One video that the batch will contain."""

    video_id: str
    prompt_id: str
    seed: int
    manifest: RelativePath


class BatchDocument(Document):
    """`batch.json`: the plan of a batch."""

    model_config = ConfigDict(title="attnwatch batch, version 1")

    format: FormatField
    batch: str
    created: str
    template: str
    variations: tuple[VariationRecord, ...]
    videos: tuple[PlannedVideo, ...]
    model_revision: str | None = None
    model_files: dict[str, str] = Field(
        default_factory=dict, description="an object: file or folder of the model's weights -> digest"
    )
    image_files: dict[str, str] = Field(
        default_factory=dict, description="an object: path of an image -> SHA-256 digest of the file"
    )
    settings: dict[str, Any] = Field(default_factory=dict)
    visualization: dict[str, Any] = Field(default_factory=dict)


class BatchCounts(Document):
    """Numbers of planned, completed and failed videos."""

    expected: Index
    complete: Index
    failed: Index


class BatchCompleteDocument(Document):
    """`batch.complete.json`: how a batch ended."""

    model_config = ConfigDict(title="attnwatch batch completion, version 1")

    format: FormatField
    status: Literal["complete", "interrupted"]
    finished: str
    counts: BatchCounts


class FailureDocument(Document):
    """`<video stem>.failed.json`: why a video could not be generated."""

    model_config = ConfigDict(title="attnwatch failure, version 1")

    format: FormatField
    video_id: str
    seed: int | None = None
    attempts: tuple[Attempt, ...]
    traceback: str | None = None
