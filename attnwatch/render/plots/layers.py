"""A word's maps in each layer and head at one moment."""

from dataclasses import replace
from math import log

import numpy as np

from attnwatch.errors import ConfigError
from attnwatch.render.colour_bars import UNIT
from attnwatch.render.maps import Scale
from attnwatch.render.plots.content import Bar, Cell, Content, MapCell
from attnwatch.render.plots.described import averaged, joined
from attnwatch.render.plots.moments import Moment
from attnwatch.render.plots.over_video import VIDEO, Frames
from attnwatch.render.plots.stored import Axis, is_stored, only_word, require_stored
from attnwatch.render.plots.subject import Subject
from attnwatch.tensors.choices import selected
from attnwatch.tensors.reader import WordMaps
from attnwatch.tensors.reduction import Float32Array

_WIDE = 1.8  # width divided by height of a grid of one axis, roughly
_LABELLED = 1.2  # height of a cell with its label divided by that of the cell


def layers_and_heads(subject: Subject, moment: Moment, frames: Frames) -> Content:
    """Return the maps of each layer and head; if one of the two is averaged or chosen, those of the other, in lines.

    Raises:
        ConfigError: only the mean is stored of what is asked for; or there are several words.

    """
    word = only_word(subject)
    down, across = _axes(subject, word)
    rows, columns = _positions(subject, word, down), _positions(subject, word, across)
    if across in subject.asked.averaged or len(columns) == 1:
        return _in_lines(subject, moment, frames, down, rows)
    maps = [_map(subject, word, moment, {down: row, across: column}) for row in rows for column in columns]
    cells, bar = _coloured(subject, np.stack(maps), [""] * len(maps), (len(rows), len(columns)))
    return Content(
        subject.title,
        _what(subject, word, moment, [down, across]),
        [cells[start : start + len(columns)] for start in range(0, len(cells), len(columns))],
        [bar],
        float(subject.timeline.aspect),
        tuple(map(str, columns)),
        tuple(map(str, rows)),
        across.removesuffix("s"),
        down.removesuffix("s"),
    )


def _axes(subject: Subject, word: WordMaps) -> tuple[Axis, Axis]:
    """Return what the rows are, and what the columns are."""
    down: Axis
    across: Axis
    down, across = ("heads", "layers") if subject.asked.grid == "heads" else ("layers", "heads")
    require_stored(word, down)
    if down in subject.asked.averaged:
        name = down.removesuffix("s")
        raise ConfigError(f"{name}: found mean in a grid of {down}; expected some of them; leave {name} out")
    return down, across


def _positions(subject: Subject, word: WordMaps, axis: Axis) -> list[int]:
    """Return the selected layers or heads; [0] if only the mean is stored."""
    assert word.shape is not None  # noqa: S101 - for the type checker: `require_stored` refuses it
    choice = getattr(subject.settings, axis) if is_stored(word, axis) else None
    return selected(axis, choice, range(word.shape[1 if axis == "layers" else 2]))


def _map(subject: Subject, word: WordMaps, moment: Moment, chosen: dict[Axis, int]) -> Float32Array:
    part = replace(subject.part, **{str(axis): number for axis, number in chosen.items()})  # type: ignore[arg-type]
    shown: Float32Array = subject.at(word.frames(part), [moment])[0]
    return shown


def _in_lines(subject: Subject, moment: Moment, frames: Frames, axis: Axis, positions: list[int]) -> Content:
    """Return the maps of one axis, after the frame of the video, in lines that make a figure of usual proportions."""
    word = only_word(subject)
    maps = np.stack([_map(subject, word, moment, {axis: position}) for position in positions])
    count, aspect = len(maps) + bool(frames), float(subject.timeline.aspect)
    length = min(range(1, count + 1), key=lambda length: _awkwardness(count, length, aspect))
    labels = [f"{axis.removesuffix('s')} {position}" for position in positions]
    cells, bar = _coloured(subject, maps, labels, (-(-count // length), length))
    if frames:
        cells.insert(0, Cell(subject.picture(frames[moment.frame]), VIDEO))
    lines = [cells[start : start + length] for start in range(0, count, length)]
    return Content(subject.title, _what(subject, word, moment, [axis]), lines, [bar], aspect)


def _awkwardness(count: int, length: int, aspect: float) -> float:
    """Return how far cells in lines of a length are from usual proportions, and how much of the last line is empty."""
    lines = -(-count // length)
    return abs(log(length * aspect / (lines * _LABELLED) / _WIDE)) + (lines * length - count) / length


def _coloured(
    subject: Subject, maps: Float32Array, labels: list[str], shape: tuple[int, int]
) -> tuple[list[Cell], Bar]:
    """Return a cell for each map, and the bar of all of them, in so many rows and columns."""
    common = subject.scale(maps)
    if subject.asked.scale == "shared":
        shares, label = subject.shares(maps, common), UNIT
    else:
        shares = np.concatenate([subject.shares(one[None], subject.scale(one[None])) for one in maps])
        label = f"{UNIT}, a scale for each map"
    ramp = subject.ramp(Scale(common.low, common.high), over_video=False)
    is_relative = subject.asked.scale == "each"
    rows, columns = ((0, length - 1) for length in shape)
    bar = Bar(ramp, common.low, common.high, label, rows, columns, is_relative=is_relative)
    return [Cell(MapCell(share), text) for share, text in zip(shares, labels, strict=True)], bar


def _what(subject: Subject, word: WordMaps, moment: Moment, shown: list[Axis]) -> str:
    return joined(f"attention to {subject.text(word)}", moment.label, *averaged(subject, word, shown=shown))
