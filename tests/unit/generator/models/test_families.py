"""Every family through its real pipeline: loaded from a folder, captured, and compared with the kernels' inputs."""

import functools
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from diffusers import FasterCacheConfig
from torch.utils._python_dispatch import TorchDispatchMode

from attnwatch.cli.check import check
from generator.capture import kernels
from generator.capture.maps import BRANCHES, Keep
from generator.capture.placement import END, PADDING
from generator.capture.recorder import capture
from generator.cli import main
from generator.errors import CaptureError, ModelError
from generator.models import load as models
from generator.models.contract import LatentGrid
from generator.prompts.template import Template
from generator.prompts.tokens import locate, locate_negative
from generator.settings import ModelSettings
from tests import families

# Mochi raises this warning on every CPU.
pytestmark = pytest.mark.filterwarnings("ignore:In CPU autocast:UserWarning")

TEMPLATE = "a romantic (kiss) between (two men)"
PROMPT = "a romantic kiss between two men"
NEGATIVE = "a blurry dog"
EVERYTHING = Keep(per_block=True, per_head=True, dtype=torch.float32, branches=BRANCHES, reserved=True, self_check=True)


@dataclass(frozen=True)
class Expected:
    """The properties of a family, stated independently of its adapter."""

    size: tuple[int, int, int]
    grid: LatentGrid
    layers: int
    order: tuple[str, str]
    """Order in which the branches of a step are computed."""
    text: str
    """Position of the text among the keys: ``apart``, ``first`` or ``last``."""
    other_frames: int
    """A number of frames that the model does not support."""
    frame_by_frame: bool = False


