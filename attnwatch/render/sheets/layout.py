"""Where the rows and their headings are on the pages of a contact sheet, in pixels, before any picture is drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnwatch.render.sheets.lettering import HEADING, LABEL, NOTE, Words, fitted, height_of, words
from attnwatch.render.sheets.rows import Group, rows_of

MARGIN = 32
MOST_HEIGHT = 6200
"""Height of the rows of a page: 31 rows of 832 x 480, or 79 cm on paper."""

_BESIDE = 6  # pixels between pictures
_APART = 18  # between frames and maps, and beside labels
_BETWEEN = 40  # before a heading
_BELOW = 10  # between a heading and its pictures
_NARROWEST, _WIDEST = 120, 300  # of the labels
_MOST_LINES = 12  # of a prompt


@dataclass(frozen=True)
class Grid:
    """The columns of a sheet.

    Attributes:
        cell: width and height of a picture.
        label: width of the labels.
        frames: names of the columns of frames of the source.
        maps: columns of maps.

    """

    cell: tuple[int, int]
    label: int
    frames: tuple[str, ...]
    maps: int

    @property
    def columns(self) -> list[int]:
        """Left edges of the pictures, from left to right."""
        start, step = MARGIN + self.label + _APART, self.cell[0] + _BESIDE
        number = len(self.frames)
        after = start + number * step + _APART - _BESIDE
        frames = (start + index * step for index in range(number))
        return [*frames, *(after + index * step for index in range(self.maps))]

    @property
    def width(self) -> int:
        """Width of the page."""
        return self.columns[-1] + self.cell[0] + MARGIN

    @property
    def text_width(self) -> int:
        """Width of texts that stand above pictures."""
        return self.width - 2 * MARGIN

    @property
    def pitch(self) -> int:
        """Height of a row, with the space below it."""
        return self.cell[1] + _BESIDE


@dataclass(frozen=True)
class Heading:
    """The heading of a group on a page: its top, and what it says."""

    top: int
    texts: tuple[Words, ...]


@dataclass(frozen=True)
class Place:
    """A row on a page: its top, its number in the sheet, from 0, and the lines of its label."""

    top: int
    number: int
    label: tuple[Words, ...]


@dataclass(frozen=True)
class PageLayout:
    """What is on a page, from the top of its rows.

    Attributes:
        headings: in order.
        places: the rows, in order.
        height: of all of them.

    """

    headings: tuple[Heading, ...]
    places: tuple[Place, ...]
    height: int


def label_width(groups: Sequence[Group]) -> int:
    """Return the width that the labels of some groups need."""
    lines = dict.fromkeys(line for row in rows_of(groups) for line in row.label)
    return min(max([_NARROWEST, *(words(line, LABEL).width for line in lines)]), _WIDEST)


def paginate(groups: Sequence[Group], grid: Grid) -> list[PageLayout]:
    """Distribute rows over pages. A group stays on one page if it is not higher than that."""
    pages: list[PageLayout] = []
    filling = _Filling(grid)
    brief = all(_is_brief(group, grid) for group in groups)
    for group in groups:
        texts = _heading(group, grid, brief=brief)
        least, whole = (_height(texts) + number * grid.pitch for number in (1, len(group.rows)))
        if not filling.has_room(_BETWEEN + (whole if whole <= MOST_HEIGHT else least)):
            pages += filling.finish()
        filling.head(texts)
        for row in group.rows:
            if not filling.has_room(grid.pitch):
                pages += filling.finish()
                filling.head(_continued(group, grid))
            filling.place(row.label)
    return [*pages, *filling.finish()]


class _Filling:
    """A page that is being filled."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._placed = 0
        self._begin()

    def _begin(self) -> None:
        self._headings: list[Heading] = []
        self._places: list[Place] = []
        self._top = 0

    def has_room(self, height: int) -> bool:
        """Return whether something of a height still fits below what is there; a page has at least one row."""
        return not self._places or self._top + height <= MOST_HEIGHT

    def head(self, texts: tuple[Words, ...]) -> None:
        """Add a heading."""
        self._top += _BETWEEN if self._places else 0
        self._headings.append(Heading(self._top, texts))
        self._top += _height(texts)

    def place(self, label: Sequence[str]) -> None:
        """Add a row. Its label has as many lines as fit beside the pictures; the first one may take several."""
        first, *others = label
        notes = [words(line, NOTE, self._grid.label) for line in others]
        room = self._grid.cell[1] - height_of(notes)
        found = (fitted(first, LABEL, self._grid.label, room), *notes) if room > 0 else ()
        self._places.append(Place(self._top, self._placed, found))
        self._placed += 1
        self._top += self._grid.pitch

    def finish(self) -> Iterator[PageLayout]:
        """Yield the page, unless it is empty, and begin the next one."""
        if self._places:
            yield PageLayout(tuple(self._headings), tuple(self._places), self._top)
        self._begin()


def _is_brief(group: Group, grid: Grid) -> bool:
    """Return whether a prompt fits into one line: then it shows by itself what distinguishes it from others."""
    return len(words(group.text, HEADING, grid.text_width, 2).lettering.lines) == 1


def _heading(group: Group, grid: Grid, *, brief: bool) -> tuple[Words, ...]:
    """Return what is above a group: its prompt if all of them are brief, else also what distinguishes it."""
    title = "" if brief else group.title
    styles = ((title, HEADING, 2), (group.text, NOTE if title else HEADING, _MOST_LINES))
    return tuple(words(text, style, grid.text_width, lines) for text, style, lines in styles if text)


def _continued(group: Group, grid: Grid) -> tuple[Words, ...]:
    return words(group.title or group.text, HEADING, grid.text_width), words("continued", NOTE, grid.text_width)


def _height(texts: Sequence[Words]) -> int:
    return height_of(texts) + _BELOW if texts else 0
