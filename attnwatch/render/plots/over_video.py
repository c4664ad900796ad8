"""Words over the video: at one moment, or at several in a row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import av

from attnwatch.render.colour_bars import UNIT
from attnwatch.render.maps import Scale
from attnwatch.render.plots.content import Bar, Cell, Content, MapCell, Rgb
from attnwatch.render.plots.described import averaged, joined
from attnwatch.render.plots.moments import Moment
from attnwatch.render.plots.subject import Subject
from attnwatch.tensors.reduction import Float32Array

Frames = Mapping[int, av.VideoFrame]
"""Frames of the video by their numbers; empty if the video is absent."""

VIDEO = "video"

_MOST_IN_A_ROW = 4


def one_moment(subject: Subject, moment: Moment, frames: Frames) -> Content:
    """Return the frame of one moment, and beside it each word over it."""
    maps, scales = _measured(subject, [moment])
    pictures = [
        Cell(_cell(subject, frames.get(moment.frame), some[0], scale), subject.text(word))
        for word, some, scale in zip(subject.words, maps, scales, strict=True)
    ]
    if moment.frame in frames:
        pictures.insert(0, Cell(subject.picture(frames[moment.frame]), VIDEO))
    rows = in_rows(pictures)
    places = [(row, column) for row, cells in enumerate(rows) for column in range(len(cells))]
    first = len(pictures) - len(subject.words)
    if subject.asked.scale == "shared" or len(subject.words) == 1:
        columns = (first if len(rows) == 1 else 0, len(rows[0]) - 1)
        bars = [_bar(subject, scales[0], frames, (0, len(rows) - 1), columns)]
    else:
        bars = [
            replace(_bar(subject, scale, frames, (row, row), (column, column)), is_below=True)
            for scale, (row, column) in zip(scales, places[first:], strict=True)
        ]
    return Content(subject.title, _when(subject, moment, frames), rows, bars, float(subject.timeline.aspect))


def some_moments(subject: Subject, moments: Sequence[Moment], frames: Frames) -> Content:
    """Return the frames of some moments, and below them each word over these frames, in a row for each."""
    maps, scales = _measured(subject, moments)
    cells = [
        [
            Cell(_cell(subject, frames.get(moment.frame), map_, scale))
            for moment, map_ in zip(moments, some, strict=True)
        ]
        for some, scale in zip(maps, scales, strict=True)
    ]
    first = int(bool(frames))
    if frames:
        cells.insert(0, [Cell(subject.picture(frames[moment.frame])) for moment in moments])
    last, columns = len(cells) - 1, (0, len(moments) - 1)
    if subject.asked.scale == "shared" or len(subject.words) == 1:
        bars = [_bar(subject, scales[0], frames, (first, last), columns)]
    else:
        bars = [_bar(subject, scale, frames, (row, row), columns) for row, scale in enumerate(scales, first)]
    texts = [subject.text(word) for word in subject.words]
    return Content(
        subject.title,
        joined(*averaged(subject, subject.words[0])),
        cells,
        bars,
        float(subject.timeline.aspect),
        columns=tuple(moment.label for moment in moments),
        rows=(*[VIDEO][:first], *texts),
    )


def _measured(subject: Subject, moments: Sequence[Moment]) -> tuple[list[Float32Array], list[Scale]]:
    """Return each word's maps at some moments, and its colour scale."""
    latent = [word.frames(subject.part) for word in subject.words]
    shown = [subject.at(maps, moments) for maps in latent]
    scales = [_scale(subject, maps, some, moments) for maps, some in zip(latent, shown, strict=True)]
    if subject.asked.scale == "shared":
        scales = [Scale(min(one.low for one in scales), max(one.high for one in scales))] * len(scales)
    return shown, scales


def _scale(subject: Subject, latent: Float32Array, shown: Float32Array, moments: Sequence[Moment]) -> Scale:
    """Return a word's scale: that of the video, as in its overlay, or that of what is shown."""
    if subject.settings.normalization == "frame" or any(moment.is_mean for moment in moments):
        return subject.scale(shown)
    return subject.scale(subject.alignment.maps(latent, subject.settings.interpolation_steps))


def _cell(subject: Subject, frame: av.VideoFrame | None, map_: Float32Array, scale: Scale) -> Rgb | MapCell:
    shares = subject.shares(map_[None], scale)[0]
    return MapCell(shares) if frame is None else subject.over(frame, shares)


def _bar(subject: Subject, scale: Scale, frames: Frames, rows: tuple[int, int], columns: tuple[int, int]) -> Bar:
    return Bar(subject.ramp(scale, over_video=bool(frames)), scale.low, scale.high, UNIT, rows, columns)


def in_rows(cells: list[Cell]) -> list[list[Cell]]:
    """Return cells in rows of nearly equal length."""
    count = -(-len(cells) // _MOST_IN_A_ROW)
    length = -(-len(cells) // count)
    return [cells[start : start + length] for start in range(0, len(cells), length)]


def _when(subject: Subject, moment: Moment, frames: Frames) -> str:
    beneath = f"over the frame at {moment.seconds:.2f} s" if moment.is_mean and frames else ""
    return joined(moment.label, beneath, *averaged(subject, subject.words[0]))
