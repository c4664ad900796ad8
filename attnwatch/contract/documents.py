"""Pydantic models of manifests, receipts and what lies beside them (FORMAT.md)."""

from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
)

from attnwatch.contract.fields import (
    Count,
    Document,
    FormatField,
    Identifier,
    Index,
    Name,
    PlainName,
    RelativePath,
    TensorPath,
)
from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.names import MAX_FILES, MAX_ID_BYTES, MAX_SLUG_BYTES, MAX_WORDS, UNCONDITIONAL_PREFIX, slug


class FileRecord(Document):
    """Size and digest of one file."""

    bytes: Index = Field(description="size of the file in bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 digest of the file, 64 hexadecimal digits")


class TokenRecord(Document):
    """One tracked occurrence of a word."""

    slug: str = Field(min_length=1, max_length=MAX_SLUG_BYTES, description="name of the word's tensors and outputs")
    text: str = Field(description="the exact words as marked in the template")
    span: tuple[Index, Index] | None = Field(default=None, description="[start, end) in generation.prompt")
    positions: tuple[Index, ...] = Field(default=(), description="positions in the text encoder's sequence")
    ids: tuple[Index, ...] = Field(default=(), description="ids of the sub-tokens")
    slot: Count | None = Field(default=None, description="number of the template's [...] that contains it")


class Grid(Document):
    """The latent grid and its mapping to video frames."""

    frames: Count = Field(description="latent frames")
    height: Count = Field(description="rows of latent tokens")
    width: Count = Field(description="columns of latent tokens")
    temporal_stride: Count = Field(default=1, description="video frames per latent frame")
    causal_first_frame: bool = Field(default=False, description="whether latent frame 0 covers only video frame 0")


class DenoisingStep(Document):
    """One stored denoising step."""

    index: Index = Field(description="number of the step, from 0")
    timestep: float | None = Field(default=None, description="the scheduler's timestep")
    sigma: float | None = Field(default=None, description="noise level")
    model: str | None = Field(default=None, description="the transformer that ran: 'transformer' or 'transformer_2'")
    branch: str | None = Field(default=None, description="guidance branch: 'cond', 'uncond' or 'both'")


class ImageRecord(Document):
    """An image that a video was made from."""

    path: str = Field(description="the file, on the machine that made the video")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 digest of the file, 64 hexadecimal digits")
    width: Count = Field(description="of the upright picture, in pixels")
    height: Count = Field(description="of the upright picture, in pixels")

    @property
    def name(self) -> str:
        """Name of the file without its folder."""
        return PurePath(self.path).name


