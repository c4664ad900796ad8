"""What is put beside each other: the videos, their columns, and the colour scales."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from attnwatch.errors import ConfigError, NotReadyError
from attnwatch.render.maps import Scale
from attnwatch.render.memory import source_bytes
from attnwatch.render.side_by_side.layout import USUAL_WIDTH
from attnwatch.render.side_by_side.videos import Video, columns_of
from attnwatch.render.source import AbsentSource
from attnwatch.settings import Visualization
from attnwatch.system.sizes import size_text

MOST_CELLS = 36


@dataclass(frozen=True)
class Request:
    """What is to be put beside each other, and how.

    Attributes:
        words: slugs or texts of the words; empty for all that the videos have.
        source: whether the videos themselves are shown too; None for where there is more than one column anyway.
        alone: whether words are shown as maps alone, without the video behind them.
        across: videos beside each other (words, if there is only one video); None to choose.
        width: width of the page in pixels; None for the size of the videos.
        widest: width of the page at most if none is given.
        shared: whether a word has one colour scale for all videos, instead of one for each.
        threads: videos decoded and painted at the same time.
        memory: bytes that decoding all videos at once may take; None for any number.

    """

    words: tuple[str, ...] = ()
    source: bool | None = None
    alone: bool = False
    across: int | None = None
    width: int | None = None
    widest: int = USUAL_WIDTH
    shared: bool = True
    threads: int = 1
    memory: int | None = None


Scales = Mapping[tuple[int, str], Scale]
"""The colour scale of a word in a video, by the position of the video and the name of the word."""


@dataclass(frozen=True)
class Scene:
    """The content of a page.

    Attributes:
        videos: the videos.
        columns: names of the words; None is the video itself.
        request: how they are arranged.
        settings: how overlays look.

    """

    videos: Sequence[Video]
    columns: tuple[str | None, ...]
    request: Request
    settings: Visualization

    @classmethod
    def of(cls, videos: Sequence[Video], request: Request, settings: Visualization) -> "Scene":
        """Decide which columns there are.

        Raises:
            UnknownNameError: no video has a requested word.
            ConfigError: there are too many cells, or their videos do not fit into the memory.
            NotReadyError: a video is absent that has to be shown.

        """
        words = columns_of(videos, request.words)
        source = (len(videos) == 1 or len(words) > 1) if request.source is None else request.source
        cells = len(videos) * (len(words) + source)
        if cells > MOST_CELLS:
            and_source = " and the source" if source else ""
            raise too_many(cells, f" ({len(videos)} videos, {len(words)} words{and_source})")
        if source or not request.alone:
            _require_present(videos)
        _require_memory(videos, request.memory)
        return cls(videos, (*([None] if source else []), *words), request, settings)

    @property
    def words(self) -> list[str]:
        """The columns that show words."""
        return [column for column in self.columns if column is not None]

    @property
    def is_of_one_video(self) -> bool:
        """Whether there is only one video, so that its columns are what is compared."""
        return len(self.videos) == 1

    def columns_in(self, number: int) -> list[str | None]:
        """Return the columns that a video has."""
        return [column for column in self.columns if column is None or column in self.videos[number].maps]

    def text(self, word: str) -> str:
        """Return a word as it is in a prompt."""
        return next(video.texts[word] for video in self.videos if word in video.texts)

    @cached_property
    def scales(self) -> Scales:
        """The colour scale of each word, measured over all videos together or for each."""
        own = {
            (number, word): video.scale(word, self.settings)
            for number, video in enumerate(self.videos)
            for word in self.words
            if word in video.maps
        }
        if self.request.shared:
            for word in self.words:
                places = [place for place in own if place[1] == word]
                low, high = min(own[place].low for place in places), max(own[place].high for place in places)
                own |= dict.fromkeys(places, Scale(low, high))
        return own


def too_many(cells: int, of: str = "") -> ConfigError:
    """Return the error for more cells than there can be."""
    return ConfigError(
        f"found {cells:,} pictures to put beside each other{of}; expected at most {MOST_CELLS}; choose fewer videos, "
        "or fewer words with --words"
    )


def _require_present(videos: Sequence[Video]) -> None:
    for video in videos:
        if isinstance(video.source, AbsentSource):
            raise NotReadyError(
                f"{video.manifest.video_id}: found no {video.manifest.video.name}; expected the video at "
                f"{video.manifest.video.parent}; restore it, or show maps alone (--alone --no-source)"
            )


def _require_memory(videos: Sequence[Video], limit: int | None) -> None:
    needed = sum(map(_decoding, videos))
    if limit is not None and needed > limit:
        width, height = max((video.source.timeline.width, video.source.timeline.height) for video in videos)
        raise ConfigError(
            f"found {len(videos)} videos of up to {width} x {height} pixels, which take about "
            f"{size_text(round(needed))} while they are decoded at once; expected at most {size_text(limit)}, the "
            "memory_limit; choose fewer videos, or set memory_limit"
        )


def _decoding(video: Video) -> float:
    source = video.source
    if isinstance(source, AbsentSource):
        return 0.0
    return source_bytes((source.timeline.width, source.timeline.height), hdr=source.is_hdr)
