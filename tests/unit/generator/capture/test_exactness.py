"""Which outputs rounding explains."""

import pytest
import torch
from torch.nn import functional

from generator.capture.attention import AttentionCall
from generator.capture.exactness import difference


def inputs(dtype, rows=200, keys=300):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 3, length, 32, generator=generator).to(dtype) for length in (rows, keys, keys)]


MASKS = [None, torch.arange(300).reshape(1, 1, 1, -1) < 200]


@pytest.mark.parametrize("mask", MASKS, ids=["none", "bool"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_exact_softmax_is_exact_in_every_data_type(dtype, mask):
    query, key, value = inputs(dtype)
    allowed = 0.0 if mask is None else torch.where(mask, 0.0, -torch.inf)
    scores = query.float() @ key.float().transpose(-1, -2) * 32**-0.5 + allowed
    for output in (
        (scores.softmax(-1) @ value.float()).to(dtype),
        functional.scaled_dot_product_attention(query, key, value, mask),
    ):
        found, is_rounding = difference(AttentionCall(query, key, mask), value, output)
        assert is_rounding
        assert found <= 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_attention_is_not(dtype):
    query, key, value = inputs(dtype)
    output = functional.scaled_dot_product_attention(query, key[:, :, :250], value[:, :, :250])
    found, is_rounding = difference(AttentionCall(query, key), value, output)
    assert not is_rounding
    assert found > 0.01


def test_an_output_that_is_not_a_number_is_not_exact():
    query, key, value = inputs(torch.float32)
    assert difference(AttentionCall(query, key), value, query * torch.nan)[1] is False
