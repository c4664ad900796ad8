"""Capture on the real pipeline, compared with a float64 softmax of separately computed queries and keys."""

import copy
import math
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import FirstBlockCacheConfig, PyramidAttentionBroadcastConfig
from diffusers.models.transformers import transformer_wan
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator.capture import columns as columns_module
from generator.capture.maps import Keep
from generator.capture.recorder import capture
from generator.errors import CaptureError
from generator.models import load as models
from generator.models import tiny
from generator.settings import ModelSettings

EVERYTHING = Keep(per_block=True, per_head=True, dtype=torch.float32)


def generate(model, prompt, sampling, seed=1):
    return model.generate(prompt, sampling, seed, lambda done, total: None)


def record(model, sampling, tracked, keep=None):
    """Generate "a kiss" with capture and return the recorder."""
    with capture(model, tracked, model.grid(sampling), keep) as recorder:
        generate(model, "a kiss", sampling)
    return recorder


class Reference:
    """Computes every layer's full attention map in float64 from the inputs of its projections.

    The cross-attention of Wan consists of two linear projections and two RMS norms. They are implemented again here, so
    that this shares only the inputs of ``attn2`` with capture.
    """

    def __init__(self, model):
        self.model = model
        self.maps = []  # conditional and unconditional calls alternate, each with all layers in order

    def __enter__(self):
        self._stack = ExitStack()
        for layer in self.model.text_attention():
            handle = layer.module.register_forward_pre_hook(self._hear)
            self._stack.callback(handle.remove)
        return self

    def __exit__(self, *error):
        self._stack.close()

    def _hear(self, attn, inputs):
        hidden, text = (tensor.double() for tensor in inputs[:2])
        query = self._project(hidden, attn.to_q, attn.norm_q, attn.heads)
        key = self._project(text, attn.to_k, attn.norm_k, attn.heads)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        self.maps.append(torch.exp(scores - scores.amax(-1, keepdim=True)))
        self.maps[-1] /= self.maps[-1].sum(-1, keepdim=True)

    @staticmethod
    def _project(states, linear, norm, heads):
        projected = states @ linear.weight.double().T + linear.bias.double()
        mean_square = projected.square().mean(-1, keepdim=True)
        normed = projected / torch.sqrt(mean_square + norm.eps) * norm.weight.double()
        return normed.unflatten(-1, (heads, -1)).transpose(1, 2)[0]  # [heads, tokens, dim]

    def conditional(self, steps, words, grid):
        """Maps of the conditional calls: [step, word, layer, head, frame, height, width]."""
        layers = len(self.model.text_attention())
        denoising = self.maps[-steps * 2 * layers :]  # those before prove the token, once for each loaded model
        calls = torch.stack(denoising).unflatten(0, (steps, 2, layers))[:, 0]
        columns = [calls[..., list(word.positions)].sum(-1) for word in words]
        return torch.stack(columns, 1).unflatten(-1, (grid.frames, grid.height, grid.width))


@pytest.mark.parametrize(
    "template",
    [
        "a (kiss)",
        "(kissing) between (two men) and a (吻)",
        "dog " * 60 + "(kiss)",
        "(kiss) (kiss) (" + "dog " * 40 + ")",
    ],
)
def test_probabilities_agree_with_a_softmax_in_float64(model, sampling, words, template):
    sampling = replace(sampling, steps=3)
    tracked, grid = words(template), model.grid(sampling)
    with Reference(model) as reference, capture(model, tracked, grid, EVERYTHING) as recorder:
        generate(model, template.replace("(", "").replace(")", ""), sampling)
    expected = reference.conditional(3, tracked, grid)
    found = torch.stack([step.maps for step in recorder.steps])
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() <= 1e-6
    assert (recorder.aggregated() - expected.mean((0, 2, 3))).abs().max() <= 1e-6
    assert expected.std() > 1e-5  # the maps differ from each other, so agreement means something


@pytest.mark.parametrize(("per_block", "per_head"), [(False, False), (True, False), (False, True)])
def test_layers_and_heads_are_averaged_unless_kept_separately(model, sampling, words, per_block, per_head):
    tracked, grid = words("a (kiss) and (two men)"), model.grid(sampling)
    keep = replace(EVERYTHING, per_block=per_block, per_head=per_head)
    with Reference(model) as reference, capture(model, tracked, grid, keep) as recorder:
        generate(model, "a kiss and two men", sampling)
    expected = reference.conditional(2, tracked, grid)
    expected = expected if per_block else expected.mean(2, keepdim=True)
    expected = expected if per_head else expected.mean(3, keepdim=True)
    found = torch.stack([step.maps for step in recorder.steps])
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-6


