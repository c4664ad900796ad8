"""Which class a model is loaded as, and what is refused before its weights are read."""

import json
import re

import pytest

from generator.errors import ModelError
from generator.models import load as models
from generator.models.choosing import choose
from generator.models.inputs import Given
from generator.settings import ModelSettings

TEXT, IMAGE, BOTH = Given(), Given(image=True), Given(image=True, last_image=True)
PLAIN = {"image_dim": None, "pos_embed_seq_len": None}
SEEN = {**PLAIN, "image_dim": 1280}
WITH_PLACE = {**SEEN, "pos_embed_seq_len": 514}


def chosen(kind, given, network=PLAIN, **index):
    return choose("some/model", {"_class_name": kind, **index}, given, lambda component: network).name


@pytest.mark.parametrize(
    ("kind", "given", "index", "expected"),
    [
        ("WanPipeline", TEXT, {}, "WanPipeline"),
        ("WanPipeline", IMAGE, {"expand_timesteps": True}, "WanImageToVideoPipeline"),
        ("WanPipeline", TEXT, {"expand_timesteps": True}, "WanPipeline"),
        ("WanImageToVideoPipeline", TEXT, {"expand_timesteps": True}, "WanPipeline"),
        ("WanImageToVideoPipeline", IMAGE, {}, "WanImageToVideoPipeline"),
        ("WanImageToVideoPipeline", BOTH, {}, "WanImageToVideoPipeline"),
        ("LTXPipeline", IMAGE, {}, "LTXImageToVideoPipeline"),
        ("LTX2Pipeline", IMAGE, {}, "LTX2ImageToVideoPipeline"),
        ("SanaVideoPipeline", IMAGE, {}, "SanaImageToVideoPipeline"),
        ("LTXImageToVideoPipeline", TEXT, {}, "LTXPipeline"),
        ("CogVideoXImageToVideoPipeline", IMAGE, {}, "CogVideoXImageToVideoPipeline"),
    ],
)
def test_the_class_follows_what_is_given(kind, given, index, expected):
    assert chosen(kind, given, **index) == expected


def test_the_network_tells_whether_it_takes_a_last_image():
    assert chosen("WanImageToVideoPipeline", BOTH, WITH_PLACE) == "WanImageToVideoPipeline"
    with pytest.raises(ModelError, match="needs an image that they end with; found none"):
        chosen("WanImageToVideoPipeline", IMAGE, WITH_PLACE)
    for network, index in ((SEEN, {}), (PLAIN, {"expand_timesteps": True})):
        with pytest.raises(ModelError, match=r"found --last-image, but this Wan.* takes no image that the videos"):
            chosen("WanImageToVideoPipeline", BOTH, network, **index)


@pytest.mark.parametrize(
    ("kind", "given", "complaint"),
    [
        (
            "WanPipeline",
            IMAGE,
            "model some/model: found --image, but this WanPipeline makes videos from prompts alone. Omi",
        ),
        ("WanPipeline", IMAGE, "or choose another model, such as Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"),
        ("CogVideoXPipeline", IMAGE, "such as zai-org/CogVideoX-5b-I2V"),
        ("MochiPipeline", IMAGE, "Omit it, or choose another model"),
        (
            "WanImageToVideoPipeline",
            TEXT,
            "needs an image that the videos begin with; found none. Name a file with --image",
        ),
        ("CogVideoXImageToVideoPipeline", TEXT, "or choose another model, such as zai-org/CogVideoX-5b"),
        ("LTXPipeline", BOTH, "this LTXImageToVideoPipeline takes no image that the videos end with. Omit it"),
        (
            "LucyEditPipeline",
            TEXT,
            "its LucyEditPipeline needs another input (a video), which cannot be given. Call it in a program",
        ),
        ("FluxPipeline", IMAGE, "found a FluxPipeline, which this generator does not support"),
    ],
)
def test_a_model_that_lacks_an_image_or_takes_none_is_refused_with_what_to_do(kind, given, complaint):
    with pytest.raises(ModelError, match=re.escape(complaint)):
        chosen(kind, given)


def test_it_is_refused_before_any_weights_are_read(tmp_path):
    index = {"_class_name": "WanImageToVideoPipeline", "transformer": ["diffusers", "WanTransformer3DModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer/config.json").write_text(json.dumps(SEEN))
    for load in (models.load, models.load_outline):
        with pytest.raises(ModelError, match="needs an image that the videos begin with"):
            load(ModelSettings(id=str(tmp_path), device="cpu"))
    (tmp_path / "transformer/config.json").unlink()
    with pytest.raises(ModelError, match="transformer cannot be read"):
        models.load(ModelSettings(id=str(tmp_path), device="cpu"), IMAGE)


def test_the_embedded_model_takes_no_image():
    with pytest.raises(ModelError, match="model tiny: found --image, but this WanPipeline"):
        models.load(ModelSettings(device="cpu"), IMAGE)
