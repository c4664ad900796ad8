"""Compares the output of an attention kernel with the exact softmax's, on a sample of rows."""

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.capture.operators import TORCHS_OWN

ROWS = 16
"""Number of rows of each compared head."""
MARGIN = 4
"""A kernel is exact up to rounding if its error is at most this many times that of torch's own kernel."""


def difference(call: AttentionCall, value: Tensor, output: Tensor) -> tuple[float, bool]:
    """Compare the first and the last head of the last sample.

    Args:
        call: the attention call
        value: its values ``[sample, head, key, dim]``
        output: what the kernel computed, ``[sample, head, row, dim]``

    Returns:
        The largest absolute difference, and whether rounding explains it.

    """
    _, heads, rows, _ = call.query.shape
    last, few = slice(-1, None), slice(None, None, max(rows // ROWS, 1))
    found, expected, usual = [], [], []
    for head in {0, heads - 1}:
        one = slice(head, head + 1)
        part, values = call.part(last, few, one), value[last, one]
        found.append(_in_float64(output[last, one, few]))
        expected.append(_exact(part, values))
        mask = part.mask if part.mask is None or part.mask.dtype == torch.bool else part.mask.to(part.query.dtype)
        usual.append(_in_float64(TORCHS_OWN(part.query, part.key, values, mask, scale=part.scale)))
    right = torch.stack(expected)
    error = float((torch.stack(found) - right).abs().max())
    ordinary = float((torch.stack(usual) - right).abs().max())
    rounding = float(right.abs().max()) * torch.finfo(output.dtype).eps / 2
    return error, error <= max(MARGIN * ordinary, rounding)


def _exact(call: AttentionCall, value: Tensor) -> Tensor:
    scores = _in_float64(call.query) @ _in_float64(call.key).transpose(-1, -2) * call.factor
    bias = call.bias(slice(None), slice(None))
    return (scores if bias is None else scores + _in_float64(bias)).softmax(-1) @ _in_float64(value)


def _in_float64(tensor: Tensor) -> Tensor:
    """Return a small tensor on the CPU: some accelerators have no float64."""
    return tensor.cpu().double()
