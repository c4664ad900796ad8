"""Obtains the log-sum-exp of a call whose own kernel does not tell it, from another fused kernel.

That kernel computes the same scores again, from the same query and key. It costs about as much as the attention
itself, a small part of what whole rows in float32 cost on an accelerator. Its output is not used: a few columns stand
in for the values, which nearly halves the work where a kernel allows it.
"""

from collections.abc import Iterator
from functools import partial
from itertools import product

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from generator.capture.attention import AttentionCall
from generator.capture.operators import OPERATORS, Operator
from generator.capture.verified import Kind, Reading, attempt, kind_of, reading_of

KERNELS: dict[str, tuple[SDPBackend, ...]] = {
    "cuda": (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)
}
"""Kernels to try by device type, the fastest first. On a CPU, whole rows cost no more than a second pass."""
NARROW = 8
"""Number of columns that stand in for the values."""
OUTPUT_BYTES = 16 * 2**20
"""Largest size of an output, which is thrown away: more heads are computed in several passes."""

_Way = tuple[Operator, int, Reading]


class SecondPass:
    """Computes log-sum-exps with the first kernel whose result is right, verified at the first call of each kind."""

    def __init__(self) -> None:
        self._known: dict[Kind, _Way | None] = {}

    def log_sum(self, call: AttentionCall) -> Tensor | None:
        """Return the log-sum-exp of a call, float32 ``[sample, head, row]``; None if no kernel tells it."""
        kind = kind_of(call)
        if kind not in self._known:
            self._known[kind] = next((way for way in _candidates(call) if way is not None), None)
        way = self._known[kind]
        if way is None:
            return None
        operator, width, reading = way
        found = call.query.new_empty(call.query.shape[:3], dtype=torch.float32)
        for heads in _pieces(call, width):
            piece = call.part(slice(None), slice(None), heads)
            result = attempt(partial(operator, piece, piece.key[..., :width]))
            log_sum = None if result is None else reading(result[1], piece)
            if log_sum is None:
                self._known[kind] = None
                return None
            found[:, heads] = log_sum
        return found


def _candidates(call: AttentionCall) -> Iterator[_Way | None]:
    """Try all kernels on the last heads of a call; yield None for one that cannot run, or whose result is wrong."""
    device, dim = call.query.device.type, call.query.shape[3]
    for kernel, width in product(KERNELS.get(device, ()), (min(NARROW, dim), dim)):
        piece = call.part(slice(None), slice(None), _pieces(call, width)[-1])
        for operator in OPERATORS[device, kernel]:
            found = attempt(partial(operator, piece, piece.key[..., :width]))
            reading = None if found is None else reading_of(found[1], piece)
            yield None if reading is None else (operator, width, reading)


def _pieces(call: AttentionCall, width: int) -> list[slice]:
    """Split the heads so that an output of ``width`` columns stays small."""
    samples, heads, rows, _ = call.query.shape
    size = max(OUTPUT_BYTES // (samples * rows * width * call.query.element_size()), 1)
    return [slice(start, min(start + size, heads)) for start in range(0, heads, size)]
