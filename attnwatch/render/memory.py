"""Plans how much of a video is rendered at once, so that a rendering fits into the memory that its process may use.

The figures are upper bounds, measured with x264 core 165 in PyAV 18 on x86-64: the growth of VmData while 26 frames of
noise are encoded at 832 x 480, 1920 x 1080, 3840 x 2160 and 7680 x 4320; of high dynamic range (10 bits, PQ), 14 frames
at 3840 x 2160. x264 keeps several copies of every frame that it refers to or looks ahead at, each with a margin on all
sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from attnwatch.contract.kinds import OutputKind
from attnwatch.settings import Quality
from attnwatch.system.sizes import size_text

MOST_WORDS = 4
"""Words per pass. Decoding the video again for the next ones costs little compared with eight encoders."""

_MARGIN = 128  # pixels that x264 adds to the width and the height of a frame
_PER_ENCODER = 28 * 2**20  # bytes, and for each pixel:
_ENCODER: dict[Quality, float] = {"fast": 34, "balanced": 50, "high": 60}
_LEAN_ENCODER: dict[Quality, float] = {"fast": 17, "balanced": 24, "high": 26}
_SOURCE = 20  # bytes per pixel: frames that the decoder keeps, six of 10 bits or more of 8, and a converted one
_MAPPED = 12  # bytes per pixel more, while a frame of high dynamic range is mapped: its signal and its levels
_PICTURES = 6  # bytes per pixel and thread: grey planes, the coloured map, the blended frame
_GREYS = 1.25  # bytes per pixel and word of a combined output: grey planes, all at the same time
_PAGE = 3  # bytes per pixel of an output that is a page: the page as it is drawn, and a frame of it
_LEVELS = 4  # bytes per value of a word's maps, one for each video frame ...
_MEASURING = 24  # ... and while they are made
_SPARE = 48 * 2**20  # bytes: tables, buffers of files, stacks of threads

Size = tuple[int, int]


@dataclass(frozen=True)
class Load:
    """What determines the memory that a rendering needs.

    Attributes:
        source: width and height of the video in pixels.
        sizes: width and height of each output kind that is written frame by frame.
        values: number of values in the maps of one word, over all frames of the video.
        quality: encoder effort.
        threads: words that are encoded at the same time.
        combined: words in the combined output, whose maps are needed at the same time.
        hdr: whether the video is of high dynamic range, so that its frames are mapped to standard range.

    """

    source: Size
    sizes: dict[OutputKind, Size]
    values: int
    quality: Quality
    threads: int
    combined: int = 0
    hdr: bool = False

    def bytes(self, words: int, kinds: Sequence[OutputKind], *, lean: bool) -> float:
        """Return the bytes that a pass needs for these outputs of a number of words."""
        sizes = [self.sizes[kind] for kind in kinds]
        pages = [width * height for width, height in sizes if (width, height) != self.source]
        encoders = {kind: encoder_bytes(self.sizes[kind], self.quality, lean=lean) for kind in kinds}
        pixels = self.source[0] * self.source[1]
        source = source_bytes(self.source, hdr=self.hdr)
        per_word = sum(encoders[kind] for kind in kinds if kind.per_word) + _PAGE * sum(pages)
        lanes = words * bool(per_word) + (OutputKind.COMBINED in kinds)
        lane = _PICTURES * max([pixels, *pages]) + _MEASURING * self.values
        shared = _SPARE + source + min(lanes, self.threads) * lane
        combined = self.combined * (_LEVELS * self.values + _GREYS * pixels) + encoders.get(OutputKind.COMBINED, 0)
        own = words * (_LEVELS * self.values + per_word) if per_word else 0
        return shared + own + (combined if OutputKind.COMBINED in kinds else 0)


@dataclass(frozen=True)
class Plan:
    """How a video is rendered: one pass over it for each group of kinds and words.

    Attributes:
        words: words per pass.
        groups: kinds of outputs per pass.
        lean: whether encoders hold fewer frames, which makes larger files of the same quality.

    """

    words: int
    groups: tuple[tuple[OutputKind, ...], ...]
    lean: bool


def plan(load: Load, words: int, kinds: Sequence[OutputKind], room: int | None) -> Plan:
    """Return how to render these kinds of outputs in as few passes as the memory allows.

    Args:
        load: what the rendering needs.
        words: number of words, at least one.
        kinds: kinds of outputs, at least one.
        room: bytes that may still be allocated; None for no limit.

    Raises:
        MemoryError: not even one output of one word fits.

    """
    together, alone = (tuple(kinds),), tuple((kind,) for kind in kinds)
    for lean, groups in ((False, together), (False, alone), (True, together), (True, alone)):
        for at_once in range(min(words, MOST_WORDS), 0, -1):
            if room is None or max(load.bytes(at_once, group, lean=lean) for group in groups) <= room:
                return Plan(at_once, groups, lean)
    raise _too_little(load.source, max(load.bytes(1, group, lean=True) for group in alone), room or 0)


def source_bytes(size: Size, *, hdr: bool) -> float:
    """Return the bytes that the decoder of a video needs, with the frame that it has just returned."""
    return (_SOURCE + _MAPPED if hdr else _SOURCE) * size[0] * size[1]


def encoder_bytes(size: Size, quality: Quality, *, lean: bool) -> float:
    """Return the bytes that an encoder needs for pictures of a size."""
    per_pixel = (_LEAN_ENCODER if lean else _ENCODER)[quality]
    return _PER_ENCODER + per_pixel * (size[0] + _MARGIN) * (size[1] + _MARGIN)


def must_be_lean(size: Size, quality: Quality, room: int | None) -> bool:
    """Return whether an encoder of still pictures has to hold fewer frames in order to fit.

    Raises:
        MemoryError: it does not fit even then.

    """
    pictures = _SPARE + 2 * _PICTURES * size[0] * size[1]
    if room is None or pictures + encoder_bytes(size, quality, lean=False) <= room:
        return False
    if pictures + encoder_bytes(size, quality, lean=True) > room:
        raise _too_little(size, pictures + encoder_bytes(size, quality, lean=True), room)
    return True


def _too_little(size: Size, needed: float, room: int) -> MemoryError:
    pictures = f"one output of {size[0]} x {size[1]} pixels needs about {size_text(round(needed))}"
    return MemoryError(f"{pictures}, of which {size_text(max(0, room))} are left")