UNCONDITIONAL_FIRST = ("uncond", "cond")
FAMILIES = {
    "wan": Expected((64, 48, 5), LatentGrid(2, 3, 4, 4, True), 4, BRANCHES, "apart", 6),
    "wan2.2": Expected((64, 48, 5), LatentGrid(2, 3, 4, 4, True), 4, BRANCHES, "apart", 6),
    "cogvideox": Expected((64, 48, 9), LatentGrid(3, 3, 4, 4, True), 2, UNCONDITIONAL_FIRST, "first", 5),
    "cogvideox1.5": Expected((64, 48, 9), LatentGrid(2, 3, 4, 8, True), 2, UNCONDITIONAL_FIRST, "first", 12),
    "ltx": Expected((96, 64, 17), LatentGrid(3, 2, 3, 8, True), 2, UNCONDITIONAL_FIRST, "apart", 12),
    "hunyuan": Expected((64, 48, 5), LatentGrid(2, 3, 4, 4, True), 3, BRANCHES, "last", 4),
    "mochi": Expected((64, 48, 7), LatentGrid(2, 3, 4, 6, True), 2, UNCONDITIONAL_FIRST, "last", 6),
    "animatediff": Expected((64, 40, 3), LatentGrid(3, 5, 8, 1, True), 7, UNCONDITIONAL_FIRST, "apart", 33, True),
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Folders of saved pipelines, each built on first use."""

    @functools.cache
    def folder(name):
        place = tmp_path_factory.mktemp("families") / name
        families.build(name).save_pretrained(place)
        return place

    return folder


@pytest.fixture(scope="session")
def load(folders):
    torch.set_num_threads(1)

    @functools.cache
    def loaded(name, dtype="float32"):
        return models.load(ModelSettings(id=str(folders(name)), device="cpu", dtype=dtype))

    return loaded


def test_a_model_without_its_weights_answers_as_the_whole_one(load, folders, name, known):
    whole, outline = load(name), models.load_outline(ModelSettings(id=str(folders(name))))
    text = whole.clean("a romantic kiss between two men")
    assert outline.tokenise(outline.clean("a romantic kiss between two men")) == whole.tokenise(text)
    assert (outline.recommended, outline.text_keys) == (whole.recommended, whole.text_keys)
    sampling = small(whole, known)
    outline.check(sampling)
    assert outline.grid(sampling) == whole.grid(sampling)
    with pytest.raises(ModelError, match="width 50"):
        outline.check(replace(sampling, width=50))


@pytest.fixture(params=FAMILIES)
def name(request):
    return request.param


@pytest.fixture
def known(name):
    return FAMILIES[name]


@pytest.fixture
def model(load, name):
    return load(name)


def small(model, known, steps=2):
    width, height, frames = known.size
    return replace(model.recommended, width=width, height=height, frames=frames, steps=steps, negative_prompt=NEGATIVE)


def generate(model, sampling, seed=1):
    return model.generate(PROMPT, sampling, seed, lambda done, total: None)


def words_of(model, template=TEMPLATE):
    return locate(Template(template).variation(1), model.clean, model.tokenise)


def record(model, known, keep=EVERYTHING, steps=2):
    sampling = small(model, known, steps)
    prompts = {"cond": PROMPT, "uncond": NEGATIVE}
    with capture(model, words_of(model), model.grid(sampling), keep, prompts=prompts) as recorder:
        frames = generate(model, sampling)
    return recorder, frames


class Kernels(TorchDispatchMode):
    """Keeps the inputs of torch's own kernel in each text attention layer, sample by sample, without capture."""

    def __init__(self, model):
        super().__init__()
        self.samples = defaultdict(list)
        self._layer = None
        self._hooks = ExitStack()
        for layer in model.text_attention():
            self._hooks.callback(layer.module.register_forward_pre_hook(self._enter(layer.name)).remove)
            self._hooks.callback(layer.module.register_forward_hook(self._leave).remove)

    def _enter(self, name):
        def enter(module, inputs):
            self._layer = name

        return enter

    def _leave(self, module, inputs, output):
        self._layer = None

    def __exit__(self, *error):
        self._hooks.close()
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self._layer and function is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default:
            query, key = args[:2]
            mask = kwargs.get("attn_mask")
            mask = torch.zeros(()) if mask is None else mask
            mask = mask.expand(*query.shape[:3], key.shape[2])
            self.samples[self._layer] += [
                tuple(map(torch.clone, sample)) for sample in zip(query, key, mask, strict=True)
            ]
        return function(*args, **kwargs)


def in_float64(query, key, mask):
    """The full softmax of one sample by the textbook formula: [head, row, key]."""
    scores = query.double() @ key.double().transpose(-1, -2) / query.shape[-1] ** 0.5 + mask.double()
    return scores.softmax(-1)


def expected_maps(known, samples, positions):
    """Maps of all steps of one layer by branch, [step, word, head, frame, height, width], computed independently."""
    each = known.grid.frames if known.frame_by_frame else 1
    maps = {branch: [] for branch in BRANCHES}
    for number in range(0, len(samples), each):
        branch = known.order[number // each % 2]
        parts = [words_in(known, sample, positions[branch]) for sample in samples[number : number + each]]
        maps[branch].append(torch.cat(parts, -3))
    return {branch: torch.stack(found) for branch, found in maps.items()}


def words_in(known, sample, positions):
    """[word, head, frame, height, width] of one sample, which is one frame or all frames."""
    (frames, height, width), keys = (known.grid.frames, known.grid.height, known.grid.width), sample[1].shape[1]
    frames = 1 if known.frame_by_frame else frames
    rows = {
        "apart": slice(None),
        "first": slice(-frames * height * width, None),
        "last": slice(frames * height * width),
    }
    first = known.grid.size if known.text == "last" else 0
    probabilities = in_float64(*sample)[:, rows[known.text]]
    columns = [[first + at for at in word if first + at < keys] for word in positions]
    found = torch.stack([probabilities[..., word].sum(-1) for word in columns])
    while frames * height * width > found.shape[-1]:
        height, width = (height + 1) // 2, (width + 1) // 2
    return enlarged(found.unflatten(-1, (frames, height, width)), known.grid)


def enlarged(found, grid):
    """Repeat cells so that each cell of the grid gets the value of the coarse cell that contains its centre."""
    height, width = found.shape[-2:]
    rows = ((torch.arange(grid.height) + 0.5) * height / grid.height).long()
    columns = ((torch.arange(grid.width) + 0.5) * width / grid.width).long()
    return found[..., rows, :][..., columns]


def positions_of(model, prompt):
    sequence = model.tokenise(model.clean(prompt))
    return [*(word.positions for word in words_of(model)), sequence.padding, sequence.end]


@pytest.mark.parametrize(("dtype", "bar"), [("float32", 1e-6), ("bfloat16", 1e-5)])
def test_probabilities_agree_with_a_float64_softmax_of_the_kernels_inputs(load, name, known, dtype, bar):
    assert_exact(load(name, dtype), known, bar)


def test_probabilities_are_as_exact_without_the_kernels_log_sum_exp(model, known, monkeypatch):
    monkeypatch.setattr(kernels, "OPERATORS", {})
    assert_exact(model, known, 1e-6)


def assert_exact(model, known, bar):
    recorder, _ = record(model, known)
    with Kernels(model) as given:
        generate(model, small(model, known))
    assert recorder.names("cond") == ("kiss", "two_men", PADDING, END)
    positions = {"cond": positions_of(model, PROMPT), "uncond": positions_of(model, NEGATIVE)}
    assert list(given.samples) == [layer.name for layer in model.text_attention()][: known.layers]
    layers = [expected_maps(known, samples, positions) for samples in given.samples.values()]
    for branch in BRANCHES:
        expected = torch.stack([layer[branch] for layer in layers], 2)
        found = torch.stack([step.maps for step in recorder.steps if step.branch == branch])
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= bar
        assert (recorder.aggregated(branch) - expected.mean((0, 2, 3))).abs().max() <= bar
        assert expected[:, :1].std() > 1e-6  # the maps differ from each other, so agreement means something
    assert recorder.summary()["self_check"]["max_abs_error"] <= bar
    assert recorder.summary()["self_check"]["rows"] > 0


def test_capture_leaves_the_video_bit_identical_during_and_after(model, known):
    sampling = small(model, known)
    without = generate(model, sampling)
    _, during = record(model, known)
    after = generate(model, sampling)
    assert np.array_equal(without, during)
    assert np.array_equal(without, after)
    assert not np.array_equal(without, generate(model, sampling, seed=2))


def test_each_branch_records_the_attention_to_its_own_prompt(model, known):
    """In the first step both branches start from the same noise, so a prompt has the same maps in both."""

    def first_step(prompt, negative, tracked):
        sampling = replace(small(model, known), negative_prompt=negative)
        keep = replace(EVERYTHING, reserved=False, self_check=False)
        with capture(model, tracked, model.grid(sampling), keep, prompts={"cond": prompt}) as recorder:
            model.generate(prompt, sampling, 1, lambda done, total: None)
        return {step.branch: step.maps for step in recorder.steps if step.index == 0}

    one = first_step(PROMPT, NEGATIVE, words_of(model))
    negative = locate_negative(PROMPT, ["kiss", "two men"], model.clean, model.tokenise)
    other = first_step("a red house", PROMPT, negative)
    assert (one["cond"] - other["uncond"]).abs().max() <= 1e-6
    assert (one["cond"] - one["uncond"]).abs().max() > 1e-4


def test_the_summary_counts_every_call(model, known):
    recorder, _ = record(model, known, replace(EVERYTHING, self_check=False))
    summary = recorder.summary()
    assert 0 <= summary.pop("marking")["cond"] < 0.2
    assert summary == {
        "layers": known.layers,
        "layers_kept": list(range(known.layers)),
        "heads": model.text_attention()[0].heads,
        "steps": 2,
        "calls": 2 * 2 * known.layers,
        "expected_calls": 2 * 2 * known.layers,
        "branches": ["cond", "uncond"],
        "branch_source": "cache_context" if known.order == BRANCHES else "halves of the batch",
        "gaps": [],
        "text": {"cond": "embeddings", "uncond": "embeddings"},
        "kernel": "flash_attention",
        "log_sum": "kernel",
        "exact": True,
    }


def test_a_video_has_the_requested_size_and_the_expected_grid(model, known):
    sampling = small(model, known)
    model.check(sampling)
    assert model.grid(sampling) == known.grid
    width, height, frames = known.size
    assert generate(model, sampling).shape == (frames, height, width, 3)


def changes(model, sampling):
    """How much each video frame depends on each latent frame, by the model's own VAE: [latent frame, video frame]."""
    given = []

    def recorded(latents, *args, **kwargs):
        given.append((latents, args, kwargs))
        return decode(latents, *args, **kwargs)

    decode = model.pipe.vae.decode
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(model.pipe.vae, "decode", recorded)
        generate(model, sampling)
        latents, args, kwargs = given[0]
        before = decode(latents, *args, **kwargs)[0]
        found = []
        for frame in range(latents.shape[2]):
            other = latents.clone()
            other[:, :, frame] += 1.0
            found.append((decode(other, *args, **kwargs)[0] - before).abs().amax((0, 1, 3, 4)))
    return torch.stack(found)


@pytest.mark.parametrize("name", ["wan", "mochi"])  # the others normalise over time, which hides it
def test_a_latent_frame_first_affects_the_first_video_frame_that_it_covers(load, name, known):
    found = changes(load(name), small(load(name), known))
    assert len(found) == known.grid.frames
    for frame, change in enumerate(found):
        first = known.grid.temporal_stride * (frame - 1) + 1 if frame else 0
        assert change.nonzero().flatten().tolist() == list(range(first, len(change)))


def test_the_recommended_sampling_is_valid(model):
    model.check(model.recommended)


def test_an_unsupported_number_of_frames_is_refused(model, known):
    with pytest.raises(ModelError, match=f"frames {known.other_frames}: .* (needs|supports)"):
        model.check(replace(small(model, known), frames=known.other_frames))


def test_tokenise_returns_the_tokens_that_the_pipeline_encodes(model, known):
    seen = []

    def record_ids(module, inputs, named):
        seen.append(named["input_ids"] if "input_ids" in named else inputs[0])

    handle = model.pipe.text_encoder.register_forward_pre_hook(record_ids, with_kwargs=True)
    try:
        generate(model, small(model, known))
    finally:
        handle.remove()
    sequence = model.tokenise(model.clean(PROMPT))
    assert len(sequence.ids) == model.text_keys
    assert seen[0][0, -model.text_keys :].tolist() == list(sequence.ids)


def test_tracked_words_are_located_at_their_own_tokens(model):
    sequence = model.tokenise(model.clean(PROMPT))
    for word in words_of(model):
        spelt = "".join(sequence.pieces[position] for position in word.positions)
        assert spelt.replace("▁", " ").replace("Ġ", " ").strip() == word.text


def test_an_unknown_attention_processor_is_refused(model, known, monkeypatch):
    class Processor(model.processors[0]):
        pass

    monkeypatch.setattr(model.text_attention()[-1].module, "processor", Processor())
    with pytest.raises(CaptureError, match=r"found the attention processor .*Processor; expected"):
        record(model, known)


def test_a_skipped_layer_is_named_in_the_error(model, known, monkeypatch):
    layer = model.text_attention()[known.layers - 1]
    attention = layer.module.forward

    def skipped(hidden_states, *args, encoder_hidden_states=None, **kwargs):
        joint = known.text != "apart"
        return (hidden_states, encoder_hidden_states) if joint else hidden_states

    assert attention is not skipped
    monkeypatch.setattr(layer.module, "forward", skipped)
    with pytest.raises(CaptureError, match=rf"expected one call .* {layer.name} \(0 times\)"):
        record(model, known)


def test_without_guidance_only_the_conditional_branch_is_captured(model, known):
    sampling = replace(small(model, known), guidance_scale=1.0)
    with capture(model, words_of(model), model.grid(sampling), Keep(dtype=torch.float32)) as recorder:
        generate(model, sampling)
    assert [(step.index, step.branch) for step in recorder.steps] == [(0, "cond"), (1, "cond")]
    only = pytest.raises(CaptureError, match="the unconditional branch was not computed")
    with only, capture(model, words_of(model), model.grid(sampling), Keep(branches=("uncond",))):
        generate(model, sampling)


def test_the_second_network_of_wan_has_a_separate_guidance_scale(load):
    model, known = load("wan2.2"), FAMILIES["wan2.2"]
    sampling = replace(small(model, known, steps=3), guidance_scale=5.0)
    model.check(replace(sampling, guidance_scale_2=2.0))
    same = generate(model, replace(sampling, guidance_scale_2=5.0))
    assert np.array_equal(generate(model, sampling), same)
    assert not np.array_equal(generate(model, replace(sampling, guidance_scale_2=2.0)), same)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"wan2.2"}))
