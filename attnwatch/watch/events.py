"""Turns watchdog's events into hints: paths that may have changed. Hints save time; correctness comes from scans."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Self

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver, ObservedWatch

from attnwatch.batches.discover import place_to_look
from attnwatch.batches.entered import is_left_out
from attnwatch.contract.names import is_receipt
from attnwatch.system.exclusion import NOTHING, Exclusion
from attnwatch.system.folders import Identity
from attnwatch.watch.quirks import adapted
from attnwatch.watch.watches import observer_without

_log = logging.getLogger(__name__)

_NEVER_LOOKED = (-1, -1)
_APPEARED = frozenset({"created", "moved", "closed"})

# Not the opening and reading that scans themselves do: in a large tree that would flood the kernel's queue.
_WANTED: list[type[FileSystemEvent]] = [
    *(DirCreatedEvent, DirMovedEvent),
    *(FileCreatedEvent, FileMovedEvent, FileClosedEvent, FileDeletedEvent),
]


class Hints(FileSystemEventHandler):
    """Collects paths that the daemon should look at; watchdog calls it from a thread of its own.

    Attributes:
        readable: a connection that becomes readable when there is a hint to take.

    """

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._lock = threading.Lock()
        self._is_awake = False
        self.readable, self._writer = Pipe(duplex=False)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Add the path of a manifest, a receipt, an ended batch, or a new folder of unknown content, or link to one."""
        if event.event_type == "deleted" and is_receipt(os.fsdecode(event.src_path)):
            self.add(Path(os.fsdecode(event.src_path)))
        if event.event_type not in _APPEARED:
            return
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        if is_receipt(path.name) and not event.is_directory:
            self.add(path)
        elif (place := place_to_look(path, is_directory=event.is_directory)) is not None:
            self.add(place)
        elif event.event_type != "closed" and _leads_to_folder(path):
            self.add(path)

    def add(self, path: Path) -> None:
        """Add a path."""
        with self._lock:
            self._paths.add(path)
        self.wake()

    def wake(self) -> None:
        """Wake the daemon, even if no path is known."""
        with self._lock:
            if not self._is_awake:
                self._writer.send_bytes(b".")
            self._is_awake = True

    def take(self) -> set[Path]:
        """Return the paths noted since the last call."""
        with self._lock:
            if self._is_awake:
                self.readable.recv_bytes()
            self._is_awake = False
            paths, self._paths = self._paths, set()
            return paths


def _leads_to_folder(path: Path) -> bool:
    return os.path.islink(path) and os.path.isdir(path)  # noqa: PTH112, PTH114 - Path raises if permission is denied


