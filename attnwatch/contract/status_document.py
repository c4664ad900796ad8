"""What `attnwatch status --json` prints, as pydantic models; its JSON Schema is generated from them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class VideoCounts(_Record):
    """How many finished videos there are, and how many of them are in which state: each is in one."""

    finished: _Count
    rendered: _Count
    skipped: _Count = Field(description="nothing is to be rendered: no word was tracked, or the batch does not want it")
    running: _Count
    waiting: _Count = Field(description="not rendered yet, or changed since")
    failed: _Count


class RunningRecord(_Record):
    """A video that is being rendered; `since` is known where a watcher tells."""

    video_id: str
    manifest: str
    since: str | None = None


class FailureRecord(_Record):
    """A video whose last attempt failed."""

    video_id: str
    manifest: str
    collection: str | None = Field(default=None, description="folder of the batch in whose collection it failed")
    reason: str
    attempts: _Count
    next_attempt: str | None = Field(default=None, description="when it is tried again; null: it was given up")


class WatcherRecord(_Record):
    """What a running watcher tells about itself."""

    host: str
    pid: int
    version: str
    started: str
    heartbeat: str
    silent: bool = Field(description="its last sign of life is older than it should be")
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


class StatusDocument(_Record):
    """How things stand below a folder: what `attnwatch status --json` prints."""

    model_config = ConfigDict(title="attnwatch status, version 1")

    format: Literal["attnwatch/1"] = "attnwatch/1"
    root: str
    at: str
    videos: VideoCounts
    running: tuple[RunningRecord, ...] = ()
    oldest_waiting: RunningRecord | None = Field(default=None, description="`since`: when its manifest was written")
    failures: tuple[FailureRecord, ...] = ()
    rendered_last_hour: _Count
    mean_seconds: float | None = Field(description="mean time of rendering one video; null: none was rendered")
    overflows: _Count = Field(description="how often the watchers at work here have lost file events")
    watchers: tuple[WatcherRecord, ...] = Field(default=(), description="the watchers at work here")
