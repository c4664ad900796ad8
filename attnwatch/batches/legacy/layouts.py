"""Recognizes the four layouts of older batches, by the names of folders and files only.

Below `<batch>/attention_maps/`, the tensors of a video are in

1. `prompt_000/vid001/token_<word>/step_000.npy`
2. `prompt_000_vid001/token_<word>/step_000.npy`
3. `prompt_000/p000_b001_s000/token_<word>/step_000.npy` (prompt, variation, seed)
4. `prompt_001_vid_001/<word>/step_000.npz`, and `prompt_001_vid_001/aggregated/<word>_aggregated.npz`
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from attnwatch.contract.names import TENSOR_DIRECTORY
from attnwatch.system.folders import Links
from attnwatch.system.roots import Root

VIDEO_DIRECTORY = "videos"
AGGREGATED_DIRECTORY = "aggregated"
SUMMARY_FILE = "summary.json"

_PROMPT = re.compile(r"prompt_\d+")
_NUMBER = re.compile(r"vid_?(\d+)")
_FLAT = re.compile(r"(prompt_\d+)_(vid_?(\d+))")
_COORDINATES = re.compile(r"p(\d+)_b(\d+)_s(\d+)")

NAMED_VIDEO = re.compile(r"video_\d+_p(\d+)_.*_s(\d+)\.mp4", re.DOTALL)
NUMBERED_VIDEO = re.compile(r"video_(\d+)\.mp4")


@dataclass(frozen=True)
class OldVideo:
    """The location of one video's tensors in an older batch.

    Attributes:
        batch: folder of the batch.
        tensors: folder of the video's tensors, below `attention_maps`.
        layout: number of the layout, 1 to 4, as listed above.
        prompt: name of the prompt, such as `prompt_000`.
        number: digits of the video's number; None in layout 3.
        coordinates: numbers of prompt, variation and seed in layout 3; None in the others.
        root: the folder that the user named, from which the batch is reached without links; None for the batch.

    """

    batch: Path
    tensors: Path
    layout: int
    prompt: str
    number: str | None = None
    coordinates: tuple[int, int, int] | None = None
    root: Root | None = field(default=None, compare=False)

    @property
    def base(self) -> Root:
        """The batch, in which links that stay inside are followed."""
        return Root(self.batch, Links.INSIDE) if self.root is None else self.root.below(self.batch, Links.INSIDE)


def old_video(path: Path, root: Root | None = None) -> OldVideo | None:
    """Parse the path of a folder; None if it is not named like the tensor folder of one video.

    Args:
        path: the folder.
        root: the folder that the user named, from which the batch is reached without links; None for the batch.

    """
    parts = path.parts
    if len(parts) > 1 and parts[-2] == TENSOR_DIRECTORY and (flat := _FLAT.fullmatch(parts[-1])):
        layout = 4 if "_" in flat[2] else 2
        return OldVideo(Path(*parts[:-2]), path, layout, flat[1], number=flat[3], root=root)
    if len(parts) < 3 or parts[-3] != TENSOR_DIRECTORY or not _PROMPT.fullmatch(parts[-2]):  # noqa: PLR2004
        return None
    batch, prompt = Path(*parts[:-3]), parts[-2]
    if numbered := _NUMBER.fullmatch(parts[-1]):
        return OldVideo(batch, path, 1, prompt, number=numbered[1], root=root)
    if coordinates := _COORDINATES.fullmatch(parts[-1]):
        prompt_number, variation, seed = map(int, coordinates.groups())
        return OldVideo(batch, path, 3, prompt, coordinates=(prompt_number, variation, seed), root=root)
    return None


def is_old_name(name: str) -> bool:
    """Return whether a file is named like a video of an older batch."""
    return bool(NUMBERED_VIDEO.fullmatch(name) or NAMED_VIDEO.fullmatch(name))


def old_video_around(path: Path) -> OldVideo | None:
    """Return the video whose tensor folder is, or contains, a path; None if there is none."""
    if TENSOR_DIRECTORY not in path.parts:
        return None
    return next((found for folder in (path, *path.parents) if (found := old_video(folder))), None)


def batch_around(path: Path) -> Path | None:
    """Return the batch whose `attention_maps` folder is, or contains, a path; None if there is none."""
    parts = path.parts
    if TENSOR_DIRECTORY not in parts:
        return None
    return Path(*parts[: len(parts) - 1 - parts[::-1].index(TENSOR_DIRECTORY)])


def old_videos_in(batch: Path, root: Root | None = None) -> Iterator[OldVideo]:
    """Yield the videos whose tensors are in a batch, in order of name.

    Args:
        batch: folder of the batch.
        root: the folder that the user named, from which the batch is reached without links; None for the batch.

    """
    maps, start = batch / TENSOR_DIRECTORY, root or Root(batch)
    for name in _folders(maps, start):
        if (flat := old_video(maps / name, root)) is not None:
            yield flat
        elif _PROMPT.fullmatch(name):
            inside = (old_video(maps / name / below, root) for below in _folders(maps / name, start))
            yield from (found for found in inside if found is not None)


def _folders(path: Path, root: Root) -> list[str]:
    try:
        with root.folder(path) as folder:
            return sorted(folder.folders())
    except OSError:
        return []
