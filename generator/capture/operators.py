"""Torch's fused attention operators, called as torch itself calls them, which also return the log-sum-exp."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend

from generator.capture.attention import AttentionCall

Operator = Callable[[AttentionCall, Tensor], tuple[Tensor, Tensor]]
"""Takes a call and its values; returns the output and the log-sum-exp in the kernel's own shape."""

TORCHS_OWN: Callable[..., Tensor] = torch._C._nn.scaled_dot_product_attention
"""`torch.nn.functional.scaled_dot_product_attention`, unless something replaced it there."""

MASK_ALIGNMENT = 16
"""The memory-efficient kernel needs mask rows padded to a multiple of this number of elements, as torch does too."""
HEAD_ALIGNMENT = 8
"""The flash kernel needs head dimensions that are multiples of this number."""
LOWEST_HALF = -65504.0
"""What torch up to 2.10 adds to the score of a masked key for cuDNN, instead of minus infinity."""


def chosen(call: AttentionCall, value: Tensor) -> SDPBackend:
    """Return the kernel that torch chooses, which follows `sdpa_kernel` contexts and their order of priority."""
    return SDPBackend(
        torch._fused_sdp_choice(
            call.query,
            call.key,
            value,
            attn_mask=call.mask,
            dropout_p=0.0,
            is_causal=False,
            scale=call.scale,
            enable_gqa=False,
        )
    )


def _flash_on_cpu(call: AttentionCall, value: Tensor) -> tuple[Tensor, Tensor]:
    output, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        call.query, call.key, value, attn_mask=_bias(call), scale=call.scale
    )
    return output, log_sum


def _flash_on_cuda(call: AttentionCall, value: Tensor) -> tuple[Tensor, Tensor]:
    """Call the flash kernel, which has no mask; torch does not choose it for masked attention."""
    if call.mask is not None:
        raise NotImplementedError("the flash kernel takes no mask")
    query, key, padded = (_padded(tensor, HEAD_ALIGNMENT) for tensor in (call.query, call.key, value))
    output, log_sum, *_ = torch.ops.aten._scaled_dot_product_flash_attention(query, key, padded, scale=call.factor)
    return output[..., : value.shape[-1]], log_sum


def _efficient_on_cuda(call: AttentionCall, value: Tensor) -> tuple[Tensor, Tensor]:
    """Call the memory-efficient kernel, which needs an aligned mask of full shape and pads the rows of its result."""
    bias = _bias(call)
    if bias is not None:
        keys = bias.shape[-1]
        bias = _padded(bias, MASK_ALIGNMENT)[..., :keys].expand(*call.query.shape[:3], call.key.shape[2])
    output, log_sum, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
        call.query, call.key, value, bias, compute_log_sumexp=True, scale=call.scale
    )
    return output, log_sum


def _cudnn(call: AttentionCall, value: Tensor, *, masked: float) -> tuple[Tensor, Tensor]:
    """Call the kernel of cuDNN, which expands the mask itself."""
    output, log_sum, *_ = torch.ops.aten._scaled_dot_product_cudnn_attention(
        call.query, call.key, value, _bias(call, masked), True, 0.0, False, False, scale=call.scale
    )
    return output, log_sum


def _bias(call: AttentionCall, masked: float = -torch.inf) -> Tensor | None:
    """Return the mask as a term to add to the scores, in the query's data type; ``masked`` is for keys without part."""
    if call.mask is None or call.mask.dtype != torch.bool:
        return call.mask
    return torch.zeros_like(call.mask, dtype=call.query.dtype).masked_fill_(~call.mask, masked)


def _padded(tensor: Tensor, alignment: int) -> Tensor:
    missing = -tensor.shape[-1] % alignment
    return functional.pad(tensor, (0, missing)) if missing else tensor


OPERATORS: dict[tuple[str, SDPBackend], tuple[Operator, ...]] = {
    ("cpu", SDPBackend.FLASH_ATTENTION): (_flash_on_cpu,),
    ("cuda", SDPBackend.CUDNN_ATTENTION): (
        partial(_cudnn, masked=-torch.inf),
        partial(_cudnn, masked=LOWEST_HALF),
    ),
    ("cuda", SDPBackend.FLASH_ATTENTION): (_flash_on_cuda,),
    ("cuda", SDPBackend.EFFICIENT_ATTENTION): (_efficient_on_cuda,),
}
"""The operators of each kernel by device type, in the order in which they are tried."""
