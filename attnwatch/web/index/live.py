"""Keeps the catalogue up to date in a thread of its own."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from typing import Self

from attnwatch.report.activity import Activity, read_activities
from attnwatch.report.survey import Surveyed
from attnwatch.web.documents import WatcherRecord
from attnwatch.web.index.catalogue import Catalogue
from attnwatch.web.index.tree import Tree

_log = logging.getLogger(__name__)

_BETWEEN_POLLS = 1.0  # seconds
_BETWEEN_WALKS = 60.0


class Live:
    """Looks at a tree until its context ends.

    Args:
        catalogue: takes what is found.
        surveyed: where lookups start.

    """

    def __init__(self, catalogue: Catalogue, surveyed: Surveyed) -> None:
        self._catalogue = catalogue
        self._root = surveyed.root.path
        self._tree = Tree(catalogue, surveyed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attnwatch-index", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        due = 0.0
        while not self._ended.is_set():
            began = time.monotonic()
            walks = began >= due
            self._take(self._tree.walk() if walks else self._tree.poll())
            if walks:
                due = time.monotonic() + max(_BETWEEN_WALKS, 50 * (time.monotonic() - began))
            self._see_watcher()
            self._ended.wait(_BETWEEN_POLLS)

    def _take(self, steps: Iterator[None]) -> None:
        with contextlib.suppress(OSError):
            for _ in steps:
                if self._ended.is_set():
                    return

    def _see_watcher(self) -> None:
        activity = next(read_activities(self._root), None)
        self._catalogue.see(None if activity is None else _record(activity))


def _record(activity: Activity) -> WatcherRecord:
    return WatcherRecord(
        host=activity.host,
        pid=activity.pid,
        silent=activity.silent,
        paused=activity.paused,
        waiting=activity.waiting,
        running=len(activity.running),
    )
