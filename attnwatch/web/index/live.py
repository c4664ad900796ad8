"""Keeps the catalogue up to date, in a thread of its own: events tell of changes sooner, looking finds all of them."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import Self

from attnwatch.report.activity import Activity
from attnwatch.report.found_outputs import Surveyed
from attnwatch.report.status import watchers_of
from attnwatch.watch.detection import choose_detection
from attnwatch.watch.events import RootWatcher
from attnwatch.watch.supervision import Supervisor
from attnwatch.web.documents import WatcherRecord
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.index.hints import PageHints
from attnwatch.web.index.tree import Tree

_log = logging.getLogger(__name__)

_TURN = 1.0  # seconds between two looks at the watcher
_WITH_EVENTS = 10.0  # seconds between two looks at all folders where events tell of changes
_WITHOUT_EVENTS = 1.0
_BETWEEN_WALKS = 60.0
_SHARE = 0.05  # share of the time that looking may take
_GATHERED = 0.05  # seconds in which further events about a folder come: a receipt follows its outputs


class Live:
    """Looks at a tree until its context ends.

    Args:
        catalogue: takes what is found.
        surveyed: where lookups start.
        file_events: whether to ask the kernel for them.

    """

    def __init__(self, catalogue: Catalogue, surveyed: Surveyed, *, file_events: bool = True) -> None:
        self._catalogue = catalogue
        self._surveyed = surveyed
        self._root = surveyed.root.path
        self._roots = tuple(dict.fromkeys((self._root, surveyed.outputs.path)))
        self._tree = Tree(catalogue, surveyed)
        self._hints = PageHints()
        self._file_events = file_events
        self._supervisor = Supervisor()
        self._ended = False
        self._end, self._ending = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._run, name="attnwatch-index", daemon=True)
        self._between_polls = _WITHOUT_EVENTS
        self._next_walk = self._next_poll = 0.0
        self._steps: Iterator[None] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended = True
        self._ending.send_bytes(b".")
        self._thread.join()

    def _run(self) -> None:
        with self._watcher() as watcher:
            while not self._ended:
                due = time.monotonic() + _TURN
                with self._supervisor.about(self._root):
                    due = self._turn(watcher)
                if wait([self._hints.readable, self._end], max(0.0, min(_TURN, due - time.monotonic()))):
                    time.sleep(_GATHERED)

    def _watcher(self) -> contextlib.AbstractContextManager[RootWatcher | None]:
        if not self._file_events:
            return contextlib.nullcontext()
        return RootWatcher(self._roots, self._hints, self._surveyed.root.excluded)

    def _turn(self, watcher: RootWatcher | None) -> float:
        """Look where something has changed, and at everything when it is time to; return when that is next."""
        if watcher is not None and watcher.refresh():
            self._next_walk = 0.0
        self._see_watchers()
        self._follow_hints()
        now = time.monotonic()
        if now >= self._next_walk:
            took = self._take(self._tree.walk())
            self._next_walk = time.monotonic() + max(_BETWEEN_WALKS, took / _SHARE)
            if watcher is not None and watcher.failures:
                watcher.try_again()
            mode = choose_detection(self._roots, watcher, self._tree.folders).mode
            self._between_polls = _WITH_EVENTS if mode == "events" else _WITHOUT_EVENTS
        elif now >= self._next_poll:
            took = self._take(self._tree.poll())
            self._next_poll = time.monotonic() + max(self._between_polls, took / _SHARE)
        return min(self._next_walk, self._next_poll)

    def _take(self, steps: Iterator[None]) -> float:
        """Look at one folder after the other, those first that hints lead to; return the seconds that this took."""
        began = time.monotonic()
        for _ in steps:
            if self._ended:
                break
            self._follow_hints()
        return time.monotonic() - began

    def _follow_hints(self) -> None:
        if not self._hints.readable.poll():
            return
        for path in sorted(self._hints.take()):
            with self._supervisor.about(path):
                self._tree.look(path)

    def _see_watchers(self) -> None:
        """Take what the watchers of the tree say about themselves."""
        activities = list(watchers_of(self._surveyed.outputs.path))
        self._catalogue.see(_record(activities[0]) if activities else None)
        heard = [one for one in activities if not one.silent]
        self._tree.announce({job.manifest: job.worker or one.host for one in heard for job in one.running})


def _record(activity: Activity) -> WatcherRecord:
    return WatcherRecord(
        host=activity.host,
        pid=activity.pid,
        silent=activity.silent,
        paused=activity.paused,
        waiting=activity.waiting,
        running=len(activity.running),
    )
