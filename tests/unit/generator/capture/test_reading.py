"""Attention functions are run as they are: every backend of diffusers, and functions put in place of torch's own.

The kernels of most backends need a GPU and packages of their own. Stand-ins take their parameters and answer as they
do: in layout, in shape of the log-sum-exp, and in what they return if it is asked for.
"""

from functools import partial

import pytest
import torch
from diffusers.models import attention_dispatch
from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend, dispatch_attention_fn
from torch.nn import functional

from generator.capture import reading
from generator.capture.backends import BACKENDS, LogSum
from generator.capture.reading import AttentionReader
from generator.errors import CaptureError

SAMPLES, ROWS, KEYS, HEADS, DIM = 2, 24, 40, 3, 16


def inputs(seed=0):
    """Query, key and value as diffusers' function takes them: [sample, token, head, dim]."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SAMPLES, length, HEADS, DIM, generator=generator) for length in (ROWS, KEYS, KEYS)]


def log_sum_of(query, key):
    query, key = query.transpose(1, 2).double(), key.transpose(1, 2).double()
    return (query @ key.transpose(-1, -2) * DIM**-0.5).logsumexp(-1)


def attention(q, k, v, rounded=lambda tensor: tensor):
    """Compute the output [sample, token, head, dim] and the log-sum-exp [sample, head, row]."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    scores = rounded(q) @ rounded(k).transpose(-1, -2) * DIM**-0.5
    return (scores.softmax(-1) @ v).transpose(1, 2).contiguous(), scores.logsumexp(-1)


def quantised(tensor):
    """Round to 8 bits, as SageAttention does."""
    step = tensor.abs().amax() / 127
    return (tensor / step).round() * step


def kernel(q, k, v, *rest, asked=(), always=False, rounded=lambda tensor: tensor, **others):
    """Stand in for a kernel that returns the log-sum-exp if a parameter of ``asked`` is set, or always."""
    if others.get("tensor_layout") == "HND":
        q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    packed = "cu_seqlens_q" in others
    if packed:
        q, k, v = (tensor.unflatten(0, (SAMPLES, -1)) for tensor in (q, k, v))
    output, log_sum = attention(q, k, v, rounded)
    if packed:
        output, log_sum = output.flatten(0, 1), log_sum.transpose(0, 1).flatten(1)
    return (output, log_sum, None) if always or any(others.get(name) for name in asked) else output


PROBABILITIES = {"asked": ("return_attn_probs",)}
SAGE = {"asked": ("return_lse",), "rounded": quantised}


def in_module(name, **how):
    return lambda patch: patch.setattr(attention_dispatch, name, partial(kernel, **how))


def from_hub(name, **how):
    registered = attention_dispatch._HUB_KERNELS_REGISTRY[name]
    return lambda patch: patch.setattr(registered, "kernel_fn", partial(kernel, **how))


class Xformers:
    @staticmethod
    def memory_efficient_attention(query, key, value, *others):
        return attention(query, key, value)[0]


def fused(q, k, v, *, softmax_scale, causal):
    return attention(q, k, v)


def blackwell(q, k, v, is_causal):
    output, _ = attention(*(tensor.transpose(1, 2) for tensor in (q, k, v)), quantised)
    return output.transpose(1, 2)


def npu(query, key, value, heads, **others):
    return (attention(query, key, value)[0],)


def xla(q, k, v, causal):
    return (q @ k.transpose(-1, -2)).softmax(-1) @ v


STAND_INS = {
    "flash": in_module("flash_attn_func", **PROBABILITIES),
    "flash_hub": from_hub("flash_hub", **PROBABILITIES),
    "flash_varlen": in_module("flash_attn_varlen_func", **PROBABILITIES),
    "flash_varlen_hub": from_hub("flash_varlen_hub", **PROBABILITIES),
    "flash_4_hub": from_hub("flash_4_hub", always=True),
    "_flash_3": lambda patch: patch.setattr(attention_dispatch, "_wrapped_flash_attn_3", fused),
    "_flash_3_hub": from_hub("_flash_3_hub", **PROBABILITIES),
    "_flash_3_varlen_hub": from_hub("_flash_3_varlen_hub", always=True),
    "_flash_varlen_3": in_module("flash_attn_3_varlen_func", **PROBABILITIES),
    "aiter_fa2_hub": from_hub("aiter_fa2_hub", asked=("return_lse",)),
    "xformers": lambda patch: patch.setattr(attention_dispatch, "xops", Xformers),
    "_native_npu": lambda patch: patch.setattr(attention_dispatch, "npu_fusion_attention", npu, raising=False),
    "_native_xla": lambda patch: patch.setattr(attention_dispatch, "xla_flash_attention", xla),
    "sage": in_module("sageattn", **SAGE),
    "sage_hub": from_hub("sage_hub", **SAGE),
    "sage_blackwell_hub": lambda patch: patch.setattr(
        attention_dispatch._HUB_KERNELS_REGISTRY["sage_blackwell_hub"], "kernel_fn", blackwell
    ),
    "sage_varlen": in_module("sageattn_varlen", **SAGE),
    "_sage_qk_int8_pv_fp8_cuda": in_module("sageattn_qk_int8_pv_fp8_cuda", **SAGE),
    "_sage_qk_int8_pv_fp8_cuda_sm90": in_module("sageattn_qk_int8_pv_fp8_cuda_sm90", **SAGE),
    "_sage_qk_int8_pv_fp16_cuda": in_module("sageattn_qk_int8_pv_fp16_cuda", **SAGE),
    "_sage_qk_int8_pv_fp16_triton": in_module("sageattn_qk_int8_pv_fp16_triton", **SAGE),
}
NEED_A_GPU = {"_native_cudnn", "_native_efficient"}
UNTESTED = {"flex"}  # torch's own, which runs uncompiled on a CPU, slowly and with warnings


