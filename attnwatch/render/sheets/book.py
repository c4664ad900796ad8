"""All contact sheets of a batch: of each word, and of what each slot of the template does to it."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import Subject
from attnwatch.render.scales import batch_scales
from attnwatch.render.sheets.attention import MeanRows, VideoRows
from attnwatch.render.sheets.differences import Differences
from attnwatch.render.sheets.moments import Videos
from attnwatch.render.sheets.pairs import slots_of
from attnwatch.render.sheets.rows import select
from attnwatch.render.sheets.sheet import Content, Sheet
from attnwatch.render.text.plain import quoted
from attnwatch.settings import Visualization
from attnwatch.system.roots import Root

_MOST_MODELS = 3


class Book:
    """The contact sheets of a batch, drawn page by page.

    Args:
        batch: name of the batch.
        words: the videos that have a word, in order, at least one, by its slug.
        settings: of the pictures.
        root: where the videos are looked up from.

    """

    def __init__(
        self, batch: str, words: Mapping[str, Sequence[Manifest]], settings: Visualization, root: Root
    ) -> None:
        self._batch, self._words, self._settings = batch, words, settings
        self._videos = Videos(settings)
        self._sheets = dict(self._of_words(root))
        for word in [subject.word for subject in self._sheets]:
            for slot in slots_of(words[word]):
                content = Differences(word, slot, self._videos, settings)
                self._sheets[Subject(word, slot.number)] = self._sheet(word, content, f": {content.title}")

    @property
    def pages(self) -> dict[Subject, int]:
        """Number of pages of each sheet. There is none of a word of which no map can be read."""
        return {subject: sheet.pages for subject, sheet in self._sheets.items()}

    def order(self) -> Iterator[tuple[Subject, int]]:
        """Yield sheets and the numbers of their pages, from 0, in the order in which most of what was read is reused.

        The videos of a page are often those of the same page of other words. Sheets of differences that turn out to
        be empty are left out.
        """
        pages = self.pages
        words = [subject for subject in pages if subject.slot is None]
        for page in range(max((pages[word] for word in words), default=0)):
            yield from ((word, page) for word in words if page < pages[word])
        for subject in (subject for subject in pages if subject.slot is not None):
            if not self._sheets[subject].is_empty:
                yield from ((subject, page) for page in range(pages[subject]))
            del self._sheets[subject]  # its maps are no longer needed

    def write(self, subject: Subject, page: int, file: BinaryIO) -> list[str]:
        """Draw a page into a PNG file, open for writing; return notes on what it lacks.

        Args:
            subject: the sheet.
            page: number of the page, from 0.
            file: the file.

        """
        sheet = self._sheets[subject]
        drawn, notes = sheet.page(page)
        drawn.write(file)
        gc.collect()  # a figure refers to itself, and has 50 MB
        return [f"the contact sheet of {subject.word!r} {note}" for note in ([] if page else sheet.notes) + notes]

    def _of_words(self, root: Root) -> Iterator[tuple[Subject, Sheet]]:
        """Yield the sheet of each word that has maps."""
        means = self._settings.sheet == "means"
        paths = dict.fromkeys(video.path for videos in self._words.values() for video in videos)
        scales = {} if means else batch_scales(paths, self._settings, root)
        for word, videos in self._words.items():
            selection = select(videos, self._settings.sheet)
            if means:
                mean = MeanRows(word, selection, self._videos, self._settings)
                if not mean.is_empty:
                    yield Subject(word), self._sheet(word, mean)
            elif word in scales:
                rows = VideoRows(word, selection, scales[word], self._videos, self._settings)
                yield Subject(word), self._sheet(word, rows)

    def _sheet(self, word: str, content: Content, more: str = "") -> Sheet:
        videos = self._words[word]
        models = list(
            dict.fromkeys(video.document.generation.model for video in videos if video.document.generation.model)
        )
        shown = [*models[:_MOST_MODELS], *(["…"] if len(models) > _MOST_MODELS else [])]
        text = quoted(videos[0].document.texts.get(word, word))
        origin = " · ".join([self._batch, ", ".join(shown)] if shown else [self._batch])
        return Sheet(f"{text}{more}", origin, content, self._videos)
