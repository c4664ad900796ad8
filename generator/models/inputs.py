"""What a video can be made from besides its prompt, and what a model takes of it. Needs no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from PIL.Image import Image


class Use(Enum):
    """Whether a pipeline takes an input."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True)
class Takes:
    """The inputs of a pipeline besides the prompt."""

    image: Use = Use.NEVER
    """The picture that a video begins with."""
    last_image: Use = Use.NEVER
    """The picture that it ends with."""
    video: Use = Use.NEVER
    """A video to be changed, which only programs can give."""


@dataclass(frozen=True)
class Given:
    """The inputs that the videos of a batch have besides their prompts."""

    image: bool = False
    last_image: bool = False


@dataclass(frozen=True)
class Images:
    """The pictures that one video is made from, in its size."""

    first: Image
    last: Image | None = None


Config = Mapping[str, Any]
ReadConfig = Callable[[str], Config]
"""Reads the configuration of a component by its name in the index, without its weights."""
