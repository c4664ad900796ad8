"""Compares the output of an attention kernel with the exact softmax's, on a sample of rows."""

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.capture.kernels import TORCHS_OWN

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
    found, expected, usual = [], [], []
    for head in {0, heads - 1}:
        last, one = slice(-1, None), slice(head, head + 1)
        few = call.part(last, slice(None, None, max(rows // ROWS, 1)), one)
        values = value[last, one]
        found.append(output[last, one, :: max(rows // ROWS, 1)].double())
        expected.append(_exact(few, values))
        mask = few.mask if few.mask is None or few.mask.dtype == torch.bool else few.mask.to(few.query.dtype)
        usual.append(TORCHS_OWN(few.query, few.key, values, mask, scale=few.scale).double())
    right = torch.stack(expected)
    error = float((torch.stack(found) - right).abs().max())
    ordinary = float((torch.stack(usual) - right).abs().max())
    rounding = float(right.abs().max()) * torch.finfo(output.dtype).eps / 2
    return error, error <= max(MARGIN * ordinary, rounding)


def _exact(call: AttentionCall, value: Tensor) -> Tensor:
    scores = call.query.double() @ call.key.double().transpose(-1, -2) * call.factor
    bias = call.bias(slice(None), slice(None))
    return (scores if bias is None else scores + bias).softmax(-1) @ value.double()
