"""Rectangles of pixels, or of other small units."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, unless said otherwise.

    Where a picture is pasted into a page, its edges are even, because a chroma sample covers two pixels.
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beside it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    def overlaps(self, other: "Box") -> bool:
        """Whether the two have a pixel in common."""
        beside = self.right <= other.left or other.right <= self.left
        return not beside and self.top < other.bottom and other.top < self.bottom

    def contains(self, other: "Box") -> bool:
        """Whether the other lies within this one."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


def even(value: float) -> int:
    """Return the nearest even number of pixels."""
    return round(value / 2) * 2
