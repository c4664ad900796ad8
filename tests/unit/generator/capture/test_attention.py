"""Attention probabilities of single columns against a full softmax in float64, and their memory."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from generator.capture import attention
from generator.capture.attention import AttentionCall, Columns, word_probabilities

SAMPLES, HEADS, ROWS, DIM = 2, 3, 37, 8


def random_call(keys, rows=ROWS, seed=0, **more):
    generator = torch.Generator().manual_seed(seed)
    return AttentionCall(
        3 * torch.randn(SAMPLES, HEADS, rows, DIM, generator=generator),
        3 * torch.randn(SAMPLES, HEADS, keys, DIM, generator=generator),
        **more,
    )


def in_float64(call, positions):
    """The full softmax by the textbook formula: [word, sample, head, row]."""
    scores = call.query.double() @ call.key.double().transpose(-1, -2) * call.factor
    if call.mask is not None and call.mask.dtype == torch.bool:
        scores = scores.masked_fill(~call.mask, -torch.inf)
    elif call.mask is not None:
        scores = scores + call.mask.double()
    probabilities = scores.softmax(-1)
    return torch.stack([probabilities[..., list(word)].sum(-1) for word in positions])


def columns(*positions):
    return Columns.of(positions, torch.device("cpu"))


POSITIONS = [(0,), (3, 4, 19), (4,)]


def test_probabilities_equal_those_of_the_full_softmax():
    call = random_call(keys=20)
    found = word_probabilities(call, columns(*POSITIONS))
    assert found.dtype == torch.float32
    assert found.shape == (3, SAMPLES, HEADS, ROWS)
    assert (found - in_float64(call, POSITIONS)).abs().max() <= 1e-6


def test_the_scale_is_applied():
    call = random_call(keys=20, scale=0.1)
    assert (word_probabilities(call, columns((1,))) - in_float64(call, [(1,)])).abs().max() <= 1e-6


@pytest.mark.parametrize("shape", [(SAMPLES, 1, 1, 20), (1, HEADS, 1, 20), (SAMPLES, HEADS, ROWS, 20)])
@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
def test_the_mask_is_applied(shape, kind):
    allowed = torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.7
    mask = allowed if kind == torch.bool else (~allowed).float() * -10_000.0
    call = random_call(keys=20, mask=mask)
    found = word_probabilities(call, columns(*POSITIONS))
    assert (found - in_float64(call, POSITIONS)).abs().max() <= 1e-6
    assert in_float64(call, POSITIONS).min() == 0


def test_a_part_of_a_call_has_the_same_probabilities_as_in_the_whole():
    allowed = torch.rand(SAMPLES, 1, ROWS, 20, generator=torch.Generator().manual_seed(1)) < 0.7
    call = random_call(keys=20, mask=allowed)
    whole = word_probabilities(call, columns(*POSITIONS))
    part = word_probabilities(call.part(slice(1, 2), slice(5, 30)), columns(*POSITIONS))
    assert (whole[:, 1:2, :, 5:30] - part).abs().max() <= 1e-7


def with_log_sum(call):
    """Add the log-sum-exp, as a kernel would."""
    bias = 0.0 if call.mask is None else call.bias(slice(None), slice(None)).double()
    scores = call.query.double() @ call.key.double().transpose(-1, -2) * call.factor + bias
    return replace(call, log_sum=scores.logsumexp(-1).float())


@pytest.mark.parametrize("mask", [None, torch.arange(20) % 3 > 0])
def test_probabilities_are_exact_with_the_log_sum_exp_of_a_kernel(mask):
    call = random_call(keys=20, mask=None if mask is None else mask.reshape(1, 1, 1, 20))
    call = with_log_sum(replace(call, query=call.query / 5))
    assert call.log_sum.abs().max() < 16
    assert (word_probabilities(call, columns(*POSITIONS)) - in_float64(call, POSITIONS)).abs().max() <= 1e-6


def test_a_given_log_sum_exp_is_used_without_recomputing_it():
    call = with_log_sum(random_call(keys=20))
    ratio = word_probabilities(call, columns((1,))) / word_probabilities(
        replace(call, log_sum=call.log_sum + 1.0), columns((1,))
    )
    assert ratio.min() == pytest.approx(torch.e, rel=1e-5)


def test_bfloat16_inputs_are_computed_in_float32():
    call = random_call(keys=20)
    call = AttentionCall(call.query.bfloat16(), call.key.bfloat16())
    found = word_probabilities(call, columns((2, 5)))
    assert (found - in_float64(call, [(2, 5)])).abs().max() <= 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("keys", [512, 1500])
@pytest.mark.parametrize("given_log_sum", [False, True])
def test_half_precision_at_the_sizes_of_real_heads_is_as_exact_as_float32(dtype, keys, given_log_sum):
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 2, length, 128, generator=generator).to(dtype) for length in (300, keys))
    call = AttentionCall(query, key)
    call = with_log_sum(call) if given_log_sum else call
    assert (word_probabilities(call, columns(*POSITIONS)) - in_float64(call, POSITIONS)).abs().max() <= 1e-6


def test_lack_of_memory_does_not_count_as_a_missing_ability(monkeypatch):
    def short(*_args, **_kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "ones", short)
    with pytest.raises(torch.OutOfMemoryError):
        attention._adds_halves_exactly.__wrapped__("cuda", torch.bfloat16)


@pytest.fixture
def products_of_halves(monkeypatch):
    """Let a stand-in multiply halves into float32, which torch can do on a GPU only; record what it receives."""
    seen = []

    def bmm(first, second, *, out_dtype):
        seen.append((first.dtype, first.is_contiguous(), first.data_ptr()))
        return first.to(out_dtype) @ second.to(out_dtype)

    monkeypatch.setattr(attention, "_adds_halves_exactly", lambda device, dtype: dtype == torch.bfloat16)
    monkeypatch.setattr(torch, "bmm", bmm)
    return seen


@pytest.mark.parametrize("samples", [1, SAMPLES])
@pytest.mark.parametrize("mask", [None, torch.arange(20) % 3 > 0])
@pytest.mark.parametrize("given_log_sum", [False, True])
def test_products_of_halves_are_exact_and_copy_no_query_of_a_single_sample(
    products_of_halves, samples, mask, given_log_sum
):
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(samples, size, HEADS, DIM, generator=generator).bfloat16() for size in (ROWS, 20))
    mask = None if mask is None else mask.reshape(1, 1, 1, 20)
    call = AttentionCall(query.transpose(1, 2), key.transpose(1, 2), mask, scale=0.3)
    call = with_log_sum(call) if given_log_sum else call
    assert (word_probabilities(call, columns(*POSITIONS)) - in_float64(call, POSITIONS)).abs().max() <= 1e-6
    assert {dtype for dtype, *_ in products_of_halves} == {torch.bfloat16}
    if samples == 1:
        _, is_contiguous, place = products_of_halves[0]
        assert (is_contiguous, place) == (False, query.data_ptr())


class Operations(TorchDispatchMode):
    """Counts operations that compute or copy something."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += not function.is_view
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("given_log_sum", [False, True])
def test_the_number_of_operations_does_not_grow_with_the_number_of_words(given_log_sum):
    call = with_log_sum(random_call(keys=40)) if given_log_sum else random_call(keys=40)
    counts = []
    for words in (1, 3, 8):
        wanted = columns(*((4 * word, 4 * word + 1) for word in range(words)))
        with Operations() as operations:
            word_probabilities(call, wanted)
        counts.append(operations.count)
    assert len(set(counts)) == 1