def test_a_second_guidance_scale_is_refused_for_a_single_network(model, known):
    with pytest.raises(ModelError, match=r"guidance_scale_2 2: .* has only one denoising network"):
        model.check(replace(small(model, known), guidance_scale_2=2.0))


@pytest.mark.parametrize("name", ["wan", "hunyuan", "mochi"])
def test_flow_shift_changes_the_noise_levels(folders, name, known):
    model = models.load(ModelSettings(id=str(folders(name)), device="cpu"))
    sampling = small(model, known)
    model.check(replace(sampling, flow_shift=9.0))
    generate(model, sampling)
    before = model.schedule()
    generate(model, replace(sampling, flow_shift=9.0))
    assert model.schedule()[1][1] != pytest.approx(before[1][1])


def test_an_ltx_vae_that_takes_a_timestep_receives_the_recommended_one():
    pipe = families.ltx(timestep_conditioning=True)
    pipe.set_progress_bar_config(disable=True)
    given = []
    decode = pipe.vae.decode
    pipe.vae.decode = lambda latents, timestep, **more: given.append(timestep) or decode(latents, timestep, **more)
    model = models.FAMILIES["LTXPipeline"](pipe)
    assert np.isfinite(generate(model, small(model, FAMILIES["ltx"]))).all()
    assert given[0].tolist() == pytest.approx([0.05])


