"""What a running watcher tells about itself: a small JSON file in the hidden folder `.attnwatch` of each root.

With `--out`, it is in that of the folder for outputs: nothing is written below the roots.

Nothing depends on it. It is for people, who want to know whether somebody is at work and how.
"""

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import TypeAdapter, ValidationError

from attnwatch.system.files import read_regular, write_atomically

FOLDER = ".attnwatch"
HEARTBEAT = 10.0  # seconds between two signs of life while nothing changes

_LEAST_BETWEEN = 1.0  # seconds between two writings, however much changes
_SILENT_AFTER = 3 * HEARTBEAT
_STALE_AFTER = 30 * HEARTBEAT
_MOST_BYTES = 2**20
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r".*\.\d+\.json|\..*\.tmp", re.DOTALL)

Mode = Literal["events", "events and polling", "polling"]


def now() -> str:
    """Return the time as an activity has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Running:
    """A video that is being rendered since `since` (RFC 3339)."""

    video_id: str
    manifest: str
    since: str


@dataclass
class Activity:
    """How one watcher is doing. Times are RFC 3339 in UTC, durations seconds, counts since its start.

    Attributes:
        roots: the folders that it looks after.
        mode: how it learns of new videos, and `reason`: why.
        rescan_interval: between two scans of the roots.
        last_scan: when the last one ended, and `last_scan_seconds`: how long it took.
        overflows: how often file events were lost.
        waiting: videos that are to be rendered.
        rendered: videos rendered; `failed`: attempts that failed.
        paused: why nothing is started, or nothing that goes to a full disk; None when everything is.
        heartbeat: when it last wrote this.

    """

    roots: tuple[str, ...]
    version: str
    mode: Mode = "events"
    reason: str = ""
    rescan_interval: float = 60.0
    scans: int = 0
    last_scan: str | None = None
    last_scan_seconds: float | None = None
    overflows: int = 0
    waiting: int = 0
    running: list[Running] = field(default_factory=list)
    rendered: int = 0
    failed: int = 0
    paused: str | None = None
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=now)
    heartbeat: str = field(default_factory=now)

    @property
    def silent(self) -> bool:
        """Whether its last sign of life is older than it should be: it hangs, or was stopped."""
        return _age(self) > _SILENT_AFTER

    @property
    def gone(self) -> bool:
        """Whether it ended without saying so."""
        if _age(self) > _STALE_AFTER:
            return True
        return self.host == socket.gethostname() and not _exists(self.pid)


_ADAPTER = TypeAdapter(Activity)


class Publisher:
    """Keeps the files of one activity; a context manager that removes them at its end.

    Args:
        roots: the folders to write in, which the watcher looks after or puts its outputs in. One that cannot be
            written, or is not there, is passed over.

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
        """Write how things stand: at most once a second when something has changed, else as a sign of life.

        Call it as often as you like.
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
            with contextlib.suppress(OSError):
                if (root / FOLDER).is_symlink():
                    continue
                (root / FOLDER).mkdir(exist_ok=True)
                write_atomically(_path(root, activity), data, durable=False)

    def withdraw(self) -> None:
        """Remove what was published."""
        for root in self._roots:
            with contextlib.suppress(OSError):
                if self._written is not None:
                    _path(root, self._written).unlink(missing_ok=True)
                (root / FOLDER).rmdir()  # fails while other watchers are at work here


def _as_json(activity: Activity) -> bytes:
    text = json.dumps(asdict(activity), indent=2, ensure_ascii=False)
    # Bytes of file names that are no UTF-8 come as lone surrogates, which no JSON may hold.
    text = _SURROGATE.sub(lambda found: rf"\\u{ord(found[0]):04x}", text)
    return f"{text}\n".encode()


def read_activities(root: Path) -> Iterator[Activity]:
    """Yield what the watchers of a folder tell about themselves; those that are gone are left out."""
    for path in _files(root):
        activity = _read(path)
        if activity is not None and not activity.gone:
            yield activity


def _remove_stale(root: Path) -> None:
    """Remove what watchers that were killed left behind."""
    for path in _files(root):
        activity = _read(path)
        with contextlib.suppress(OSError):
            if activity.gone if activity else time.time() - path.stat().st_mtime > _STALE_AFTER:
                path.unlink()


def _files(root: Path) -> list[Path]:
    """Return the files that watchers write, unfinished ones too; nothing through a link, nothing of another name."""
    folder = root / FOLDER
    if folder.is_symlink():
        return []
    return sorted(path for path in folder.glob("*") if _NAME.fullmatch(path.name))


def _read(path: Path) -> Activity | None:
    try:
        return _ADAPTER.validate_json(read_regular(path, _MOST_BYTES) or b"")
    except (OSError, ValidationError):
        return None


def _path(root: Path, activity: Activity) -> Path:
    host = activity.host.replace("/", "_")
    return root / FOLDER / f"{host}.{activity.pid}.json"


def _age(activity: Activity) -> float:
    """Return the seconds since the last sign of life; endless when its time cannot be read."""
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
