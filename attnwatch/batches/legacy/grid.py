"""Infers the latent grid behind a flat spatial axis: from the metadata, then the video, then the only grid that fits.

Wan's VAE encodes 8 x 8 pixels and 4 frames (after the first) as one latent, and its transformer treats 2 x 2 latents
as one token.
"""

from collections.abc import Iterator
from typing import NamedTuple

_PIXELS = 16
_FRAMES = 4
_LONGEST_STRIDE = 16  # video frames per latent frame
_MOST_NAMED = 5


class Size(NamedTuple):
    """Size of a video: number of frames, height and width in pixels; None where unknown."""

    frames: int | None = None
    height: int | None = None
    width: int | None = None


Grid = tuple[int, int, int]


def latent_grid(spatial: int, recorded: Size, video: Size) -> Grid:
    """Return the grid `(frames, height, width)` of the tokens along a spatial axis in C order.

    Args:
        spatial: length of the axis.
        recorded: size of the video as stated in the metadata.
        video: size of the video file itself.

    Raises:
        ValueError: no grid fits, or several do; the message lists them.

    """
    for size in (recorded, video, _merged(recorded, video)):
        expected = _expected(size)
        if expected is not None and expected[0] * expected[1] * expected[2] == spatial:
            return expected
    size = _merged(video, recorded)
    fitting = list(_fitting(spatial, size))
    if len(fitting) == 1:
        return fitting[0]
    described = " x ".join("?" if length is None else str(length) for length in size)
    if not fitting:
        raise ValueError(f"{spatial:,} values per map, which fit no grid for a video of {described}")
    named = ", ".join(" x ".join(map(str, grid)) for grid in fitting[:_MOST_NAMED])
    more = f" and {len(fitting) - _MOST_NAMED:,} more" if len(fitting) > _MOST_NAMED else ""
    raise ValueError(f"{spatial:,} values per map, which fit several grids for a video of {described}: {named}{more}")


def _merged(first: Size, second: Size) -> Size:
    return Size(*(second[axis] if length is None else length for axis, length in enumerate(first)))


def _expected(size: Size) -> Grid | None:
    if size.frames is None or size.height is None or size.width is None:
        return None
    return (size.frames - 1) // _FRAMES + 1, size.height // _PIXELS, size.width // _PIXELS


def _fitting(spatial: int, size: Size) -> Iterator[Grid]:
    """Yield the grids with `spatial` tokens that match a video's frame count and aspect ratio, where known."""
    for frames in _divisors(spatial):
        if not _fits_in_time(frames, size.frames):
            continue
        for height in _divisors(spatial // frames):
            width = spatial // frames // height
            if _fits_in_space(height, width, size):
                yield frames, height, width


def _divisors(number: int) -> list[int]:
    low = [divisor for divisor in range(1, int(number**0.5) + 1) if number % divisor == 0]
    return sorted({*low, *(number // divisor for divisor in low)})


def _fits_in_time(latent: int, frames: int | None) -> bool:
    """Return whether a whole temporal stride turns `frames` video frames into `latent` latent frames."""
    if frames is None:
        return True
    strides = range(1, min(_LONGEST_STRIDE, frames) + 1)
    return any(latent in {(frames - 1) // stride + 1, frames // stride} for stride in strides)


def _fits_in_space(height: int, width: int, size: Size) -> bool:
    """Return whether square patches of whole pixels fill `height` rows and `width` columns, dropping partial ones."""
    if size.height is None or size.width is None:
        return True
    # Bounds of the side of a patch, in pixels.
    more_than = max(size.height / (height + 1), size.width / (width + 1))
    at_most = min(size.height // height, size.width // width)
    return more_than < at_most