class _Renamed(FileSystemEventHandler):
    """Passes events on with the paths that the user knows: a folder reached through a link is watched where it is."""

    def __init__(self, hints: Hints, actual: Path, known: Path) -> None:
        self._hints, self._actual, self._known = hints, actual, known

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass an event on."""
        source, target = self._named(event.src_path), self._named(event.dest_path)
        self._hints.on_any_event(replace(event, src_path=source, dest_path=target))

    def _named(self, found: bytes | str) -> str:
        path = Path(os.fsdecode(found))
        inside = bool(found) and path.is_relative_to(self._actual)
        return str(self._known / path.relative_to(self._actual)) if inside else os.fsdecode(found)


class RootWatcher:
    """Feeds hints from file events below some folders, including folders that appear later or are replaced.

    A context manager. Without events it logs why, once, and leaves the work to scans.

    Attributes:
        overflows: number of times that the kernel dropped events because its queue was full.
        failures: folders without events, with the reason.

    """

    def __init__(self, roots: Iterable[Path], hints: Hints, excluded: Exclusion = NOTHING) -> None:
        self._hints = hints
        self._excluded = excluded
        self._watches: dict[Path, ObservedWatch | None] = dict.fromkeys(roots)
        self._actual: dict[Path, str] = {}
        self._identities: dict[Path, tuple[int, int] | None] = dict.fromkeys(self._watches, _NEVER_LOOKED)
        self._observer: BaseObserver | None = None
        self._overflows_seen = 0
        self._missed = False
        self.overflows = 0
        self.failures: dict[Path, str] = {}

    def __enter__(self) -> Self:
        self._exits = contextlib.ExitStack()
        self._exits.enter_context(adapted(self._note_overflow))
        self._exits.callback(self._stop_listening)
        self._listen()
        self.refresh()
        return self

    def __exit__(self, *exception: object) -> None:
        self._exits.close()

    def refresh(self) -> bool:
        """Watch the folders that exist now; return whether events may have been missed since the last call."""
        if self._observer is not None and not self._observer.is_alive():
            self.try_again()
        if self._observer is None:
            return False
        overflows = self.overflows
        changed = overflows != self._overflows_seen
        self._overflows_seen = overflows
        for root, known in self._identities.items():
            identity = Identity.at(root)
            if identity != known or self._is_deaf(self._observer, root):
                self._identities[root] = identity
                self._watch_again(self._observer, root, present=identity is not None)
                changed = True
        return changed

    def try_again(self) -> None:
        """Retry where events were not available or have stopped; the next `refresh` watches the folders."""
        if self._observer is None or not self._observer.is_alive():
            self._stop_listening()
            self._listen()
        for root in self._watches if self._observer is not None else ():
            if self._watches[root] is None:
                self._identities[root] = _NEVER_LOOKED

    def _listen(self) -> None:
        try:
            observer = observer_without(self._leaves_out)
            observer.start()
        except (OSError, RuntimeError) as error:  # out of inotify instances, file descriptors or threads
            reason = _reason(error)
            if reason not in self.failures.values():
                _log.warning("no file events (%s): new videos are found only by scanning", reason)
            self.failures = dict.fromkeys(self._watches, reason)
            return
        self._observer = observer

    def _leaves_out(self, folder: str) -> bool:
        """Return whether a scan would not enter a folder, although it enters the one above."""
        return is_left_out(folder, list(self._actual.values()), self._excluded)  # a list: called in other threads

    def _stop_listening(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
        self._observer = None
        self._watches = dict.fromkeys(self._watches)

    def misses_some_of(self, folders: int) -> bool:
        """Return whether fewer folders are watched than exist, both now and at the last call; some are always new."""
        watched = self.watched_folders()
        expected = folders - sum(identity is None for identity in self._identities.values())  # no folder, no watch
        missed, self._missed = self._missed, watched is not None and watched < expected
        return missed and self._missed

    def watched_folders(self) -> int | None:
        """Return the number of folders that the kernel watches for this process; None if it is unknown."""
        count = 0
        try:
            for info in Path("/proc/self/fdinfo").iterdir():
                with contextlib.suppress(OSError), info.open("rb") as lines:
                    count += sum(line.startswith(b"inotify ") for line in lines)
        except OSError:
            return None
        return count

    def _note_overflow(self) -> None:
        self.overflows += 1
        self._hints.wake()

    def _is_deaf(self, observer: BaseObserver, root: Path) -> bool:
        """Return whether a folder's events have stopped: it was removed, and created again with the same inode."""
        watch = self._watches[root]
        alive = (emitter.watch for emitter in observer.emitters if emitter.is_alive())
        return watch is not None and watch not in alive

    def _watch_again(self, observer: BaseObserver, root: Path, *, present: bool) -> None:
        old = self._watches[root]
        if old is not None:
            with contextlib.suppress(KeyError, OSError):
                observer.unschedule(old)
        self._watches[root] = None
        if not present:
            _log.warning("%s does not exist: waiting for it", root)
            return
        try:
            # The kernel reports nothing inside of a link.
            actual = Path(os.path.realpath(root))
            self._actual[root] = str(actual)
            handler = self._hints if actual == root else _Renamed(self._hints, actual, root)
            self._watches[root] = observer.schedule(handler, str(actual), recursive=True, event_filter=_WANTED)
            self.failures.pop(root, None)
        except (OSError, RuntimeError) as error:
            reason = _reason(error)
            if self.failures.get(root) != reason:
                _log.warning("no file events for %s (%s): new videos are found only by scanning", root, reason)
            self.failures[root] = reason


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
