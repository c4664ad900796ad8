"""The videos that are put beside each other: their pictures, and the maps of their words."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attnwatch.batches.videos import open_attention
from attnwatch.batches.words import find_word, require_words
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.errors import UnknownNameError
from attnwatch.render.alignment import Alignment
from attnwatch.render.maps import Scale, ends, part_of
from attnwatch.render.source import AbsentSource, VideoSource, open_source
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array


@dataclass(frozen=True)
class Video:
    """One of the videos.

    Attributes:
        manifest: its manifest.
        source: its pictures.
        maps: attention of those of the chosen words that it has, `[latent frame, row, column]`, by the chosen name.
        texts: these words as they are in its prompt.

    """

    manifest: Manifest
    source: VideoSource | AbsentSource
    maps: Mapping[str, Float32Array]
    texts: Mapping[str, str]

    @property
    def alignment(self) -> Alignment:
        """Which generated frame each of its frames shows."""
        return self.source.timeline.alignment(self.manifest.document)

    @property
    def notes(self) -> Iterator[str]:
        """What its user has to know, with its name."""
        notes = [*self.manifest.notes, *self.source.notes, *filter(None, [self.alignment.note])]
        return (f"{self.manifest.video_id}: {note}" for note in notes)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in square pixels."""
        timeline = self.source.timeline
        return float(timeline.height * timeline.aspect), float(timeline.height)

    def scale(self, word: str, settings: Visualization) -> Scale:
        """Return the ends of the colour scale of a word, measured over the frames of the video."""
        return ends(self.alignment.maps(self.maps[word], settings.interpolation_steps), settings)


@contextlib.contextmanager
def opened(manifest: Manifest, words: Sequence[str], settings: Visualization) -> Iterator[Video]:
    """Open a video.

    Args:
        manifest: its manifest.
        words: slugs or texts of the words that are wanted, of which it may lack some; empty for all.
        settings: the selected steps, layers and heads apply.

    Raises:
        UnknownNameError: no word was tracked, or several words have the text of a wanted one.
        ConfigError: a requested step, layer or head is not stored.
        NotReadyError, ContractError, VideoError: a file is missing, breaks the contract, or cannot be decoded.

    """
    verify(manifest, video_may_be_absent=True)
    with open_attention(manifest) as reader:
        require_words(manifest, reader.words)
        grid = next(iter(reader.words.values())).grid
        found = {word: find_word(word, manifest, reader.words) for word in words or reader.words}
        chosen = {word: maps for word, maps in found.items() if maps is not None}
        maps = {word: one.frames(part_of(settings)) for word, one in chosen.items()}
    texts = {word: manifest.document.texts.get(one.name, one.slug) for word, one in chosen.items()}
    with open_source(manifest, grid, turns=settings.rotation == "apply") as source:
        yield Video(manifest, source, maps, texts)


def columns_of(videos: Sequence[Video], words: Sequence[str]) -> tuple[str, ...]:
    """Return the words that the videos are shown with: the wanted ones, or all that any of them has.

    Raises:
        UnknownNameError: none of the videos has a word.

    """
    for word in words:
        if not any(word in video.maps for video in videos):
            with_all = dict.fromkeys(slug for video in videos for slug in _slugs(video.manifest))
            expected = f"one of: {', '.join(with_all)}"
            where = f"{len(videos)} videos" if len(videos) > 1 else videos[0].manifest.video_id
            raise UnknownNameError(f"found no word {word!r} in {where}; expected {expected}")
    return tuple(dict.fromkeys(words or (word for video in videos for word in video.maps)))


def _slugs(manifest: Manifest) -> list[str]:
    with open_attention(manifest) as reader:
        return list(reader.words)
