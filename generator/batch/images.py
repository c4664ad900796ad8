"""The images of a batch: which files they are, also when it is resumed, and the size of each video made from one."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generator.config import flag_of
from generator.errors import ImageError, ResumeError
from generator.images.files import ImageFile, InputImages, image_paths
from generator.images.pixels import examine, open_image, share_cut_off
from generator.models.inputs import Images
from generator.prompts.template import Variation
from generator.settings import VideoSettings

if TYPE_CHECKING:  # imports torch
    from generator.models.contract import VideoModel

log = logging.getLogger(__name__)

Document = dict[str, object]
Sizes = Mapping[str, tuple[int, int]]
"""Width and height of the videos that begin with an image, by its path."""

Moves = Mapping[str, str]
"""Present paths of images, by the paths that the batch recorded."""

MOST_NAMED = 5
"""Largest number of images that are named in one line."""
MUCH = 0.05
"""Share of an image that is cut off from which on there is a warning."""


def paths_of(video: VideoSettings) -> dict[str, tuple[str, ...]]:
    """Return the paths of all images that the settings name, by setting; a folder stands for the images in it.

    Raises:
        ImageError: if there is none in a place that is named.

    """
    return {name: tuple(image_paths(getattr(video, name), name)) for name in ("image", "last_image")}


def examined(variations: Sequence[Variation]) -> dict[str, ImageFile]:
    """Open each image of the prompts once; return what they are, by path.

    Raises:
        ImageError: if one cannot be used, or only some videos are made from one.

    """
    _refuse_some("image", variations, [variation.image is not None for variation in variations])
    lasts = [variation.image is not None and variation.image.last is not None for variation in variations]
    _refuse_some("last_image", variations, lasts)
    images = [variation.image for variation in variations if variation.image is not None]
    return {path: examine(path) for path in dict.fromkeys(path for image in images for path in image.paths)}


def _refuse_some(what: str, variations: Sequence[Variation], given: Sequence[bool]) -> None:
    if any(given) and not all(given):
        without = variations[given.index(False)]
        raise ImageError(
            f"{what}: found one for {sum(given)} of {len(given)} prompts, but none for {without.prompt!r}; expected "
            "one for each or for none, because a model takes one or does not. Make two batches"
        )


def sizes_of(
    variations: Iterable[Variation], images: Mapping[str, ImageFile], asked: VideoSettings, model: "VideoModel"
) -> Sizes:
    """Return the sizes of the videos; what the settings leave open follows from the aspect ratio of each image."""
    sizes = {}
    for path in dict.fromkeys(variation.image.first for variation in variations if variation.image is not None):
        image = images[path]
        sizes[path] = model.size_for(image.width / image.height, asked.width, asked.height, asked.max_area)
    return sizes


def log_sizes(
    variations: Iterable[Variation], images: Mapping[str, ImageFile], sizes: Sizes, asked: VideoSettings
) -> None:
    """Tell the sizes that follow from the images, and warn about images of which much is cut off."""
    if asked.width is None or asked.height is None:
        same: dict[tuple[int, int], list[str]] = defaultdict(list)
        for path, size in sizes.items():
            same[size].append(images[path].name)
        for (width, height), names in same.items():
            log.info("videos of %d x %d pixels, by the aspect ratio of %s", width, height, _listed(names))
    inputs = dict.fromkeys(variation.image for variation in variations if variation.image is not None)
    advice = (
        "Crop it as you like: the model makes no size that is nearer to it"
        if asked.width is None and asked.height is None
        else "Omit width and height to keep its aspect ratio, or crop it as you like"
    )
    for path, size in dict.fromkeys((path, sizes[image.first]) for image in inputs for path in image.paths):
        _warn_if_cut(images[path], *size, advice)


def _warn_if_cut(image: ImageFile, width: int, height: int, advice: str) -> None:
    share = share_cut_off(image, width, height)
    if share > MUCH:
        log.warning(
            "%s: %.0f %% of its %d x %d pixels are cut off, because its videos have %d x %d. %s",
            image.name,
            100 * share,
            image.width,
            image.height,
            width,
            height,
            advice,
        )


def opened(image: InputImages | None, images: Mapping[str, ImageFile], width: int, height: int) -> Images | None:
    """Open the images of one video in its size; None if it is made from a prompt alone.

    Raises:
        ImageError: if one cannot be read any more, or has changed.

    """
    if image is None:
        return None
    return Images(*(open_image(images[path], width, height) for path in image.paths))


def described_images(image: InputImages | None, images: Mapping[str, ImageFile]) -> Document:
    """Describe what a video was made from: ``image`` and ``last_image`` of ``generation`` in FORMAT.md."""
    if image is None:
        return {}
    return dict(zip(("image", "last_image"), (asdict(images[path]) for path in image.paths), strict=False))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def named_again(folder: Path, batch: VideoSettings, given: VideoSettings) -> dict[str, str]:
    """Return where images are now that are named again, in the order of the batch.

    Raises:
        ResumeError: if there are more or fewer of them.
        ImageError: if there is none in a place that is named.

    """
    moves: dict[str, str] = {}
    for name, now in paths_of(given).items():
        before = getattr(batch, name)
        if name in given.model_fields_set and len(before) != len(now):
            raise ResumeError(
                f"{folder.name} was started with {len(before)} files as {name}; found {len(now)} now. Name the same "
                f"ones with {flag_of(name)}, in the same order, or none, or start a new batch"
            )
        moves |= dict(zip(before, now, strict=False))
    return moves


def moved_images(variations: Sequence[Variation], moves: Moves) -> tuple[Variation, ...]:
    """Return the prompts of a batch with their images where these are now."""
    return tuple(_moved(variation, moves) for variation in variations)


def _moved(variation: Variation, moves: Moves) -> Variation:
    image = variation.image
    if image is None:
        return variation
    last = None if image.last is None else moves.get(image.last, image.last)
    return replace(variation, image=replace(image, first=moves.get(image.first, image.first), last=last))


def same_images(
    folder: Path, content: Mapping[str, Any], before: Sequence[Variation], now: Sequence[Variation]
) -> dict[str, ImageFile]:
    """Return the images of a resumed batch by their present paths.

    Args:
        folder: the folder of the batch
        content: its batch file
        before: its prompts with the recorded paths of their images
        now: the same prompts with the present ones

    Raises:
        ResumeError: if one is not there, or not the recorded one.
        ImageError: if one cannot be read.

    """
    pairs = dict.fromkeys(
        pair
        for old, new in zip(before, now, strict=True)
        if old.image is not None and new.image is not None
        for pair in zip(old.image.paths, new.image.paths, strict=True)
    )
    for old, new in pairs:
        if not Path(new).exists():
            raise ResumeError(
                f"{folder.name} was started with the image {old}; found nothing at {new}. If the images were moved, "
                "name their new place with --image and --last-image, in the same order, or with --prompts"
            )
    images, recorded = examined(now), content.get("image_files", {})
    for old, new in pairs:
        if recorded.get(old) != images[new].sha256:
            raise ResumeError(
                f"{folder.name} was started with another image than {new}: its content has changed. Put the first one "
                "back, or start a new batch"
            )
    return images
