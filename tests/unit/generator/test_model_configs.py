"""The shipped configurations of real models, checked against a tiny pipeline of the same class."""

from pathlib import Path

import diffusers
import pytest

from generator.config import load_settings
from generator.models.registry import FAMILIES
from tests import families
from tests.families.cases import CASES

OTHERS = {"attention_visualization_demo", "dask-slurm"}
CONFIGS = Path(__file__).parents[3] / "configs"
SHIPPED = {
    "wan2.1-1.3b": "wan",
    "wan2.1-14b": "wan",
    "wan2.2-a14b": "wan2.2",
    "cogvideox-5b": "cogvideox",
    "ltx-video": "ltx",
    "hunyuanvideo": "hunyuan",
    "mochi": "mochi",
    "animatediff": "animatediff",
    "wan2.1-i2v-14b-480p": "wan2.1-i2v",
    "wan2.1-i2v-14b-720p": "wan2.1-i2v",
    "wan2.1-flf2v-14b": "wan2.1-flf2v",
    "wan2.2-i2v-a14b": "wan2.2-i2v",
    "wan2.2-ti2v-5b": "wan2.2-ti2v",
    "cogvideox-5b-i2v": "cogvideox-5b-i2v",
    "cogvideox1.5-5b-i2v": "cogvideox1.5-i2v",
    "ltx-video-i2v": "ltx-i2v",
}
BY_CLASS = {
    "allegro": "AllegroPipeline",
    "anyflow-14b": "AnyFlowPipeline",
    "cosmos-1-7b": "CosmosTextToWorldPipeline",
    "cosmos-predict2.5-2b": "Cosmos2_5_PredictBasePipeline",
    "hunyuanvideo-1.5": "HunyuanVideo15Pipeline",
    "kandinsky-5-lite": "Kandinsky5T2VPipeline",
    "latte": "LattePipeline",
    "ltx-2": "LTX2Pipeline",
    "sana-video-2b": "SanaVideoPipeline",
    "skyreels-v2-14b-540p": "SkyReelsV2Pipeline",
    "zeroscope-576w": "TextToVideoSDPipeline",
}
"""Configurations whose small pipeline is a case of the conformance tests."""
WITH_FAMILY_DEFAULTS = [
    *("allegro", "anyflow-14b", "cosmos-1-7b", "cosmos-predict2.5-2b", "kandinsky-5-lite", "latte", "ltx-2"),
    *("sana-video-2b", "skyreels-v2-14b-540p"),
    *("cogvideox-5b", "ltx-video", "hunyuanvideo", "mochi", "animatediff"),
    *("cogvideox-5b-i2v", "cogvideox1.5-5b-i2v", "ltx-video-i2v"),
]


def settings_of(name):
    return load_settings({}, {}, CONFIGS / f"{name}.yaml")


def model_of(name):
    pipe = CASES[BY_CLASS[name]].build() if name in BY_CLASS else families.build(SHIPPED[name])
    if name == "wan2.2-ti2v-5b":  # its index names the class for text, and the image decides
        pipe = diffusers.WanImageToVideoPipeline(**pipe.components, expand_timesteps=True)
    return FAMILIES[type(pipe).__name__](pipe, name)


@pytest.mark.parametrize("name", [*SHIPPED, *BY_CLASS])
def test_a_shipped_configuration_is_possible_with_its_model(name):
    settings, model = settings_of(name), model_of(name)
    video = settings.video
    width, height = model.size_for(16 / 9, video.width, video.height, video.max_area)
    sampling = video.model_copy(update={"width": width, "height": height}).over(model.recommended).sampling()
    model.check(sampling)
    grid = model.grid(sampling)
    assert 1000 < grid.size < (200_000 if name in SHIPPED else 10_000_000)  # small VAEs compress less
    assert settings.attention_analysis.stores_anything


@pytest.mark.parametrize("name", WITH_FAMILY_DEFAULTS)
def test_a_shipped_configuration_agrees_with_its_familys_recommendation(name):
    asked, recommended = settings_of(name).video, vars(model_of(name).recommended)
    size = recommended["width"] * recommended["height"]
    assert asked.width or asked.max_area == size or name == "cogvideox1.5-5b-i2v"
    for key, value in recommended.items():
        if getattr(asked, key) is not None and value is not None:
            assert getattr(asked, key) == value, key


def test_every_configuration_is_of_a_supported_class_and_there_are_no_others():
    classes = {type(families.build(name)).__name__ for name in SHIPPED.values()}
    assert classes | {*BY_CLASS.values()} <= set(FAMILIES)
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == {*SHIPPED, *BY_CLASS, *OTHERS}


@pytest.mark.parametrize("name", [*SHIPPED, *BY_CLASS])
def test_a_shipped_configuration_shows_the_command_that_uses_it(name):
    assert f"--config configs/{name}.yaml" in (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")
