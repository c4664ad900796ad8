"""Pydantic models of the output of `attnwatch status --json`; its JSON Schema is generated from them."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

LARGEST_COUNT = 2**31 - 1

_Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Unrendered: TypeAlias = Literal["waiting", "skipped"]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class VideoCounts(_Record):
    """Number of finished videos, in total and by state. Each video is in exactly one state."""

    finished: _Count
    rendered: _Count
    skipped: _Count = Field(description="nothing to render: no attention is stored, or the batch does not ask for it")
    running: _Count
    waiting: _Count = Field(description="not rendered yet, or changed since the rendering")
    failed: _Count


class RunningRecord(_Record):
    """A video with a rendering job; `since` is null unless a watcher reports it."""

    video_id: str
    manifest: str
    since: str | None = None
    worker: str | None = Field(
        default=None, description="worker that has it: its name, or else its address; null on no cluster"
    )


class FailureRecord(_Record):
    """A video whose last attempt failed."""

    video_id: str
    manifest: str
    collection: str | None = Field(default=None, description="folder of the batch if it failed in its collection")
    reason: str
    attempts: _Count
    next_attempt: str | None = Field(default=None, description="time of the next attempt; null if there is none")


class UnrenderedRecord(_Record):
    """A video that waits, or that there is nothing to render of."""

    video_id: str
    manifest: str
    state: Unrendered
    reason: str


class ReasonRecord(_Record):
    """How many videos are not rendered for one reason."""

    state: Unrendered
    reason: str
    videos: _Count


class UnreadableRecord(_Record):
    """A folder that cannot be read; nothing in it is counted or rendered."""

    path: str
    reason: str


class PromptRecord(_Record):
    """The videos of one prompt of a batch, which are in one folder."""

    name: str
    planned: _Count | None = Field(default=None, description="number of videos in `batch.json`; null if unknown")
    videos: VideoCounts


class BatchRecord(_Record):
    """The videos of one batch."""

    name: str
    path: str
    planned: _Count | None = Field(default=None, description="number of videos in `batch.json`; null if unknown")
    ended: Literal["complete", "interrupted"] | None = Field(
        default=None, description="how it ended; null: it is being made, was killed, or its writer does not say"
    )
    changed: str | None = Field(default=None, description="when a file was last added to it")
    videos: VideoCounts
    prompts: tuple[PromptRecord, ...] = ()


class WatcherRecord(_Record):
    """State of a running watcher, as reported by itself."""

    host: str
    pid: int
    version: str
    started: str
    heartbeat: str
    silent: bool = Field(description="its heartbeat is overdue")
    mode: Literal["events", "events and polling", "polling"]
    reason: str
    rescan_interval: float
    scans: _Count
    last_scan: str | None
    last_scan_seconds: float | None
    overflows: _Count
    rendered: _Count
    failed: _Count
    paused: str | None
    slow: str | None = Field(
        default=None, description="why the last job had to start again on a slow machine; null since one has ended"
    )
    given_up: _Count = Field(default=0, description="videos that it has refused or given up")
    left_out: tuple[str, ...] = Field(
        default=(), description="why it does not render other videos, and how many each reason is true of"
    )


class StatusDocument(_Record):
    """State of all videos below a folder: the output of `attnwatch status --json`."""

    model_config = ConfigDict(title="attnwatch status, version 1")

    format: Literal["attnwatch/1"] = "attnwatch/1"
    root: str
    at: str
    videos: VideoCounts
    running: tuple[RunningRecord, ...] = ()
    oldest_waiting: RunningRecord | None = Field(default=None, description="`since`: when its manifest was written")
    failures: tuple[FailureRecord, ...] = ()
    rendered_last_hour: _Count
    outdated: _Count = Field(default=0, description="number of rendered videos that an older renderer made")
    mean_seconds: float | None = Field(description="mean seconds to render one video; null if none was rendered")
    overflows: _Count = Field(description="number of times that the watchers of this folder lost file events")
    watchers: tuple[WatcherRecord, ...] = Field(default=(), description="the running watchers of this folder")
    linked: tuple[str, ...] = Field(default=(), description="links to folders that are not followed")
    reasons: tuple[ReasonRecord, ...] = Field(
        default=(), description="why videos wait or are skipped: the 100 most frequent reasons"
    )
    unrendered: tuple[UnrenderedRecord, ...] = Field(
        default=(), description="the videos that wait or are skipped, each with its reason: the first 1,000"
    )
    batches: tuple[BatchRecord, ...] = ()
    unreadable: tuple[UnreadableRecord, ...] = Field(default=(), description="folders that cannot be read")
    without_manifest: tuple[str, ...] = Field(
        default=(), description="videos without a manifest, and so without attention to render: the first 1,000"
    )
    without_manifest_number: _Count = Field(default=0, description="number of all videos without a manifest")
