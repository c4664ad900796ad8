"""Matches the tensors of an older batch with its video files; matches nothing where the answer is uncertain."""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import TypeVar, cast

from attnwatch.batches.legacy.jsonfile import Allowance, read_object
from attnwatch.batches.legacy.layouts import (
    NAMED_VIDEO,
    NUMBERED_VIDEO,
    VIDEO_DIRECTORY,
    OldVideo,
    old_video,
    old_videos_in,
)
from attnwatch.contract.manifest import TENSOR_DIRECTORY
from attnwatch.contract.names import MANIFEST_SUFFIX, identifier

_METADATA = "video_metadata*.json"
_CONFIGURATION = "configs"
_Result = TypeVar("_Result")
_FRESH = 2.0  # seconds after a change in which a further one may leave a folder's change time the same


@dataclass(frozen=True)
class Pairing:
    """The video that some tensors belong to.

    Attributes:
        name: path of the video in the batch; the file may not exist.
        video_id: stem of the video's outputs.
        note: why the video is unknown; None if it is known.

    """

    name: str
    video_id: str
    note: str | None = None


def pair(old: OldVideo) -> Pairing:
    """Find the video that some tensors belong to."""
    if old.coordinates is None:
        video_id = identifier(f"{old.prompt}_vid{old.number}")
        return Pairing(f"{VIDEO_DIRECTORY}/{old.prompt}/video_{old.number}.mp4", video_id)
    name, note = _named_video(old, old.coordinates)
    stem = Path(name).stem if note is None else old.tensors.name
    return Pairing(f"{VIDEO_DIRECTORY}/{name}", identifier(stem), note)


def manifest_beside(old: OldVideo) -> Path:
    """Return the path that a manifest of the video has, beside the video, whether it exists or not."""
    pairing = pair(old)
    folder = (old.batch / pairing.name).parent
    stem = pairing.video_id if pairing.note else Path(pairing.name).stem
    return folder / f"{stem}{MANIFEST_SUFFIX}"


def tensors_of(video: Path) -> OldVideo | None:
    """Return the location of a video's tensors in its older batch; None if there are none."""
    numbered = NUMBERED_VIDEO.fullmatch(video.name)
    if numbered and len(video.parents) > 2:  # noqa: PLR2004 - <batch>/videos/<prompt>
        maps, prompt = video.parents[2] / TENSOR_DIRECTORY, video.parent.name
        names = (f"{prompt}/vid{numbered[1]}", f"{prompt}_vid{numbered[1]}")
        paths = [maps / spelled for name in names for spelled in (name, name.replace("vid", "vid_"))]
        return next((found for path in paths if path.is_dir() and (found := old_video(path))), None)
    if not NAMED_VIDEO.fullmatch(video.name) or video.parent.name != VIDEO_DIRECTORY:
        return None
    batch = video.parents[1]
    return next((old for old in old_videos_in(batch) if batch / pair(old).name == video), None)


def _named_video(old: OldVideo, coordinates: tuple[int, int, int]) -> tuple[str, str | None]:
    """Return the name of a layout 3 video below `videos/`; if unknown, the expected name and why no video matches."""
    prompt, _, seed = coordinates
    recorded, claimed = _cached(_recorded, *_records(old.batch))
    if (name := recorded.get(old.tensors.name)) is not None:
        return name, None
    wanted = f"video_*_p{prompt:02d}_*_s{seed:02d}.mp4"
    named = _cached(_named, old.batch / VIDEO_DIRECTORY)
    fitting = [name for name in named.get((prompt, seed), ()) if name not in claimed]
    if _cached(_seeds, old.tensors.parent).count((prompt, seed)) > 1:
        found = f"found several variations of prompt {prompt} with seed {seed}"
    elif len(fitting) == 1:
        return fitting[0], None
    else:
        found = f"found {len(fitting) or 'no'} videos {wanted}"
    where = f"{_CONFIGURATION}/{_METADATA}"
    return wanted, f"no overlay: {found}; expected exactly one, or a {where} that names the video"


def _records(batch: Path) -> list[Path]:
    try:
        names = os.listdir(batch / _CONFIGURATION)  # noqa: PTH208 - a Path per file costs more than the listing
    except OSError:
        return []
    return [batch / _CONFIGURATION / name for name in sorted(names) if fnmatch(name, _METADATA)]


def _cached(read: Callable[..., _Result], *paths: Path) -> _Result:
    """Call a reader of files or folders, or return its previous result if none of them has changed since.

    What may still be changing is read once a second, however many videos need it.
    """
    times = tuple(map(_changed, paths))
    is_fresh = times and time.time() - max(times) / 1e9 < _FRESH
    return cast(_Result, _read(read, paths, (*times, int(time.monotonic())) if is_fresh else times))


@lru_cache(maxsize=64)
def _read(read: Callable[..., object], paths: tuple[Path, ...], _times: tuple[int, ...]) -> object:
    return read(*paths)


def _changed(path: Path) -> int:
    """Return when a file or folder was changed last; unlike the modification time, nobody can set that."""
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


def _named(videos: Path) -> dict[tuple[int, int], list[str]]:
    """Return the names of the layout 3 videos in a folder, by prompt and seed."""
    found: dict[tuple[int, int], list[str]] = {}
    for name in sorted(os.listdir(videos)) if videos.is_dir() else ():  # noqa: PTH208 - see above
        if named := NAMED_VIDEO.fullmatch(name):
            found.setdefault((int(named[1]), int(named[2])), []).append(name)
    return found


def _seeds(folder: Path) -> list[tuple[int, int]]:
    """Return the prompt and seed of each layout 3 video whose tensors are in a folder."""
    videos = (old_video(path) for path in folder.iterdir()) if folder.is_dir() else ()
    return [(old.coordinates[0], old.coordinates[2]) for old in videos if old and old.coordinates]


def _recorded(*records: Path) -> tuple[dict[str, str], frozenset[str]]:
    """Return the file of each video listed in the metadata of a batch, by the last part of its identifier.

    A file listed for several videos is assigned to none of them. The second value is the set of all listed files, which
    cannot belong to any other video.
    """
    found: dict[str, str] = {}
    allowance = Allowance.of_a_batch()
    for document in (read_object(record, allowance) for record in records):
        entries = document.get("videos") if document else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("video_id", "filename")):
                found[Path(entry["video_id"]).name] = Path(entry["filename"]).name
    counts = Counter(found.values())
    return {name: file for name, file in found.items() if counts[file] == 1}, frozenset(counts)
