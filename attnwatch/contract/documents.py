"""The documents of the on-disk contract (FORMAT.md) as pydantic models; `configs/schema/` is generated from them."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.names import MAX_FILES, MAX_ID_BYTES, MAX_SLUG_BYTES, MAX_WORDS
from attnwatch.contract.status_document import StatusDocument

_FORMAT_PATTERN = r"^attnwatch/1(\.[0-9]+)?$"
_PATH_PATTERN = r"^(?!/)(?!([^\x00]*/)?\.\.(/|$))[^\x00]+$"
_TENSOR_PATH_PATTERN = rf"^(?:(?:\.\./){{1,2}}attention_maps/)?{_PATH_PATTERN[1:]}"
_CLIMBING = re.compile(r"^(\.\./){1,2}attention_maps/")
_ID_PATTERN = r"^[^./\x00-\x1f\x7f][^/\x00-\x1f\x7f]*$"
_COUNT = Annotated[int, Field(ge=1, le=2**31 - 1)]
_INDEX = Annotated[int, Field(ge=0, le=2**31 - 1)]

_FormatField = Annotated[str, Field(pattern=_FORMAT_PATTERN, description="the version of the contract, 'attnwatch/1'")]


def _inside(path: str) -> str:
    """Refuse what the pattern refuses and say why; pydantic's regular expressions have no lookahead."""
    reasons = {
        "absolute": path.startswith("/"),
        "a way up ('..')": ".." in path.split("/"),
        "no text (NUL)": "\0" in path,
    }
    for reason, applies in reasons.items():
        if applies:
            expected = "the path of a file inside the manifest's directory, relative to it; this one is {reason}"
            raise PydanticCustomError("path", expected, {"reason": reason})
    return path


def _inside_batch(path: str) -> str:
    """Refuse what `_inside` refuses, but for the way up to the tensors of an older batch."""
    _inside(_CLIMBING.sub("", path))
    return path


_PathField = Annotated[
    str,
    Field(
        description="a path relative to the manifest's directory, inside it",
        min_length=1,
        json_schema_extra={"pattern": _PATH_PATTERN},
    ),
    AfterValidator(_inside),
]


_TensorPathField = Annotated[
    str,
    Field(
        description="a path relative to the manifest's directory, inside it or in an older batch's attention_maps",
        min_length=1,
        json_schema_extra={"pattern": _TENSOR_PATH_PATTERN},
    ),
    AfterValidator(_inside_batch),
]


