"""watchdog events -> hints: paths that may have changed. A hint makes things sooner, never right: scans do that."""

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterable
from multiprocessing import Pipe
from pathlib import Path
from typing import Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from attnwatch.names import BATCH_COMPLETE_FILE, is_manifest

_log = logging.getLogger(__name__)

_NEVER_LOOKED = (-1, -1)


class Hints(FileSystemEventHandler):
    """Collects, from watchdog's thread, the paths that the daemon should look at.

    Attributes:
        readable: becomes readable when there is something to take.

    """

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._lock = threading.Lock()
        self.readable, self._writer = Pipe(duplex=False)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note a marker that appeared, a batch that ended, or a folder that came with whatever is in it."""
        if event.event_type not in ("created", "moved", "closed"):
            return
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        if event.is_directory or is_manifest(path.name):
            self.add(path)
        elif path.name == BATCH_COMPLETE_FILE:
            self.add(path.parent)  # the batch has ended: its videos may now be collected

    def add(self, path: Path) -> None:
        """Note a path."""
        with self._lock:
            if not self._paths:
                self._writer.send_bytes(b".")
            self._paths.add(path)

    def take(self) -> set[Path]:
        """Return the paths noted since the last call."""
        with self._lock:
            while self.readable.poll():
                self.readable.recv_bytes()
            paths, self._paths = self._paths, set()
            return paths


class RootWatcher:
    """Feeds hints from file events below some folders, also when a folder appears late or is replaced.

    A context manager. Where events cannot be had it says so once, and scanning goes on without them.
    """

    def __init__(self, roots: Iterable[Path], hints: Hints) -> None:
        self._hints = hints
        self._watches: dict[Path, ObservedWatch | None] = dict.fromkeys(roots)
        self._identities: dict[Path, tuple[int, int] | None] = dict.fromkeys(self._watches, _NEVER_LOOKED)
        # It prints one for every folder that vanishes while it adds a watch: hundreds of megabytes under a storm.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        self._observer = Observer()

    def __enter__(self) -> Self:
        self._observer.start()
        self.refresh()
        return self

    def __exit__(self, *exception: object) -> None:
        self._observer.stop()
        self._observer.join()

    def refresh(self) -> bool:
        """Watch the folders that are there now; tell whether one is new since the last call."""
        changed = False
        for root, known in self._identities.items():
            identity = _identity(root)
            if identity != known or self._is_deaf(root):
                self._identities[root] = identity
                self._watch_again(root, present=identity is not None)
                changed = True
        return changed

    def _is_deaf(self, root: Path) -> bool:
        """Tell whether the events of a folder have ended: it was removed, and made again under the same number."""
        watch = self._watches[root]
        alive = (emitter.watch for emitter in self._observer.emitters if emitter.is_alive())
        return watch is not None and watch not in alive

    def _watch_again(self, root: Path, *, present: bool) -> None:
        old = self._watches[root]
        if old is not None:
            with contextlib.suppress(KeyError, OSError):
                self._observer.unschedule(old)
        self._watches[root] = None
        if not present:
            _log.warning("%s is not there: waiting for it", root)
            return
        try:
            self._watches[root] = self._observer.schedule(self._hints, str(root), recursive=True)
        except OSError as error:
            reason = error.strerror or error
            _log.warning("no file events for %s (%s): new videos are found by scanning only", root, reason)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