def _known_or_none(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """Return None for what other writers mean by the same name."""
    try:
        return handler(value)
    except ValidationError:
        return None


GivenImage = Annotated[ImageRecord | None, WrapValidator(_known_or_none)]


class Generation(BaseModel):
    """How the video was made. Unknown fields are kept."""

    # Older versions of pydantic reserve names that start with "model_", such as "model_revision".
    model_config = ConfigDict(strict=True, frozen=True, extra="allow", allow_inf_nan=False, protected_namespaces=())

    prompt: str | None = None
    negative_prompt: str | None = None
    template: str | None = None
    prompt_id: str | None = None
    variation: Count | None = None
    choices: tuple[str, ...] | None = None
    seed: int | None = None
    model: str | None = None
    model_revision: str | None = None
    width: Count | None = None
    height: Count | None = None
    frames: Count | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    steps: Count | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    versions: dict[str, str] | None = None
    capture: dict[str, Any] | None = None
    image: GivenImage = Field(default=None, description="the image that the video begins with")
    last_image: GivenImage = Field(default=None, description="the image that the video ends with")


class ManifestDocument(Document):
    """The manifest. It is written last, so its presence means that the video and its tensors are complete."""

    model_config = ConfigDict(title="attnwatch manifest, version 1")

    format: FormatField
    video: RelativePath
    attention: tuple[TensorPath, ...] = Field(
        max_length=MAX_FILES, description="the paths of the tensor files, in the order of denoising steps"
    )
    video_id: Identifier | None = Field(
        default=None,
        description=f"a file name's stem without '/', control characters or leading '.', at most {MAX_ID_BYTES} bytes",
    )
    files: dict[str, FileRecord] = Field(default_factory=dict, description="an object: path -> {bytes, sha256}")
    tokens: tuple[TokenRecord, ...] = Field(default=(), max_length=MAX_WORDS, description="the tracked words")
    negative_tokens: tuple[TokenRecord, ...] = Field(
        default=(), max_length=MAX_WORDS, description="the tracked words of the negative prompt"
    )
    grid: Grid | None = Field(default=None, description="the latent grid and its mapping to video frames")
    denoising: tuple[DenoisingStep, ...] = Field(
        default=(), description="a list with one entry per stored step, in order"
    )
    generation: Generation = Field(default_factory=Generation, description="an object about how the video was made")
    visualization: dict[str, Any] = Field(
        default_factory=dict, description="the rendering settings that the batch asks for"
    )

    @property
    def texts(self) -> dict[str, str]:
        """The text of each tracked word, by the name of its tensors and by the slug of its outputs."""
        negative = {f"{UNCONDITIONAL_PREFIX}{token.slug}": token.text for token in self.negative_tokens}
        by_name = {**negative, **{token.slug: token.text for token in self.tokens}}
        return {slug(name): text for name, text in by_name.items()} | by_name


class Attempt(Document):
    """One attempt to generate or render a video; `error` is null if it succeeded."""

    at: str
    seconds: float
    error: str | None = None


class RenderingAttempt(Attempt):
    """One attempt to render a video, and what it means for later ones."""

    settings_sha256: str | None = Field(
        default=None, description="`settings_sha256` of this attempt; null: that of the receipt"
    )
    input_error: bool = Field(
        default=False, description="the files are wrong, so the attempt counts whatever the settings"
    )
    next_attempt: str | None = Field(
        default=None, description="when a rendering with these settings may be tried again; null: on request"
    )

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write only the fields that say something, so that receipts of earlier versions stay as they are."""
        return {name: value for name, value in serialize(self).items() if value or name in Attempt.model_fields}


class OutputRecord(Document):
    """One rendered file."""

    file: PlainName
    kind: str = Field(description=f"what it shows: {', '.join(OutputKind)}")
    token: PlainName = Field(description=f"slug of the word; `{OutputKind.COMBINED}` if it shows several")
    bytes: Index
    scale: tuple[float, float] = Field(description="attention values at the lower and the upper end of the colormap")
    scales: dict[PlainName, tuple[float, float]] = Field(
        default_factory=dict, description="`scale` of each word if it shows several, in the order of its legend"
    )

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write `scales` only if there are any, so that other receipts stay as they are."""
        return {name: value for name, value in serialize(self).items() if value or name != "scales"}


class ContentRecord(Document):
    """State of an input file when it was read. If its times change, its digest decides whether its content did."""

    modified: int = Field(description="modification time in nanoseconds since 1970")
    changed: int = Field(description="change time of its inode in nanoseconds since 1970")
    sha256: str | None = Field(default=None, description="digest of its content; null if it was not read completely")


class ReceiptHead(Document):
    """The part of a receipt that holds the state of a video and decides whether the receipt is still valid."""

    format: FormatField = "attnwatch/1"
    video_id: Identifier
    manifest: Name
    status: Literal["rendered", "failed", "skipped"]
    manifest_sha256: str
    renderer: int
    inputs: dict[str, int | None] = Field(default_factory=dict)
    attempts: tuple[RenderingAttempt, ...] = ()
    next_attempt: str | None = None


class ReceiptDocument(ReceiptHead):
    """The receipt: the result of rendering one video, written after the outputs that it names."""

    model_config = ConfigDict(title="attnwatch receipt, version 1")

    settings_sha256: str = Field(
        description="digest of the settings that differ from their defaults, as JSON with sorted keys; "
        "in receipts of version 0.1.0, of all settings"
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="the effective settings that shape pictures, defaults included"
    )
    content: dict[str, ContentRecord] = Field(default_factory=dict)
    outputs: tuple[OutputRecord, ...] = ()
    measures: PlainName | None = Field(default=None, description="the file with the measures, if there is one")
    notes: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write `measures` only if there are any, so that receipts of earlier versions stay as they are."""
        return {name: value for name, value in serialize(self).items() if value is not None or name != "measures"}

    @property
    def words(self) -> tuple[str, ...]:
        """Slugs of the words that have outputs of their own."""
        return tuple(dict.fromkeys(out.token for out in self.outputs if out.kind != OutputKind.COMBINED))


class AcceptanceDocument(Document):
    """`<video_id>.accepted.json`: files that a user takes for the right ones, although the manifest lists others."""

    model_config = ConfigDict(title="attnwatch acceptance, version 1")

    format: FormatField = "attnwatch/1"
    video_id: Identifier
    manifest_sha256: str = Field(description="digest of the manifest; with any other manifest, nothing is accepted")
    accepted: str = Field(description="when they were accepted (RFC 3339)")
    files: dict[str, FileRecord] = Field(max_length=MAX_FILES, description="path -> {bytes, sha256}, as in a manifest")


class SheetRecord(Document):
    """One page of a contact sheet."""

    file: PlainName
    token: PlainName = Field(description="slug of the word")
    slot: Count | None = Field(default=None, description="slot whose choices are compared; null: the attention itself")
    page: Count = Field(default=1, description="number of the page")


class ContactSheetsDocument(Document):
    """`contact_sheets.json`: which state of a collection its contact sheets show."""

    model_config = ConfigDict(title="attnwatch contact sheets, version 1")

    format: FormatField = "attnwatch/1"
    collection_sha256: str = Field(description="digest of the collection when they were drawn")
    files: tuple[PlainName, ...] = ()
    sheets: tuple[SheetRecord, ...] = Field(default=(), description="what each file shows")
    rows: str | None = Field(default=None, description="`videos`, `means` or `first`; null: `first` (before 0.5.0)")
    renderer: int | None = Field(default=None, description="version of the renderer; null: before 0.5.0")
