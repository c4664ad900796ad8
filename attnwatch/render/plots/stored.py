"""What has to be stored for a grid."""

from typing import Literal

from attnwatch.errors import ConfigError
from attnwatch.render.plots.subject import Subject
from attnwatch.tensors.reader import WordMaps

Axis = Literal["steps", "layers", "heads"]

_STORED_BY = {"steps": "--store-attention", "layers": "--store-per-block", "heads": "--store-per-head"}


def only_word(subject: Subject) -> WordMaps:
    """Return the word that a grid is about.

    Raises:
        ConfigError: there are several.

    """
    if len(subject.words) > 1:
        slugs = ", ".join(word.slug for word in subject.words)
        raise ConfigError(
            f"grid: found {subject.asked.grid} of {len(subject.words)} words ({slugs}); expected one word; choose one "
            "of them, and make a figure for each"
        )
    return subject.words[0]


def is_stored(word: WordMaps, axis: Axis) -> bool:
    """Return whether there are maps for each step, layer or head, and not only their mean."""
    return word.shape is not None and axis not in word.means


def require_stored(word: WordMaps, axis: Axis) -> None:
    """Refuse an axis of which only the mean is stored.

    Raises:
        ConfigError: it is.

    """
    if not is_stored(word, axis):
        raise ConfigError(
            f"grid: found {axis}, but {word.slug} has one map for all {axis}, their mean; expected a map for each; "
            f"generate the batch with {_STORED_BY[axis]}, or choose another grid"
        )
