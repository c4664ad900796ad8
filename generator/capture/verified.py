"""Ways to compute attention that also tell its log-sum-exp, each verified before it is relied on.

The first call of each kind (device, data type, shapes, mask) runs both ways, with and without the log-sum-exp. A way
whose output differs in a single bit, or whose log-sum-exp is wrong, is not used again.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from math import log
from typing import TypeVar

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.models.memory import lacks_memory

Result = TypeVar("Result")
Kind = tuple[object, ...]
Way = Callable[[], tuple[Tensor, Tensor]]
"""Computes the output ``[sample, head, row, dim]`` and the log-sum-exp in the kernel's own shape."""
Reading = Callable[[Tensor, AttentionCall], Tensor | None]
"""Converts a kernel's log-sum-exp to ``[sample, head, row]``; None if it has another shape."""

REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError)
"""What a kernel raises when it cannot do what it is asked for. Nothing is lost: the call is then made plainly."""
AXES = 4
"""Sample, head, row and dimension."""
PIECE = 1024
"""Rows of one head that are compared at a time."""
ROWS = 8
"""Number of rows whose log-sum-exp is recomputed."""
ROUNDING = 8 * torch.finfo(torch.float32).eps
"""Largest accepted error of a log-sum-exp, times 1 plus the magnitude of the scores and of the log-sum-exp itself.

That is what sums in float32 lose, whatever the data type of query and key: products of halves are exact in float32.
Measured on a CPU for 128 to 4096 keys, 16 to 128 dimensions and scores up to 65: at most 3.7 times eps for the kernel
in float32, and for whole rows in float32, which are the alternative; 14 to 92 times for the kernel in bfloat16, whose
fast exponential is inexact. A word's probability P is then wrong by at most P * 1e-6 for small scores, and by P * 6e-6
for scores of 5.
"""


class Verified:
    """Runs attention in the first of several ways that is right, or plainly if none is.

    The verification is a check of one sample. The whole output of the first call of each kind is compared, to the last
    bit, and the log-sum-exp of the first `ROWS` rows of its last head; later calls rely on that. The setting
    ``self_check`` compares rows of every layer and step.
    """

    def __init__(self) -> None:
        self._known: dict[Kind, tuple[int, Reading] | None] = {}

    def run(
        self, kind: Kind, call: AttentionCall, ways: Sequence[Way], plain: Callable[[], Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output of ``plain``, to the last bit, and its log-sum-exp if a way tells it."""
        if kind not in self._known:
            return self._first(kind, call, ways, plain)
        known = self._known[kind]
        if known is None:
            return plain(), None
        number, reading = known
        result = attempt(ways[number])
        if result is None:
            self._known[kind] = None
            return plain(), None
        output, found = result
        return output, reading(found, call)

    def _first(
        self, kind: Kind, call: AttentionCall, ways: Sequence[Way], plain: Callable[[], Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        # Two outputs at once would dominate the memory that capture needs: this one is gone before the next is made.
        first = attempt(partial(_fingerprinted, ways[0])) if ways else None
        output = plain()
        expected = fingerprint(output) if ways else None
        self._known[kind] = None
        for number, way in enumerate(ways):
            result = attempt(partial(_fingerprinted, way)) if number else first
            if result is None or expected is None or not torch.equal(result[0], expected):
                continue
            reading = reading_of(result[1], call)
            if reading is not None:
                self._known[kind] = number, reading
                return output, reading(result[1], call)
        return output, None


def attempt(run: Callable[[], Result]) -> Result | None:
    """Return what ``run`` returns; None if a kernel cannot do what it is asked for.

    Lack of memory is not such an answer: it says nothing about the kernel, so it is raised.
    """
    try:
        return run()
    except REFUSALS as error:
        if lacks_memory(error):
            raise
        return None


def _fingerprinted(way: Way) -> tuple[Tensor, Tensor]:
    """Return the fingerprint of a way's output, and its log-sum-exp."""
    output, found = way()
    return fingerprint(output), found


def kind_of(call: AttentionCall) -> Kind:
    """Return what a kernel's abilities depend on."""
    query, key, mask = call.query, call.key, call.mask
    described = None if mask is None else (mask.dtype, mask.shape)
    return query.device, query.dtype, query.shape, query.stride(), key.shape, key.stride(), described, call.scale


def fingerprint(output: Tensor) -> Tensor:
    """Compute a checksum of each piece of a head: the sum of its bit patterns weighted by position."""
    bits = output.view({2: torch.int16, 4: torch.int32}[output.element_size()])
    samples, heads, rows, dim = bits.shape
    places = torch.arange(1, 1 + PIECE * dim, device=bits.device).reshape(PIECE, dim)
    weighted = torch.empty_like(places)
    sums = []
    for sample, head, start in product(range(samples), range(heads), range(0, rows, PIECE)):
        piece = bits[sample, head, start : start + PIECE]
        part = weighted[: len(piece)].copy_(piece)
        sums.append(part.mul_(places[: len(piece)]).sum())
    return torch.stack(sums)


def reading_of(found: Tensor, call: AttentionCall) -> Reading | None:
    """Find out how a kernel's log-sum-exp has to be read; None if it is another quantity."""
    return next((reading for reading in _READINGS if _is_log_sum(reading(found, call), call)), None)


def _is_log_sum(found: Tensor | None, call: AttentionCall) -> bool:
    """Check the first rows of the last head: a kernel may return another quantity, such as a running maximum."""
    if found is None:
        return False
    part = call.part(slice(-1, None), slice(0, ROWS), slice(-1, None))
    scores = part.query.double() @ part.key.double().transpose(-1, -2) * part.factor
    bias = part.bias(slice(None), slice(None))
    expected = (scores if bias is None else scores + bias).logsumexp(-1)
    allowed = ROUNDING * (1 + torch.maximum(scores.abs().amax(-1), expected.abs().nan_to_num(posinf=0.0)))
    return bool(((found[-1:, -1:, :ROWS] - expected).abs() <= allowed).all())


def _heads_first(found: Tensor, call: AttentionCall) -> Tensor | None:
    """Read ``[sample, head, row]``, with a last axis of length 1 (cuDNN) or padded rows (memory-efficient)."""
    samples, heads, rows, _ = call.query.shape
    found = found.squeeze(-1) if found.ndim == AXES else found
    fits = found.ndim == AXES - 1 and found.shape[:2] == (samples, heads) and found.shape[2] >= rows
    return found[..., :rows] if fits else None


def _rows_first(found: Tensor, call: AttentionCall) -> Tensor | None:
    """Read ``[sample, row, head]``."""
    samples, heads, rows, _ = call.query.shape
    found = found.squeeze(-1) if found.ndim == AXES else found
    return found.transpose(1, 2) if found.shape == (samples, rows, heads) else None


def _packed(found: Tensor, call: AttentionCall) -> Tensor | None:
    """Read ``[head, row of all samples]``, of kernels for samples of different lengths."""
    samples, heads, rows, _ = call.query.shape
    return found.reshape(heads, samples, rows).transpose(0, 1) if found.shape == (heads, samples * rows) else None


def _to_base_two(layout: Reading) -> Reading:
    """Read a logarithm to base 2."""

    def read(found: Tensor, call: AttentionCall) -> Tensor | None:
        arranged = layout(found, call)
        return None if arranged is None else arranged * log(2)

    return read


_LAYOUTS: tuple[Reading, ...] = (_heads_first, _rows_first, _packed)
_READINGS: tuple[Reading, ...] = (*_LAYOUTS, *map(_to_base_two, _LAYOUTS))
