"""Which part of a word's maps a browser asks for, and how much has to be read for it."""

import re
from dataclasses import dataclass, replace
from typing import Self

from attnwatch.errors import ConfigError
from attnwatch.library.maps import Choice, part_of
from attnwatch.tensors.choices import selected
from attnwatch.tensors.reader import Part, WordMaps

EACH = "each"
MOST_BYTES = 4 * 2**30
"""What one answer may read: the whole file of a word with every layer and head may be larger than memory."""

_NUMBER = re.compile(r"-?[0-9]{1,9}")
_VALUE = 4  # bytes of a value, at most


@dataclass(frozen=True)
class Asked:
    """A selection of maps.

    Attributes:
        part: denoising steps, layers and heads to average.
        each: whether each selected step is asked for, instead of their mean.

    """

    part: Part
    each: bool = False

    @classmethod
    def of(cls, steps: str | None = None, layers: str | None = None, heads: str | None = None) -> Self:
        """Return what a query asks for; NaN is accepted, because the browser draws it as the renderer does.

        Args:
            steps: `mean`, `each`, or the number of one step.
            layers: one layer, a range such as `0-5`, or None for all.
            heads: heads likewise.

        Raises:
            ConfigError: a selection is invalid.

        """
        step = None if steps in ("mean", EACH) else steps
        part = part_of(_choice(step), _choice(layers), _choice(heads))
        return cls(replace(part, masked=True), each=steps == EACH)

    def bytes(self, word: WordMaps) -> int:
        """Return how much has to be read of a word. Raises `ConfigError` if a selected step or layer is not stored."""
        frames, rows, columns = word.grid
        maps = 1
        if word.shape is not None and (self.each or not (word.has_mean and self.part.is_everything)):
            _, layers, heads = word.shape[:3]
            maps = len(selected("steps", self.part.steps, word.step_numbers))
            maps *= len(selected("layers", self.part.layers, range(layers)))
            maps *= len(selected("heads", self.part.heads, range(heads)))
        return maps * frames * rows * columns * _VALUE


def _choice(text: str | None) -> Choice:
    """Return what a query selects of an axis: one number, or what is left to be checked as a range."""
    if not text:
        return None
    return int(text) if _NUMBER.fullmatch(text) else text


def check_cost(size: int) -> None:
    """Raise `ConfigError` if more bytes would be read than one answer may."""
    if size > MOST_BYTES:
        raise ConfigError(
            f"found {size / 2**30:.1f} GiB of maps to be read for one answer; expected at most "
            f"{MOST_BYTES / 2**30:.0f} GiB; choose one step, layer or head, or another scale than that of the batch"
        )
