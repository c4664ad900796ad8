"""Writes a finished video in the order of FORMAT.md: the video, its tensors and, last, its manifest."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from generator.errors import VideoError
from generator.outputs.encode import encode_video
from generator.outputs.files import atomic_write, make_folder
from generator.outputs.manifest import FORMAT, Document, manifest_of, write_manifest
from generator.outputs.tensor_file import Stored, write_tensors
from generator.prompts.tokens import unique_slugs
from generator.values import MAX_ID_BYTES, file_name

TENSOR_FOLDER = "attention_maps"

MAX_FPS = 1000
"""Highest frame rate that FORMAT.md allows."""

_BRIGHTEST = 255
_CHANNELS = 3
_STEP_AXES = 6


@dataclass(frozen=True)
class AttentionFiles:
    """Tensor files of a video in the order of denoising steps, and the manifest fields that describe them."""

    paths: tuple[Path, ...] = ()
    tokens: Sequence[Document] = ()
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
        frames: one video as diffusers pipelines return it: ``[frame, height, width, 3]``, float from 0 to 1 or 8 bit,
            or a list of images; height and width must be even
        fps: frames per second
        attention: the result of `generator.library.capture`; or your own maps by word, float16 or float32
            ``[step, layer, head, frame, height, width]``; or None
        video_id: name of the attention videos; by default derived from the names of folder and file
        generation: how the video was made, in addition to what ``attention`` records (FORMAT.md, ``generation``)
        visualization: picture settings that the watcher should use

    Returns:
        The path of the manifest.

    Raises:
        VideoError: if the frames, the maps, ``fps`` or ``video_id`` are invalid.
        OutputError: if a file cannot be written.

    """
    path = Path(path)
    _check_call(fps, video_id)
    pictures = _pictures(frames)
    make_folder(path.parent)
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
    document |= {} if video_id is None else {"video_id": video_id}
    document |= {} if files.grid is None else {"grid": files.grid}
    return write_manifest(path, files.paths, document)


def _check_call(fps: float, video_id: str | None) -> None:
    """Refuse what the watcher would refuse, before writing anything."""
    if not 0 < fps <= MAX_FPS:
        raise VideoError(f"fps: found {fps}; expected frames per second above 0 and at most {MAX_FPS}")
    try:
        if video_id is not None:
            file_name(video_id, most_bytes=MAX_ID_BYTES)
    except ValueError as error:
        raise VideoError(f"video_id: found {video_id!r}; {error}") from error


def _pictures(frames: Any) -> np.ndarray:  # noqa: ANN401
    """Return frames as float from 0 to 1."""
    pictures = frames if isinstance(frames, np.ndarray) else np.stack([np.asarray(frame) for frame in frames])
    if (
        pictures.ndim != _CHANNELS + 1
        or pictures.shape[-1] != _CHANNELS
        or any(side % 2 for side in pictures.shape[1:3])
    ):
        raise VideoError(
            f"frames: found an array of shape {list(pictures.shape)}; expected one video [frame, height, width, 3], "
            "height and width even. From a pipeline's output, use `.frames[0]`"
        )
    return pictures / np.float32(_BRIGHTEST) if pictures.dtype == np.uint8 else pictures


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
    return _write_maps(folder / f"{stem}.safetensors", attention)


def _write_maps(path: Path, maps: Mapping[str, np.ndarray]) -> AttentionFiles:
    """Write the caller's own maps by word."""
    for word, array in maps.items():
        if array.ndim != _STEP_AXES or array.dtype not in (np.float16, np.float32):
            raise VideoError(
                f"attention to {word!r}: found {array.dtype} of shape {list(array.shape)}; expected float16 or float32 "
                "[step, layer, head, frame, height, width]. Axes that were averaged have length 1"
            )
    slugs = unique_slugs(list(maps))
    tensors = {slug: Stored.whole(array) for slug, array in zip(slugs, maps.values(), strict=True)}
    write_tensors(path, tensors, {"format": FORMAT})
    return AttentionFiles((path,), [{"slug": slug, "text": word} for slug, word in zip(slugs, maps, strict=True)])
