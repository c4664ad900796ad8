"""The arithmetic of capture: attention probabilities of a few columns, exactly and in little memory.

    P[i, c] = exp(s q_i.k_c) / sum over all keys k of exp(s q_i.k)

in float32, whatever the model computes in. The full map of [rows, keys] never exists: rows are taken in
chunks whose scores fit into ``CHUNK_BYTES``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

CHUNK_BYTES = 32 * 2**20
"""Memory that one chunk of rows may take, in bytes."""


@dataclass(frozen=True)
class Columns:
    """Which keys are tracked, and which of them add up to which word.

    ``keys`` are the tracked positions. ``words`` is ``[tracked key, word]``: 1 where the key belongs to the
    word.
    """

    keys: Tensor
    words: Tensor
    last: int
    """The last tracked position."""

    @classmethod
    def of(cls, positions: Sequence[Sequence[int]], device: torch.device) -> "Columns":
        """Make the columns of words that stand at ``positions``."""
        keys = sorted({position for word in positions for position in word})
        words = [[float(key in word) for word in positions] for key in keys]
        return cls(torch.tensor(keys, device=device), torch.tensor(words, device=device), keys[-1])


def word_probabilities(
    query: Tensor, key: Tensor, columns: Columns, *, scale: float | None = None, repeats: int = 1
) -> Tensor:
    """Compute how much attention each row pays to each word.

    Args:
        query: ``[rows, heads, dim]``
        key: ``[keys, heads, dim]``
        columns: the tracked keys and their words
        scale: factor of the scores; ``dim ** -0.5`` if None
        repeats: how often the last key occurs at the end of the text; only one of them is given

    Returns:
        Probabilities ``[word, heads, rows]`` in float32, the keys of a word summed.

    """
    rows, heads, dim = query.shape
    keys = key.float().permute(1, 2, 0).contiguous()
    scale = dim**-0.5 if scale is None else scale
    bytes_per_row = 4 * heads * (dim + 2 * len(key))
    found = query.new_empty((columns.words.shape[1], heads, rows), dtype=torch.float32)
    size = max(CHUNK_BYTES // bytes_per_row, 1)
    for start in range(0, rows, size):
        chunk = query[start : start + size].float()
        scores = torch.bmm(chunk.transpose(0, 1), keys).mul_(scale)
        if repeats > 1:
            scores[..., -1] += log(repeats)
        # Softmax takes the row's largest score away first. Rounding a sum of exponentials as large as the scores
        # themselves would cost a digit.
        tracked = scores.softmax(-1).index_select(-1, columns.keys)
        found[:, :, start : start + len(chunk)] = (tracked @ columns.words).permute(2, 0, 1)
    return found


def trailing_repeats(key: Tensor) -> Tensor:
    """Count the keys at the end of ``[keys, heads, dim]`` that equal the last one, itself included.

    The count stays on the device.
    """
    same = (key == key[-1:]).flatten(1).all(1)
    return same.flip(0).long().cumprod(0).sum()


def without_repeats(key: Tensor, repeats: int) -> Tensor:
    """Leave one of the ``repeats`` equal keys at the end of ``[keys, heads, dim]``."""
    return key[: len(key) - repeats + 1]


def repeats_differ(key: Tensor, repeats: int) -> Tensor:
    """Tell, as a flag on the device, whether the last ``repeats`` keys are not all equal."""
    return (key[len(key) - repeats :] != key[-1:]).any()
