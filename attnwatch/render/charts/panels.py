"""The two halves of what a chart shows of one measure: the seeds of each choice, and the differences."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from matplotlib.axes import Axes

from attnwatch.analysis.comparison import Compared, Seeds
from attnwatch.analysis.named import Measure
from attnwatch.render.charts.scale import GREY, LINE, SMALL, Scale, lettered, named_difference

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours of the choices, which people with any colour vision can tell apart (Okabe and Ito)."""

_DOT, _MEAN, _THICK = 3.2, 5.0, 1.1  # points
_NUMBERS = 6  # on an axis
_FEW = 3  # differences whose names have room for two lines; numbers on a narrow axis
_NARROW = 1.5  # inches
_SEED = "0.78"
NAME_LINES = 3
"""Lines of the name of a choice, at most."""


def colour_of(index: int) -> str:
    """Return the colour of a choice."""
    return COLOURS[index % len(COLOURS)]


def draw_seeds(
    axes: Axes, values: Mapping[str, Seeds], measure: Measure, *, joined: bool, room: tuple[float, float]
) -> None:
    """Draw the value of each seed at each choice.

    Args:
        axes: where to draw.
        values: choice -> seed -> value.
        measure: what is drawn.
        joined: whether lines join the values of a seed.
        room: inches for the name of a choice, and for that of the measure.

    """
    scale = Scale.around((value for some in values.values() for value in some.values()), _NUMBERS)
    for seed in dict.fromkeys(seed for some in values.values() for seed in some) if joined else ():
        places = [(index, some[seed]) for index, some in enumerate(values.values()) if seed in some]
        axes.plot(*zip(*places, strict=True), color=_SEED, linewidth=0.6, zorder=1)
    for index, some in enumerate(values.values()):
        axes.plot([index] * len(some), list(some.values()), "o", ms=_DOT, mec="none", color=colour_of(index), alpha=0.7)
    means = [sum(some.values()) / len(some) if some else float("nan") for some in values.values()]
    axes.plot(range(len(means)), means, "-", color="black", linewidth=_THICK, marker="_", ms=9, mew=1.4, zorder=3)
    tidy(axes, "left", "bottom")
    scale.put_on(axes.yaxis)
    axes.set_xlim(-0.35, len(values) - 0.65)
    names = [lettered(level or "nothing", room[0], NAME_LINES) for level in values]
    axes.set_xticks(range(len(names)), [name.text for name in names], **lettered("".join(values), room[0]).style)
    axes.tick_params(axis="x", length=0, pad=3)
    label = lettered(scale.named(measure.axis), room[1])
    axes.set_ylabel(label.text, **label.style, labelpad=3)


def draw_difference(axes: Axes, result: Compared, *, room: float) -> None:
    """Draw one difference with its interval, upright, with the numbers on the right.

    Args:
        axes: where to draw.
        result: what is drawn.
        room: inches for the label of the axis.

    """
    scale = _scale_of([result], _NUMBERS)
    tidy(axes, "right")
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.axhline(0, color=GREY, linewidth=LINE, linestyle=(0, (4, 3)))
    difference = result.difference
    axes.plot([0, 0], [difference.low, difference.high], color="black", linewidth=_THICK)
    axes.plot([0], [difference.mean], "o", ms=_MEAN, mec="black", mew=_THICK, color=_filling(result))
    scale.put_on(axes.yaxis)
    axes.set_xlim(-1, 1)
    axes.set_xticks([])
    label = lettered(scale.named("difference"), room)
    axes.set_ylabel(label.text, **label.style, rotation=270, va="bottom", labelpad=3)


def draw_differences(
    axes: Axes, results: Sequence[Compared], texts: Sequence[str], *, rooms: tuple[float, float]
) -> None:
    """Draw several differences with their intervals, one below the other.

    Args:
        axes: where to draw.
        results: what is drawn.
        texts: what stands right of each.
        rooms: inches for the name of each pair of choices, and for the label of the axis.

    """
    scale, room = _scale_of(results, _NUMBERS if rooms[1] > _NARROW else _FEW), rooms[0]
    tidy(axes, "bottom")
    axes.axvline(0, color=GREY, linewidth=LINE, linestyle=(0, (4, 3)))
    for row, (result, text) in enumerate(zip(results, texts, strict=True)):
        difference = result.difference
        axes.plot([difference.low, difference.high], [row, row], color="black", linewidth=_THICK)
        axes.plot([difference.mean], [row], "o", ms=_MEAN - 1, mec="black", mew=_THICK, color=_filling(result))
        style = lettered(text, room).style
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
        axes.annotate(text, (1, row), (4, 0), color=GREY, **where, **style)
    lines = 2 if len(results) <= _FEW else 1
    names = [named_difference(result.first, result.second, room, lines) for result in results]
    axes.set_yticks(range(len(names)), names, **lettered("".join(names), room).style)
    axes.tick_params(axis="y", length=0, pad=4)
    axes.set_ylim(len(results) - 0.4, -0.6)
    scale.put_on(axes.xaxis)
    label = lettered(scale.named("difference"), rooms[1])
    axes.set_xlabel(label.text, **label.style, labelpad=2)


def _scale_of(results: Sequence[Compared], numbers: int) -> Scale:
    """Return an axis with all intervals and zero."""
    ends = [value for one in results for value in (one.difference.low, one.difference.mean, one.difference.high)]
    return Scale.around([0.0, *ends], numbers)


def _filling(result: Compared) -> str:
    return "black" if not isnan(result.corrected) and result.is_shown else "white"


def tidy(axes: Axes, *shown: str) -> None:
    """Remove the frame of a chart, except for some sides."""
    for side, spine in axes.spines.items():
        spine.set_linewidth(LINE)
        spine.set_visible(side in shown)
    axes.tick_params(labelsize=SMALL.size)
