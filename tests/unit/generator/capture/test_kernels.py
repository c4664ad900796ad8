"""Kernels that also return the log-sum-exp: bit-identical outputs, and rejection of unreliable operators."""

from contextlib import nullcontext
from functools import partial, wraps

import pytest
import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator.capture.attention import AttentionCall, Columns, word_probabilities
from generator.capture.kernels import LogSumKernels
from generator.capture.operators import OPERATORS
from generator.capture.second_pass import SecondPass


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


FLASH_ON_CPU = "cpu", SDPBackend.FLASH_ATTENTION


def stand_in(monkeypatch, change):
    """Let stand-ins take the place of torch's operator on a CPU: its results after ``change``, one for each change."""
    (right,) = OPERATORS[FLASH_ON_CPU]
    calls = []

    def operator(call, value, change):
        calls.append(call)
        return change(*right(call, value))

    changes = change if isinstance(change, list) else [change]
    own = tuple(lambda call, value, change=change: operator(call, value, change) for change in changes)
    monkeypatch.setitem(OPERATORS, FLASH_ON_CPU, own)
    return calls


def one_bit_more(output, log_sum):
    output[0, 0, 0, 0] = torch.nextafter(output[0, 0, 0, 0], torch.tensor(torch.inf))
    return output, log_sum


def no_kernel(output, log_sum):
    raise RuntimeError("no such kernel")


UNUSABLE = {
    "an output that differs in one bit": one_bit_more,
    "a log-sum-exp of other scores": lambda output, log_sum: (output, log_sum + 2e-5),
    "a log-sum-exp of another shape": lambda output, log_sum: (output, log_sum[:, :, :-1]),
    "a log-sum-exp that is not a number": lambda output, log_sum: (output, log_sum * torch.nan),
    "an exception": no_kernel,
}


@pytest.mark.parametrize("change", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unreliable_operator_is_tried_once_and_not_used(attend, monkeypatch, change):
    calls = stand_in(monkeypatch, change)
    query, key, value = inputs()
    expected = functional.scaled_dot_product_attention(query, key, value)
    for _ in range(3):
        assert torch.equal(attend(query, key, value), expected)
        assert attend.take() is None
    assert len(calls) == 1


def padded(output, log_sum):
    """Answer like the memory-efficient kernel, which pads rows."""
    return output, functional.pad(log_sum, (0, 8), value=torch.inf)


SHAPES = {
    "sample, head, row, 1": lambda output, log_sum: (output, log_sum[..., None]),
    "sample, head, row": lambda output, log_sum: (output, log_sum),
    "padded rows": padded,
    "sample, row, head": lambda output, log_sum: (output, log_sum.transpose(1, 2).contiguous()),
    "head, row of all samples": lambda output, log_sum: (output, log_sum.transpose(0, 1).flatten(1)),
    "base 2": lambda output, log_sum: (output, log_sum / torch.tensor(2.0).log()),
}


@pytest.mark.parametrize("change", SHAPES.values(), ids=SHAPES)
def test_the_log_sum_exp_is_recognised_in_every_shape_and_base_that_kernels_use(attend, monkeypatch, change):
    stand_in(monkeypatch, change)
    query, key, value = inputs()
    for _ in range(2):
        attend(query, key, value)
        assert (attend.take() - log_sum_of(query, key)).abs().max() <= 4e-6


def test_if_the_first_operator_of_a_kernel_is_wrong_the_next_one_is_used(attend, monkeypatch):
    calls = stand_in(monkeypatch, [one_bit_more, lambda output, log_sum: (output, log_sum)])
    for _ in range(3):
        attend(*inputs())
        assert attend.take() is not None
    assert len(calls) == 4  # both at first, then the right one


def test_the_kernel_that_torch_chooses_in_a_context_is_followed(attend, monkeypatch):
    calls = stand_in(monkeypatch, lambda output, log_sum: (output, log_sum))
    query, key, value = inputs()
    with sdpa_kernel(SDPBackend.MATH):
        expected = functional.scaled_dot_product_attention(query, key, value)
        assert torch.equal(attend(query, key, value), expected)
    assert attend.take() is None
    assert (attend.kernel, calls) == ("math", [])
    attend(query, key, value)
    assert attend.take() is not None
    assert attend.kernel == "flash_attention"


def test_the_sum_of_several_calls_is_not_taken_for_that_of_one(attend):
    attend(*inputs())
    attend(*inputs())
    assert attend.take() is None
    attend(*inputs())
    assert attend.take() is not None


def test_what_replaced_torchs_function_is_called_with_the_arguments_it_is_given():
    given = []

    def strict(q, k, v, is_causal=False):
        given.append((q, k, v, is_causal))
        return v

    query, key, value = inputs()
    attend = LogSumKernels(strict)
    assert attend(query, key, value, is_causal=True) is value
    assert given == [(query, key, value, True)]
    assert attend.take() is None
    assert attend.kernel.endswith("strict")


class Replacement:
    """Replaces torch's function by an object that can be called."""

    def __call__(self, query, key, value):
        return value


def wrapper_of_torchs(query, key, value):
    return functional.scaled_dot_product_attention(query, key, value)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (wraps(functional.scaled_dot_product_attention)(wrapper_of_torchs), "wrapper_of_torchs"),
        (partial(wrapper_of_torchs), "wrapper_of_torchs"),
        (Replacement(), "Replacement"),
        (lambda query, key, value: value, "<lambda>"),
    ],
)
def test_what_really_runs_is_named_and_not_what_it_bears_the_name_of(function, name):
    attend = LogSumKernels(function)
    attend(*inputs())
    assert attend.kernel == f"{__name__}.{name}"


