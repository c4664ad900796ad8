"""Runs the generator and the watcher as processes for the evaluation, and reads their files (FORMAT.md)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from safetensors.numpy import load_file

from generator.models.tiny import SAMPLING


class EvaluationError(Exception):
    """The generator or the watcher failed."""


@dataclass(frozen=True)
class Record:
    """One generated video; its maps, ``[latent frame, y, x]``, are means over all steps, layers and heads."""

    prompt: str
    video: np.ndarray
    maps: Mapping[str, np.ndarray]
    heat: Mapping[str, np.ndarray]
    """Brightness of each word's rendered attention video, ``[frame, y, x]``."""


def generate(folder: Path, prompts: Sequence[str], *, model: str, seed: int, videos: int) -> None:
    """Generate ``videos`` videos of each prompt below ``folder``, tracking its ``(words)``, and render them."""
    template = "[" + "|".join(prompts) + "]" if len(prompts) > 1 else prompts[0]
    options = {"template": template, "videos-per-variation": videos, "seed": seed, "model": model, "output": folder}
    sampling = {name.replace("_", "-"): value for name, value in asdict(SAMPLING).items() if value is not None}
    _run("generator", *(f"--{name}={value}" for name, value in (options | sampling).items()))
    _run("attnwatch", str(folder), "--once", "--quiet")


def _run(program: str, *arguments: str) -> None:
    settings = ("GENERATOR_", "ATTNWATCH_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    command = [sys.executable, "-m", program, *arguments]
    ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if ended.returncode:
        raise EvaluationError(f"{program} ended with exit code {ended.returncode}:\n{ended.stderr[-2000:]}")


def read(folder: Path) -> Iterator[Record]:
    """Read all videos below ``folder``, in the order of their prompts and seeds."""
    for path in sorted(folder.rglob("video_*.complete.json")):
        manifest = json.loads(path.read_bytes())
        yield Record(
            prompt=manifest["generation"]["prompt"],
            video=decode(path.parent / manifest["video"]),
            maps=_maps(path.parent, manifest),
            heat=_heat(path.parent, manifest),
        )


def decode(path: Path) -> np.ndarray:
    """Decode a video to 8-bit ``[frame, y, x, RGB]``."""
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def _maps(folder: Path, manifest: Mapping[str, Any]) -> dict[str, np.ndarray]:
    tensors = load_file(folder / manifest["attention"][0])
    return {token["text"]: tensors[token["slug"]].astype(np.float32).mean((0, 1, 2)) for token in manifest["tokens"]}


def _heat(folder: Path, manifest: Mapping[str, Any]) -> dict[str, np.ndarray]:
    stem = f"attention_videos/{manifest['video_id']}"
    return {
        token["text"]: decode(folder / f"{stem}_{token['slug']}_attention.mp4").astype(np.float32).sum(-1)
        for token in manifest["tokens"]
    }
