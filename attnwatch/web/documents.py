"""What the page is told, as JSON: pydantic models of every document that a browser receives, besides measures."""

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

State: TypeAlias = Literal["rendered", "skipped", "running", "waiting", "failed", "pending"]
"""Of a video; `pending`: it is planned, and not made yet."""


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, protected_namespaces=())


class WordRecord(_Record):
    """A tracked word: the name of its maps, and how it is written."""

    slug: str
    text: str


class WatcherRecord(_Record):
    """A watcher at work: where, what it is doing, and whether it has been heard of in time."""

    host: str
    pid: int
    silent: bool
    paused: str | None
    waiting: int
    running: int


class Counts(_Record):
    """Number of videos by state. `finished` counts those that were made, `unmade` those that could not be."""

    finished: int = 0
    rendered: int = 0
    skipped: int = 0
    running: int = 0
    waiting: int = 0
    failed: int = 0
    unmade: int = 0


class BatchSummary(_Record):
    """One batch. Times are RFC 3339; `planned` and `template` are null if its plan is not known."""

    id: str
    name: str
    path: str
    model: str | None
    created: str | None
    changed: str | None
    planned: int | None
    ended: Literal["complete", "interrupted"] | None
    counts: Counts
    words: tuple[WordRecord, ...]
    template: str | None


class BatchesDocument(_Record):
    """All batches of the tree."""

    revision: int
    root: str
    watcher: WatcherRecord | None
    batches: tuple[BatchSummary, ...]


class VideoRow(_Record):
    """One video, as a grid of many shows it.

    `stamp` changes whenever anything of it does, `version` only with what was generated: the video, its manifest.
    """

    id: str
    video_id: str
    prompt_id: str | None
    prompt: str | None
    choices: tuple[str, ...]
    seed: int | None
    variation: int | None
    model: str | None
    state: State
    reason: str | None
    words: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: float | None = None
    seconds: float | None = None
    playable: bool = False
    measures: dict[str, dict[str, float | None]] | None = None
    version: str = ""
    stamp: str = ""


class Batch(BatchSummary):
    """One batch with all of its videos.

    Attributes:
        slots: choices of each slot of the template, in their order.
        left_out: number of videos that are not listed, because there are too many.

    """

    slots: tuple[tuple[str, ...], ...]
    left_out: int
    videos: tuple[VideoRow, ...]


class TokenRecord(_Record):
    """A tracked occurrence of a word; `span` is in Unicode code points of the prompt that contains it."""

    slug: str
    text: str
    span: tuple[int, int] | None
    negative: bool


class StepRecord(_Record):
    """One stored denoising step."""

    index: int
    timestep: float | None
    sigma: float | None
    model: str | None


class AttemptRecord(_Record):
    """One attempt to make or render the video."""

    at: str
    error: str | None


class FileRecord(_Record):
    """One file that was rendered; `n` is its number in the receipt."""

    n: int
    name: str
    kind: str
    word: str
    bytes: int


class MapsRecord(_Record):
    """What is stored of a word: frames, rows and columns of its grid, its steps, and axes with only a mean."""

    grid: tuple[int, int, int]
    steps: tuple[int, ...]
    layers: int
    heads: int
    means: tuple[str, ...]


class TimelineRecord(_Record):
    """When each frame is shown, and which maps it shows: `(1 - share) * maps[lower] + share * maps[lower + 1]`."""

    seconds: tuple[float, ...]
    lower: tuple[int, ...]
    share: tuple[float, ...]


class VideoDetail(VideoRow):
    """Everything about one video but its maps and measures."""

    batch: str
    tokens: tuple[TokenRecord, ...] = ()
    negative_prompt: str | None = None
    generation: dict[str, Any] = {}
    denoising: tuple[StepRecord, ...] = ()
    notes: tuple[str, ...] = ()
    attempts: tuple[AttemptRecord, ...] = ()
    outputs: tuple[FileRecord, ...] = ()
    worker: str | None = None
    maps: dict[str, MapsRecord] = {}
    timeline: TimelineRecord | None = None


class ScaleDocument(_Record):
    """The attention at the two ends of a colour scale."""

    low: float
    high: float
