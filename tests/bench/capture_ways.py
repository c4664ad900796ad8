"""Ways of obtaining the words' probabilities in a single call of attention: that of `generator.capture`, and others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from diffusers.models.transformers import transformer_wan
from torch import Tensor
from torch.nn import functional

from generator.capture.attention import AttentionCall, Columns, word_probabilities
from generator.capture.kernels import LogSumKernels
from generator.models.families.wan import WanModel
from tests.bench.capture_cases import POSITIONS, Case

Way = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Computes attention from query, key and value, and additionally the words' probabilities."""
WORDS = 3
plain_attention = functional.scaled_dot_product_attention


def own(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The method of `generator.capture`, for a single call of attention."""
    kernels = LogSumKernels(plain_attention)
    output = kernels(query, key, value)
    word_probabilities(AttentionCall(query, key, log_sum=kernels.take()), _columns(query))
    return output


def full_map(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute the full map, multiply it with the values, and select its columns."""
    scores = query.float() @ key.float().transpose(-1, -2) * query.shape[-1] ** -0.5
    probabilities = scores.softmax(-1)
    _columns(query).sums(probabilities.index_select(-1, _columns(query).keys))
    return (probabilities @ value.float()).to(query.dtype)


def one_hot_values(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Call the kernel a second time, with values that are 1 at the tracked keys."""
    columns = _columns(query)
    picked = torch.zeros_like(value)
    picked[..., columns.keys, torch.arange(len(columns.keys), device=query.device)] = 1.0
    columns.sums(plain_attention(query, key, picked)[..., : len(columns.keys)].float())
    return plain_attention(query, key, value)


def chunks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute all scores a second time, a few rows at a time."""
    word_probabilities(AttentionCall(query, key), _columns(query))
    return plain_attention(query, key, value)


OTHER_WAYS: dict[str, Way] = {"full map": full_map, "one-hot values": one_hot_values, "rows in chunks": chunks}


def _columns(query: Tensor) -> Columns:
    return Columns.of(POSITIONS[:WORDS], query.device)


@contextmanager
def replaced(case: Case, way: Way) -> Iterator[None]:
    """Replace the text attention of a network by another method."""
    if isinstance(case.model, WanModel):
        dispatch = transformer_wan.dispatch_attention_fn

        def attention(query: Tensor, key: Tensor, value: Tensor, **more: object) -> Tensor:
            if key.shape[1] != case.model.text_keys:
                return dispatch(query, key, value, **more)
            return way(*(tensor.transpose(1, 2) for tensor in (query, key, value))).transpose(1, 2)

        with patch.object(transformer_wan, "dispatch_attention_fn", attention):
            yield
    else:
        with patch.object(functional, "scaled_dot_product_attention", lambda q, k, v, **_: way(q, k, v)):
            yield
