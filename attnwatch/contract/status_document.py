"""Pydantic models of the output of `attnwatch status --json`; its JSON Schema is generated from them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

LARGEST_COUNT = 2**31 - 1

_Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class VideoCounts(_Record):
    """Number of finished videos, in total and by state. Each video is in exactly one state."""

    finished: _Count
    rendered: _Count
    skipped: _Count = Field(description="nothing to render: no word was tracked, or the batch does not ask for it")
    running: _Count
    waiting: _Count = Field(description="not rendered yet, or changed since the rendering")
    failed: _Count


class RunningRecord(_Record):
    """A video with a rendering job; `since` is null unless a watcher reports it."""

    video_id: str
    manifest: str
    since: str | None = None


class FailureRecord(_Record):
    """A video whose last attempt failed."""

    video_id: str
    manifest: str
    collection: str | None = Field(default=None, description="folder of the batch if it failed in its collection")
    reason: str
    attempts: _Count
    next_attempt: str | None = Field(default=None, description="time of the next attempt; null if there is none")


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
    mean_seconds: float | None = Field(description="mean seconds to render one video; null if none was rendered")
    overflows: _Count = Field(description="number of times that the watchers of this folder lost file events")
    watchers: tuple[WatcherRecord, ...] = Field(default=(), description="the running watchers of this folder")
    linked: tuple[str, ...] = Field(default=(), description="links to folders that are not followed")
