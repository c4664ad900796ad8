"""Runs attention with the kernel that torch would choose, and also obtains its log-sum-exp.

Every fused kernel normalises a row by the sum of the exponentials of its scores. The operators that implement
`scaled_dot_product_attention` return the logarithm of that sum along with the same output. With it, a few columns of
the attention map cost almost nothing; without it, the scores of all keys must be computed a second time.

Every operator is verified: the first call of each kind (device, data type, shapes, mask) runs both ways. An operator
whose output differs in a single bit, or whose log-sum-exp is wrong, is not used again.
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import product

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from generator.capture.attention import AttentionCall

Operator = Callable[[AttentionCall, Tensor], tuple[Tensor, Tensor]]
"""Takes a call and its values; returns the output and the log-sum-exp."""

AXES = 4
"""Sample, head, token and dimension."""
MASK_ALIGNMENT = 16
"""The memory-efficient kernel needs mask rows padded to a multiple of this number of elements, as torch does too."""
PIECE = 1024
"""Rows of one head that are compared at a time."""
ROWS, TOLERANCE = 8, 1e-4
"""Number of rows whose log-sum-exp is recomputed, and the largest accepted difference."""


class LogSumKernels:
    """Computes ``torch.nn.functional.scaled_dot_product_attention`` and remembers the last log-sum-exp.

    ``function`` is torch's own, or what replaced it.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self._equal: dict[tuple[object, ...], bool] = {}
        self._log_sum: Tensor | None = None

    def take(self) -> Tensor | None:
        """Return and forget the log-sum-exp of the last call, float32 ``[sample, head, row]``; None if unknown."""
        found, self._log_sum = self._log_sum, None
        return found

    def __call__(  # noqa: PLR0917 - torch's own signature
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """Compute attention, identical to ``function`` to the last bit."""
        self._log_sum = None
        call = AttentionCall(query, key, attn_mask, scale)
        plain = dropout_p == 0.0 and not is_causal and not enable_gqa
        operator = _operator(call, value) if plain else None
        if operator is not None and self._equal.get(_kind(call), True):
            return self._with_log_sum(operator, call, value)
        return self.function(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)

    def _with_log_sum(self, operator: Operator, call: AttentionCall, value: Tensor) -> Tensor:
        kind = _kind(call)
        if kind in self._equal:
            output, self._log_sum = operator(call, value)
            return output
        self._equal[kind] = False
        with suppress(RuntimeError):  # the operator does not support this kind of call
            output, log_sum = operator(call, value)
            found = _digest(output)
            del output  # two outputs at once would dominate the memory that capture needs
            expected = self.function(call.query, call.key, value, call.mask, scale=call.scale)
            self._equal[kind] = torch.equal(found, _digest(expected)) and _is_log_sum(log_sum, call)
            self._log_sum = log_sum if self._equal[kind] else None
            return expected
        return self.function(call.query, call.key, value, call.mask, scale=call.scale)


def _is_log_sum(found: Tensor, call: AttentionCall) -> bool:
    """Check the first rows of the last head: an operator may return another quantity, such as a sum to base 2."""
    part = call.part(slice(-1, None), slice(0, ROWS), slice(-1, None))
    scores = part.query.double() @ part.key.double().transpose(-1, -2) * part.factor
    bias = part.bias(slice(None), slice(None))
    expected = (scores if bias is None else scores + bias).logsumexp(-1)
    return bool((found[-1:, -1:, :ROWS] - expected).abs().max() < TOLERANCE)


def _digest(output: Tensor) -> Tensor:
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


def _kind(call: AttentionCall) -> tuple[object, ...]:
    query, key, mask = call.query, call.key, call.mask
    described = None if mask is None else (mask.dtype, mask.shape)
    return query.device, query.dtype, query.shape, query.stride(), key.shape, key.stride(), described, call.scale


def _operator(call: AttentionCall, value: Tensor) -> Operator | None:
    """Return the operator of the kernel that torch would choose; None if its log-sum-exp is missing or inexact."""
    device = call.query.device.type
    ranks = {tensor.ndim for tensor in (call.query, call.mask) if tensor is not None}
    if ranks != {AXES} or device not in {known for known, _ in _OPERATORS}:
        return None
    if device == "cpu" and call.query.dtype != torch.float32:
        # The CPU kernel uses a fast exponential. Measured errors of its log-sum-exp: 5e-7 in float32, 1.3e-6 if most
        # keys are equal, like padding, and 4e-5 in half precision.
        return None
    chosen = torch._fused_sdp_choice(
        call.query,
        call.key,
        value,
        attn_mask=call.mask,
        dropout_p=0.0,
        is_causal=False,
        scale=call.scale,
        enable_gqa=False,
    )
    return _OPERATORS.get((device, SDPBackend(chosen)))


def _flash_on_cpu(call: AttentionCall, value: Tensor) -> tuple[Tensor, Tensor]:
    mask = None if call.mask is None else _additive(call.mask, call.query.dtype)
    output, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        call.query, call.key, value, attn_mask=mask, scale=call.scale
    )
    return output, log_sum


def _flash_on_cuda(call: AttentionCall, value: Tensor) -> tuple[Tensor, Tensor]:
    """Call the flash kernel, which has no mask; torch does not choose it for masked attention."""
    output, log_sum, *_ = torch.ops.aten._scaled_dot_product_flash_attention(
        call.query, call.key, value, scale=call.scale
    )
    return output, log_sum[..., : call.query.shape[2]]


def _efficient_on_cuda(call: AttentionCall, value: Tensor) -> tuple[Tensor, Tensor]:
    """Call the memory-efficient kernel, which needs an aligned mask of full shape and pads the rows of its result."""
    bias = None
    if call.mask is not None:
        bias = _additive(call.mask, call.query.dtype)
        missing = -bias.shape[-1] % MASK_ALIGNMENT
        if missing:
            bias = torch.nn.functional.pad(bias, (0, missing))[..., : bias.shape[-1]]
        bias = bias.expand(*call.query.shape[:3], call.key.shape[2])
    output, log_sum, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
        call.query, call.key, value, bias, compute_log_sumexp=True, scale=call.scale
    )
    return output, log_sum[..., : call.query.shape[2]]


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


_OPERATORS: dict[tuple[str, SDPBackend], Operator] = {
    ("cpu", SDPBackend.FLASH_ATTENTION): _flash_on_cpu,
    ("cuda", SDPBackend.FLASH_ATTENTION): _flash_on_cuda,
    ("cuda", SDPBackend.EFFICIENT_ATTENTION): _efficient_on_cuda,
}
