"""Which folders to look at after a file event; more than a watcher cares about, because a page shows more."""

import os
from pathlib import Path

from watchdog.events import FileSystemEvent

from attnwatch.contract.names import FAILURE_SUFFIX, MEASURES_SUFFIX, RECEIPT_SUFFIX, is_document, is_manifest
from attnwatch.watch.events import Hints

_LOCK = ".lock"
_TOLD = frozenset({"created", "moved", "closed", "deleted"})


class PageHints(Hints):
    """Collects folders in which something has appeared or vanished that the page shows."""

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Add the folder of a document, of a lock, or a new folder."""
        if event.event_type not in _TOLD:
            return
        for found in filter(None, (event.src_path, event.dest_path)):
            path = Path(os.fsdecode(found))  # type: ignore[arg-type]
            if event.is_directory and event.event_type != "closed":
                self.add(path)
            elif _is_shown(path.name):
                self.add(path.parent)


def _is_shown(name: str) -> bool:
    if name.endswith(_LOCK):  # a rendering has begun, or ended
        return True
    is_beside = name.endswith((RECEIPT_SUFFIX, MEASURES_SUFFIX, FAILURE_SUFFIX)) and not name.startswith(".")
    return is_beside or is_manifest(name) or is_document(name)