def test_capture_leaves_the_video_bit_identical_during_and_after(model, sampling, words):
    without = generate(model, "a kiss", sampling)
    with capture(model, words("a (kiss)"), model.grid(sampling), EVERYTHING):
        during = generate(model, "a kiss", sampling)
    after = generate(model, "a kiss", sampling)
    assert np.array_equal(without, during)
    assert np.array_equal(without, after)
    assert not np.array_equal(without, generate(model, "a kiss", sampling, seed=2))


def attributes(model):
    """Everything that capture could leave behind."""
    tapped = [*model.denoisers().values(), *(layer.module for layer in model.text_attention())]
    return (
        [{name: value for name, value in vars(module).items() if name != "_modules"} for module in tapped],
        [layer.module.processor for layer in model.text_attention()],
        torch.nn.functional.scaled_dot_product_attention,
        transformer_wan.dispatch_attention_fn,
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kernel", ["CUDNN_ATTENTION", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "MATH"])
def test_on_a_gpu_capture_leaves_the_video_bit_identical(random_weights, words, monkeypatch, kernel):
    monkeypatch.setattr(tiny, "FOLDER", random_weights)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    model = models.load(ModelSettings(device="cuda", dtype="bfloat16"))
    sampling = replace(model.recommended, width=64, height=48, frames=5, steps=2)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with sdpa_kernel(SDPBackend.__members__[kernel]):
            before = generate(model, "a kiss", sampling)
            with capture(
                model, words("a (kiss)"), model.grid(sampling), replace(EVERYTHING, self_check=True)
            ) as recorder:
                during = generate(model, "a kiss", sampling)
            after = generate(model, "a kiss", sampling)
    finally:
        torch.use_deterministic_algorithms(False)
    assert np.array_equal(before, during)
    assert np.array_equal(before, after)
    summary = recorder.summary()
    assert summary["kernel"] == kernel.lower()
    assert summary["log_sum"] == ("second pass" if kernel == "MATH" else "kernel")
    assert summary["self_check"]["max_abs_error"] <= 1e-6


def test_capture_restores_the_model(model, sampling, words):
    generate(model, "a kiss", sampling)  # the pipeline itself leaves something at its first call
    before = attributes(model)
    with capture(model, words("a (kiss)"), model.grid(sampling)):
        assert transformer_wan.dispatch_attention_fn is not before[-1]
        generate(model, "a kiss", sampling)
    assert attributes(model) == before


def test_capture_restores_the_model_after_an_exception(model, sampling, words):
    generate(model, "a kiss", sampling)
    before = attributes(model)

    def interrupt(done, total):
        raise KeyError("stop")

    with pytest.raises(KeyError), capture(model, words("a (kiss)"), model.grid(sampling)):
        model.generate("a kiss", sampling, 1, interrupt)
    assert attributes(model) == before


def test_an_exception_inside_a_layer_propagates_and_the_model_is_restored(model, sampling, words, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(transformer_wan, "dispatch_attention_fn", fail)
    before = attributes(model)
    with pytest.raises(RuntimeError, match="out of memory"):
        record(model, sampling, words("a (kiss)"))
    assert attributes(model) == before


def test_every_nth_step_is_kept_but_all_steps_are_aggregated(model, sampling, words):
    sampling = replace(sampling, steps=5)
    tracked = words("a (kiss)")
    all_steps = record(model, sampling, tracked, Keep(dtype=torch.float32))
    some = record(model, sampling, tracked, Keep(interval=2, dtype=torch.float32))
    assert [step.index for step in all_steps.steps] == [0, 1, 2, 3, 4]
    assert [step.index for step in some.steps] == [0, 2, 4]
    assert torch.equal(some.steps[1].maps, all_steps.steps[2].maps)
    assert torch.equal(some.aggregated(), all_steps.aggregated())


def test_steps_and_the_mean_can_be_left_out(model, sampling, words):
    recorder = record(model, sampling, words("a (kiss)"), Keep(aggregated=False))
    assert recorder.aggregated() is None
    assert len(recorder.steps) == 2
    recorder = record(model, sampling, words("a (kiss)"), Keep(steps=False))
    assert recorder.aggregated() is not None
    assert recorder.steps == []


def test_the_summary_counts_every_call(model, sampling, words):
    recorder = record(model, sampling, words("a (kiss)"))
    assert recorder.summary() == {
        "layers": 4,
        "heads": 4,
        "steps": 2,
        "layers_kept": [0, 1, 2, 3],
        "calls": 8,
        "expected_calls": 8,
        "branches": ["cond"],
        "branch_source": "cache_context",
        "gaps": [],
        "text": {"cond": "embeddings"},
        "marking": {"cond": 0.0},
        "kernel": "flash_attention",
        "log_sum": "kernel",
        "exact": True,
    }


def test_a_skipped_layer_is_named_in_the_error(model, sampling, words, monkeypatch):
    block = model.pipe.transformer.blocks[2]
    monkeypatch.setattr(block, "forward", lambda hidden_states, *inputs: hidden_states)
    with pytest.raises(CaptureError, match=r"step 0: expected one call .* blocks\.2\.attn2 \(0 times\)"):
        record(model, sampling, words("a (kiss)"))


def test_an_unknown_attention_processor_is_refused(model, sampling, words, monkeypatch):
    class Processor(transformer_wan.WanAttnProcessor):
        pass

    monkeypatch.setattr(model.pipe.transformer.blocks[1].attn2, "processor", Processor())
    with pytest.raises(CaptureError, match=r"blocks\.1\.attn2: found .*Processor; expected WanAttnProcessor"):
        record(model, sampling, words("a (kiss)"))


def test_a_context_without_a_generated_video_says_that_nothing_was_recorded(model, sampling, words):
    with capture(model, words("a (kiss)"), model.grid(sampling)) as recorder:
        pass
    assert "no denoising step was captured" in recorder.unfinished
    assert (recorder.steps, recorder.aggregated()) == ([], None)


def test_a_network_call_without_a_known_branch_is_an_error(model, sampling, words):
    inputs = {
        "hidden_states": torch.zeros(1, 16, 2, 6, 8),
        "timestep": torch.tensor([1.0]),
        "encoder_hidden_states": torch.zeros(1, 512, 48),
    }
    tracked, grid = words("a (kiss)"), model.grid(sampling)
    with pytest.raises(CaptureError, match="outside of `cache_context`"), capture(model, tracked, grid):
        model.pipe.transformer(**inputs)


def test_a_video_of_an_unexpected_size_is_an_error(model, sampling, words):
    grid = model.grid(replace(sampling, frames=1))
    expected = r"1 samples x 24 latent tokens; expected 1 x 12"
    with pytest.raises(CaptureError, match=expected), capture(model, words("a (kiss)"), grid):
        generate(model, "a kiss", sampling)


def test_attention_that_is_not_a_number_is_an_error(model, sampling, words, monkeypatch):
    norm = model.pipe.transformer.blocks[3].attn2.norm_q
    monkeypatch.setattr(norm, "forward", lambda query: torch.full_like(query, math.inf))
    with pytest.raises(CaptureError, match="step 0: attention is not a number"):
        record(model, sampling, words("a (kiss)"))


def test_without_guidance_every_step_has_only_the_conditional_branch(model, sampling, words):
    sampling = replace(sampling, guidance_scale=1.0)
    recorder = record(model, sampling, words("a (kiss)"))
    assert recorder.steps_seen == 2


def test_each_of_two_networks_is_recorded_under_its_name(model, sampling, words):
    """Wan 2.2 has a second network for low noise levels; here it is a copy of the first."""
    second = copy.deepcopy(model.pipe.transformer)
    pipe = type(model.pipe)(**{**model.pipe.components, "transformer_2": second}, boundary_ratio=0.9)
    pipe.set_progress_bar_config(disable=True)
    both = type(model)(pipe, "two", None, model.recommended)
    sampling = replace(sampling, steps=4)
    with capture(both, words("a (kiss)"), both.grid(sampling), EVERYTHING) as recorder:
        generate(both, "a kiss", sampling)
    assert [step.denoiser for step in recorder.steps] == [
        "transformer",
        "transformer",
        "transformer_2",
        "transformer_2",
    ]
    single = record(model, sampling, words("a (kiss)"), EVERYTHING)
    for one, other in zip(recorder.steps, single.steps, strict=True):
        assert (one.maps - other.maps).abs().max() <= 1e-6


def tensors(recorder, branch="cond"):
    return torch.stack([step.maps for step in recorder.steps if step.branch == branch])


def test_on_maps_is_called_after_each_branch_of_a_step(model, sampling, words):
    events = []
    keep = Keep(branches=("cond", "uncond"))
    tracked, grid = words("a (kiss)"), model.grid(sampling)

    def on_maps(step):
        events.append((step.index, step.branch, step.maps.dtype, step.maps.device.type))

    with capture(model, tracked, grid, keep, on_maps=on_maps) as recorder:
        model.generate("a kiss", sampling, 1, lambda done, total: events.append(done))
    half = (torch.float16, "cpu")
    assert events == [(0, "cond", *half), (0, "uncond", *half), 1, (1, "cond", *half), (1, "uncond", *half), 2]
    assert recorder.steps == []
    assert recorder.aggregated() is not None


def test_an_exception_in_on_maps_propagates(model, sampling, words):
    def full(step):
        raise OSError("the disk is full")

    tracked, grid = words("a (kiss)"), model.grid(sampling)
    with pytest.raises(OSError, match="disk is full"), capture(model, tracked, grid, on_maps=full):
        generate(model, "a kiss", sampling)


def test_the_unconditional_branch_can_be_kept_alone(model, sampling, words):
    tracked = words("a (kiss)")
    both = record(model, sampling, tracked, Keep(branches=("cond", "uncond"), dtype=torch.float32))
    one = record(model, sampling, tracked, Keep(branches=("uncond",), dtype=torch.float32))
    assert {step.branch for step in one.steps} == {"uncond"}
    assert torch.equal(tensors(one, "uncond"), tensors(both, "uncond"))
    assert torch.equal(one.aggregated("uncond"), both.aggregated("uncond"))
    assert not torch.allclose(tensors(both, "uncond"), tensors(both, "cond"))


def test_only_the_chosen_layers_are_kept_and_averaged(model, sampling, words):
    tracked = words("a (kiss)")
    every = record(model, sampling, tracked, Keep(per_block=True, dtype=torch.float32))
    some = record(model, sampling, tracked, Keep(layers=(3, 1), per_block=True, dtype=torch.float32))
    mean = record(model, sampling, tracked, Keep(layers=(1, 3), dtype=torch.float32))
    assert torch.equal(tensors(some), tensors(every)[:, :, [3, 1]])
    assert torch.allclose(tensors(mean), tensors(every)[:, :, [1, 3]].mean(2, keepdim=True), atol=1e-8)
    assert torch.allclose(mean.aggregated(), tensors(mean).mean((0, 2, 3)), atol=1e-8)
    assert mean.summary()["layers_kept"] == [1, 3]
    assert mean.summary()["calls"] == 8


@pytest.mark.parametrize(("layers", "found"), [((4,), "4"), ((-1, 2), "-1"), ((), "none")])
def test_layers_that_do_not_exist_are_refused(model, sampling, words, layers, found):
    with pytest.raises(CaptureError, match=f"layers to keep: found {found}; expected numbers from 0 to 3"):
        record(model, sampling, words("a (kiss)"), Keep(layers=layers))


@pytest.mark.parametrize("factor", [2, 3, 100])
def test_downsampling_averages_the_area_that_a_cell_covers(model, sampling, words, factor):
    sampling = replace(sampling, height=96)
    tracked = words("a (kiss)")
    whole = record(model, sampling, tracked, Keep(dtype=torch.float32))
    small = record(model, sampling, tracked, Keep(downsample=factor, dtype=torch.float32))
    assert whole.grid == model.grid(sampling)
    height, width = math.ceil(whole.grid.height / factor), math.ceil(whole.grid.width / factor)
    assert small.grid == replace(whole.grid, height=height, width=width)
    expected = areas(areas(tensors(whole), -2, height), -1, width)
    assert tensors(small).shape == expected.shape
    assert torch.allclose(tensors(small), expected, atol=1e-8)
    assert torch.allclose(small.aggregated(), expected.mean((0, 2, 3)), atol=1e-8)


def areas(maps, axis, count):
    """Average along an axis over ``count`` equal parts; a cell counts fully in every part that it overlaps."""
    length = maps.shape[axis]
    parts = [(number * length // count, -(-(number + 1) * length // count)) for number in range(count)]
    return torch.stack([maps.narrow(axis, start, end - start).mean(axis) for start, end in parts], axis)


def test_words_padding_and_end_of_text_add_up_to_one(model, sampling, words):
    tracked = words("(a) (kiss)")
    keep = replace(EVERYTHING, reserved=True, branches=("cond", "uncond"))
    grid, prompts = model.grid(sampling), {"cond": "a kiss", "uncond": ""}
    with capture(model, tracked, grid, keep, prompts=prompts) as recorder:
        generate(model, "a kiss", sampling)
    assert recorder.names("cond") == ("a", "kiss", "__padding__", "__eos__")
    assert recorder.names("uncond") == ("uncond@a", "uncond@kiss", "uncond/__padding__", "uncond/__eos__")
    assert (tensors(recorder).sum(1) - 1).abs().max() <= 1e-6
    assert tensors(recorder)[:, 2].min() > 0.5
    # Without a negative prompt, every token but the first is padding, including the positions of the two words.
    assert (tensors(recorder, "uncond")[:, 2:].sum(1) - 1).abs().max() <= 1e-6


def test_the_mass_of_the_padding_needs_the_prompt(model, sampling, words):
    with pytest.raises(CaptureError, match="needs the prompt of each branch"):
        record(model, sampling, words("a (kiss)"), Keep(reserved=True))


def test_the_self_check_recomputes_a_sample_in_float64(model, sampling, words):
    recorder = record(model, sampling, words("a (kiss)"), Keep(self_check=True))
    found = recorder.summary()["self_check"]
    assert found["rows"] == 2 * 4 * 8
    assert 0 < found["max_abs_error"] <= 1e-6


def test_the_self_check_detects_wrong_probabilities(model, sampling, words, monkeypatch):
    right = columns_module.word_probabilities
    monkeypatch.setattr(columns_module, "word_probabilities", lambda call, columns: right(call, columns) + 1e-3)
    recorder = record(model, sampling, words("a (kiss)"), Keep(self_check=True))
    assert recorder.summary()["self_check"]["max_abs_error"] == pytest.approx(1e-3, rel=1e-2)


@pytest.fixture
def cached(model):
    """Enable a diffusers cache; disable it after the test."""
    yield model.pipe.transformer.enable_cache
    model.pipe.transformer.disable_cache()


def test_steps_with_layers_skipped_by_a_cache_are_gaps(model, sampling, words, cached):
    sampling, tracked = replace(sampling, steps=4), words("a (kiss)")
    cached(
        PyramidAttentionBroadcastConfig(
            cross_attention_block_skip_range=3,
            cross_attention_timestep_skip_range=(0, 1001),
            cross_attention_block_identifiers=("blocks",),
            current_timestep_callback=lambda: model.pipe.current_timestep,
        )
    )
    without = generate(model, "a kiss", sampling)
    with capture(model, tracked, model.grid(sampling), Keep(dtype=torch.float32)) as recorder:
        during = generate(model, "a kiss", sampling)
    assert np.array_equal(without, during)
    stored, left_out = [step.index for step in recorder.steps], [gap["index"] for gap in recorder.gaps]
    assert left_out
    assert stored
    assert sorted(stored + left_out) == [0, 1, 2, 3]
    assert recorder.gaps[0] == {
        "index": left_out[0],
        "branch": "cond",
        "model": "transformer",
        "layers": [f"blocks.{number}.attn2" for number in range(4)],
    }
    assert recorder.steps_seen == 4
    summary = recorder.summary()
    assert summary["gaps"] == recorder.gaps
    assert (summary["calls"], summary["expected_calls"]) == (4 * len(stored), 16)
    assert torch.allclose(recorder.aggregated(), tensors(recorder).mean((0, 2, 3)), atol=1e-8)


def test_steps_with_blocks_skipped_by_a_cache_are_gaps(model, sampling, words, cached):
    cached(FirstBlockCacheConfig(threshold=100.0))
    recorder = record(model, replace(sampling, steps=3), words("a (kiss)"), Keep(dtype=torch.float32))
    assert [step.index for step in recorder.steps] == [0]
    assert [(gap["index"], gap["layers"][0]) for gap in recorder.gaps] == [(1, "blocks.1.attn2"), (2, "blocks.1.attn2")]


def test_a_batch_of_several_videos_is_refused(model, sampling, words):
    tracked, grid = words("a (kiss)"), model.grid(sampling)
    with pytest.raises(CaptureError, match="found a batch of 2 latent videos"), capture(model, tracked, grid):
        model.pipe(["a kiss", "a hug"], width=64, height=48, num_frames=5, num_inference_steps=1, output_type="latent")
