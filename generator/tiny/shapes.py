"""Draws the scenes of the embedded model: coloured shapes that move over a grey gradient.

The exact pixels of each object are thus known in every frame, and attention can be compared with them
(`generator.tiny.evaluate`). This module does not need torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import cos, pi, sin

import numpy as np

from generator.models.tiny import FRAMES, SIZE

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "yellow": (225, 205, 40),
    "green": (40, 180, 60),
    "cyan": (40, 200, 215),
    "blue": (50, 70, 225),
    "pink": (225, 60, 200),
}
DIRECTIONS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""Steps in x and y; y grows downwards."""

DIAMETERS = (22.0, 30.0)
SPEEDS = (1.7, 2.7)
"""Ranges of diameters in pixels and of speeds in pixels per frame."""

HALF = 0.5
"""Covered share from which a pixel belongs to an object."""

GAP = 2.0
"""Smallest distance between two objects in pixels."""

TRIES = 1000
"""Number of attempts to draw a scene before the picture counts as too small."""


@dataclass(frozen=True)
class _Outline:
    """A regular outline: number of corners, and outer and inner radius in diameters of a circle of similar size."""

    corners: int
    outer: float
    inner: float
    turn: float = 0.0


_OUTLINES = {
    "circle": _Outline(0, 0.5, 0.5),
    "square": _Outline(4, 0.46 * 2**0.5, 0.46, pi / 4),
    "triangle": _Outline(3, 0.64, 0.32, -pi / 2),
    "star": _Outline(5, 0.64, 0.28, -pi / 2),
}
SHAPES = tuple(_OUTLINES)


@dataclass(frozen=True)
class Thing:
    """One object: its attributes, and its centre in frame 0 in pixels."""

    colour: str
    shape: str
    direction: str
    diameter: float
    x: float
    y: float
    speed: float

    @property
    def radius(self) -> float:
        """Radius of the circumscribed circle."""
        return self.diameter * _OUTLINES[self.shape].outer

    def centres(self, frames: int) -> np.ndarray:
        """Return the centre in every frame, ``[frame, (x, y)]``."""
        step = np.array(DIRECTIONS[self.direction]) * self.speed
        return np.array([self.x, self.y]) + np.arange(frames)[:, None] * step


@dataclass(frozen=True)
class Scene:
    """Objects that never touch, on a gradient from ``dark`` to ``light`` in direction ``angle``."""

    things: tuple[Thing, ...]
    dark: float
    light: float
    angle: float


def held_out(colour: str, shape: str, direction: str) -> bool:
    """Whether training never shows this combination: one in eight, balanced over colours, shapes and directions."""
    at = list(COLOURS).index(colour) + 2 * SHAPES.index(shape) + 3 * list(DIRECTIONS).index(direction)
    return at % 8 == 0


HELD_OUT = tuple(one for one in product(COLOURS, SHAPES, DIRECTIONS) if held_out(*one))


def draw_scene(rng: np.random.Generator, objects: int, *, size: int = SIZE, frames: int = FRAMES) -> Scene:
    """Draw a scene of one or two objects for training; two differ in colour and in shape.

    Raises:
        ValueError: if the picture is too small for them.

    """
    for _ in range(TRIES):
        colours = rng.permutation(list(COLOURS))[:objects]
        shapes = rng.permutation(SHAPES)[:objects]
        directions = rng.choice(list(DIRECTIONS), objects)
        wanted = [(str(c), str(s), str(d)) for c, s, d in zip(colours, shapes, directions, strict=True)]
        scene = None if any(held_out(*one) for one in wanted) else place(rng, wanted, size=size, frames=frames)
        if scene is not None:
            return scene
    raise ValueError(f"found no room for {objects} objects in {size} x {size} pixels; expected a larger size")


def place(
    rng: np.random.Generator, wanted: Sequence[tuple[str, str, str]], *, size: int = SIZE, frames: int = FRAMES
) -> Scene | None:
    """Place objects of these colours, shapes and directions; None if a few attempts fail."""
    if size < 2 * max(outline.outer for outline in _OUTLINES.values()) * DIAMETERS[1]:
        return None
    for _ in range(30):
        things = tuple(_thing(rng, *one, size=size, frames=frames) for one in wanted)
        if _apart(things, frames):
            dark = rng.uniform(50, 130)
            return Scene(things, dark, dark + rng.uniform(10, 50), rng.uniform(0, 2 * pi))
    return None


