"""What is in a video of shapes, and how well an attention map agrees with where it is. Nothing here needs torch.

Maps are ``[latent frame, y, x]``, masks of an object ``[frame, y, x]``. No layer, head or step is ever chosen here:
whoever calls gives the mean over all of them.
"""

from dataclasses import dataclass

import numpy as np

from generator.tiny.shapes import COLOURS, DIRECTIONS, HALF, SHAPES, Thing, cover

SATURATED = 60
"""Difference of the strongest and the weakest channel, in levels of 255, from which a pixel is no background."""

LEAST_PIXELS = 60
"""Fewer pixels in a frame are no object."""

LEAST_WAY = 12.0
"""Pixels that the centre must move from the first to the last frame, for there to be a direction."""

ONE_PIECE = 0.9
"""Share of the pixels of a colour that must hang together, for them to be one object."""

_EVERY = 4
"""Frames from one look at that to the next."""

ON_OBJECT = 0.25
"""Share of a latent cell that the object must cover for pointing there to be right."""


@dataclass(frozen=True)
class Seen:
    """An object found in a video; ``shape`` and ``direction`` are empty if they cannot be told."""

    colour: str
    shape: str
    direction: str
    mask: np.ndarray


def look(video: np.ndarray) -> dict[str, Seen]:
    """Find the objects of a video ``[frame, y, x, RGB]`` by colour; one that is not in every frame is left out."""
    colours = _colours(video)
    found = {}
    for number, colour in enumerate(COLOURS):
        mask = colours == number
        if mask.sum((1, 2)).min() >= LEAST_PIXELS:
            found[colour] = Seen(colour, _shape(mask), _direction(mask), mask)
    return found


def _colours(video: np.ndarray) -> np.ndarray:
    """Tell the number of each pixel's colour, ``[frame, y, x]``; -1 is background. Only hue counts."""
    pixels = video.astype(np.float32)
    chroma = pixels - pixels.mean(-1, keepdims=True)
    known = np.array(list(COLOURS.values()), np.float32)
    known -= known.mean(-1, keepdims=True)
    known /= np.linalg.norm(known, axis=-1, keepdims=True)
    nearest = (chroma @ known.T).argmax(-1)
    return np.where(np.ptp(pixels, axis=-1) >= SATURATED, nearest, -1)


def _centres(mask: np.ndarray) -> np.ndarray:
    """Centre of the mask in every frame, ``[frame, (x, y)]`` in pixels."""
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
    """Tell which of the shapes, drawn as large and where the mask is, agrees best with it; several objects are none."""
    if np.mean([_largest_piece(pixels) for pixels in mask[::_EVERY]]) < ONE_PIECE:
        return ""
    return max(SHAPES, key=lambda shape: _agreement(mask, shape))


def _largest_piece(pixels: np.ndarray) -> float:
    """Share of the pixels ``[y, x]`` that lie in the largest connected piece."""
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
    """Mean over frames of intersection over union with a shape of the same area and centre."""
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
    """Share of each latent cell that an object covers, ``grid`` = (latent frames, rows, columns).

    Latent frame 0 is video frame 0; the others are as many video frames each, as FORMAT.md has it.
    """
    frames, rows, columns = grid
    stride = (len(mask) - 1) // (frames - 1)
    covered = cells(mask, rows, columns)
    rest = covered[1:].reshape(frames - 1, stride, rows, columns).mean(1)
    return np.concatenate([covered[:1], rest])


def cells(pictures: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Mean of each latent cell in each frame: ``[frame, y, x]`` to ``[frame, row, column]``."""
    frames, height, width = pictures.shape
    return np.asarray(pictures.reshape(frames, rows, height // rows, columns, width // columns).mean((2, 4)))


def pointing(maps: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Tell for each latent frame whether the greatest cell of the map lies on the object."""
    greatest = maps.reshape(len(maps), -1).argmax(1)
    found = np.take_along_axis(covered.reshape(len(maps), -1), greatest[:, None], 1)[:, 0]
    return np.asarray(found >= ON_OBJECT)


def density(maps: np.ndarray, covered: np.ndarray) -> float:
    """Attention on the object's area over attention on an average area of the same size: 1 is chance."""
    return float((maps * covered).sum() / covered.sum() / maps.mean())


def density_off_time(maps: np.ndarray, covered: np.ndarray) -> tuple[float, float]:
    """Return the density of maps that are a latent frame early, and a latent frame late."""
    return density(maps[1:], covered[:-1]), density(maps[:-1], covered[1:])


def frames_on_object(heat: np.ndarray, mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Tell for each video frame whether the brightest cell of a rendered heat map lies on the object."""
    return pointing(cells(heat, rows, columns), cells(mask, rows, columns))