@pytest.fixture
def read():
    return AttentionReader().of("layer", dispatch_attention_fn, heads_first=False)


def test_every_backend_of_diffusers_is_in_the_table():
    assert set(BACKENDS) == {name.value for name in AttentionBackendName}


@pytest.mark.parametrize("name", sorted(set(BACKENDS) - NEED_A_GPU - UNTESTED))
def test_each_backend_is_run_as_it_is_and_its_log_sum_exp_is_had_as_the_table_says(name, read, monkeypatch):
    backend = BACKENDS[name]
    STAND_INS.get(name, lambda patch: None)(monkeypatch)
    query, key, value = inputs()
    plain = dispatch_attention_fn(query, key, value, backend=name)
    for _ in range(2):  # the first call verifies
        output, call = read(query, key, value, backend=name)
        assert torch.equal(output, plain)
        assert output.stride() == plain.stride()
        assert call.ran.is_exact is backend.is_exact
        if backend.log_sum is LogSum.ASKED:
            assert (call.log_sum - log_sum_of(query, key)).abs().max() <= 2e-6
        elif backend.log_sum is LogSum.AGAIN:
            assert call.log_sum is None
    assert call.ran.kernel == {"native": "flash_attention", "_native_flash": "flash_attention"}.get(
        name, name.removeprefix("_native_") if name == "_native_math" else name
    )


def test_the_difference_of_an_inexact_backend_is_measured_at_the_first_call_of_each_layer(monkeypatch):
    STAND_INS["sage"](monkeypatch)
    reader = AttentionReader()
    for layer in ("first", "second"):
        read = reader.of(layer, dispatch_attention_fn, heads_first=False)
        ran = [read(*inputs(), backend="sage")[1].ran for _ in range(2)]
        exact = attention(*inputs())[0]
        assert 0 < ran[0].difference <= (dispatch_attention_fn(*inputs(), backend="sage") - exact).abs().max() + 1e-6
        assert ran[1] is ran[0]  # it is not measured again
        assert not ran[0].is_exact


def test_the_backend_that_a_context_chooses_is_followed(read, monkeypatch):
    monkeypatch.setattr(attention_dispatch, "_CAN_USE_FLASH_ATTN", True)
    STAND_INS["flash"](monkeypatch)
    with attention_backend("flash"):
        _, call = read(*inputs())
    assert call.ran.kernel == "flash"
    assert call.log_sum is not None
    assert read(*inputs())[1].ran.kernel == "flash_attention"


@pytest.mark.parametrize("error", [RuntimeError, ValueError, TypeError, AttributeError])
def test_a_backend_that_cannot_tell_its_log_sum_exp_is_run_plainly(read, monkeypatch, error):
    def refusing(q, k, v, *, return_attn_probs, **others):
        if return_attn_probs:
            raise error("not supported")
        return attention(q, k, v)[0]

    monkeypatch.setattr(attention_dispatch, "flash_attn_func", refusing)
    output, call = read(*inputs(), backend="flash")
    assert torch.equal(output, attention(*inputs())[0])
    assert call.log_sum is None
    assert call.ran.is_exact


def test_a_backend_whose_output_depends_on_the_request_is_run_plainly(read, monkeypatch):
    def other(q, k, v, *, return_attn_probs, **others):
        output, log_sum = attention(q, k, v)
        return (output + 1e-6, log_sum) if return_attn_probs else output

    monkeypatch.setattr(attention_dispatch, "flash_attn_func", other)
    for _ in range(2):
        output, call = read(*inputs(), backend="flash")
        assert torch.equal(output, attention(*inputs())[0])
        assert call.log_sum is None