def test_words_of_different_lengths_keep_their_order():
    call = random_call(keys=20)
    positions = [(1, 2, 3), (), (4,), (2, 19), (), (0,), (5, 6, 7)]
    found = word_probabilities(call, columns(*positions))
    assert (found - in_float64(call, positions)).abs().max() <= 1e-6


@pytest.fixture
def matmul_precision():
    before = torch.get_float32_matmul_precision()
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision(before)


class Precision(TorchDispatchMode):
    """Records the precision and the data type of every matrix product."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function in {torch.ops.aten.mm.default, torch.ops.aten.bmm.default}:
            backends = torch.backends.cuda, torch.backends.mkldnn
            self.seen.add((args[0].dtype, *(backend.matmul.fp32_precision for backend in backends)))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("given_log_sum", [False, True])
def test_autocast_and_reduced_matmul_precision_of_the_script_do_not_affect_capture(matmul_precision, given_log_sum):
    call = with_log_sum(random_call(keys=20)) if given_log_sum else random_call(keys=20)
    expected = word_probabilities(call, columns((2, 5)))
    matmul_precision("medium")
    with torch.autocast("cpu", dtype=torch.bfloat16), Precision() as precision:
        assert torch.equal(word_probabilities(call, columns((2, 5))), expected)
    assert precision.seen == {(torch.float32, "ieee", "ieee")}
    assert torch.get_float32_matmul_precision() == "medium"


def test_settings_of_sums_in_half_precision_stay_as_the_script_left_them():
    matmul = torch.backends.cuda.matmul
    names = ["allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction"]
    if not hasattr(matmul, f"{names[0]}_split_k"):
        pytest.skip("this version of torch does not tell whether sums may be split: use torch 2.10 or later")
    for name in names:
        setattr(matmul, name, (False, False))
    try:
        word_probabilities(random_call(9), columns((1,)))
        assert [getattr(matmul, f"{name}{half}") for name in names for half in ("", "_split_k")] == [False] * 4
    finally:
        for name in names:
            setattr(matmul, name, True)


def test_a_word_without_a_key_has_no_mass():
    call = random_call(keys=20)
    found = word_probabilities(call, columns((), (2,)))
    assert found[0].count_nonzero() == 0
    assert (found[1] - in_float64(call, [(2,)])[0]).abs().max() <= 1e-6
    assert word_probabilities(call, columns(())).count_nonzero() == 0


@pytest.mark.parametrize("given_log_sum", [False, True])
def test_the_tile_size_does_not_change_the_result(monkeypatch, given_log_sum):
    call = random_call(keys=20, mask=torch.rand(1, 1, ROWS, 20, generator=torch.Generator().manual_seed(1)) < 0.7)
    call = replace(call, query=call.query / 5)
    call = with_log_sum(call) if given_log_sum else call
    whole = word_probabilities(call, columns((2, 5)))
    monkeypatch.setitem(attention.TILE_BYTES, "cpu", 1000)
    assert (word_probabilities(call, columns((2, 5))) - whole).abs().max() <= 1e-6


class LargestTensor(TorchDispatchMode):
    """Records the size of the largest result of any operation, in bytes."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.nbytes)
        return result


def test_the_full_attention_map_never_exists():
    generator = torch.Generator().manual_seed(0)
    call = AttentionCall(torch.randn(1, 2, 20_000, DIM, generator=generator), torch.randn(1, 2, 1000, DIM))
    whole_map = 4 * 2 * 20_000 * 1000
    query = call.query.nbytes  # its views count as results too
    with LargestTensor() as largest:
        word_probabilities(call, columns((2, 5)))
        word_probabilities(replace(call, log_sum=torch.zeros(1, 2, 20_000)), columns((2, 5)))
    assert largest.bytes <= max(attention.TILE_BYTES["cpu"], query) < whole_map / 15


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 30), st.integers(0, 2**32))
def test_the_probabilities_of_all_keys_add_up_to_one(keys, seed):
    call = random_call(keys, seed=seed)
    found = word_probabilities(call, columns(*((position,) for position in range(keys))))
    assert (found.sum(0) - 1).abs().max() <= 1e-5