def _thing(rng: np.random.Generator, colour: str, shape: str, direction: str, *, size: int, frames: int) -> Thing:
    """Draw size, speed and position so that the object stays inside the picture in all frames."""
    diameter = rng.uniform(*DIAMETERS)
    radius = diameter * _OUTLINES[shape].outer
    free = size - 2 * radius
    speed = min(rng.uniform(*SPEEDS), free / (frames - 1))
    start = radius + rng.uniform(0, 1, 2) * free
    for axis, step in enumerate(DIRECTIONS[direction]):
        if step:
            begin = radius + rng.uniform(0, 1) * (free - speed * (frames - 1))
            start[axis] = begin if step > 0 else size - begin
    return Thing(colour, shape, direction, diameter, float(start[0]), float(start[1]), speed)


def _apart(things: Sequence[Thing], frames: int) -> bool:
    if len(things) == 1:
        return True
    first, second = things
    distances = np.linalg.norm(first.centres(frames) - second.centres(frames), axis=1)
    return bool(distances.min() >= first.radius + second.radius + GAP)


def render(scene: Scene, *, size: int = SIZE, frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Draw a scene.

    Returns:
        The 8-bit video, ``[frame, y, x, RGB]``, and masks of the pixels that each object covers by at least half,
        ``[object, frame, y, x]``.

    """
    y, x = np.mgrid[:size, :size] / (size - 1) - 0.5
    along = 0.5 + (x * cos(scene.angle) + y * sin(scene.angle)) / 2**0.5
    grey = scene.dark + (scene.light - scene.dark) * along
    video = np.broadcast_to(grey[None, :, :, None], (frames, size, size, 3)).astype(np.float32)
    masks = np.zeros((len(scene.things), frames, size, size), bool)
    for thing, mask in zip(scene.things, masks, strict=True):
        covered = cover(thing, frames, size)
        video += (np.array(COLOURS[thing.colour], np.float32) - video) * covered[..., None]
        mask[:] = covered >= HALF
    return np.rint(video).astype(np.uint8), masks


def cover(thing: Thing, frames: int, size: int) -> np.ndarray:
    """Compute the share of each pixel that an object covers, ``[frame, y, x]``, in a window around the object."""
    covered = np.zeros((frames, size, size), np.float32)
    half = int(thing.radius) + 2
    centres = thing.centres(frames)
    corners = np.floor(centres).astype(int) - half
    pixel = np.arange(2 * half + 1) + 0.5
    x = (corners[:, 0] - centres[:, 0])[:, None, None] + pixel[None, None, :]
    y = (corners[:, 1] - centres[:, 1])[:, None, None] + pixel[None, :, None]
    windows = np.clip(0.5 - _distance(thing, x, y), 0, 1)
    for frame, (left, top) in enumerate(corners):
        rows, columns = _inside(top, len(pixel), size), _inside(left, len(pixel), size)
        covered[frame, rows, columns] = windows[
            frame, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
    return covered


def _inside(first: int, length: int, size: int) -> slice:
    return slice(min(max(first, 0), size), max(min(first + length, size), 0))


def _distance(thing: Thing, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Compute the distance to the outline in pixels, negative inside; it is exact except outside the corners.

    A regular outline is one straight edge, from a corner to the midpoint between two, rotated and mirrored.
    """
    outline = _OUTLINES[thing.shape]
    radius = np.hypot(x, y)
    outer = outline.outer * thing.diameter
    if not outline.corners:
        return np.asarray(radius - outer)
    sector = pi / outline.corners
    angle = np.abs((np.arctan2(y, x) - outline.turn + sector) % (2 * sector) - sector)
    inner = outline.inner * thing.diameter
    edge = np.array([inner * cos(sector) - outer, inner * sin(sector)])
    along, across = radius * np.cos(angle) - outer, radius * np.sin(angle)
    return np.asarray((across * -edge[0] + along * edge[1]) / np.hypot(*edge))
