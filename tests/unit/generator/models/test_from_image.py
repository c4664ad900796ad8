"""Pipelines that make videos from an image, loaded by what is given; `tests/families` has what holds for all."""

import functools
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from generator.capture.maps import BRANCHES, Keep
from generator.capture.recorder import capture
from generator.errors import ModelError
from generator.library import capture as library_capture
from generator.models import load as models
from generator.models.contract import LatentGrid
from generator.models.inputs import Given, Images
from generator.prompts.template import Template
from generator.prompts.tokens import locate
from generator.settings import ModelSettings
from tests import families

PROMPT, NEGATIVE = "a romantic kiss between two men", "a blurry dog"
KEEP = Keep(per_block=True, per_head=True, dtype=torch.float32, branches=BRANCHES)
BAR = 1e-6


@dataclass(frozen=True)
class Known:
    """What is known about a pipeline, independently of its adapter."""

    kind: str
    size: tuple[int, int, int]
    grid: LatentGrid
    last: bool = False
    image_keys: int = 0


WAN = ("WanImageToVideoPipeline", (64, 48, 5), LatentGrid(2, 3, 4, 4, True))
PIPELINES = {
    "wan2.1-i2v": Known(*WAN, image_keys=families.IMAGE_TOKENS),
    "wan2.1-flf2v": Known(*WAN, last=True, image_keys=2 * families.IMAGE_TOKENS),
    "wan2.2-i2v": Known(*WAN, last=True),
    "wan2.2-ti2v": Known(*WAN),
    "cogvideox-i2v": Known("CogVideoXImageToVideoPipeline", (64, 48, 9), LatentGrid(3, 3, 4, 4, True)),
    "cogvideox1.5-i2v": Known("CogVideoXImageToVideoPipeline", (64, 48, 9), LatentGrid(2, 3, 4, 8, True)),
    "ltx-i2v": Known("LTXImageToVideoPipeline", (96, 64, 17), LatentGrid(3, 2, 3, 8, True)),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    @functools.cache
    def folder(name):
        place = tmp_path_factory.mktemp("from_image") / name
        families.build(name).save_pretrained(place)
        return str(place)

    return folder


@pytest.fixture(scope="module")
def load(folders):
    torch.set_num_threads(1)

    @functools.cache
    def loaded(name, dtype="float32"):
        given = Given(image=True, last_image=PIPELINES[name].last)
        return models.load(ModelSettings(id=folders(name), device="cpu", dtype=dtype), given)

    return loaded


@pytest.fixture(params=PIPELINES)
def name(request):
    return request.param


@pytest.fixture
def known(name):
    return PIPELINES[name]


def small(model, known, steps=2):
    width, height, frames = known.size
    return replace(model.recommended, width=width, height=height, frames=frames, steps=steps, negative_prompt=NEGATIVE)


def images(known, seed=0):
    width, height, _ = known.size
    pixels = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), np.uint8)
    first, last = map(Image.fromarray, pixels)
    return Images(first, last if known.last else None)


def generate(model, known, seed=1, **options):
    return model.generate(PROMPT, small(model, known, **options), seed, lambda done, total: None, images(known))


def words_of(model):
    return locate(Template("a romantic (kiss) between (two men)").variation(1), model.clean, model.tokenise)


def record(model, known, keep=KEEP):
    prompts = {"cond": PROMPT, "uncond": NEGATIVE}
    grid = model.grid(small(model, known))
    with capture(model, words_of(model), grid, keep, prompts=prompts) as recorder:
        frames = generate(model, known)
    return recorder, frames


class Kernels(TorchDispatchMode):
    """Keeps query, key and mask of each call of torch's kernel in each text attention layer, without capture."""

    def __init__(self, model):
        super().__init__()
        self.calls = defaultdict(list)
        self._layer = None
        self._hooks = ExitStack()
        for layer in model.text_attention():
            name = f"{layer.denoiser}.{layer.name}"
            self._hooks.callback(layer.module.register_forward_pre_hook(functools.partial(self._enter, name)).remove)
            self._hooks.callback(layer.module.register_forward_hook(functools.partial(self._enter, None)).remove)

    def _enter(self, name, *_args):
        self._layer = name

    def __exit__(self, *error):
        self._hooks.close()
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self._layer and function is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default:
            query, key = (tensor.double() for tensor in args[:2])
            mask = kwargs.get("attn_mask")
            scores = query @ key.mT / query.shape[-1] ** 0.5 + (0 if mask is None else mask.double())
            self.calls[self._layer].append(scores)
        return function(*args, **kwargs)


def scores_of(model, known):
    """Scores of the calls on the text and on the image, by layer: a list of ``[head, row, key]`` for each branch."""
    with Kernels(model) as kernels:
        generate(model, known)
    found = {}
    for layer, calls in kernels.calls.items():
        for is_image in (False, True):
            chosen = [call for call in calls if (call.shape[-1] == known.image_keys) == is_image]
            each = [sample for call in chosen for sample in call]
            found[layer, is_image] = {branch: each[number::2] for number, branch in enumerate(BRANCHES)}
    return found


def expected(model, layers):
    """Probabilities of the words by branch: for each layer ``[step, word, head, row]``."""
    words = [list(word.positions) for word in words_of(model)]

    def of_words(step):
        return torch.stack([step.softmax(-1)[..., places].sum(-1) for places in words])

    return {
        branch: [
            torch.stack([of_words(step) for step in branches[branch]])
            for (_, of_image), branches in layers.items()
            if not of_image
        ]
        for branch in BRANCHES
    }


