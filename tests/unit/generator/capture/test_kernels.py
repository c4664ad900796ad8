"""Kernels that also return the log-sum-exp: bit-identical outputs, and rejection of unreliable operators."""

import pytest
import torch
from torch.nn import functional

from generator.capture import kernels
from generator.capture.kernels import LogSumKernels


def inputs(rows=40, keys=1030, dtype=torch.float32, device="cpu", seed=0):
    """Query, key and value as in a model, where heads are a view of the last axis."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, length, 3, 16) for length in (rows, keys, keys)]
    return [torch.randn(shape, generator=generator).to(device, dtype).transpose(1, 2) for shape in shapes]


def log_sum_of(query, key, bias=0.0):
    return (query.double() @ key.double().transpose(-1, -2) / 4 + bias).logsumexp(-1)


@pytest.fixture
def attend():
    return LogSumKernels(functional.scaled_dot_product_attention)


MASKS = [
    None,
    torch.arange(1030).reshape(1, 1, 1, -1) < 900,
    (torch.arange(1030) > 900).reshape(1, 1, 1, -1) * -10_000.0,
]


@pytest.mark.parametrize("mask", MASKS, ids=["none", "bool", "added"])
def test_the_output_is_bit_identical_and_the_log_sum_exp_is_exact(attend, mask):
    query, key, value = inputs()
    bias = 0.0 if mask is None else torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    for _ in range(2):  # the first call verifies the operator
        output = attend(query, key, value, attn_mask=mask)
        assert torch.equal(output, functional.scaled_dot_product_attention(query, key, value, attn_mask=mask))
        assert (attend.take() - log_sum_of(query, key, bias)).abs().max() <= 2e-6
        assert attend.take() is None


def test_the_scale_is_applied(attend):
    query, key, value = inputs()
    attend(query, key, value, scale=0.5)
    assert (attend.take() - log_sum_of(2 * query, key)).abs().max() <= 4e-6


@pytest.mark.parametrize(
    "change", [{"dropout_p": 1e-9}, {"is_causal": True}, {"enable_gqa": True}], ids=["dropout", "causal", "gqa"]
)
def test_dropout_causal_and_grouped_attention_are_left_to_torch(attend, change):
    query, key, value = inputs()
    torch.manual_seed(1)
    expected = functional.scaled_dot_product_attention(query, key, value, **change)
    torch.manual_seed(1)
    assert torch.equal(attend(query, key, value, **change), expected)
    assert attend.take() is None


def test_half_precision_is_left_to_torch_on_a_cpu(attend):
    attend(*inputs(dtype=torch.bfloat16))
    assert attend.take() is None


def test_an_operator_whose_output_differs_in_one_bit_is_not_used(attend, monkeypatch):
    right = dict(kernels._OPERATORS)
    calls = []

    def slightly_wrong(call, value):
        calls.append(call)
        output, log_sum = right["cpu", torch.nn.attention.SDPBackend.FLASH_ATTENTION](call, value)
        output[0, 0, 0, 0] = torch.nextafter(output[0, 0, 0, 0], torch.tensor(torch.inf))
        return output, log_sum

    monkeypatch.setattr(kernels, "_OPERATORS", dict.fromkeys(right, slightly_wrong))
    query, key, value = inputs()
    expected = functional.scaled_dot_product_attention(query, key, value)
    for _ in range(3):
        assert torch.equal(attend(query, key, value), expected)
        assert attend.take() is None
    assert len(calls) == 1


def test_an_operator_that_returns_a_logarithm_to_base_2_is_not_used(attend, monkeypatch):
    right = dict(kernels._OPERATORS)

    def by_two(call, value):
        output, log_sum = right["cpu", torch.nn.attention.SDPBackend.FLASH_ATTENTION](call, value)
        return output, log_sum / torch.tensor(2.0).log()

    monkeypatch.setattr(kernels, "_OPERATORS", dict.fromkeys(right, by_two))
    attend(*inputs())
    assert attend.take() is None
    attend(*inputs())
    assert attend.take() is None


def test_an_operator_that_raises_is_not_used(attend, monkeypatch):
    def unsupported(call, value):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(kernels, "_OPERATORS", dict.fromkeys(kernels._OPERATORS, unsupported))
    query, key, value = inputs()
    expected = functional.scaled_dot_product_attention(query, key, value)
    assert torch.equal(attend(query, key, value), expected)
    assert attend.take() is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mask", MASKS, ids=["none", "bool", "added"])
@pytest.mark.parametrize("rows", [2048, 2049])
def test_on_a_gpu_the_output_is_bit_identical_and_the_log_sum_exp_is_exact(attend, mask, rows):
    query, key, value = inputs(rows=rows, dtype=torch.bfloat16, device="cuda")
    mask = None if mask is None else mask.cuda() if mask.dtype == torch.bool else mask.cuda().bfloat16()
    bias = 0.0 if mask is None else torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    for _ in range(2):
        output = attend(query, key, value, attn_mask=mask)
        assert torch.equal(output, functional.scaled_dot_product_attention(query, key, value, attn_mask=mask))
        assert (attend.take() - log_sum_of(query, key, bias)).abs().max() <= 1e-5
