"""What differs between pipelines that make videos from text alone and from an image."""

from abc import ABC, abstractmethod
from math import sqrt
from typing import Any, ClassVar

from generator.models.inputs import Config, Images, ReadConfig, Takes, Use
from generator.settings import Sampling

FROM_IMAGE = Takes(image=Use.REQUIRED)


class TextOnly(ABC):
    """What pipelines do without an image; those with one override `inputs`."""

    inputs: ClassVar[Takes] = Takes()
    """What the pipeline takes besides a prompt."""
    recommended: Sampling

    @classmethod
    def takes(cls, _index: Config, _read: ReadConfig) -> Takes:
        """Return what a model of this family takes besides a prompt, by its index and the settings of its networks."""
        return cls.inputs

    def size_for(self, ratio: float, width: int | None, height: int | None, area: int | None) -> tuple[int, int]:
        """Keep the aspect ratio in at most ``area`` pixels; round down to sizes that the network takes."""
        multiple = self._multiple
        found = _size_of_area(area or self.recommended.width * self.recommended.height, ratio, width, height)
        rounded = [max(round(side) // multiple, 1) * multiple for side in found]
        return width or rounded[0], height or rounded[1]

    @property
    @abstractmethod
    def _multiple(self) -> int:
        """Number of pixels of which width and height are multiples."""

    def _image_arguments(self, images: Images | None) -> dict[str, Any]:
        """Return the arguments of the pipeline's call for its images."""
        if images is None:
            return {}
        last = {} if images.last is None else {"last_image": images.last}
        return {"image": images.first, **last}


def _size_of_area(area: int, ratio: float, width: int | None, height: int | None) -> tuple[float, float]:
    """Return width and height of a picture of ``area`` pixels; if one of them is given, the other follows from it."""
    if width is None and height is None:
        return sqrt(area * ratio), sqrt(area / ratio)
    if height is None:
        return float(width or 0), (width or 0) / ratio
    return (height * ratio if width is None else float(width)), float(height)
