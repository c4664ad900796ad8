"""Computes the attention probabilities of a few columns, exactly and in little memory.

    P[i, c] = exp(s q_i.k_c + m_ic - L_i),    L_i = log(sum over all keys k of exp(s q_i.k + m_ik))

in float32, whatever the model's data type. If L is known, from the model's own kernel (`generator.capture.kernels`) or
a second one (`generator.capture.second_pass`), only the tracked columns are computed; otherwise whole rows, a few rows
of one head at a time. The full map never exists.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import torch
from torch import Tensor

from generator.capture.precision import exact_products
from generator.models.memory import lacks_memory

TILE_BYTES = {"cpu": 8 * 2**20}
"""Largest size of a tile by device type: on a CPU, what fits into its cache."""
TILE_BYTES_ELSEWHERE = 64 * 2**20
"""Accelerators need larger tiles to be fully used."""


@dataclass(frozen=True)
class Ran:
    """What computed the output of an attention call.

    ``is_exact`` tells whether that is the exact softmax, up to rounding. ``difference`` is the largest absolute
    difference to it that was found on a sample of rows of the layer's first call; None if it was not compared.
    """

    kernel: str
    is_exact: bool = True
    difference: float | None = None


@dataclass(frozen=True)
class AttentionCall:
    """The arguments of an attention function, in one order of axes for all models.

    ``query`` is ``[sample, head, row, dim]`` and ``key`` ``[sample, head, key, dim]``. ``mask`` broadcasts to
    ``[sample, head, row, key]``: either added to the scores, or boolean and True for keys that take part. ``scale``
    multiplies the scores, ``dim ** -0.5`` if None. ``log_sum`` is the log-sum-exp L, ``[sample, head, row]``, None if
    it is not known.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None = None
    scale: float | None = None
    log_sum: Tensor | None = None
    ran: Ran | None = None

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
        query, key = self.query[samples, heads, rows], self.key[samples, heads]
        return replace(self, query=query, key=key, mask=mask, log_sum=log_sum)

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
    """The tracked keys in the order of `sums`: words with equally many keys lie side by side.

    ``keys`` are positions, listed again for each word that they are part of. ``groups`` are pairs of a number of words
    and their number of keys. ``places`` tells where each word is in that order.
    """

    keys: Tensor
    groups: tuple[tuple[int, int], ...]
    places: tuple[int, ...]

    @classmethod
    def of(cls, positions: Sequence[Sequence[int]], device: torch.device) -> "Columns":
        """Build the columns of words from the key positions of each; a word may have none."""
        words = [sorted(set(word)) for word in positions]
        order = sorted(range(len(words)), key=lambda number: len(words[number]))
        keys = [key for number in order for key in words[number]]
        groups = Counter(len(words[number]) for number in order)
        places = tuple(order.index(number) for number in range(len(words)))
        found = torch.tensor(keys, dtype=torch.long, device=device)
        return cls(found, tuple((words, length) for length, words in groups.items()), places)

    def sums(self, tracked: Tensor) -> Tensor:
        """Sum the probabilities of each word's keys: ``[..., tracked key]`` to ``[word, ...]``."""
        # One sum for all words of equal length: the number of operations hardly grows with the number of words. A
        # matrix product would add the hundreds of equal probabilities of padding one by one, which is less exact.
        sums: list[Tensor] = []
        blocks = torch.split(tracked, [words * length for words, length in self.groups], -1)
        for block, group in zip(blocks, self.groups, strict=True):
            sums += block.reshape(*tracked.shape[:-1], *group).sum(-1).unbind(-1)
        return torch.stack([sums[place] for place in self.places])


def word_probabilities(call: AttentionCall, columns: Columns) -> Tensor:
    """Compute the attention that each row pays to each word.

    Returns:
        Probabilities ``[word, sample, head, row]`` in float32, summed over the keys of a word.

    """
    with exact_products(call.query.device.type):
        return _by_whole_rows(call, columns) if call.log_sum is None else _by_log_sum(call, call.log_sum, columns)


