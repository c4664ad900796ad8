"""Chooses the pipeline class of a model by what its videos are made from, before any weights are loaded.

The index of a model names one class. Some models work with two, one for prompts alone and one for an image besides;
diffusers' own mapping of these lists few of them and ignores whether the weights fit.
"""

from dataclasses import dataclass
from typing import NamedTuple

from generator.errors import ModelError
from generator.models.families.base import PipelineModel
from generator.models.inputs import Config, Given, ReadConfig, Takes, Use
from generator.models.registry import FAMILIES, unknown


class Siblings(NamedTuple):
    """Two classes for one model: from a prompt alone, and from an image too.

    ``condition`` is an entry of the index that must be true for this; without one, every model of these classes works.
    """

    text: str
    image: str
    condition: str | None = None


SIBLINGS = (
    Siblings("LTX2Pipeline", "LTX2ImageToVideoPipeline"),
    Siblings("LTX2Pipeline", "LTX2ImageToVideoPipeline"),
    Siblings("LTXPipeline", "LTXImageToVideoPipeline"),
    Siblings("SanaVideoPipeline", "SanaImageToVideoPipeline"),
    Siblings("SkyReelsV2DiffusionForcingPipeline", "SkyReelsV2DiffusionForcingImageToVideoPipeline"),
    Siblings("WanPipeline", "WanImageToVideoPipeline", "expand_timesteps"),
)
EXAMPLES = {
    "CogVideoXImageToVideoPipeline": "zai-org/CogVideoX-5b",
    "CogVideoXPipeline": "zai-org/CogVideoX-5b-I2V",
    "WanImageToVideoPipeline": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
    "WanPipeline": "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers",
}
"""A model of the same family that is made for the other kind of input, by class."""


@dataclass(frozen=True)
class Choice:
    """A pipeline class and its adapter."""

    name: str
    family: type[PipelineModel]


def choose(model: str, index: Config, given: Given, read: ReadConfig) -> Choice:
    """Return the class with which a model makes videos from what is given.

    Args:
        model: its name, for messages
        index: content of its ``model_index.json``
        given: what the videos are made from besides prompts
        read: reads the settings of a component

    Raises:
        ModelError: if its class is not supported, it does not take what is given, or needs more.

    """
    found = str(index.get("_class_name"))
    if found not in FAMILIES:
        raise unknown(model, found)
    name = _with_inputs(found, index, given)
    takes = FAMILIES[name].takes(index, read)
    _refuse_video(model, name, takes)
    for what, use, is_given in (
        ("image", takes.image, given.image),
        ("last image", takes.last_image, given.last_image),
    ):
        if is_given and use is Use.NEVER:
            raise ModelError(_too_much(model, name, what))
        if use is Use.REQUIRED and not is_given:
            raise ModelError(_too_little(model, name, what))
    return Choice(name, FAMILIES[name])


def _with_inputs(found: str, index: Config, given: Given) -> str:
    """Return the class in the index, or the one beside it that fits what is given."""
    for siblings in SIBLINGS:
        if found in siblings[:2] and (siblings.condition is None or index.get(siblings.condition)):
            return siblings.image if given.image else siblings.text
    return found


def _refuse_video(model: str, name: str, takes: Takes) -> None:
    if takes.video is Use.REQUIRED:
        raise ModelError(
            f"model {model}: its {name} needs another input (a video), which cannot be given. Call it in a program of "
            "your own, inside `capture` of generator.library"
        )


def _too_much(model: str, name: str, what: str) -> str:
    flag = f"--{what.replace(' ', '-')}"
    alone = "makes videos from prompts alone" if what == "image" else "takes no image that the videos end with"
    return f"model {model}: found {flag}, but this {name} {alone}. Omit it{_other(name) if what == 'image' else ''}"


def _too_little(model: str, name: str, what: str) -> str:
    flag = f"--{what.replace(' ', '-')}"
    ending = "an image that the videos begin with" if what == "image" else "an image that they end with"
    return f"model {model}: this {name} needs {ending}; found none. Name a file with {flag}{_other(name)}"


def _other(name: str) -> str:
    return f", or choose another model, such as {EXAMPLES[name]}" if name in EXAMPLES else ", or choose another model"
