"""Writes the output that shows several words at the same time."""

import contextlib
from collections.abc import Iterator, Sequence

import av

from attnwatch.contract.kinds import OutputKind
from attnwatch.render.colormap import BLACK
from attnwatch.render.colours import PIXEL_FORMAT
from attnwatch.render.combined.hues import HUES, hues_rgb
from attnwatch.render.combined.legend import Legend, legend
from attnwatch.render.combined.mixture import Mixture
from attnwatch.render.compose import Enlarged, pixels
from attnwatch.render.lanes import Chunk, levels_of, output_clock
from attnwatch.render.output import Context
from attnwatch.tensors.reader import WordMaps


class CombinedLane:
    """The combined output of a video, written chunk by chunk.

    Attributes:
        outputs: the file being written.

    """

    def __init__(
        self, context: Context, words: Sequence[WordMaps], stack: contextlib.ExitStack, *, lean: bool = False
    ) -> None:
        shown = words[: len(HUES)]
        levels = [levels_of(context, word) for word in shown]
        settings, colours = context.settings, context.timeline.colours
        output = context.combined({word.slug: level.scale for word, level in zip(shown, levels, strict=True)})
        self.outputs = [output]
        self._shares = [level.shares for level in levels]
        self._painter = context.painter(context.size)
        self._mixture = Mixture(hues_rgb(len(shown)), settings.overlay_alpha, colours, inverted=settings.invert)
        self._legend = _legend(context, words)
        self._black = _black(context.size)
        clock = output_clock(context.timeline, settings.fps)
        footage = OutputKind.COMBINED.shows_source
        self._encoder = stack.enter_context(
            context.encoder(output.path, context.size, clock, footage=footage, lean=lean)
        )

    def write(self, chunk: Chunk) -> None:
        """Append a chunk of frames."""
        for index, frame in chunk:
            maps = [Enlarged(self._painter, shares[min(index, len(shares) - 1)]) for shares in self._shares]
            picture = self._mixture.over(frame.picture or self._black, maps)
            self._legend.paste(picture)
            self._encoder.write(picture, frame.pts, frame.duration)


def notes_on_combined(context: Context, words: Sequence[WordMaps], *, over_black: bool) -> Iterator[str]:
    """Yield what a combined output leaves out."""
    kind = OutputKind.COMBINED
    if len(words) > len(HUES):
        left = ", ".join(word.slug for word in words[len(HUES) :])
        yield f"{kind}: the first {len(HUES)} of {len(words)} words, without {left}; `--tokens` chooses others"
    if over_black:
        yield f"{kind}: over black, because the video is absent"
    if not _legend(context, words).is_drawn:
        yield f"{kind}: no legend, because the video is too small for it"


def _legend(context: Context, words: Sequence[WordMaps]) -> Legend:
    texts = tuple(context.text(word) for word in words[: len(HUES)])
    return legend(texts, context.size, context.timeline.colours)


def _black(size: tuple[int, int]) -> av.VideoFrame:
    frame = av.VideoFrame(*size, PIXEL_FORMAT)
    for plane, value in zip(frame.planes, BLACK, strict=True):
        pixels(plane)[:] = value
    return frame