@pytest.mark.parametrize("mask", MASKS, ids=["none", "bool", "added"])
def test_attention_under_autocast_is_computed_of_what_torch_casts(attend, mask):
    query, key, value = inputs()
    mask = mask.bfloat16().float() + 0.001 if mask is not None and mask.is_floating_point() else mask
    with torch.autocast("cpu", torch.bfloat16):
        expected = functional.scaled_dot_product_attention(query, key, value.bfloat16(), attn_mask=mask)
        output = attend(query, key, value.bfloat16(), attn_mask=mask)
    assert torch.equal(output, expected)
    assert attend.kernel == "flash_attention"  # and not that of the three types as they are, which is none


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch refuses CPU tensors in another way where there is a GPU")
def test_the_operators_of_a_gpu_have_the_parameters_that_they_are_called_with():
    call = AttentionCall(*(tensor.bfloat16() for tensor in inputs()[:2]), torch.ones(2, 3, 40, 1030) > 0)
    value = call.key
    for (device, kernel), operators in OPERATORS.items():
        for operator in operators if device == "cuda" else ():
            given = AttentionCall(call.query, call.key) if kernel is SDPBackend.FLASH_ATTENTION else call
            with pytest.raises(NotImplementedError, match="CPU"):  # and not a TypeError
                operator(given, value)


needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CONTEXTS = {
    "default": None,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "priority": [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION],
}
LAYOUTS = {"heads are views": lambda tensor: tensor, "contiguous": lambda tensor: tensor.contiguous()}


def on_gpu(mask):
    return None if mask is None else mask.cuda() if mask.dtype == torch.bool else mask.cuda().bfloat16()


def context(kernel):
    return nullcontext() if kernel is None else sdpa_kernel(kernel, set_priority=isinstance(kernel, list))


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("mask", MASKS, ids=["none", "bool", "added"])
@pytest.mark.parametrize("rows", [2048, 2049])
@pytest.mark.parametrize("kernel", CONTEXTS.values(), ids=CONTEXTS)
def test_on_a_gpu_the_output_is_bit_identical_and_the_log_sum_exp_is_exact(attend, mask, rows, kernel, layout):
    if mask is not None and kernel is SDPBackend.FLASH_ATTENTION:
        pytest.skip("the flash kernel takes no mask")
    query, key, value = map(layout, inputs(rows=rows, dtype=torch.bfloat16, device="cuda"))
    mask = on_gpu(mask)
    bias = 0.0 if mask is None else torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    with context(kernel):
        for _ in range(2):
            output = attend(query, key, value, attn_mask=mask)
            assert torch.equal(output, functional.scaled_dot_product_attention(query, key, value, attn_mask=mask))
            assert (attend.take() - log_sum_of(query, key, bias)).abs().max() <= 1e-5


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize("mask", MASKS, ids=["none", "bool", "added"])
def test_on_a_gpu_a_second_pass_tells_the_log_sum_exp_that_the_math_kernel_does_not(attend, mask):
    query, key, value = inputs(rows=2049, dtype=torch.bfloat16, device="cuda")
    mask = on_gpu(mask)
    bias = 0.0 if mask is None else torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    with sdpa_kernel(SDPBackend.MATH):
        attend(query, key, value, attn_mask=mask)
        assert attend.take() is None
        found = SecondPass().log_sum(AttentionCall(query, key, mask))
    assert (found - log_sum_of(query, key, bias)).abs().max() <= 1e-5


@pytest.mark.gpu
@needs_a_gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("samples", [1, 2])
def test_on_a_gpu_columns_are_exact(attend, dtype, samples):
    query, key, value = (tensor[:samples] for tensor in inputs(rows=2049, dtype=dtype, device="cuda"))
    attend(query, key, value)
    call = AttentionCall(query, key, log_sum=attend.take())
    assert call.log_sum is not None
    columns = Columns.of([(3,), (5, 6), (700, 701, 702)], query.device)
    found = word_probabilities(call, columns)
    exact = (query.double() @ key.double().transpose(-1, -2) / 4).softmax(-1)
    expected = torch.stack([exact[..., list(word)].sum(-1) for word in [(3,), (5, 6), (700, 701, 702)]])
    assert (found - expected).abs().max() <= 1e-6
