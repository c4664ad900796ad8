"""What is accepted as a log-sum-exp, and what is learnt from a kernel that fails."""

import pytest
import torch

from generator.capture.attention import AttentionCall
from generator.capture.operators import OPERATORS
from generator.capture.verified import Verified, attempt, kind_of, reading_of

((FLASH_ON_CPU,),) = (operators for (device, _), operators in OPERATORS.items() if device == "cpu")


def random_call(dtype=torch.float32, scores=1.0, keys=300, mask=None):
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 2, length, 64, generator=generator) for length in (32, keys))
    return AttentionCall((scores * query).to(dtype), key.to(dtype), mask)


def log_sum_of(call):
    bias = 0.0 if call.mask is None else call.bias(slice(None), slice(None))
    return (call.query.double() @ call.key.double().transpose(-1, -2) * call.factor + bias).logsumexp(-1)


MASKS = {"none": None, "bool": torch.arange(300).reshape(1, 1, 1, -1) < 200, "added": torch.full((1, 1, 1, 300), 500.0)}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("scores", [0.1, 1.0, 10.0])
def test_what_is_exact_in_float32_is_accepted_whatever_the_scores(scores, mask):
    call = random_call(scores=scores, mask=mask)
    assert reading_of(FLASH_ON_CPU(call, call.key)[1], call) is not None
    assert reading_of(log_sum_of(call).float(), call) is not None


@pytest.mark.parametrize("error", [2e-5, -2e-5])
def test_an_error_that_the_maps_would_show_is_not_accepted(error):
    call = random_call()
    assert reading_of(log_sum_of(call) + error, call) is None


@pytest.mark.parametrize("scores", [0.1, 1.0, 10.0])
def test_the_fast_exponential_of_the_kernel_for_halves_on_a_cpu_is_not_accepted(scores):
    call = random_call(torch.bfloat16, scores)
    assert reading_of(FLASH_ON_CPU(call, call.key)[1], call) is None


def test_a_row_without_any_key_proves_nothing():
    call = random_call(mask=torch.zeros(1, 1, 1, 300, dtype=torch.bool))
    for value in (0.0, -torch.inf, torch.nan):
        assert reading_of(torch.full((1, 2, 32), value), call) is None


SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("shortage", SHORTAGES, ids=["GPU", "CPU", "cuBLAS"])
def test_lack_of_memory_is_raised_and_the_kernel_is_tried_again(shortage):
    call, verified, failures = random_call(), Verified(), [shortage]

    def way():
        if failures:
            raise failures.pop()
        return FLASH_ON_CPU(call, call.key)

    def run():
        return verified.run(kind_of(call), call, [way], lambda: FLASH_ON_CPU(call, call.key)[0])

    with pytest.raises(RuntimeError) as raised:
        run()
    assert raised.value is shortage
    assert run()[1] is not None


def test_a_way_that_later_refuses_a_call_is_given_up_and_the_call_is_made_plainly():
    call, verified, calls = random_call(), Verified(), []

    def way():
        calls.append(way)
        if len(calls) == 2:
            raise RuntimeError("no kernel for this alignment")
        return FLASH_ON_CPU(call, call.key)

    def run():
        return verified.run(kind_of(call), call, [way], lambda: FLASH_ON_CPU(call, call.key)[0])

    found = [run() for _ in range(3)]
    assert [log_sum is None for _, log_sum in found] == [False, True, True]
    assert all(torch.equal(output, found[0][0]) for output, _ in found)
    assert len(calls) == 2


@pytest.mark.parametrize("refusal", [RuntimeError("no kernel"), TypeError("no such argument"), ValueError("no mask")])
def test_a_refusal_is_not_raised(refusal):
    def refuse():
        raise refusal

    assert attempt(refuse) is None