@pytest.mark.parametrize("name", ["wan2.2-i2v"])  # conformance tests, which know layers by name, have all others
def test_maps_of_two_networks_agree_with_a_float64_softmax_and_the_video_is_bit_identical(load, name, known):
    model = load(name)
    without = generate(model, known)
    recorder, during = record(model, known)
    assert np.array_equal(without, during)
    layers = scores_of(model, known)
    for branch in BRANCHES:
        found = torch.stack([step.maps for step in recorder.steps if step.branch == branch])
        each = expected(model, layers)[branch]
        # The first step is one network's, the second the other's.
        wanted = torch.stack([torch.cat(pair) for pair in zip(each[:4], each[4:], strict=True)], 2)
        assert found.shape == (*wanted.shape[:-1], known.grid.frames, known.grid.height, known.grid.width)
        assert (found.flatten(-3) - wanted).abs().max() <= BAR
        assert wanted.std() > BAR


def test_another_image_makes_another_video(load, name, known):
    model = load(name)
    assert type(model.pipe).__name__ == known.kind
    other = images(known, seed=3)
    frames = model.generate(PROMPT, small(model, known), 1, lambda done, total: None, other)
    assert not np.array_equal(frames, generate(model, known))
    if known.last:
        changed = replace(other, last=images(known).last)
        again = model.generate(PROMPT, small(model, known), 1, lambda done, total: None, changed)
        assert not np.array_equal(again, frames)


def test_half_precision_runs_with_the_image(load, name, known):
    assert generate(load(name, "bfloat16"), known, steps=1).shape == (known.size[2], known.size[1], known.size[0], 3)


@pytest.mark.parametrize("name", ["wan2.1-i2v", "wan2.1-flf2v"])
def test_the_mass_of_a_word_is_told_without_and_with_the_keys_of_the_image(load, name, known):
    model = load(name)
    told = record(model, known)[0].summary()["image_keys"]
    assert told["count"] == known.image_keys
    layers = scores_of(model, known)
    for branch in BRANCHES:
        alone, both = [], []
        for layer, text in ((key, value[branch]) for (key, of_image), value in layers.items() if not of_image):
            for step, image in zip(text, layers[layer, True][branch], strict=True):
                together = torch.cat([step, image], -1).softmax(-1)
                places = [list(word.positions) for word in words_of(model)]
                alone.append([float(step.softmax(-1)[..., at].sum(-1).mean()) for at in places])
                both.append([float(together[..., at].sum(-1).mean()) for at in places])
        for number, word in enumerate(("kiss", "two_men")):
            found = told["mass"][branch][word if branch == "cond" else f"uncond@{word}"]
            assert found["without"] == pytest.approx(np.mean(alone, 0)[number], abs=BAR)
            assert found["with"] == pytest.approx(np.mean(both, 0)[number], abs=BAR)
            assert found["with"] < found["without"]


def test_models_without_keys_of_an_image_tell_no_mass_with_them(load):
    assert "image_keys" not in record(load("ltx-i2v"), PIPELINES["ltx-i2v"])[0].summary()


def test_lucy_edit_is_captured_in_a_program(folders):
    pipe = families.build("lucy-edit")
    pipe.set_progress_bar_config(disable=True)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), np.uint8)
    call = {"video": list(map(Image.fromarray, pixels)), "prompt": PROMPT, "width": 64, "height": 48, "num_frames": 5}
    call |= {"num_inference_steps": 2, "generator": torch.Generator().manual_seed(1)}
    with library_capture(pipe, ["kiss"]) as maps:
        pipe(**call)
    assert maps["kiss"].shape == (2, 1, 1, 2, 3, 4)
    with pytest.raises(ModelError, match=r"its LucyEditPipeline needs another input \(a video\), which cannot"):
        models.load(ModelSettings(id=folders("lucy-edit"), device="cpu"))


def sizes(model, *ratios, width=None, height=None, area=None):
    return [model.size_for(ratio, width, height, area) for ratio in ratios]


def test_sizes_follow_the_aspect_ratio_and_are_rounded_down_as_the_network_needs(load):
    wan = load("wan2.1-i2v")
    assert sizes(wan, 16 / 9, 1, 9 / 16) == [(832, 464), (624, 624), (464, 832)]
    assert sizes(wan, 16 / 9, area=1280 * 720) == [(1280, 720)]
    assert sizes(wan, 1.5, width=300) == [(300, 192)]
    assert sizes(wan, 1.5, height=320) == [(480, 320)]
    assert sizes(wan, 1.5, width=320, height=320) == [(320, 320)]
    assert sizes(wan, 1000) == [(19984, 16)]
    assert sizes(load("ltx-i2v"), 1, 2) == [(576, 576), (800, 384)]
    assert sizes(load("cogvideox-i2v"), 1, 2) == [(64, 48)] * 2
    assert sizes(load("cogvideox1.5-i2v"), 1, 4 / 3, 3 / 4, 3) == [(768, 768), (1024, 768), (768, 1024), (1360, 768)]


def test_the_5b_model_of_cogvideox_refuses_sizes_that_it_has_no_positions_for(load):
    model, known = load("cogvideox-i2v"), PIPELINES["cogvideox-i2v"]
    model.check(model.recommended)
    with pytest.raises(ModelError, match=r"width 48, height 48: .* makes only videos of 64 x 48 pixels. Omit both"):
        model.check(replace(small(model, known), width=48))
