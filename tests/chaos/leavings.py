"""Checks a tree of outputs: videos must be complete, receipts valid, and nothing else may be left."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import jsonschema

from attnwatch.contract.schemas import json_schema
from tests.chaos.stubs import TINY

_VALID = jsonschema.Draft202012Validator(json_schema("receipt"))


class Tearing:
    """Looks repeatedly for incomplete videos under final names; decodes each state of a file once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: set[tuple[Path, int, int]] = set()
        self.torn: set[Path] = set()

    def look(self) -> None:
        """Check the videos that are new or changed since the last call."""
        for path in videos(self._root):
            try:
                status = path.stat()
                state = (path, status.st_ino, status.st_mtime_ns)
                if state not in self._seen and not is_whole(path):
                    self.torn.add(path)
            except FileNotFoundError:
                continue  # replaced or removed in the meantime
            self._seen.add(state)


def videos(root: Path) -> Iterator[Path]:
    """Yield every rendered video under a final name."""
    return (path for path in _rendered(root) if path.suffix == ".mp4")


def _rendered(root: Path) -> Iterator[Path]:
    """Yield every file in output folders that is not hidden; a folder that vanishes meanwhile is not an error."""
    for folder, _, files in os.walk(root):
        if folder.endswith("attention_videos"):
            yield from (Path(folder, name) for name in files if not name.startswith("."))


def is_whole(path: Path) -> bool:
    """Return whether a video is complete: a whole file of the stubs, or decodable to its last frame."""
    data = path.read_bytes()
    if data[:5] == TINY[:5]:
        return data == TINY
    try:
        with av.open(str(path)) as container:
            expected = container.streams.video[0].frames
            return 0 < expected == sum(1 for _ in container.decode(video=0))
    except av.FFmpegError:
        return False


def hidden(root: Path) -> list[Path]:
    """Return unfinished files: everything with a hidden name except the daemons' own folder."""
    found = []
    for folder, folders, files in os.walk(root):
        if ".attnwatch" in folders:
            folders.remove(".attnwatch")
        found += [Path(folder, name) for name in (*folders, *files) if name.startswith(".")]
    return found


def receipts(root: Path) -> dict[Path, dict[str, Any]]:
    """Return the receipts below a folder, by manifest."""
    found = {}
    for path in _rendered(root):
        if not path.name.endswith(".rendered.json"):
            continue
        receipt = json.loads(path.read_text(encoding="utf-8"))
        found[path.parent.parent / receipt["manifest"]] = receipt
    return found


def faults(root: Path, manifests: Iterable[Path], status: str = "rendered") -> dict[str, list[object]]:
    """Compare a tree in which everything should be done with its manifests.

    Returns:
        `lost`: videos without a receipt of this status; `torn`: incomplete videos; `invalid`: receipts that the schema
        rejects, and outputs that are missing or differ in size; `stray`: videos that no receipt names; `unfinished`:
        hidden files.

    """
    known = receipts(root)
    named = {
        manifest.parent / "attention_videos" / output["file"]: output["bytes"]
        for manifest, receipt in known.items()
        for output in receipt["outputs"]
    }
    present = set(videos(root))
    return {
        "lost": [path for path in manifests if known.get(path, {}).get("status") != status],
        "torn": [path for path in present if not is_whole(path)],
        "invalid": [
            *(manifest for manifest, receipt in known.items() if not _VALID.is_valid(receipt)),
            *(path for path, size in named.items() if path not in present or path.stat().st_size != size),
        ],
        "stray": [*(present - set(named))],
        "unfinished": [*hidden(root)],
    }
