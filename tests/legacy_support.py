"""Writes older batches without manifests, in each layout that FORMAT.md describes."""

import gzip
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tests.support import blob_maps, write_source_video

Compression = Literal["plain", "compressed"]

WIDTH, HEIGHT, FRAMES = 128, 96, 9
GRID = (3, 6, 8)  # (9 - 1) // 4 + 1, 96 // 16, 128 // 16
LAYOUTS = (1, 2, 3, 4)


@dataclass(frozen=True)
class OldBatch:
    """An older batch to which videos are added.

    Attributes:
        folder: of the batch.
        layout: 1 to 4.

    """

    folder: Path
    layout: int = 1

    def tensors(self, number: int = 1, prompt: int = 0) -> Path:
        """Return the folder of a video's tensors."""
        name = {
            1: f"prompt_{prompt:03d}/vid{number:03d}",
            2: f"prompt_{prompt:03d}_vid{number:03d}",
            3: f"prompt_{prompt:03d}/p{prompt:03d}_b001_s{number:03d}",
            4: f"prompt_{prompt:03d}_vid_{number:03d}",
        }[self.layout]
        return self.folder / "attention_maps" / name

    def video(self, number: int = 1, prompt: int = 0) -> Path:
        """Return the path of a video."""
        if self.layout == 3:
            return self.folder / "videos" / f"video_{10 * prompt + number:04d}_p{prompt:02d}_red_hat_s{number:02d}.mp4"
        return self.folder / "videos" / f"prompt_{prompt:03d}" / f"video_{number:03d}.mp4"

    def video_id(self, number: int = 1, prompt: int = 0) -> str:
        """Return the stem of a video's outputs."""
        return self.video(number, prompt).stem if self.layout == 3 else f"prompt_{prompt:03d}_vid{number:03d}"

    def outputs(self, number: int = 1, prompt: int = 0) -> Path:
        """Return the folder of a video's outputs."""
        return self.video(number, prompt).parent / "attention_videos"

    def receipt(self, number: int = 1, prompt: int = 0) -> dict[str, Any] | None:
        """Return the receipt of a video, or None."""
        path = self.outputs(number, prompt) / f"{self.video_id(number, prompt)}.rendered.json"
        return json.loads(path.read_text()) if path.exists() else None

    def add_pickles(self, program: str) -> None:
        """Add a video whose tensors are pickles that run a program when they are loaded."""
        tensors = self.add()
        for path in (tensors / "token_kiss").glob("*.npy"):
            path.with_suffix(".pt").write_bytes(f"cos\nsystem\n(S'{program}'\ntR.".encode())
            path.unlink()

    def add(
        self,
        number: int = 1,
        prompt: int = 0,
        *,
        words: Sequence[str] = ("kiss",),
        source: bool = True,
        summary: bool = True,
        age: float = 3600.0,
        **options: Any,
    ) -> Path:
        """Write one complete video whose files are `age` seconds old; return the folder of its tensors."""
        for word in words:
            self.write_word(word, number, prompt, **options)
        if source:
            write_source_video(self.video(number, prompt), width=WIDTH, height=HEIGHT, frames=FRAMES)
        if summary:
            self.write_summary(number, prompt, words=words, steps=options.get("steps", (0, 1)))
        self.make_old(age)
        return self.tensors(number, prompt)

    def write_word(
        self,
        word: str,
        number: int = 1,
        prompt: int = 0,
        *,
        maps: npt.NDArray[Any] | None = None,
        steps: Sequence[int] = (0, 1),
        blocks: int = 1,
        heads: int = 1,
        dtype: npt.DTypeLike = np.float16,
        compressed: bool = False,
        aggregate: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the tensors of one word; `maps` are `[step, block, head, frame, height, width]`."""
        if maps is None:
            maps = blob_maps(GRID, steps=len(steps), layers=blocks, heads=heads, dtype=dtype)
        folder = self.tensors(number, prompt) / (word if self.layout == 4 else f"token_{word}")
        for step, values in zip(steps, maps, strict=True):
            flat = values.reshape(*values.shape[:2], -1, 1)
            self.write_array(folder / f"step_{step:03d}", flat, compressed=compressed)
            about = described(word, step, flat) if metadata is None else dict(metadata)
            (folder / f"step_{step:03d}_metadata.json").write_text(json.dumps(about))
        if aggregate:
            self.write_aggregate(folder, word, maps.astype(np.float32).mean(axis=(0, 1, 2)), compressed=compressed)
        return folder

    def write_aggregate(self, folder: Path, word: str, maps: npt.NDArray[Any], *, compressed: bool = False) -> None:
        """Write the mean over steps, without its reduced axes."""
        flat = maps.reshape(-1)
        if self.layout == 4:
            shared = folder.parent / "aggregated"
            self.write_array(shared / f"{word}_aggregated", flat, compressed=compressed)
            (shared / f"{word}_metadata.json").write_text(json.dumps(described(word, None, flat)))
        else:
            self.write_array(folder / "aggregate", flat, compressed=compressed)
            (folder / "aggregate_metadata.json").write_text(json.dumps(described(word, None, flat)))

    def write_array(self, stem: Path, values: npt.NDArray[Any], *, compressed: bool) -> Path:
        """Write one array in the file type of the layout."""
        stem.parent.mkdir(parents=True, exist_ok=True)
        if self.layout == 4:
            path = stem.with_name(f"{stem.name}.npz")
            (np.savez_compressed if compressed else np.savez)(path, attention=values)
        elif compressed:
            path = stem.with_name(f"{stem.name}.npy.gz")
            with gzip.open(path, "wb") as file:
                np.save(file, values)
        else:
            path = stem.with_name(f"{stem.name}.npy")
            np.save(path, values)
        return path

    def write_summary(
        self, number: int = 1, prompt: int = 0, *, words: Sequence[str] = ("kiss",), steps: Sequence[int] = (0, 1)
    ) -> Path:
        """Write the summary that marks a video's tensors as complete."""
        path = self.tensors(number, prompt) / "summary.json"
        tokens = {word: [index] for index, word in enumerate(words)}
        path.write_text(json.dumps({"stored_steps": list(steps), "target_tokens": tokens}))
        return path

    def write_video_metadata(self, files: Mapping[Path, Path]) -> None:
        """Write the metadata that map tensors to videos."""
        entries = [{"video_id": tensors.name, "filename": video.name} for tensors, video in files.items()]
        (self.folder / "configs").mkdir(exist_ok=True)
        (self.folder / "configs" / "video_metadata_1.json").write_text(json.dumps({"videos": entries}))

    def make_old(self, seconds: float) -> None:
        """Set the modification time of every file and folder to `seconds` ago."""
        when = time.time() - seconds
        for path in self.folder.rglob("*"):
            os.utime(path, (when, when))


def described(word: str, step: int | None, values: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the metadata of one tensor."""
    return {
        "step": step,
        "token_word": word,
        "aggregation_method": "per_step_full",
        "attention_shape": list(values.shape),
        "prompt": f"a {word}",
        "seed": 42,
        "cfg_scale": 5,
        "video_frames": FRAMES,
        "video_height": HEIGHT,
        "video_width": WIDTH,
    }
