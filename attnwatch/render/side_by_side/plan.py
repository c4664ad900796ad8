"""Plans a page: where its cells are, and what stands beside them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from attnwatch.render.boxes import Box
from attnwatch.render.pages.lines import TextStyle
from attnwatch.render.side_by_side.captions import Captions, captions
from attnwatch.render.side_by_side.layout import Layout, Shape, arranged
from attnwatch.render.side_by_side.page import BarOf, Clock, Label, height_of, width_of
from attnwatch.render.side_by_side.scene import Scene
from attnwatch.render.text.plain import quoted

_MOST_LINES = 3  # of a title, and of a caption


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

    @property
    def style(self) -> TextStyle:
        """How its texts look."""
        return TextStyle(self.layout.letters)


def planned(scene: Scene, seconds: float, bar: BarOf) -> Plan:
    """Plan a page, with as much room for its texts as they need, within limits.

    Args:
        scene: what is shown.
        seconds: how long the longest video is.
        bar: returns the colour bar of a scale.

    Raises:
        ConfigError: there is no room for the cells.

    """
    texts = captions([video.manifest for video in scene.videos])
    shape = _shape(scene)
    layout = arranged(shape)
    for _ in range(2):  # more room for texts may leave less for cells, and so make the page narrower
        shape = _with_texts(shape, scene, texts, layout, (_clock(layout, seconds), bar))
        layout = arranged(shape)
    clock = _clock(layout, seconds)
    labels = [Label(replace(_before(clock, layout), height=shape.title), texts.title), *_headings(scene, layout)]
    if scene.is_of_one_video:
        return Plan(layout, [[box for group in layout.cells for box in group]], labels, clock)
    boxes: list[list[Box]] = []
    for number, group in enumerate(layout.cells):
        labels += _above(scene, number, layout, texts.each[number])
        has = [column is None or column in scene.videos[number].maps for column in scene.columns]
        boxes.append([box for box, is_there in zip(group, has, strict=True) if is_there])
        for column, box, is_there in zip(scene.columns, group, has, strict=True):
            if column is not None and not is_there:
                labels.append(Label(box, f"{quoted(scene.text(column))}: not tracked", is_gap=True))
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


def _with_texts(shape: Shape, scene: Scene, texts: Captions, layout: Layout, beside: tuple[Clock, BarOf]) -> Shape:
    """Return a shape with the heights that the texts take in a layout."""
    style, (clock, bar) = TextStyle(layout.letters), beside
    title = height_of(texts.title, _before(clock, layout).width, style, _MOST_LINES)
    head = max(_height_of_heading(label, style, bar) for label in _headings(scene, layout))
    if scene.is_of_one_video:
        return replace(shape, title=title, caption=head)
    widths = (_caption_box(scene, number, layout).width for number in range(len(scene.videos)))
    pairs = zip(texts.each, widths, strict=True)
    return replace(shape, title=title, head=head, caption=max(height_of(*pair, style, _MOST_LINES) for pair in pairs))


def _height_of_heading(label: Label, style: TextStyle, bar: BarOf) -> int:
    """Return the height of a heading: of two lines if the word and the colour bar do not fit into one."""
    shown = None if label.scale is None else bar(label.scale)
    return style.height(2 if shown and width_of(label.text, shown, style) > label.box.width else 1)


def _clock(layout: Layout, seconds: float) -> Clock:
    return Clock(layout.title.right, layout.title.top, seconds)


def _before(clock: Clock, layout: Layout) -> Box:
    """Return the part of the title's box that the clock leaves free."""
    return replace(layout.title, width=layout.title.width - clock.width(TextStyle(layout.letters)) - layout.letters)


def _headings(scene: Scene, layout: Layout) -> list[Label]:
    """Return the headings of the columns, which are repeated where videos stand beside each other."""
    if scene.is_of_one_video:
        inset = layout.letters // 2
        boxes = [replace(box, width=box.width - inset) for box in layout.captions]
    else:
        boxes = layout.heads
    columns = scene.columns if len(boxes) > 1 else scene.columns[-1:]
    return [_heading(scene, columns[at % len(columns)], box) for at, box in enumerate(boxes)]


def _heading(scene: Scene, column: str | None, box: Box) -> Label:
    if column is None:
        return Label(box, "source")
    scale = next(scale for (_, word), scale in scene.scales.items() if word == column)
    return Label(box, quoted(scene.text(column)), None if _has_bars(scene) else scale)


def _above(scene: Scene, number: int, layout: Layout, text: str) -> Iterator[Label]:
    """Yield the caption of a video, and the colour bars of its words if they are its own."""
    yield Label(_caption_box(scene, number, layout), text)
    if _has_bars(scene):
        for column, cell in zip(scene.columns, layout.cells[number], strict=True):
            if column is not None and column in scene.videos[number].maps:
                yield Label(_bar_box(cell, layout, number), "", scene.scales[number, column])


def _has_bars(scene: Scene) -> bool:
    """Return whether each video has scales of its own, with a colour bar above each cell."""
    return not scene.request.shared and not scene.is_of_one_video


def _caption_box(scene: Scene, number: int, layout: Layout) -> Box:
    """Return the place of a caption; above the first cell alone if there are colour bars above others."""
    box, cells = layout.captions[number], layout.cells[number]
    if not _has_bars(scene):
        return box
    if scene.columns[0] is None and len(cells) > 1:
        return replace(box, width=cells[1].left - box.left - layout.letters)
    return replace(box, width=_bar_box(cells[0], layout, number).left - box.left - layout.letters)


def _bar_box(cell: Box, layout: Layout, number: int) -> Box:
    """Return the right half of what is above a cell."""
    caption = layout.captions[number]
    return Box(cell.left + cell.width // 2, caption.top, cell.width - cell.width // 2, caption.height)
