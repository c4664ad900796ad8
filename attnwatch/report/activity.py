"""Activity files: what each running watcher is doing, as a small JSON file in the folder `.attnwatch` of each root.

With `--out`, the file is written there instead, and nothing below the roots. Nothing depends on these files: they show
people whether a watcher is at work, and how.
"""

import contextlib
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError

from attnwatch.contract.fields import Index
from attnwatch.system.folders import Folder
from attnwatch.system.roots import Root

FOLDER = ".attnwatch"
HEARTBEAT = 10.0  # seconds between updates while nothing changes
SILENT_AFTER = 3 * HEARTBEAT

_LEAST_BETWEEN = 1.0  # seconds between updates, however much changes
_STALE_AFTER = 30 * HEARTBEAT
_MOST_BYTES = 2**20
_MOST_READ = 200  # files
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r".*\.\d+\.json|\..*\.tmp", re.DOTALL)

Mode = Literal["events", "events and polling", "polling"]


def now() -> str:
    """Return the current time in the format of activity files."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Running:
    """A video whose rendering began at `since` (RFC 3339), and the worker of a cluster that has it; None for none."""

    video_id: str
    manifest: str
    since: str
    worker: str | None = None


@dataclass
class Activity:
    """State of one watcher. Times are RFC 3339 in UTC, durations are in seconds, counts are since its start.

    Attributes:
        roots: watched folders.
        mode: how new videos are found; `reason` says why.
        rescan_interval: time between two scans of the roots.
        last_scan: end of the last scan; `last_scan_seconds` is its duration.
        overflows: number of times that file events were lost.
        waiting: number of videos waiting to be rendered.
        rendered: number of videos rendered; `failed` counts failed attempts.
        paused: reason for a pause, of everything or of one full disk; None without a pause.
        slow: why the last job had to be started again on this slow machine; None since a job has ended by itself.
        heartbeat: time of the last update.
        settings: digest of the settings that it gives to pictures; None if unknown.
        batch: pattern of the batches that it renders; None for all.
        out: folder of its outputs, if they do not go beside the videos.
        given_up: number of videos that it has refused or given up.
        left_out: why it does not render other videos that it has found, and how many each reason is true of.

    """

    # Anyone may write such a file: what no watcher writes is not one, and `attnwatch status` can show all others.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)

    roots: tuple[str, ...]
    version: str
    mode: Mode = "events"
    reason: str = ""
    rescan_interval: float = 60.0
    scans: Index = 0
    last_scan: str | None = None
    last_scan_seconds: float | None = None
    overflows: Index = 0
    waiting: Index = 0
    running: list[Running] = field(default_factory=list)
    rendered: Index = 0
    failed: Index = 0
    paused: str | None = None
    slow: str | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=now)
    heartbeat: str = field(default_factory=now)
    settings: str | None = None
    batch: str | None = None
    out: str | None = None
    given_up: Index = 0
    left_out: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether its last update is overdue: the watcher hangs, or was stopped."""
        return _age(self) > SILENT_AFTER

    @property
    def gone(self) -> bool:
        """Whether the watcher ended without removing its file."""
        if _age(self) > _STALE_AFTER:
            return True
        return self.host == socket.gethostname() and not _exists(self.pid)


_ADAPTER = TypeAdapter(Activity)


