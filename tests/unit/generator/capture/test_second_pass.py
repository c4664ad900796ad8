"""The log-sum-exp of a call whose own kernel does not tell it, from another one: torch's on a CPU stands in for it."""

import pytest
import torch
from torch.nn.attention import SDPBackend

from generator.capture import second_pass
from generator.capture.attention import AttentionCall
from generator.capture.operators import OPERATORS
from generator.capture.second_pass import SecondPass

FLASH_ON_CPU = "cpu", SDPBackend.FLASH_ATTENTION
(RIGHT,) = OPERATORS[FLASH_ON_CPU]


@pytest.fixture
def calls(monkeypatch):
    """Let torch's kernel be tried on a CPU, and record its calls: the number of heads and of columns of the values."""
    seen = []

    def operator(call, value):
        seen.append((call.query.shape[1], value.shape[-1]))
        return RIGHT(call, value)

    monkeypatch.setitem(second_pass.KERNELS, "cpu", (SDPBackend.FLASH_ATTENTION,))
    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, (operator,))
    return seen


def random_call(mask=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(2, length, 4, 16, generator=generator).transpose(1, 2) for length in (40, 100))
    return AttentionCall(query, key, mask)


def exact(call):
    scores = call.query.double() @ call.key.double().transpose(-1, -2) * call.factor
    bias = call.bias(slice(None), slice(None))
    return (scores if bias is None else scores + bias).logsumexp(-1)


@pytest.mark.parametrize("shape", [None, (1, 1, 1, 100), (2, 1, 40, 100), (1, 4, 1, 100)])
def test_the_log_sum_exp_is_exact_with_every_kind_of_mask(calls, shape):
    mask = None if shape is None else torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.7
    passes = SecondPass()
    for seed in (0, 1):  # the first call finds a kernel
        call = random_call(mask, seed)
        assert (passes.log_sum(call) - exact(call)).abs().max() <= 2e-6


def test_a_few_columns_stand_in_for_the_values_where_the_kernel_allows_it(calls, monkeypatch):
    SecondPass().log_sum(random_call())
    assert calls == [(4, 8), (4, 16), (4, 16)]  # torch's kernel on a CPU refuses 8 columns
    widths = []

    def allowing(call, value):
        widths.append(value.shape[-1])
        return RIGHT(call, call.key)

    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, (allowing,))
    SecondPass().log_sum(random_call())
    assert widths == [8, 8]


def test_heads_are_computed_in_pieces_that_bound_the_memory(calls, monkeypatch):
    monkeypatch.setattr(second_pass, "OUTPUT_BYTES", 3 * 2 * 40 * 16 * 4)
    call = random_call()
    passes = SecondPass()
    assert (passes.log_sum(call) - exact(call)).abs().max() <= 2e-6
    calls.clear()
    passes.log_sum(call)
    assert calls == [(3, 16), (1, 16)]


@pytest.mark.parametrize("wrong", [lambda log_sum: log_sum + 0.01, lambda log_sum: log_sum[..., :3]])
def test_a_kernel_with_another_result_is_not_used(calls, monkeypatch, wrong):
    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, (lambda call, value: (None, wrong(RIGHT(call, call.key)[1])),))
    passes = SecondPass()
    assert passes.log_sum(random_call()) is None
    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, ())  # it is not tried again
    assert passes.log_sum(random_call()) is None


def test_lack_of_memory_is_raised_and_the_kernel_is_tried_again(calls, monkeypatch):
    def short(call, value):
        raise torch.OutOfMemoryError("CUDA out of memory")

    passes, right = SecondPass(), OPERATORS[FLASH_ON_CPU]
    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, (short,))
    with pytest.raises(torch.OutOfMemoryError):
        passes.log_sum(random_call())
    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, right)
    assert passes.log_sum(random_call()) is not None


def test_a_kernel_that_later_refuses_a_call_is_given_up(calls, monkeypatch):
    def refuse(call, value):
        raise RuntimeError("no kernel for this alignment")

    refusals, passes = [], SecondPass()

    def changing(call, value):
        return (refuse if refusals else RIGHT)(call, value)

    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, (changing,))
    assert passes.log_sum(random_call()) is not None
    refusals.append(True)
    assert passes.log_sum(random_call()) is None
    refusals.clear()
    assert passes.log_sum(random_call()) is None


def test_on_a_cpu_there_is_no_second_pass():
    assert SecondPass().log_sum(random_call()) is None
