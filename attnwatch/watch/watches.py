"""Keeps watchdog from watching folders that are left out: the kernel limits how many a user can watch."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from watchdog.observers import Observer, inotify
from watchdog.observers.api import BaseObserver

LeftOut = Callable[[str], bool]
"""Whether a folder, given by its path, is left out. What is inside of it is not asked about."""


def observer_without(left_out: LeftOut) -> BaseObserver:
    """Return an observer that watches no folder that is left out.

    Versions of watchdog before 7 have no part that can be replaced for this; with them, all folders are watched.
    """
    observer = Observer()
    group = getattr(inotify, "InotifyWatchGroup", None)
    if group is not None:
        observer._emitter_class = _emitter(_group(group, left_out))
    return observer


def _group(base: Any, left_out: LeftOut) -> type[Any]:  # noqa: ANN401 - a class of watchdog
    class Group(base):  # type: ignore[misc]
        """The watches of a folder and all folders inside that are not left out."""

        # Watchdog's own names every folder that is watched, in a warning for each that it meets twice, as it does with
        # those that are made in a new folder. The names of many or deep ones have megabytes, and all events would wait.
        __repr__ = object.__repr__

        def _add_all_callbacks(self, path: bytes) -> None:
            if path != self.path and left_out(os.fsdecode(path)):
                return
            self._add_callback(path)
            if self.is_recursive and os.path.isdir(path):  # noqa: PTH112 - bytes
                for folder in _folders_inside(path, left_out):
                    self._add_callback(folder)

    return Group


def _folders_inside(path: bytes, left_out: LeftOut) -> Iterator[bytes]:
    for above, names, _ in os.walk(path):
        # A walk does not enter what is no longer in the list.
        names[:] = [name for name in names if not _is_passed(os.path.join(above, name), left_out)]  # noqa: PTH118 - bytes
        yield from (os.path.join(above, name) for name in names)  # noqa: PTH118


def _is_passed(path: bytes, left_out: LeftOut) -> bool:
    return os.path.islink(path) or left_out(os.fsdecode(path))  # noqa: PTH114 - bytes


def _emitter(group: type[Any]) -> type[Any]:
    class Emitter(inotify.InotifyEmitter):
        """Watchdog's emitter with other watches."""

        def on_thread_start(self) -> None:
            self._inotify = group(
                self._inotify_fd,
                os.fsencode(self.watch.path),
                is_recursive=self.watch.is_recursive,
                event_mask=self.get_event_mask_from_filter(),
                follow_symlink=self.watch.follow_symlink,
            )

    return Emitter
