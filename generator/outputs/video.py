"""Writes a finished video in the order of FORMAT.md: the video, its tensors and, last, its manifest."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from generator.outputs.encode import encode_video
from generator.outputs.files import atomic_write, confirm, make_folder
from generator.outputs.frames import as_frames
from generator.outputs.manifest import Document, manifest_of, write_manifest
from generator.outputs.own_maps import check_maps, write_maps
from generator.outputs.valid import check_call

TENSOR_FOLDER = "attention_maps"


@dataclass(frozen=True)
class AttentionFiles:
    """Tensor files of a video in the order of denoising steps, and the manifest fields that describe them."""

    paths: tuple[Path, ...] = ()
    tokens: Sequence[Document] = ()
    negative_tokens: Sequence[Document] = ()
    grid: Document | None = None
    denoising: Sequence[Document] = ()
    generation: Document | None = None


@runtime_checkable
class Recorded(Protocol):
    """Attention that can write itself, such as that recorded by `generator.library.capture`."""

    def write(self, folder: Path, stem: str) -> AttentionFiles:
        """Write tensor files whose names begin with ``stem`` to ``folder``."""


Attention = Recorded | AttentionFiles | Mapping[str, np.ndarray]


def write_video(
    path: str | Path,
    frames: Any,  # noqa: ANN401 - anything that numpy converts to frames
    *,
    fps: float,
    attention: Attention | None = None,
    video_id: str | None = None,
    generation: Mapping[str, object] | None = None,
    visualization: Mapping[str, object] | None = None,
) -> Path:
    """Write a video, the attention to its words, and the manifest that lets ``attnwatch`` find them.

    Args:
        path: path of the video, such as ``outputs/mine/videos/prompt_001/video_001.mp4``; its folder is created, the
            manifest is written beside it, and the tensors into ``attention_maps`` beside it
        frames: one video as diffusers pipelines return it: ``[frame, height, width, 3]``, float from 0 to 1 or integers
            to 255, as array or tensor, or a list of images; height and width must be even
        fps: frames per second
        attention: the result of `generator.library.capture`; or your own maps by word, float16 or float32
            ``[step, layer, head, frame, height, width]``; or None
        video_id: name of the attention videos; by default derived from the names of folder and file
        generation: how the video was made, in addition to what ``attention`` records (FORMAT.md, ``generation``)
        visualization: picture settings that the watcher should use

    Returns:
        The path of the manifest.

    Raises:
        VideoError: if the frames, the maps, ``fps``, ``video_id`` or a field of the manifest are invalid.
        OutputError: if a file cannot be written.

    """
    path = Path(path)
    check_call(fps, video_id, generation, visualization)
    if isinstance(attention, Mapping):
        check_maps(attention)
    pictures = as_frames(frames)
    make_folder(path.parent)
    confirm()
    manifest_of(path).unlink(missing_ok=True)  # the video is incomplete until the new one is written
    with atomic_write(path) as temporary:
        encode_video(temporary, pictures, fps)
    files = _written(attention, path)
    count, height, width = pictures.shape[:3]
    made = {"width": width, "height": height, "frames": count, "fps": fps}
    document: Document = {
        "tokens": list(files.tokens),
        "denoising": list(files.denoising),
        "generation": {**(files.generation or {}), **made, **(generation or {})},
        "visualization": dict(visualization or {}),
    }
    document |= {"negative_tokens": list(files.negative_tokens)} if files.negative_tokens else {}
    document |= {} if video_id is None else {"video_id": video_id}
    document |= {} if files.grid is None else {"grid": files.grid}
    return write_manifest(path, files.paths, document)


def _written(attention: Attention | None, video: Path) -> AttentionFiles:
    """Write the attention of ``video`` unless its files exist already."""
    if attention is None:
        return AttentionFiles()
    if isinstance(attention, AttentionFiles):
        return attention
    folder, stem = video.parent / TENSOR_FOLDER, re.sub(r"^video_(?=\d+$)", "vid", video.stem)
    make_folder(folder)
    if isinstance(attention, Recorded):
        return attention.write(folder, stem)
    return AttentionFiles(*write_maps(folder / f"{stem}.safetensors", attention))
