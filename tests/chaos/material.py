"""Makes thousands of finished videos from one video and one tensor file, hard-linked where they are needed."""

import errno
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from attnwatch.contract.names import default_video_id
from tests.support import FRAMES, blob_maps, write_source_video, write_tensors

MAPS = "attention_maps/vid{number:03d}.safetensors"


class Material:
    """Makes videos of one size and length.

    Args:
        folder: folder for the originals, on the same file system as the trees that link to them.

    """

    def __init__(self, folder: Path, *, width: int = 64, height: int = 48, frames: int = FRAMES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._video = write_source_video(folder / "video.mp4", width=width, height=height, frames=frames)
        self._maps = write_tensors(folder / "maps.safetensors", {"kiss": blob_maps(steps=1)})

    def place(self, folder: Path, number: int = 1) -> Path:
        """Link all files of a video except its manifest into a folder; return the path of the manifest to come."""
        maps = folder / MAPS.format(number=number)
        maps.parent.mkdir(parents=True, exist_ok=True)
        _link(self._video, folder / f"video_{number:03d}.mp4")
        _link(self._maps, maps)
        return folder / f"video_{number:03d}.complete.json"

    def mark(self, manifest: Path, prompt: str | None = None, **fields: object) -> Path:
        """Write the manifest of a video atomically, as the contract requires."""
        hidden = prepare(manifest, prompt, **fields)
        hidden.rename(manifest)
        return manifest

    def add(self, folder: Path, number: int = 1, prompt: str | None = None, **fields: object) -> Path:
        """Make a finished video and return its manifest."""
        return self.mark(self.place(folder, number), prompt, **fields)

    def add_many(self, root: Path, count: int, *, per_prompt: int = 10, prompt: str | None = None) -> list[Path]:
        """Make a batch of `count` videos and return their manifests."""
        return [
            self.add(root / "videos" / f"prompt_{index // per_prompt + 1:04d}", index % per_prompt + 1, prompt)
            for index in range(count)
        ]

    def add_trees(self, root: Path, count: int, prefix: str = "tree") -> list[Path]:
        """Make `count` batches of one video each and return their manifests."""
        return [self.add(root / f"{prefix}_{index:05d}" / "videos" / "prompt_001") for index in range(count)]


def prepare(manifest: Path, prompt: str | None = None, **fields: object) -> Path:
    """Write a manifest under a hidden name; renaming it to its final name marks the video as finished."""
    number = int(manifest.name.removesuffix(".complete.json").rpartition("_")[2])
    document = {
        "format": "attnwatch/1",
        "video": f"video_{number:03d}.mp4",
        "attention": [MAPS.format(number=number)],
        **({"generation": {"prompt": prompt}} if prompt else {}),
        **fields,
    }
    hidden = manifest.with_name(f".{manifest.name}")
    hidden.write_text(json.dumps(document), encoding="utf-8")
    return hidden


def receipt_path(manifest: Path) -> Path:
    """Return the path of the receipt of a video made here."""
    return manifest.parent / "attention_videos" / f"{default_video_id(manifest)}.rendered.json"


def multiply(folder: Path, copies: int) -> Iterator[Path]:
    """Copy a folder `copies` times, with hard links for its files; yield each copy."""
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    folders = sorted({path.parent for path in files})
    for index in range(1, copies + 1):
        copy = folder.with_name(f"{folder.name}_{index:05d}")
        for below in folders:
            (copy / below).mkdir(parents=True)
        for file in files:
            os.link(folder / file, copy / file)
        yield copy


def shuffled(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield paths alternately from both ends, so that consecutive paths are not neighbours in the folder."""
    listed = list(paths)
    half = len(listed) // 2
    pairs = itertools.zip_longest(listed[:half], reversed(listed[half:]))
    return (path for pair in pairs for path in pair if path is not None)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            raise
        shutil.copy2(source, target)
