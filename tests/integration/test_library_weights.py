"""Capture of networks whose weights are offloaded in groups, cast, quantised or adapted: only query and key matter.

Some tests need packages that are not among the requirements: `pip install --no-deps torchao peft gguf bitsandbytes`.
"""

import warnings

import numpy as np
import pytest
import torch
from diffusers import GGUFQuantizationConfig
from torch import nn

from generator.library import capture
from tests.integration.library_support import SIZES, build, call

# Mochi raises this warning on every CPU.
pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")

EVERYTHING = {"store_per_block": True, "store_per_head": True, "storage_dtype": "float32", "self_check": True}
CPU = torch.device("cpu")


def optional(name):
    """Import a package that may be missing; its warnings are its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


def network(pipe):
    return pipe.unet if hasattr(pipe, "unet") else pipe.transformer


def recorded(pipe, family):
    """Generate a video with capture; return its frames, its maps and the largest error that the self check found."""
    with capture(pipe, ["kiss"], **EVERYTHING) as maps:
        frames = call(pipe, family, steps=2)
    return frames, maps["kiss"], maps.last.recorder.summary()["self_check"]["max_abs_error"]


def assert_exact(pipe, family):
    """Compare the maps with a softmax in float64, and the video with those before and after; return the maps."""
    before = call(pipe, family, steps=2)
    during, maps, error = recorded(pipe, family)
    assert np.array_equal(before, during)
    assert np.array_equal(before, call(pipe, family, steps=2))
    assert error <= 1e-6
    return maps


def in_blocks(net, device):
    net.enable_group_offload(onload_device=device, offload_type="block_level", num_blocks_per_group=1)


def in_leaves(net, device):
    net.enable_group_offload(onload_device=device, offload_type="leaf_level")


@pytest.mark.parametrize("enable", [in_blocks, in_leaves])
@pytest.mark.parametrize("family", SIZES)
def test_group_offloading_changes_neither_the_video_nor_its_maps(family, enable):
    expected = recorded(build(family), family)
    pipe = build(family)
    enable(network(pipe), CPU)
    found = recorded(pipe, family)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("use_stream", [False, True])
@pytest.mark.parametrize("family", SIZES)
def test_on_a_gpu_group_offloading_changes_neither_the_video_nor_its_maps(family, use_stream):
    expected = recorded(build(family).to("cuda"), family)
    pipe = build(family)
    pipe.enable_group_offload(torch.device("cuda"), offload_type="leaf_level", use_stream=use_stream)
    found = recorded(pipe, family)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


def layerwise(net):
    """Keep weights as float8 between the calls of their layers."""
    net.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)


def int8(net):
    quantization = optional("torchao.quantization")
    quantization.quantize_(net, quantization.Int8WeightOnlyConfig())


def int8_activations(net):
    quantization = optional("torchao.quantization")
    quantization.quantize_(net, quantization.Int8DynamicActivationInt8WeightConfig())


def float8(net):
    quantization = optional("torchao.quantization")
    quantization.quantize_(net, quantization.Float8WeightOnlyConfig())


def lora(net):
    peft = optional("peft")
    torch.manual_seed(3)
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    net.add_adapter(peft.LoraConfig(r=2, lora_alpha=4, target_modules=targets, init_lora_weights=False))


def fused_lora(net):
    lora(net)
    net.fuse_lora()


def bitsandbytes_4bit(net):
    layers = optional("bitsandbytes").nn
    _replace_linear(net, lambda *sizes: layers.Linear4bit(*sizes, compute_dtype=torch.float32, quant_type="nf4"))


def bitsandbytes_8bit(net):
    layers = optional("bitsandbytes").nn
    _replace_linear(net, lambda *sizes: layers.Linear8bitLt(*sizes, has_fp16_weights=False))


def _replace_linear(net, make):
    """Quantise the projections of all attention layers; diffusers itself does this on a GPU only."""
    for name, old in list(net.named_modules()):
        if isinstance(old, nn.Linear) and ".attn" in name:
            new = make(old.in_features, old.out_features, old.bias is not None)
            new.load_state_dict(old.state_dict())
            parent, _, attribute = name.rpartition(".")
            setattr(net.get_submodule(parent), attribute, new.to(CPU))


CHANGES = [layerwise, int8, int8_activations, float8, lora, fused_lora, bitsandbytes_4bit, bitsandbytes_8bit]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("family", ["wan", "cogvideox", "ltx", "hunyuan"])
def test_changed_weights_are_captured_exactly_and_the_video_stays_bit_identical(family, change):
    plain = build(family)
    unchanged = recorded(plain, family)[1]
    change(network(plain))
    maps = assert_exact(plain, family)
    assert maps.shape == unchanged.shape
    assert not np.array_equal(maps, unchanged)  # the maps are those of the weights in use


def test_weights_in_bfloat16_stored_as_float8_are_captured_exactly():
    pipe = build("wan").to(torch.bfloat16)
    pipe.transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    assert_exact(pipe, "wan")


def test_weights_of_a_gguf_file_are_captured_exactly(tmp_path):
    gguf = optional("gguf")
    pipe = build("wan")
    unchanged = recorded(pipe, "wan")[1]
    pipe.transformer.save_pretrained(tmp_path)
    q8 = gguf.GGMLQuantizationType.Q8_0
    writer = gguf.GGUFWriter(tmp_path / "wan.gguf", "wan")
    for name, tensor in pipe.transformer.state_dict().items():
        if ".attn" in name and tensor.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(tensor.numpy(), q8), raw_dtype=q8)
        else:
            writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    pipe.transformer = type(pipe.transformer).from_single_file(
        str(tmp_path / "wan.gguf"),
        config=str(tmp_path),
        quantization_config=GGUFQuantizationConfig(compute_dtype=torch.float32),
        torch_dtype=torch.float32,
    )
    assert not np.array_equal(assert_exact(pipe, "wan"), unchanged)