def test_a_sliding_window_is_found_to_be_inexact(read, monkeypatch):
    def windowed(q, k, v, *, window_size, return_attn_probs, **others):
        near = slice(0, KEYS if window_size == (-1, -1) else window_size[1])
        output, log_sum = attention(q, k[:, near], v[:, near])
        return (output, log_sum) if return_attn_probs else output

    monkeypatch.setattr(attention_dispatch, "flash_attn_func", windowed)
    output, call = read(*inputs(), backend="flash", attention_kwargs={"window_size": (4, 4)})
    assert torch.equal(output, windowed(*inputs(), window_size=(4, 4), return_attn_probs=False))
    assert call.log_sum is None
    assert not call.ran.is_exact
    assert call.ran.difference > 0.01


def test_a_backend_that_is_not_in_the_table_is_compared_with_the_exact_softmax(read, monkeypatch):
    registry = attention_dispatch._AttentionBackendRegistry
    monkeypatch.setattr(reading, "BACKENDS", {})
    monkeypatch.setitem(registry._backends, AttentionBackendName.FLASH, lambda query, key, value: query * 0)
    monkeypatch.setitem(registry._supported_arg_names, AttentionBackendName.FLASH, {"query", "key", "value"})
    _, call = read(*inputs(), backend="flash")
    assert not call.ran.is_exact
    assert call.log_sum is None


def sageattn(q, k, v, tensor_layout="HND", is_causal=False, **kwargs):
    """Stand in for SageAttention, which its documentation puts in the place of torch's own function."""
    assert tensor_layout in {"HND", "NHD"}
    return kernel(q, k, v, tensor_layout=tensor_layout, rounded=quantised).transpose(1, 2)


def exact(q, k, v, attn_mask=None, **kwargs):
    return attention(*(tensor.transpose(1, 2) for tensor in (q, k, v)))[0].transpose(1, 2)


@pytest.mark.parametrize("function", [sageattn, exact])
def test_a_function_in_place_of_torchs_own_is_called_with_the_same_arguments(monkeypatch, function):
    monkeypatch.setattr(functional, "scaled_dot_product_attention", function)
    query, key, value = (tensor.transpose(1, 2) for tensor in inputs())
    read = AttentionReader().of("layer", function, heads_first=True)
    output, call = read(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False)
    assert torch.equal(output, function(query, key, value))
    assert call.ran.kernel.endswith(function.__name__)
    assert call.ran.is_exact is (function is exact)
    assert call.log_sum is None


@pytest.mark.parametrize("result", [None, torch.zeros(3), "maps"], ids=["nothing", "another shape", "another type"])
def test_a_function_that_returns_something_else_is_refused_with_its_name(monkeypatch, result):
    def strange(q, k, v, **kwargs):
        return result

    monkeypatch.setattr(functional, "scaled_dot_product_attention", strange)
    read = AttentionReader().of("layer", strange, heads_first=True)
    with pytest.raises(CaptureError, match="strange, which stands in for the attention function, returned"):
        read(*(tensor.transpose(1, 2) for tensor in inputs()))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"is_causal": True}, "causal attention"),
        ({"attn_mask": "a block mask"}, "attention mask of type str"),
        ({"enable_gqa": True}, "6 heads of queries and 3 of keys"),
    ],
)
def test_attention_that_capture_does_not_know_is_refused(read, monkeypatch, change, complaint):
    STAND_INS["xformers"](monkeypatch)
    monkeypatch.setattr(Xformers, "memory_efficient_attention", lambda query, *others: query)
    query, key, value = inputs()
    query = torch.cat([query, query], 2) if "enable_gqa" in change else query
    with pytest.raises(CaptureError, match=complaint):
        AttentionReader().of("layer", lambda query, key, value, **others: query, heads_first=False)(
            query, key, value, **change
        )


def test_a_mask_of_samples_and_keys_is_read_as_diffusers_does(read):
    query, key, value = inputs()
    mask = torch.rand(SAMPLES, KEYS, generator=torch.Generator().manual_seed(1)) < 0.7
    output, call = read(query, key, value, attn_mask=mask)
    assert torch.equal(output, dispatch_attention_fn(query, key, value, attn_mask=mask))
    assert call.mask.shape == (SAMPLES, 1, 1, KEYS)
    expected = (call.query.double() @ call.key.double().transpose(-1, -2) * DIM**-0.5).masked_fill(
        ~mask[:, None, None], -torch.inf
    )
    assert (call.log_sum - expected.logsumexp(-1)).abs().max() <= 2e-6