@pytest.mark.parametrize("name", ["ltx", "cogvideox", "animatediff"])
def test_flow_shift_is_refused_if_the_scheduler_has_none_or_computes_it(load, name, known):
    with pytest.raises(ModelError, match=r"flow_shift 9: the scheduler of .* has none"):
        load(name).check(replace(small(load(name), known), flow_shift=9.0))


@pytest.mark.parametrize("name", ["cogvideox", "ltx", "mochi", "animatediff"])
def test_a_batch_of_two_videos_is_not_mistaken_for_two_guidance_branches(load, name, known):
    model = load(name)
    width, height, frames = known.size
    call = {"width": width, "height": height, "num_frames": frames, "num_inference_steps": 2, "guidance_scale": 1.0}
    two = pytest.raises(CaptureError, match="found a batch of 2 latent videos")
    with two, capture(model, words_of(model), known.grid):
        model.pipe([PROMPT, NEGATIVE], output_type="latent", **call)


@pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning")  # raised inside diffusers
def test_a_step_whose_unconditional_half_was_cached_is_a_gap(folders):
    model, known = models.load(ModelSettings(id=str(folders("cogvideox")), device="cpu")), FAMILIES["cogvideox"]
    model.pipe.transformer.enable_cache(
        FasterCacheConfig(
            spatial_attention_block_skip_range=100,
            unconditional_batch_skip_range=2,
            unconditional_batch_timestep_skip_range=(-1, 1001),
            attention_weight_callback=lambda module: 0.5,
            tensor_format="BFCHW",
            current_timestep_callback=lambda: model.pipe.current_timestep,
        )
    )
    recorder, _ = record(model, known, steps=4)
    stored = {(step.index, step.branch) for step in recorder.steps}
    left_out = {(gap["index"], gap["branch"]) for gap in recorder.gaps}
    assert left_out
    assert stored | left_out == {(step, branch) for step in range(4) for branch in BRANCHES}
    assert not stored & left_out


def test_a_batch_of_every_family_passes_attnwatch_check(folders, name, known, tmp_path):
    width, height, frames = map(str, known.size)
    size = ["--width", width, "--height", height, "--frames", frames, "--steps", "2"]
    arguments = ["--model", str(folders(name)), "--template", TEMPLATE, "--output", str(tmp_path), *size]
    assert main(arguments) == 0
    (batch,) = tmp_path.iterdir()
    assert [problem for _, problems in check(batch) for problem in problems] == []
