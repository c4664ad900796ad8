"""A contact sheet: its pages, and what each of them shows."""

from functools import cached_property
from typing import Protocol

from attnwatch.render.sheets.layout import Grid, PageLayout, label_width, paginate
from attnwatch.render.sheets.moments import CELL, MOMENTS, Gap, Videos
from attnwatch.render.sheets.page import Bar, Header, Page, Strip
from attnwatch.render.sheets.rows import Group, rows_of
from attnwatch.render.text.missing import missing_glyphs


class Content(Protocol):
    """The rows of a sheet, and what its header says about them."""

    @property
    def groups(self) -> tuple[Group, ...]:
        """The rows."""

    @property
    def about(self) -> str:
        """What a row is."""

    @property
    def bar(self) -> Bar:
        """What the colours mean."""

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of the columns of frames."""

    @property
    def notes(self) -> list[str]:
        """What it lacks, and why, as far as that is known before the rows are drawn."""

    @property
    def is_empty(self) -> bool:
        """Whether no row has maps."""

    def strip(self, number: int) -> Strip | Gap:
        """Return the pictures of a row by its number, from 0; or why there are none."""


class Sheet:
    """A contact sheet.

    Args:
        title: of its pages.
        origin: batch and model.
        content: the rows.
        videos: reads videos.

    """

    def __init__(self, title: str, origin: str, content: Content, videos: Videos) -> None:
        self._title, self._origin, self._content, self._videos = title, origin, content, videos

    @property
    def is_empty(self) -> bool:
        """Whether no row has maps."""
        return self._content.is_empty

    @property
    def notes(self) -> list[str]:
        """What all pages together lack, and why."""
        groups = self._content.groups
        labels = "".join(line for row in rows_of(groups) for line in row.label)
        missing = missing_glyphs("".join((self._title, labels, *(group.title + group.text for group in groups))))
        return [*self._content.notes, *([] if missing is None else [f"cannot show every character: {missing}"])]

    @property
    def pages(self) -> int:
        """Number of pages."""
        return len(self._layouts)

    def page(self, number: int) -> tuple[Page, list[str]]:
        """Return a page with its pictures, and notes on what it lacks.

        Args:
            number: of the page, from 0.

        """
        layout = self._layouts[number]
        strips = [self._content.strip(place.number) for place in layout.places]
        notes = [f"lacks a video: {strip.reason}" for strip in strips if isinstance(strip, Gap)]
        header = Header(self._title, self._origin, self._content.about, self._content.bar)
        return Page(header, (number + 1, self.pages), self._grid, layout, strips), notes

    @cached_property
    def _layouts(self) -> list[PageLayout]:
        return paginate(self._content.groups, self._grid)

    @cached_property
    def _grid(self) -> Grid:
        groups = self._content.groups
        found = (self._videos.size(video) for row in rows_of(groups) for video in row.videos)
        cell = next((size for size in found if size is not None), (CELL[0], CELL[0] * 9 // 16))
        return Grid(cell, label_width(groups), self._content.frames, MOMENTS)
