"""Finds the objects in a video of shapes and measures how well attention maps agree with them.

Maps are ``[latent frame, y, x]``, masks of an object ``[frame, y, x]``. Callers pass maps averaged over all layers,
heads and steps; none is ever selected. This module does not need torch.
"""

from dataclasses import dataclass

import numpy as np

from generator.tiny.shapes import COLOURS, DIRECTIONS, HALF, SHAPES, Thing, cover

SATURATED = 60
"""Smallest difference between the strongest and the weakest 8-bit channel in a pixel of an object."""

LEAST_PIXELS = 60
"""Smallest number of pixels of an object in a frame."""

LEAST_WAY = 12.0
"""Smallest distance in pixels between an object's centres in the first and the last frame to count as motion."""

ONE_PIECE = 0.9
"""Smallest connected share of a colour's pixels to count as one object."""

_EVERY = 4
"""Interval in frames between checks for connected pixels."""

ON_OBJECT = 0.25
"""Smallest covered share of a latent cell for a word to point at the object."""


@dataclass(frozen=True)
class Seen:
    """An object found in a video; ``shape`` and ``direction`` are empty if they are unclear."""

    colour: str
    shape: str
    direction: str
    mask: np.ndarray


def look(video: np.ndarray) -> dict[str, Seen]:
    """Find the objects of a video ``[frame, y, x, RGB]`` by colour; an object must be visible in every frame."""
    colours = _colours(video)
    found = {}
    for number, colour in enumerate(COLOURS):
        mask = colours == number
        if mask.sum((1, 2)).min() >= LEAST_PIXELS:
            found[colour] = Seen(colour, _shape(mask), _direction(mask), mask)
    return found


def _colours(video: np.ndarray) -> np.ndarray:
    """Return the number of each pixel's colour by its hue, ``[frame, y, x]``; -1 for background."""
    pixels = video.astype(np.float32)
    chroma = pixels - pixels.mean(-1, keepdims=True)
    known = np.array(list(COLOURS.values()), np.float32)
    known -= known.mean(-1, keepdims=True)
    known /= np.linalg.norm(known, axis=-1, keepdims=True)
    nearest = (chroma @ known.T).argmax(-1)
    return np.where(np.ptp(pixels, axis=-1) >= SATURATED, nearest, -1)


def _centres(mask: np.ndarray) -> np.ndarray:
    """Compute the centre of the mask in every frame, ``[frame, (x, y)]`` in pixels."""
    y, x = np.mgrid[: mask.shape[1], : mask.shape[2]] + 0.5
    size = mask.sum((1, 2))
    return np.stack([(mask * x).sum((1, 2)) / size, (mask * y).sum((1, 2)) / size], 1)


def _direction(mask: np.ndarray) -> str:
    centres = _centres(mask)
    way = centres[-1] - centres[0]
    if np.abs(way).max() < LEAST_WAY:
        return ""
    return max(DIRECTIONS, key=lambda direction: float(way @ np.array(DIRECTIONS[direction])))


def _shape(mask: np.ndarray) -> str:
    """Return the shape that best matches the mask when drawn in its place and size; none for several objects."""
    if np.mean([_largest_piece(pixels) for pixels in mask[::_EVERY]]) < ONE_PIECE:
        return ""
    return max(SHAPES, key=lambda shape: _agreement(mask, shape))


def _largest_piece(pixels: np.ndarray) -> float:
    """Compute the share of the pixels ``[y, x]`` in the largest connected piece."""
    left, largest = pixels.copy(), 0
    while left.any():
        piece = np.zeros_like(left)
        piece[np.unravel_index(left.argmax(), left.shape)] = True
        size = 0
        while piece.sum() > size:
            size = int(piece.sum())
            wider = np.pad(piece, 1)
            piece = (piece | wider[2:, 1:-1] | wider[:-2, 1:-1] | wider[1:-1, 2:] | wider[1:-1, :-2]) & left
        largest = max(largest, size)
        left &= ~piece
    return largest / max(1, int(pixels.sum()))


def _agreement(mask: np.ndarray, shape: str) -> float:
    """Compute the intersection over union with a shape of the same area and centre, averaged over frames."""
    unit = cover(Thing("red", shape, "left", 40.0, 32.0, 32.0, 0.0), 1, 64)[0]
    area, (offset,) = unit.sum(), _centres(unit[None] >= HALF) - 32.0
    agreements = []
    for pixels, centre in zip(mask, _centres(mask), strict=True):
        diameter = 40.0 * float(np.sqrt(pixels.sum() / area))
        x, y = centre - offset * diameter / 40.0
        drawn = cover(Thing("red", shape, "left", diameter, x, y, 0.0), 1, len(pixels))[0] >= HALF
        agreements.append((drawn & pixels).sum() / (drawn | pixels).sum())
    return float(np.mean(agreements))


def share(mask: np.ndarray, grid: tuple[int, int, int]) -> np.ndarray:
    """Compute the share of each latent cell that an object covers; ``grid`` is (latent frames, rows, columns).

    Latent frame 0 covers video frame 0; every other one covers the same number of video frames (FORMAT.md).
    """
    frames, rows, columns = grid
    stride = (len(mask) - 1) // (frames - 1)
    covered = cells(mask, rows, columns)
    rest = covered[1:].reshape(frames - 1, stride, rows, columns).mean(1)
    return np.concatenate([covered[:1], rest])


def cells(pictures: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Average the pixels of each latent cell: ``[frame, y, x]`` to ``[frame, row, column]``."""
    frames, height, width = pictures.shape
    return np.asarray(pictures.reshape(frames, rows, height // rows, columns, width // columns).mean((2, 4)))


def pointing(maps: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return for each latent frame whether the greatest cell of the map is on the object."""
    greatest = maps.reshape(len(maps), -1).argmax(1)
    found = np.take_along_axis(covered.reshape(len(maps), -1), greatest[:, None], 1)[:, 0]
    return np.asarray(found >= ON_OBJECT)


def density(maps: np.ndarray, covered: np.ndarray) -> float:
    """Compute the attention on the object relative to that on an average area of the same size; chance is 1."""
    return float((maps * covered).sum() / covered.sum() / maps.mean())


def density_off_time(maps: np.ndarray, covered: np.ndarray) -> tuple[float, float]:
    """Return the density of the maps shifted to one latent frame early and to one late."""
    return density(maps[1:], covered[:-1]), density(maps[:-1], covered[1:])


def frames_on_object(heat: np.ndarray, mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return for each video frame whether the brightest cell of a rendered heat map is on the object."""
    return pointing(cells(heat, rows, columns), cells(mask, rows, columns))
