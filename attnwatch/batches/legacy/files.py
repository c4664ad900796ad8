"""Groups the tensor files of an older video by word and denoising step, from their names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from attnwatch.batches.legacy.layouts import AGGREGATED_DIRECTORY, OldVideo
from attnwatch.system.roots import Root

_PREFIX = "token_"
_KINDS = (".npy", ".npz", ".npy.gz", ".pt", ".pt.gz")  # of several files with the same map, the first kind is read
PICKLES = (".pt", ".pt.gz")
_STEP = re.compile(rf"step_(\d+)({'|'.join(map(re.escape, _KINDS))})")
_AGGREGATE = re.compile(rf"aggregate({'|'.join(map(re.escape, _KINDS))})")
_AGGREGATED = re.compile(rf"(.+)_aggregated({'|'.join(map(re.escape, _KINDS))})", re.DOTALL)
_WEIGHT = re.compile(r"(?P<word>.*\S)\s*:\s*\d+(\.\d+)?", re.DOTALL)


@dataclass
class WordFiles:
    """The files of one word.

    Attributes:
        text: the word as spelled in the names, possibly with a weight, such as `flower:2.5`.
        steps: path of each stored step, by its number.
        aggregate: path of the mean over all steps; None if there is none.

    """

    text: str
    steps: dict[int, str] = field(default_factory=dict)  # str because a Path for each file would dominate the cost
    aggregate: str | None = None

    @property
    def word(self) -> str:
        """The word without its weight."""
        weighted = _WEIGHT.fullmatch(self.text)
        return weighted["word"] if weighted else self.text

    @property
    def files(self) -> list[str]:
        """All files of the word, steps first."""
        return [*self.steps.values(), *([self.aggregate] if self.aggregate else [])]

    @property
    def metadata(self) -> Path | None:
        """Path of the metadata that should describe the first file; None if there are no files."""
        if not self.files:
            return None
        first = Path(self.files[0])
        return first.with_name(f"{first.name.partition('.')[0] if self.steps else _stem(first)}_metadata.json")


def word_folders(old: OldVideo) -> list[Path]:
    """Return the folders of a video's words in order of name, the folder of aggregated maps last.

    Raises:
        OSError: the folder cannot be read.

    """
    with old.base.folder(old.tensors) as tensors:
        names = sorted(name for name in tensors.folders() if not name.startswith("."))
    prefixed = [name for name in names if name.startswith(_PREFIX)]
    if old.layout == 4:  # noqa: PLR2004 - the number of a layout
        prefixed = sorted(names, key=lambda name: (name == AGGREGATED_DIRECTORY, name))
    return [old.tensors / name for name in prefixed]


def words_in(folders: Iterable[Path], root: Root) -> dict[str, WordFiles]:
    """Return the words whose files are in the given folders, by text, in the order of the folders.

    Args:
        folders: the folders of the words.
        root: where they are looked up from.

    Raises:
        OSError: a folder cannot be read.

    """
    words: dict[str, WordFiles] = {}
    for folder in folders:
        for (text, step), name in _maps_in(folder, root).items():
            word = words.setdefault(text, WordFiles(text))
            if step is None:
                word.aggregate = f"{folder}/{name}"
            else:
                word.steps[step] = f"{folder}/{name}"
    for word in words.values():
        word.steps = dict(sorted(word.steps.items()))
    return words


def _maps_in(folder: Path, root: Root) -> dict[tuple[str, int | None], str]:
    """Return the name of each file with maps, by word and step number (None for aggregated maps)."""
    text, is_shared = folder.name.removeprefix(_PREFIX), folder.name == AGGREGATED_DIRECTORY
    found: dict[tuple[str, int | None], str] = {}
    with root.folder(folder) as opened:
        names = [name for name in opened.names() if not name.endswith(".json")]
    # In reverse order of preference: of several files with the same map, the last one wins.
    for name in sorted(names, key=_kind_of, reverse=True):
        if is_shared:
            if shared := _AGGREGATED.fullmatch(name):
                found[shared[1], None] = name
        elif step := _STEP.fullmatch(name):
            found[text, int(step[1])] = name
        elif _AGGREGATE.fullmatch(name):
            found[text, None] = name
    return found


def _kind_of(name: str) -> int:
    return next((rank for rank, kind in enumerate(_KINDS) if name.endswith(kind)), len(_KINDS))


def _stem(path: Path) -> str:
    kind = next(kind for kind in sorted(_KINDS, key=len, reverse=True) if path.name.endswith(kind))
    return path.name.removesuffix(kind)
