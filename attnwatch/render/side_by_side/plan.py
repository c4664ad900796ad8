"""Plans a page: where its cells are, and what stands beside them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attnwatch.render.figure import Box
from attnwatch.render.maps import Scale
from attnwatch.render.side_by_side.captions import Captions, captions
from attnwatch.render.side_by_side.layout import Layout, Shape, arranged
from attnwatch.render.side_by_side.page import Bar, Clock, Label, height_of
from attnwatch.render.side_by_side.scene import Scene
from attnwatch.render.text.plain import isolated

_MOST_LINES = 3  # of a title, and of a caption
_DIGITS, _MOST_DECIMALS = 2, 5  # of the width of a scale that its ends are told with


@dataclass(frozen=True)
class Plan:
    """A page without its pictures.

    Attributes:
        layout: its size and places.
        boxes: places of the pictures of each video.
        labels: its texts.
        clock: its running seconds.

    """

    layout: Layout
    boxes: list[list[Box]]
    labels: list[Label]
    clock: Clock


def planned(scene: Scene, seconds: float) -> Plan:
    """Plan a page, with as much room for its texts as they need, within limits.

    Args:
        scene: what is shown.
        seconds: how long the longest video is.

    Raises:
        ConfigError: there is no room for the cells.

    """
    texts = captions([video.manifest for video in scene.videos])
    shape = _shape(scene)
    layout = arranged(shape)
    for _ in range(2):  # more room for texts may leave less for cells, and so make the page narrower
        shape = _with_texts(shape, scene, texts, layout, seconds)
        layout = arranged(shape)
    clock = Clock(layout.title, layout.letters, seconds)
    labels = [Label(replace(_before(clock, layout), height=shape.title), texts.title)]
    if scene.is_of_one_video:
        labels += _headings(scene, [replace(box, width=box.width - layout.letters // 2) for box in layout.captions])
        return Plan(layout, [[box for group in layout.cells for box in group]], labels, clock)
    labels += _headings(scene, layout.heads)
    boxes: list[list[Box]] = []
    for number, group in enumerate(layout.cells):
        labels += _above(scene, number, layout, texts.each[number])
        has = [column is None or column in scene.videos[number].maps for column in scene.columns]
        boxes.append([box for box, is_there in zip(group, has, strict=True) if is_there])
        for column, box, is_there in zip(scene.columns, group, has, strict=True):
            if column is not None and not is_there:
                labels.append(Label(box, f"{_quoted(scene, column)}: not tracked", is_gap=True))
    return Plan(layout, boxes, labels, clock)


def _shape(scene: Scene) -> Shape:
    sizes = [video.size for video in scene.videos]
    is_single = scene.is_of_one_video
    return Shape(
        sizes=sizes * len(scene.columns) if is_single else sizes,
        cells=1 if is_single else len(scene.columns),
        across=scene.request.across,
        width=scene.request.width,
        widest=scene.request.widest,
        heads=not is_single,
    )


def _with_texts(shape: Shape, scene: Scene, texts: Captions, layout: Layout, seconds: float) -> Shape:
    """Return a shape with the heights that the texts take in a layout."""

    def height(text: str, width: int, lines: int = _MOST_LINES) -> int:
        return height_of(text, width, layout.letters, lines)

    title = height(texts.title, _before(Clock(layout.title, layout.letters, seconds), layout).width)
    head = max(height(_quoted(scene, word), layout.size[0], 1) for word in scene.words)
    if scene.is_of_one_video:
        return replace(shape, title=title, caption=head)
    widths = (_caption_box(scene, number, layout).width for number in range(len(scene.videos)))
    caption = max(height(text, width) for text, width in zip(texts.each, widths, strict=True))
    return replace(shape, title=title, caption=caption, head=head)


def _before(clock: Clock, layout: Layout) -> Box:
    """Return the part of the title's box that the clock leaves free."""
    return replace(layout.title, width=clock.left - layout.title.left - layout.letters)


def _headings(scene: Scene, boxes: Sequence[Box]) -> list[Label]:
    """Return the headings of the columns, which are repeated where videos stand beside each other."""
    columns = scene.columns if len(boxes) > 1 else scene.columns[-1:]
    return [_heading(scene, columns[at % len(columns)], box) for at, box in enumerate(boxes)]


def _heading(scene: Scene, column: str | None, box: Box) -> Label:
    if column is None:
        return Label(box, "source")
    scales = {scale for (_, word), scale in scene.scales.items() if word == column}
    bar = Bar("low", "high")
    if len(scales) == 1 and scene.has_fixed_scales:
        bar = Bar(*_ends_of(scales.pop()), "attention")
    return Label(box, _quoted(scene, column), bar)


def _quoted(scene: Scene, word: str) -> str:
    return f"“{isolated(scene.text(word))}”"


def _above(scene: Scene, number: int, layout: Layout, text: str) -> Iterator[Label]:
    """Yield the caption of a video, and the ends of the scales of its words if they are its own."""
    yield Label(_caption_box(scene, number, layout), text)
    if _has_ends(scene):
        for column, cell in zip(scene.columns, layout.cells[number], strict=True):
            if column is not None and column in scene.videos[number].maps:
                ends = " – ".join(_ends_of(scene.scales[number, column]))
                yield Label(_ends_box(cell, layout, number), ends, align="right")


def _has_ends(scene: Scene) -> bool:
    """Return whether each video has scales of its own, whose ends stand above its cells."""
    return not scene.request.shared and scene.has_fixed_scales


def _caption_box(scene: Scene, number: int, layout: Layout) -> Box:
    """Return the place of a caption; above the first cell alone if there are ends of scales above others."""
    box, cells = layout.captions[number], layout.cells[number]
    if not _has_ends(scene):
        return box
    if scene.columns[0] is None and len(cells) > 1:
        return replace(box, width=cells[1].left - box.left - layout.letters)
    return replace(box, width=_ends_box(cells[0], layout, number).left - box.left - layout.letters)


def _ends_box(cell: Box, layout: Layout, number: int) -> Box:
    """Return the right half of what is above a cell."""
    caption = layout.captions[number]
    return Box(cell.left + cell.width // 2, caption.top, cell.width - cell.width // 2, caption.height)


def _ends_of(scale: Scale) -> tuple[str, str]:
    """Return the ends of a scale as texts, with as many digits as matter for its width."""
    width = abs(scale.high - scale.low) or abs(scale.high) or 1.0
    decimals = _DIGITS - 1 - math.floor(math.log10(width))
    kind = f".{max(0, decimals)}f" if decimals <= _MOST_DECIMALS else f".{_DIGITS - 1}e"
    low, high = (f"{end:{kind}}" if abs(end) * 10**decimals >= _DIGITS / 4 else "0" for end in (scale.low, scale.high))
    return low, high
