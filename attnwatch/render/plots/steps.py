"""A word's maps while the video is denoised: steps as rows, moments as columns."""

from collections.abc import Sequence

import numpy as np

from attnwatch.render.colour_bars import UNIT
from attnwatch.render.maps import Scale
from attnwatch.render.plots.content import Bar, Cell, Content, MapCell
from attnwatch.render.plots.described import averaged, joined, step_label
from attnwatch.render.plots.moments import Moment
from attnwatch.render.plots.over_video import VIDEO, Frames
from attnwatch.render.plots.stored import only_word, require_stored
from attnwatch.render.plots.subject import Subject
from attnwatch.tensors.reader import Step, WordMaps

_MOST_STEPS = 8  # rows, unless the user lists the steps


def steps_and_moments(subject: Subject, moments: Sequence[Moment], frames: Frames) -> Content:
    """Return the maps of some steps, each at the same moments, below the frames of the video."""
    word = only_word(subject)
    require_stored(word, "steps")
    steps = _steps(subject, word)
    maps = [subject.at(step.mean(), moments) for step in steps]
    first, last = int(bool(frames)), len(steps) - 1 + int(bool(frames))
    if subject.asked.scale == "shared":
        scales = [subject.scale(*maps)] * len(maps)
        bars = [_bar(subject, scales[0], (first, last), len(moments))]
    else:
        scales = [subject.scale(some) for some in maps]
        bars = [_bar(subject, scale, (row, row), len(moments)) for row, scale in enumerate(scales, first)]
    cells = [
        [Cell(MapCell(shares)) for shares in subject.shares(some, scale)]
        for some, scale in zip(maps, scales, strict=True)
    ]
    if frames:
        cells.insert(0, [Cell(subject.picture(frames[moment.frame])) for moment in moments])
    return Content(
        subject.title,
        joined(f"attention to {subject.text(word)}", *averaged(subject, word, shown=["steps"])),
        cells,
        bars,
        float(subject.timeline.aspect),
        tuple(moment.label for moment in moments),
        (*[VIDEO][:first], *(step_label(subject, step.number) for step in steps)),
    )


def _steps(subject: Subject, word: WordMaps) -> list[Step]:
    """Return the selected steps; if these are many, and not listed one by one, some of them at equal distances."""
    steps = list(word.steps(subject.part))
    if isinstance(subject.settings.steps, tuple) or len(steps) <= _MOST_STEPS:
        return steps
    return [steps[index] for index in np.rint(np.linspace(0, len(steps) - 1, _MOST_STEPS)).astype(int)]


def _bar(subject: Subject, scale: Scale, rows: tuple[int, int], columns: int) -> Bar:
    return Bar(subject.ramp(scale, over_video=False), scale.low, scale.high, UNIT, rows, (0, columns - 1))
