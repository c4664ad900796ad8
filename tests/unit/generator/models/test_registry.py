"""The registry: every pipeline that makes videos from a text is supported, or refused with what is missing."""

import json
from pathlib import Path

import diffusers
import pytest

from generator.errors import ModelError
from generator.models.choosing import choose
from generator.models.inputs import Given
from generator.models.load import adapt, load
from generator.models.registry import FAMILIES, MISSING
from generator.settings import ModelSettings
from tests.models_document import document

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", sorted(MISSING))
def test_a_class_that_is_not_supported_is_refused_by_name_before_loading(name, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name}), encoding="utf-8")
    with pytest.raises(ModelError) as refused:
        load(ModelSettings(id=str(tmp_path)))
    told = f"found a {name}, which this generator does not support: {MISSING[name]}. Expected one of"
    assert told in str(refused.value)


@pytest.mark.parametrize("name", sorted(MISSING))
def test_capture_refuses_a_class_that_is_not_supported(name):
    kind = getattr(diffusers, name)
    with pytest.raises(ModelError, match=f"found a {name}"):
        adapt(object.__new__(kind))


def test_names_are_those_of_diffusers_and_none_is_both_supported_and_missing():
    assert all(hasattr(diffusers, name) for name in {*FAMILIES, *MISSING})
    assert not FAMILIES.keys() & MISSING.keys()


def test_models_md_is_up_to_date():
    assert (ROOT / "MODELS.md").read_text(encoding="utf-8") == document(), "run `make models`"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("WanVideoToVideoPipeline", "WanVideoToVideoPipeline needs another input .a video., which cannot be given"),
        ("Kandinsky5I2VPipeline", "Kandinsky5I2VPipeline needs an image that the videos begin with"),
    ],
)
def test_a_class_that_needs_another_input_is_refused_before_loading(name, complaint, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name}), encoding="utf-8")
    with pytest.raises(ModelError, match=complaint):
        load(ModelSettings(id=str(tmp_path)))


def test_ltx2_is_loaded_as_the_class_that_takes_an_image_if_there_is_one():
    index = {"_class_name": "LTX2Pipeline"}
    assert choose("ltx", index, Given(image=True), dict).name == "LTX2ImageToVideoPipeline"
    assert choose("ltx", index, Given(), dict).name == "LTX2Pipeline"
