"""Computes the attention probabilities of a few columns, exactly and in little memory.

    P[i, c] = exp(s q_i.k_c + m_ic - L_i),    L_i = log(sum over all keys k of exp(s q_i.k + m_ik))

in float32, whatever the model's data type. If the model's own kernel returns L (`generator.capture.kernels`), only the
tracked columns are computed; otherwise whole rows, a few rows of one head at a time. The full map never exists.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

TILE_BYTES = {"cpu": 8 * 2**20}
"""Largest size of a tile by device type: on a CPU, what fits into its cache."""
TILE_BYTES_ELSEWHERE = 64 * 2**20
"""Accelerators need larger tiles to be fully used."""


@dataclass(frozen=True)
class AttentionCall:
    """The arguments of an attention function, in one order of axes for all models.

    ``query`` is ``[sample, head, row, dim]`` and ``key`` ``[sample, head, key, dim]``. ``mask`` broadcasts to
    ``[sample, head, row, key]``: either added to the scores, or boolean and True for keys that take part. ``scale``
    multiplies the scores, ``dim ** -0.5`` if None. ``log_sum`` is the log-sum-exp L, ``[sample, head, row]``, None if
    the kernel did not return it.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None = None
    scale: float | None = None
    log_sum: Tensor | None = None

    @property
    def factor(self) -> float:
        """Factor by which the scores are multiplied."""
        return float(self.query.shape[-1] ** -0.5 if self.scale is None else self.scale)

    def part(self, samples: slice, rows: slice, heads: slice = slice(None)) -> "AttentionCall":
        """Select samples, rows and heads, with all their keys."""
        mask = self.mask
        if mask is not None:
            taken = zip(mask.shape, (samples, heads, rows), strict=False)
            mask = mask[tuple(slice(None) if size == 1 else part for size, part in taken)]
        log_sum = None if self.log_sum is None else self.log_sum[samples, heads, rows]
        return AttentionCall(self.query[samples, heads, rows], self.key[samples, heads], mask, self.scale, log_sum)

    def bias(self, rows: slice, keys: slice | Tensor) -> Tensor | None:
        """Return the mask of some rows and keys as a term to add to their scores; None if there is no mask."""
        if self.mask is None:
            return None
        mask = (self.mask if self.mask.shape[2] == 1 else self.mask[:, :, rows])[..., keys]
        if mask.dtype == torch.bool:
            return torch.zeros_like(mask, dtype=torch.float32).masked_fill_(~mask, -torch.inf)
        return mask.float()


@dataclass(frozen=True)
class Columns:
    """The tracked keys, and the sums of them that make up each word.

    ``keys`` are the tracked positions; ``words`` holds, for each word, the indices of its keys in ``keys``.
    """

    keys: Tensor
    words: tuple[Tensor, ...]

    @classmethod
    def of(cls, positions: Sequence[Sequence[int]], device: torch.device) -> "Columns":
        """Build the columns of words from the key positions of each; a word may have none."""
        keys = sorted({position for word in positions for position in word})
        words = [[place for place, key in enumerate(keys) if key in word] for word in positions]
        return cls(_indices(keys, device), tuple(_indices(word, device) for word in words))

    def sums(self, tracked: Tensor) -> Tensor:
        """Sum the probabilities of each word's keys: ``[..., tracked key]`` to ``[word, ...]``."""
        # A matrix product would add the hundreds of equal probabilities of padding one by one, which is less exact.
        return torch.stack([tracked.index_select(-1, word).sum(-1) for word in self.words])


def _indices(values: Sequence[int], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.long, device=device)


def word_probabilities(call: AttentionCall, columns: Columns) -> Tensor:
    """Compute the attention that each row pays to each word.

    Returns:
        Probabilities ``[word, sample, head, row]`` in float32, summed over the keys of a word.

    """
    with _exactly(call.query.device.type):
        return _by_whole_rows(call, columns) if call.log_sum is None else _by_log_sum(call, call.log_sum, columns)


@contextmanager
def _exactly(device: str) -> Iterator[None]:
    """Multiply matrices in full float32, even if the calling script enabled autocast, TF32 or bfloat16."""
    matmuls = [backend.matmul for backend in (torch.backends.cuda, torch.backends.mkldnn)]
    with ExitStack() as stack:
        stack.enter_context(torch.autocast(device, enabled=False))
        for matmul in matmuls:
            stack.callback(setattr, matmul, "fp32_precision", matmul.fp32_precision)
            matmul.fp32_precision = "ieee"
        yield


def _by_log_sum(call: AttentionCall, log_sum: Tensor, columns: Columns) -> Tensor:
    """Compute only the tracked columns. Rounding of the log-sum-exp limits the accuracy: 5e-7 for values of 8 to 16."""
    samples, heads, rows, dim = call.query.shape
    keys = (call.key.index_select(2, columns.keys).float() * call.factor).transpose(2, 3)
    found = _empty(call, columns)
    each = 4 * samples * heads * (dim + 3 * len(columns.keys) + len(found))
    for part in _slices(rows, _tile_bytes(call) // each):
        scores = call.query[:, :, part].float() @ keys
        bias = call.bias(part, columns.keys)
        if bias is not None:
            scores += bias
        tracked = scores.sub_(log_sum[:, :, part, None]).exp_()
        found[..., part] = columns.sums(tracked)
    return found


def _by_whole_rows(call: AttentionCall, columns: Columns) -> Tensor:
    """Compute the softmax of whole rows, head by head, and select the tracked columns."""
    samples, heads, rows, dim = call.query.shape
    found = _empty(call, columns)
    height = _tile_bytes(call) // (4 * (dim + 2 * call.key.shape[2]))
    for sample, head in product(range(samples), range(heads)):
        one = call.part(slice(sample, sample + 1), slice(None), slice(head, head + 1))
        keys = (one.key[0, 0].float() * call.factor).T
        for part in _slices(rows, height):
            scores = one.query[0, 0, part].float() @ keys
            bias = one.bias(part, slice(None))
            if bias is not None:
                scores += bias[0, 0]
            tracked = scores.softmax(-1).index_select(-1, columns.keys)
            found[:, sample, head, part] = columns.sums(tracked)
    return found


def _empty(call: AttentionCall, columns: Columns) -> Tensor:
    return call.query.new_empty((len(columns.words), *call.query.shape[:3]), dtype=torch.float32)


def _tile_bytes(call: AttentionCall) -> int:
    return TILE_BYTES.get(call.query.device.type, TILE_BYTES_ELSEWHERE)


def _slices(length: int, size: int) -> Iterator[slice]:
    """Split ``length`` into pieces of ``size``, at least 1."""
    size = max(size, 1)
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