class Publisher:
    """Writes the activity files of one watcher; a context manager that removes them at the end.

    Args:
        roots: folders to write to: those that the watcher watches, or the one its outputs go to. Folders that are
            missing or cannot be written are skipped.

    """

    def __init__(self, roots: Iterable[Path]) -> None:
        self._roots = tuple(roots)
        self._written: Activity | None = None
        self._time = float("-inf")

    def __enter__(self) -> Self:
        for root in self._roots:
            _remove_stale(root)
        return self

    def __exit__(self, *exception: object) -> None:
        self.withdraw()

    def publish(self, activity: Activity) -> None:
        """Write the activity: at most once a second if it has changed, otherwise once per heartbeat.

        Cheap enough to call in every turn of the loop.
        """
        seconds = time.monotonic() - self._time
        changed = self._written is None or replace(activity, heartbeat=self._written.heartbeat) != self._written
        if seconds < (_LEAST_BETWEEN if changed else HEARTBEAT):
            return
        self._time = time.monotonic()
        activity.heartbeat = now()
        self._written = replace(activity, running=list(activity.running))
        data = _as_json(activity)
        for root in self._roots:
            with contextlib.suppress(OSError), Root(root).folder(root / FOLDER, create=True) as folder:
                folder.write(_name(activity), data, durable=False)

    def withdraw(self) -> None:
        """Remove the files."""
        for root in self._roots:
            with contextlib.suppress(OSError), Folder.open(root) as opened:
                if self._written is not None:
                    with opened.folder(FOLDER) as folder:
                        folder.unlink(_name(self._written))
                opened.remove(FOLDER)  # not while other watchers keep files there


def _as_json(activity: Activity) -> bytes:
    text = json.dumps(asdict(activity), indent=2, ensure_ascii=False)
    # File names that are not UTF-8 contain lone surrogates, which JSON cannot hold.
    text = _SURROGATE.sub(lambda found: rf"\\u{ord(found[0]):04x}", text)
    return f"{text}\n".encode()


def read_activities(root: Path, *, trusted: bool = False) -> Iterator[Activity]:
    """Yield the activities of the watchers in a folder that are still alive, of very many only some.

    Args:
        root: the folder.
        trusted: only those that the owner of the folder, this user or root has written: others could make them up.

    """
    with contextlib.suppress(OSError), Folder.open(root) as opened, opened.folder(FOLDER) as folder:
        owners = {os.geteuid(), 0, opened.stat(".").st_uid}
        files = (name for name in _files(folder) if not trusted or _owner(folder, name) in owners)
        for name in itertools.islice(files, _MOST_READ):
            activity = _read(folder, name)
            if activity is not None and not activity.gone:
                yield activity


def _remove_stale(root: Path) -> None:
    """Remove the files of watchers that were killed."""
    with contextlib.suppress(OSError), Root(root).folder(root / FOLDER) as folder:
        for name in _files(folder):
            activity = _read(folder, name)
            with contextlib.suppress(OSError):
                age = time.time() - folder.stat(name).st_mtime
                if age < -_STALE_AFTER or (activity.gone if activity else age > _STALE_AFTER):
                    folder.unlink(name)


def _files(folder: Folder) -> list[str]:
    """Return the names of the files that watchers have written, including unfinished ones."""
    return sorted(name for name in folder.names() if _NAME.fullmatch(name))


def _read(folder: Folder, name: str) -> Activity | None:
    try:
        with folder.open_file(name) as file:
            activity = _ADAPTER.validate_json(file.read(_MOST_BYTES))
            written = os.fstat(file.fileno()).st_mtime
    except (OSError, ValidationError):
        return None
    return _dated(activity, written)


def _dated(activity: Activity, written: float) -> Activity:
    """Return an activity whose last update is not in the future: its host's clock may be wrong, or anyone's invention.

    The time of its file, which the file system has set, is taken instead, unless that is in the future too: then it is
    this machine's clock that is behind.
    """
    if _age(activity) >= -SILENT_AFTER or time.time() - written < -SILENT_AFTER:
        return activity
    return replace(activity, heartbeat=datetime.fromtimestamp(written, UTC).isoformat(timespec="milliseconds"))


def _owner(folder: Folder, name: str) -> int | None:
    try:
        return folder.stat(name).st_uid
    except OSError:
        return None


def _name(activity: Activity) -> str:
    host = activity.host.replace("/", "_")
    return f"{host}.{activity.pid}.json"


def _age(activity: Activity) -> float:
    """Return the seconds since the last update; infinite if its time cannot be read."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(activity.heartbeat)).total_seconds()
    except (ValueError, TypeError):
        return float("inf")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
