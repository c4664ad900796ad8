"""The arguments of the two attention functions that layers call, in one order of axes."""

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall
from generator.errors import CaptureError


def autocast_type(device: str) -> torch.dtype | None:
    """Return the data type to which autocast casts on a type of device; None if it is off."""
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def autocasted(tensor: Tensor) -> Tensor:
    """Cast a tensor as autocast does before torch's `scaled_dot_product_attention`."""
    dtype = autocast_type(tensor.device.type) if isinstance(tensor, torch.Tensor) else None
    casts = dtype is not None and tensor.is_floating_point() and tensor.dtype != torch.float64
    return tensor.to(dtype) if casts else tensor


@dataclass(frozen=True)
class TorchArguments:
    """The arguments of `torch.nn.functional.scaled_dot_product_attention`; tensors are ``[sample, head, token, dim]``.

    The names are those of torch.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    attn_mask: Tensor | None = None
    dropout_p: float = 0.0
    is_causal: bool = False
    scale: float | None = None
    enable_gqa: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether every query attends to every key of its own head, without dropout."""
        return self.dropout_p == 0.0 and not self.is_causal and not self.enable_gqa

    def as_computed(self) -> Self:
        """Return the arguments of which torch's own function computes attention: autocast casts them first."""
        mask = None if self.attn_mask is None else autocasted(self.attn_mask)
        query, key, value = (autocasted(tensor) for tensor in (self.query, self.key, self.value))
        return replace(self, query=query, key=key, value=value, attn_mask=mask)

    def heads_first(self, tensor: Tensor) -> Tensor:
        """Return a tensor as ``[sample, head, token, dim]``."""
        return tensor

    def call(self) -> AttentionCall:
        """Return what capture needs of the arguments.

        Raises:
            CaptureError: for masks and kinds of attention that capture does not know.

        """
        if self.is_causal:
            raise CaptureError(
                "found causal attention to the text; expected attention to all text tokens. Generate without capture"
            )
        query, key = self.heads_first(self.query), self.heads_first(self.key)
        if query.shape[1] != key.shape[1]:
            raise CaptureError(
                f"found text attention with {query.shape[1]} heads of queries and {key.shape[1]} of keys; expected "
                "equal numbers. Generate without capture"
            )
        scale = None if self.scale is None else float(self.scale)
        return AttentionCall(query, key, self._mask(), scale)

    def _mask(self) -> Tensor | None:
        """Return the mask with the four axes of `AttentionCall`."""
        mask = self.attn_mask
        if mask is None:
            return None
        if not isinstance(mask, torch.Tensor):
            raise CaptureError(
                f"found an attention mask of type {type(mask).__qualname__}; expected a tensor. Capture cannot tell "
                "which keys take part: use an attention backend with plain masks, or generate without capture"
            )
        return mask.reshape((1,) * (4 - mask.ndim) + mask.shape)


@dataclass(frozen=True)
class DiffusersArguments(TorchArguments):
    """The arguments of diffusers' ``dispatch_attention_fn``; tensors are ``[sample, token, head, dim]``."""

    attention_kwargs: dict[str, object] | None = None
    backend: str | None = field(default=None, kw_only=True)
    parallel_config: object = field(default=None, kw_only=True)

    def heads_first(self, tensor: Tensor) -> Tensor:
        """Return a tensor as ``[sample, head, token, dim]``."""
        return tensor.transpose(1, 2)

    def _mask(self) -> Tensor | None:
        """Return the mask; unlike torch, diffusers takes two axes as sample and key."""
        mask = self.attn_mask
        if isinstance(mask, torch.Tensor) and mask.shape == (self.query.shape[0], self.key.shape[1]):
            return mask[:, None, None]
        return super()._mask()
