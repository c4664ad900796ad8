"""Images as one more factor of the prompts: what each is called, as a choice and in the names of videos."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from generator.errors import ImageError
from generator.images.files import InputImages
from generator.prompts.tokens import slug, unique_slugs

MAX_SLUG_BYTES = 40
"""Longest part of a prompt's name that is made of an image's name."""


def combined(first: Sequence[str], last: Sequence[str], *, paired: bool) -> tuple[InputImages, ...]:
    """Return the images that prompts are combined with.

    Args:
        first: paths of the images that videos begin with
        last: paths of those that they end with: none, one, or as many as ``first``
        paired: whether each image belongs to one prompt; then it is no choice of its own

    Raises:
        ImageError: for other numbers of them.

    """
    if last and not first:
        raise ImageError("last_image: found one, but no image. Name the image that the videos begin with, too: --image")
    if len(last) not in {0, 1, len(first)}:
        raise ImageError(
            f"last_image: found {len(last)} for {len(first)} images; expected one for all of them, or as many. They "
            "are combined in their order"
        )
    lasts = [last[place if len(last) > 1 else 0] if last else None for place in range(len(first))]
    if len(first) == 1:
        return (InputImages(first[0], lasts[0]),)
    slugs = unique_slugs([_short(Path(path).stem) for path in first])
    choices: list[str | None] = [None] * len(first) if paired else list(_names(first))
    return tuple(map(InputImages, first, lasts, choices, slugs))


def _short(stem: str) -> str:
    return slug(stem).encode()[:MAX_SLUG_BYTES].decode(errors="ignore")


def _names(paths: Sequence[str]) -> list[str]:
    """Return the names of files, with their folder where several have one name; the number of a repeated file last."""
    counts = Counter(Path(path).name for path in paths)
    names = [path.name if counts[path.name] == 1 else f"{path.parent.name}/{path.name}" for path in map(Path, paths)]
    counts = Counter(names)
    return [f"{name} ({place})" if counts[name] > 1 else name for place, name in enumerate(names, 1)]
