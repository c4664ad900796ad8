"""Finds the image files that a user names, and describes them without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from generator.errors import ImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2", ".ppm"})
"""What counts as an image in a folder; a file that is named may have any other suffix."""


@dataclass(frozen=True)
class ImageFile:
    """An image file that can be used. ``width`` and ``height`` are those of the upright picture, in pixels."""

    path: str
    sha256: str
    width: int
    height: int

    @property
    def name(self) -> str:
        """Name of the file without its folder."""
        return Path(self.path).name


@dataclass(frozen=True)
class InputImages:
    """The image files that one video is made from, by absolute path.

    ``choice`` is the name of the first one if it is one of several that a prompt is combined with, and ``slug`` what it
    adds to the name of the prompt.
    """

    first: str
    last: str | None = None
    choice: str | None = None
    slug: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """All of them."""
        return (self.first,) if self.last is None else (self.first, self.last)


def image_paths(named: Sequence[str], setting: str) -> list[str]:
    """Return the absolute paths of the named files, and of the images in the named folders in the order of their names.

    Args:
        named: files and folders
        setting: name of the setting, for messages

    Raises:
        ImageError: if there is nothing of this name, or no image in a folder.

    """
    return [str(path.absolute()) for name in named for path in _files(Path(name), setting)]


def _files(path: Path, setting: str) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.exists():
        raise ImageError(f"{setting}: found nothing at {path}. Expected an image file, or a folder with images")
    found = sorted(file for file in path.iterdir() if file.suffix.casefold() in SUFFIXES and file.name[0] != ".")
    if not found:
        raise ImageError(
            f"{setting}: found no image in the folder {path}. Expected files whose names end in "
            f"{', '.join(sorted(SUFFIXES))}"
        )
    yield from found