def _by_log_sum(call: AttentionCall, log_sum: Tensor, columns: Columns) -> Tensor:
    """Compute only the tracked columns. Rounding of the log-sum-exp limits the accuracy: 5e-7 for values of 8 to 16."""
    samples, heads, rows, dim = call.query.shape
    keys = _operand(call.key.index_select(2, columns.keys), call.factor)
    found = _empty(call, columns)
    each = 4 * samples * heads * (dim + 3 * len(columns.keys) + len(found))
    for part in _slices(rows, _tile_bytes(call) // each):
        scores = _scores(call.query[:, :, part], keys, call.factor)
        bias = call.bias(part, columns.keys)
        if bias is not None:
            scores += bias
        tracked = scores.sub_(log_sum[:, :, part, None]).exp_()
        found[..., part] = columns.sums(tracked)
    return found


def _operand(keys: Tensor, factor: float) -> Tensor:
    """Prepare keys ``[..., key, dim]`` for `_scores`: as they are, or scaled and widened to float32."""
    halves = _adds_halves_exactly(keys.device.type, keys.dtype)
    return (keys if halves else keys.float() * factor).transpose(-1, -2)


def _scores(query: Tensor, keys: Tensor, factor: float) -> Tensor:
    """Compute the scores ``[sample, head, row, key]`` of prepared keys in float32."""
    if keys.dtype == torch.float32:
        return query.float() @ keys
    # Products of two halves are exact in float32, so queries need not be widened first. The heads of a single sample
    # are not copied either: they are a view of this product's batch.
    scores: Tensor = torch.bmm(query.flatten(0, 1), keys.flatten(0, 1), out_dtype=torch.float32)
    return scores.mul_(factor).view(*query.shape[:3], keys.shape[-1])


@cache
def _adds_halves_exactly(device: str, dtype: torch.dtype) -> bool:
    """Whether torch can multiply matrices of a half-precision type into float32."""
    if device != "cuda" or dtype not in {torch.bfloat16, torch.float16}:
        return False
    try:
        few = torch.ones((1, 8, 8), dtype=dtype, device=device)
        return torch.bmm(few, few, out_dtype=torch.float32).dtype == torch.float32
    except RuntimeError as error:  # this device or version of torch cannot
        if lacks_memory(error):
            raise
        return False


def _by_whole_rows(call: AttentionCall, columns: Columns) -> Tensor:
    """Compute the softmax of whole rows, head by head, and select the tracked columns."""
    samples, heads, rows, _ = call.query.shape
    found = _empty(call, columns)
    height = rows_at_once(call)
    for sample, head in product(range(samples), range(heads)):
        one = call.part(slice(sample, sample + 1), slice(None), slice(head, head + 1))
        keys = _operand(one.key, call.factor)
        for part in _slices(rows, height):
            scores = _scores(one.query[:, :, part], keys, call.factor)
            bias = one.bias(part, slice(None))
            if bias is not None:
                scores += bias
            tracked = scores.softmax(-1).index_select(-1, columns.keys)
            found[:, sample, head, part] = columns.sums(tracked)[:, 0, 0]
    return found


def row_log_sums(call: AttentionCall) -> Tensor:
    """Compute the log-sum-exp of each row, ``[sample, head, row]``, in float32."""
    samples, heads, rows, _ = call.query.shape
    found = call.query.new_empty((samples, heads, rows), dtype=torch.float32)
    with exact_products(call.query.device.type):
        for sample, head in product(range(samples), range(heads)):
            one = call.part(slice(sample, sample + 1), slice(None), slice(head, head + 1))
            keys = _operand(one.key, call.factor)
            for part in _slices(rows, rows_at_once(call)):
                scores = _scores(one.query[:, :, part], keys, call.factor)
                bias = one.bias(part, slice(None))
                found[sample, head, part] = (scores if bias is None else scores + bias).logsumexp(-1)[0, 0]
    return found


def rows_at_once(call: AttentionCall) -> int:
    """Return the number of whole rows of one head that are computed at a time, at least 1."""
    _, _, keys, dim = call.key.shape
    return max(_tile_bytes(call) // (4 * (dim + 2 * keys)), 1)


def _empty(call: AttentionCall, columns: Columns) -> Tensor:
    return call.query.new_empty((len(columns.places), *call.query.shape[:3]), dtype=torch.float32)


def _tile_bytes(call: AttentionCall) -> int:
    return TILE_BYTES.get(call.query.device.type, TILE_BYTES_ELSEWHERE)


def _slices(length: int, size: int) -> Iterator[slice]:
    """Split ``length`` into pieces of ``size``, at least 1."""
    size = max(size, 1)
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
