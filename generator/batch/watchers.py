"""Says how attention videos come about, unless a watcher is at work already.

A running watcher keeps a file in `.attnwatch/` of the folder that it watches (FORMAT.md, "Layout"). Nothing else of it
is read here.
"""

import json
import os
import shlex
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from generator.batch.prepare import PreparedBatch

FOLDER = ".attnwatch"
SILENT_AFTER = 300.0
"""Seconds without a sign of life after which a watcher counts as gone."""
_MOST_FILES = 200
_MOST_BYTES = 2**20


def hint(batch: PreparedBatch, folder: Path) -> str | None:
    """Return how to have attention videos of the batch in ``folder`` rendered.

    None if it has no attention, or if a watcher is at work: in the folder of the batch, or any folder above it.
    """
    if not any(batch.words.values()) or not batch.plan.settings.attention_analysis.stores_anything:
        return None
    absolute = folder.absolute()
    if any(is_watched(place) for place in (absolute, *absolute.parents)):
        return None
    root = folder.parent if folder.name else absolute.parent
    return f"attention videos: attnwatch {shlex.quote(f'{root}/')}"


def is_watched(folder: Path) -> bool:
    """Return whether a watcher that is alive watches a folder."""
    return any(_is_alive(content) for content in _contents(folder / FOLDER))


def _contents(folder: Path) -> Iterator[dict[str, object]]:
    """Yield what the watchers of a folder have written; damaged files are no watchers."""
    try:
        files = sorted(folder.glob("*.json"))[:_MOST_FILES]
    except OSError:
        return
    for file in files:
        try:
            if file.is_file() and file.stat().st_size <= _MOST_BYTES:
                content = json.loads(file.read_bytes())
                if isinstance(content, dict):
                    yield content
        except (OSError, ValueError, RecursionError):
            continue


def _is_alive(content: dict[str, object]) -> bool:
    """Return whether a watcher has written lately and, if it runs on this machine, still exists."""
    heartbeat, pid = content.get("heartbeat"), content.get("pid")
    try:
        age = (datetime.now(UTC) - datetime.fromisoformat(str(heartbeat))).total_seconds()
    except (ValueError, TypeError):
        return False
    if age > SILENT_AFTER:
        return False
    return content.get("host") != socket.gethostname() or (isinstance(pid, int) and _exists(pid))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
