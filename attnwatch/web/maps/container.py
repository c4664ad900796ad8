"""The maps of a word as one binary file, which a browser turns into numbers without parsing them one by one.

First the length of a header (uint32), then the header (JSON in UTF-8, padded with spaces so that what follows starts
at a multiple of 8), then the lowest and highest value of each frame (float32, `[step, frame, 2]`), then the maps
(uint16, `[step, frame, row, column]`), all of it little-endian. A map's 0 is the lowest value of its frame, 65534 the
highest, 65535 stands for NaN: a step, or a frame, with little attention is as exact as one with much.
"""

import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from attnwatch.batches.words import word_named
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import ConfigError
from attnwatch.library.maps import open_maps
from attnwatch.tensors.reader import WordMaps
from attnwatch.tensors.reduction import Float32Array
from attnwatch.web.maps.asked import Asked, check_cost

FORMAT = "attnwatch-maps/1"
HIGHEST, MASKED = 65534, 65535

_ALIGNED = 8
MOST_BYTES = 48 * 2**20
"""Of an answer; the page asks for single steps where all of them would be more."""


def container(manifest: Manifest, word: str, asked: Asked) -> bytes:
    """Return the maps of a word.

    Args:
        manifest: manifest of the video.
        word: slug of the word.
        asked: a step, the mean of some, or each of them.

    Raises:
        UnknownNameError: the video has no such word.
        ConfigError: what is selected is not stored, or it is too much.
        NotReadyError, TensorError, OSError: a file is missing, breaks the contract, or cannot be read.

    """
    with open_maps(manifest) as reader:
        found = word_named(word, manifest, reader.words)
        check_cost(asked.bytes(found))
        steps = [step.number for step in found.steps(asked.part)] if asked.each else None
        return _packed(found, _maps(found, asked), steps)


def _maps(word: WordMaps, asked: Asked) -> Iterator[Float32Array]:
    """Yield the maps of each step, `[frame, row, column]`; their mean alone, if that is asked for."""
    if asked.each:
        yield from (step.mean() for step in word.steps(asked.part))
    else:
        yield word.frames(asked.part)


def _packed(word: WordMaps, maps: Iterator[Float32Array], steps: list[int] | None) -> bytes:
    shape = (1 if steps is None else len(steps), *word.grid)
    if (size := 2 * int(np.prod(shape))) > MOST_BYTES:
        raise ConfigError(
            f"{word.slug}: found {size / 2**20:.0f} MiB of maps; expected at most {MOST_BYTES / 2**20:.0f} MiB in one "
            "answer; ask for one step"
        )
    ends, codes = np.empty((*shape[:2], 2), "<f4"), np.empty(shape, "<u2")
    for number, values in enumerate(maps):
        ends[number], codes[number] = _coded(values)
    header = json.dumps({"format": FORMAT, "word": word.slug, "shape": shape, "steps": steps}).encode()
    header += b" " * (-(len(header) + 4) % _ALIGNED)
    return b"".join([len(header).to_bytes(4, "little"), header, ends.tobytes(), codes.tobytes()])


def _coded(values: Float32Array) -> tuple[Float32Array, npt.NDArray[np.uint16]]:
    """Return the ends of each frame, `[frame, 2]`, and the frames in codes between them."""
    seen = np.isfinite(values)
    low = np.where(seen, values, np.inf).min(axis=(1, 2))
    high = np.where(seen, values, -np.inf).max(axis=(1, 2))
    low, high = (np.where(low <= high, end, 0).astype(np.float32) for end in (low, high))
    span = (high.astype(np.float64) - low)[:, None, None]
    shares = (values - low[:, None, None].astype(np.float64)) / np.where(span > 0, span, 1)
    codes = np.where(seen, np.rint(shares * HIGHEST), MASKED).astype(np.uint16)
    return np.stack([low, high], axis=1), codes