class _Document(BaseModel):
    """Strict about the types of known fields, indifferent to unknown ones."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class FileRecord(_Document):
    """Size and digest of one file, as written."""

    bytes: _INDEX = Field(description="the size of the file in bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="the SHA-256 of the file, 64 hexadecimal digits")


class TokenRecord(_Document):
    """One tracked occurrence of a word."""

    slug: str = Field(min_length=1, max_length=MAX_SLUG_BYTES, description="name of the word's tensors and outputs")
    text: str = Field(description="the exact words as marked in the template")
    span: tuple[_INDEX, _INDEX] | None = Field(default=None, description="[start, end) in generation.prompt")
    positions: tuple[_INDEX, ...] = Field(default=(), description="positions in the text encoder's sequence")
    ids: tuple[_INDEX, ...] = Field(default=(), description="ids of the sub-tokens")
    slot: _COUNT | None = Field(default=None, description="number of the template's [...] it stands in")


class Grid(_Document):
    """The latent grid, and how latent frames map to video frames."""

    frames: _COUNT = Field(description="latent frames")
    height: _COUNT = Field(description="rows of latent tokens")
    width: _COUNT = Field(description="columns of latent tokens")
    temporal_stride: _COUNT = Field(default=1, description="video frames per latent frame")
    causal_first_frame: bool = Field(default=False, description="latent frame 0 covers video frame 0 alone")


class DenoisingStep(_Document):
    """One stored denoising step."""

    index: _INDEX = Field(description="number of the step, from 0")
    timestep: float | None = Field(default=None, description="the scheduler's timestep")
    sigma: float | None = Field(default=None, description="noise level")
    model: str | None = Field(default=None, description="which transformer ran: 'transformer' or 'transformer_2'")
    branch: str | None = Field(default=None, description="guidance branch: 'cond', 'uncond' or 'both'")


class Generation(BaseModel):
    """How the video was made. Any further field is kept as it is."""

    # "model_revision" is a field's name, whatever pydantic's older versions keep "model_" for.
    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False, protected_namespaces=())

    prompt: str | None = None
    negative_prompt: str | None = None
    template: str | None = None
    prompt_id: str | None = None
    variation: _COUNT | None = None
    choices: tuple[str, ...] | None = None
    seed: int | None = None
    model: str | None = None
    model_revision: str | None = None
    width: _COUNT | None = None
    height: _COUNT | None = None
    frames: _COUNT | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    steps: _COUNT | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    versions: dict[str, str] | None = None
    capture: dict[str, Any] | None = None


class ManifestDocument(_Document):
    """The manifest: written last, so its presence says that the video and its tensors are whole."""

    model_config = ConfigDict(title="attnwatch manifest, version 1")

    format: _FormatField
    video: _PathField
    attention: tuple[_TensorPathField, ...] = Field(
        max_length=MAX_FILES, description="the paths of the tensor files, in the order of denoising steps"
    )
    video_id: str | None = Field(
        default=None,
        pattern=_ID_PATTERN,
        max_length=MAX_ID_BYTES,
        description=f"a file name's stem: no '/', no control character, no leading '.', at most {MAX_ID_BYTES} bytes",
    )
    files: dict[str, FileRecord] = Field(default_factory=dict, description="an object: path -> {bytes, sha256}")
    tokens: tuple[TokenRecord, ...] = Field(default=(), max_length=MAX_WORDS, description="the tracked words")
    grid: Grid | None = Field(default=None, description="the latent grid and its mapping to video frames")
    denoising: tuple[DenoisingStep, ...] = Field(
        default=(), description="a list with one entry per stored step, in order"
    )
    generation: Generation = Field(default_factory=Generation, description="an object that says how the video was made")
    visualization: dict[str, Any] = Field(
        default_factory=dict, description="the rendering settings that the batch asks for"
    )


class VariationRecord(_Document):
    """One variation of the template."""

    prompt_id: str
    prompt: str
    tokens: tuple[TokenRecord, ...] = ()
    choices: tuple[str, ...] = ()


class PlannedVideo(_Document):
    """One video that the batch is going to hold."""

    video_id: str
    prompt_id: str
    seed: int
    manifest: _PathField


class BatchDocument(_Document):
    """`batch.json`: what a batch is going to be."""

    model_config = ConfigDict(title="attnwatch batch, version 1")

    format: _FormatField
    batch: str
    created: str
    template: str
    variations: tuple[VariationRecord, ...]
    videos: tuple[PlannedVideo, ...]
    model_revision: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    visualization: dict[str, Any] = Field(default_factory=dict)


class BatchCounts(_Document):
    """How many videos were planned, are complete, and failed."""

    expected: _INDEX
    complete: _INDEX
    failed: _INDEX


class BatchCompleteDocument(_Document):
    """`batch.complete.json`: how a batch ended."""

    model_config = ConfigDict(title="attnwatch batch completion, version 1")

    format: _FormatField
    status: Literal["complete", "interrupted"]
    finished: str
    counts: BatchCounts


class Attempt(_Document):
    """One try at making or rendering a video; `error` is None for the one that succeeded."""

    at: str
    seconds: float
    error: str | None = None


class FailureDocument(_Document):
    """`<video stem>.failed.json`: why a video could not be made."""

    model_config = ConfigDict(title="attnwatch failure, version 1")

    format: _FormatField
    video_id: str
    seed: int | None = None
    attempts: tuple[Attempt, ...]
    traceback: str | None = None


class OutputRecord(_Document):
    """One file that was rendered."""

    file: str
    kind: str = Field(description=f"what it shows: {', '.join(OutputKind)}")
    token: str
    bytes: _INDEX
    scale: tuple[float, float] = Field(description="attention values at the two ends of the colormap")


class ContentRecord(_Document):
    """A file as it was read: when its times are others, its digest tells whether it is another one."""

    modified: int = Field(description="time of the last change of its content, in nanoseconds since 1970")
    changed: int = Field(description="time of the last change of its inode, likewise")
    sha256: str | None = Field(default=None, description="its digest; null where it was not read to its end")


class ReceiptHead(_Document):
    """The part of a receipt that decides whether it holds, and tells how its video fared."""

    format: _FormatField = "attnwatch/1"
    video_id: str
    manifest: str
    status: Literal["rendered", "failed", "skipped"]
    manifest_sha256: str
    renderer: int
    inputs: dict[str, int | None] = Field(default_factory=dict)
    attempts: tuple[Attempt, ...] = ()
    next_attempt: str | None = None


class ReceiptDocument(ReceiptHead):
    """The receipt: what `attnwatch` made of one video, written after the outputs that it names."""

    model_config = ConfigDict(title="attnwatch receipt, version 1")

    settings_sha256: str = Field(
        description="digest of the settings that differ from their defaults (JSON with sorted keys); "
        "in receipts of version 0.1.0, of all settings"
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="the effective settings that shape pictures, defaults included"
    )
    content: dict[str, ContentRecord] = Field(default_factory=dict)
    outputs: tuple[OutputRecord, ...] = ()
    notes: tuple[str, ...] = ()


class ContactSheetsDocument(_Document):
    """Which collection the contact sheets beside it show."""

    model_config = ConfigDict(title="attnwatch contact sheets, version 1")

    format: _FormatField = "attnwatch/1"
    collection_sha256: str = Field(description="the digest of what was collected when they were drawn")
    files: tuple[str, ...] = ()


DOCUMENTS: dict[str, type[BaseModel]] = {
    "manifest": ManifestDocument,
    "batch": BatchDocument,
    "batch-complete": BatchCompleteDocument,
    "failure": FailureDocument,
    "receipt": ReceiptDocument,
    "contact-sheets": ContactSheetsDocument,
    "status": StatusDocument,
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one of `DOCUMENTS`."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **DOCUMENTS[name].model_json_schema()}
