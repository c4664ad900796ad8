"""Capture of networks compiled with torch.compile, and the operator through which compiled code is observed."""

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch.nn import functional

from generator.capture import observed
from generator.errors import CaptureError
from generator.library import capture
from tests import families

SIZES = {
    "wan": (64, 48, 5),
    "wan2.2": (64, 48, 5),
    "cogvideox": (64, 48, 9),
    "cogvideox1.5": (64, 48, 9),
    "ltx": (96, 64, 17),
    "hunyuan": (64, 48, 5),
    "mochi": (64, 48, 7),
    "animatediff": (64, 40, 3),
}
ATTENTION = functional.scaled_dot_product_attention
KEPT = {"storage_dtype": "float32", "store_per_block": True, "store_per_head": True, "self_check": True}
pytestmark = [
    pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning"),  # Mochi raises it on every CPU
    pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning"),  # Wan under autocast
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),  # inductor
]


@pytest.fixture(autouse=True)
def nothing_compiled(tmp_path, monkeypatch):
    """Forget what other tests compiled, also on disk, where a killed run may have left half a file."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    counters.clear()


@dataclass
class Captured:
    """A video, the maps of "kiss", and the largest difference from a softmax in float64."""

    video: np.ndarray
    maps: np.ndarray
    error: float


def pipeline(family):
    pipe = families.build(family)
    pipe.set_progress_bar_config(disable=True)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipe


def generate(pipe, family):
    width, height, frames = SIZES[family]
    longest = {"max_sequence_length": 32} if family.startswith("cogvideox") else {}
    return pipe(
        prompt="a romantic kiss",
        width=width,
        height=height,
        num_frames=frames,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
        **longest,
    ).frames[0]


def captured(pipe, family):
    with capture(pipe, ["kiss"], **KEPT) as maps:
        video = generate(pipe, family)
    return Captured(video, maps["kiss"], maps.last.recorder.summary()["self_check"]["max_abs_error"])


def compile_network(pipe, form, **options):
    """Compile the denoising networks in one of the ways that people use."""
    for name in ("transformer", "transformer_2", "unet"):
        network = getattr(pipe, name, None)
        if network is None:
            continue
        if form == "wrapped":
            setattr(pipe, name, torch.compile(network, **options))
        elif form == "in place":
            network.compile(**options)
        elif form == "forward function":
            network.forward = torch.compile(network.forward, **options)
        else:
            network.compile_repeated_blocks(**options)


WAYS = [
    *((family, "in place") for family in SIZES),
    *((family, "each block") for family in ("wan", "wan2.2", "ltx", "hunyuan")),
    ("wan", "wrapped"),
    ("cogvideox", "forward function"),
    *(
        pytest.param(family, form, marks=pytest.mark.slow)
        for family, form in (("cogvideox", "wrapped"), ("animatediff", "wrapped"), ("wan", "forward function"))
    ),
]


@pytest.mark.parametrize(("family", "form"), WAYS)
def test_a_compiled_network_is_captured_like_one_that_is_not(family, form):
    pipe = pipeline(family)
    expected = captured(pipe, family)
    compile_network(pipe, form, backend="eager")
    found = captured(pipe, family)
    assert np.array_equal(found.maps, expected.maps)
    assert np.array_equal(found.video, expected.video)


@pytest.mark.parametrize("form", ["in place", "wrapped", "each block"])
def test_only_the_first_video_with_and_the_first_without_capture_are_compiled(form):
    pipe = pipeline("wan")
    compile_network(pipe, form, backend="eager", fullgraph=True)
    for _ in range(2):
        captured(pipe, "wan")
        generate(pipe, "wan")
        assert counters["stats"]["unique_graphs"] == 2


def assert_bit_identical(pipe, family):
    """Generate with, without and again without capture; return the maps."""
    without = generate(pipe, family)
    during = captured(pipe, family)
    assert np.array_equal(without, during.video)
    assert np.array_equal(without, generate(pipe, family))
    assert during.error < 1e-6
    return during.maps


needs_a_compiler = pytest.mark.skipif(
    shutil.which("c++") is None, reason="inductor needs a C++ compiler on a CPU: install one, such as g++"
)


@needs_a_compiler
@pytest.mark.parametrize(
    ("family", "form", "mode"),
    [
        ("wan", "each block", "default"),
        pytest.param("cogvideox", "in place", "reduce-overhead", marks=pytest.mark.slow),
    ],
)
def test_capture_leaves_the_video_of_an_optimised_network_bit_identical(family, form, mode):
    pipe = pipeline(family)
    eager = captured(pipe, family)
    compile_network(pipe, form, backend="inductor", mode=mode, fullgraph=True)
    np.testing.assert_allclose(assert_bit_identical(pipe, family), eager.maps, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "form", "backend"),
    [
        ("wan", "each block", "aot_eager"),
        ("cogvideox", "in place", "eager"),
        ("ltx", "each block", "eager"),
        ("hunyuan", "each block", "eager"),
        pytest.param("wan", "in place", "aot_eager", marks=pytest.mark.slow),
        pytest.param("hunyuan", "each block", "aot_eager", marks=pytest.mark.slow),
    ],
)
def test_under_autocast_the_maps_are_those_of_what_torch_computes_attention_of(family, form, backend):
    pipe = pipeline(family)
    with torch.autocast("cpu", torch.bfloat16):
        eager = assert_bit_identical(pipe, family)
        compile_network(pipe, form, backend=backend)
        found = assert_bit_identical(pipe, family)
    np.testing.assert_allclose(found, eager, atol=1e-6)


@pytest.mark.slow
@needs_a_compiler
@pytest.mark.parametrize(
    ("family", "form"),
    [("wan", "each block"), ("hunyuan", "each block"), ("cogvideox", "in place")],
)
def test_under_autocast_capture_leaves_the_video_of_an_optimised_network_bit_identical(family, form):
    pipe = pipeline(family)
    compile_network(pipe, form, backend="inductor")
    with torch.autocast("cpu", torch.bfloat16):
        assert_bit_identical(pipe, family)


def taken_apart(query, key, value, scale=None, **_others):
    scores = query @ key.transpose(-1, -2) * (scale or query.shape[-1] ** -0.5)
    return scores.softmax(-1) @ value


@pytest.mark.parametrize("form", ["in place", "each block"])
def test_attention_that_the_compiler_fuses_with_other_operations_is_refused(form):
    pipe = pipeline("wan")
    pipe.transformer.set_attention_backend("_native_math")
    captured(pipe, "wan")
    compile_network(pipe, form, backend="eager")
    with pytest.raises(CaptureError, match="found attention by math in a network compiled"):
        captured(pipe, "wan")
    generate(pipe, "wan")


def test_a_function_in_place_of_torchs_is_refused_in_a_compiled_network(monkeypatch):
    monkeypatch.setattr(functional, "scaled_dot_product_attention", taken_apart)
    pipe = pipeline("cogvideox")
    captured(pipe, "cogvideox")
    compile_network(pipe, "in place", backend="eager")
    with pytest.raises(CaptureError, match=r"found attention by .*taken_apart in a network compiled"):
        captured(pipe, "cogvideox")


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_other_parts_may_be_compiled_for_the_first_time_during_capture(part):
    pipe = pipeline("wan")
    expected = captured(pipe, "wan")
    getattr(pipe, part).compile(backend="eager")
    if part == "vae":
        pipe.vae.decode = torch.compile(pipe.vae.decode, backend="eager")
    found = captured(pipe, "wan")
    assert np.array_equal(found.maps, expected.maps)
    assert np.array_equal(found.video, expected.video)


def inputs(shape=(2, 3, 5, 4), keys=7):
    generator = torch.Generator().manual_seed(0)
    wanted = [shape, (*shape[:2], keys, shape[3]), (*shape[:2], keys, shape[3])]
    return [torch.randn(size, generator=generator) for size in wanted]


FORM = observed.Form(heads_first=True, autocasted=frozenset())


@pytest.mark.parametrize("backend", [torch.nn.attention.SDPBackend.MATH, torch.nn.attention.SDPBackend.FLASH_ATTENTION])
def test_the_operator_keeps_the_promises_that_the_compiler_relies_on(backend):
    with torch.nn.attention.sdpa_kernel(backend), observed.observed(ATTENTION, ATTENTION) as tag:
        torch.library.opcheck(
            observed._attention, (tag, True, *inputs(), None, 0.0, False, 0.3, False, None, None, True)
        )


def test_the_operator_passes_all_arguments_on():
    received = []

    def attention(query, key, value, **named):
        received.append(named)
        return query.clone()

    query, key, value = inputs(keys=5)
    mask = torch.ones(5, 5, dtype=torch.bool)
    with observed.observed(attention, attention) as tag:
        observed.call_compiled(tag, FORM, query, key, value, mask, 0.1, True, 0.5, True, backend="_native_flash")
        observed.call_compiled(tag, FORM, query, key, value)
    named, none = received
    assert torch.equal(named.pop("attn_mask"), mask)
    assert named == {
        "dropout_p": 0.1,
        "is_causal": True,
        "scale": 0.5,
        "enable_gqa": True,
        "backend": "_native_flash",
    }
    assert none == {"attn_mask": None, "dropout_p": 0.0, "is_causal": False}  # as the processors of diffusers do


def test_a_function_that_returns_another_type_than_compiled_code_expects_is_refused():
    refused = pytest.raises(CaptureError, match=r"float32 that returns torch.bfloat16.* Generate without torch.compile")
    with observed.observed(lambda query, key, value, **_named: query.bfloat16(), ATTENTION) as tag, refused:
        observed.call_compiled(tag, FORM, *inputs(keys=5))


def test_arguments_that_compiled_code_traces_are_refused_too():
    def attend(tag, query, key, value):
        return observed.call_compiled(tag, FORM, query, key, value, attention_kwargs={"window": 3}) + 1

    refused = pytest.raises(CaptureError, match="compiled with torch")
    with observed.observed(ATTENTION, ATTENTION) as tag, refused:
        torch.compile(attend, backend="eager")(tag, *inputs())


@pytest.mark.parametrize("unsupported", [{"attention_kwargs": {"window": 3}}, {"parallel_config": object()}])
def test_arguments_that_cannot_pass_through_compiled_code_are_refused(unsupported):
    refused = pytest.raises(CaptureError, match="compiled with torch")
    with observed.observed(ATTENTION, ATTENTION) as tag, refused:
        observed.call_compiled(tag, FORM, *inputs(), **unsupported)
