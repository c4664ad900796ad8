"""What contact sheets of differences show: the attention with one choice minus that with another, of the same seeds."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from attnwatch.analysis.notation import power_of, with_power
from attnwatch.contract.manifest import Manifest
from attnwatch.render.colour_bars import UNIT
from attnwatch.render.maps import Float64Array
from attnwatch.render.sheets.moments import Footage, Gap, Videos
from attnwatch.render.sheets.page import BAR, Bar, Strip
from attnwatch.render.sheets.pairs import Comparison, Slot
from attnwatch.render.sheets.pictures import alone, difference_colours, frame_of, gradient
from attnwatch.render.sheets.rows import Group, Row, counted
from attnwatch.settings import Visualization
from attnwatch.tensors.reduction import Float32Array

_TRIED = 3  # pairs of which the frames are looked for
NOTHING = "(nothing)"
"""An empty choice."""


class Differences:
    """Rows of two choices each: the mean difference of the maps of videos that differ in nothing else.

    Args:
        word: slug of the word.
        slot: the rows.
        videos: reads videos.
        settings: the selected steps, layers and heads apply, and `upsampling`.

    """

    frames = ("first choice", "second choice")

    def __init__(self, word: str, slot: Slot, videos: Videos, settings: Visualization) -> None:
        self._word, self._slot, self._videos, self._settings = word, slot, videos, settings
        self.groups = _groups(slot)
        self.notes = [] if slot.left_out is None else [slot.left_out]
        self.about = (
            "Each row is a difference of attention at six moments: with the first choice minus with the second, as the "
            "mean over pairs of videos of the same seed that differ in nothing else; before it, a frame of each. "
            "Red: more with the first choice. Blue: more with the second."
        )

    @property
    def title(self) -> str:
        """What is compared."""
        differences = {_difference(row) for row in self._slot.rows}
        if len(differences) == 1:
            return differences.pop()
        return " | ".join(choice or NOTHING for choice in self._slot.choices)

    @property
    def is_empty(self) -> bool:
        """Whether no pair of videos could be compared."""
        return all(isinstance(found, Gap) for found in self._means)

    @cached_property
    def bar(self) -> Bar:
        """The colour bar; zero is in its middle."""
        power = power_of(self._limit)
        end = f"{self._limit / 10.0**power:.3g}"
        label = with_power(f"difference of {UNIT}", power)
        colours = gradient(difference_colours(), BAR)
        return Bar(colours, (f"−{end}", "0", f"+{end}"), label)

    def strip(self, number: int) -> Strip | Gap:
        """Return the pictures of a row."""
        mean = self._means[number]
        if isinstance(mean, Gap):
            return mean
        first, second = self._footage(number, mean.shape[1:])
        if isinstance(first, Gap):
            return first
        if isinstance(second, Gap):
            return second
        maps = alone(first, self._shares(mean), difference_colours(), self._settings)
        return Strip((frame_of(first), frame_of(second), *maps), (first.seconds[0], *second.seconds))

    def _footage(self, number: int, grid: tuple[int, int]) -> list[Footage | Gap]:
        """Return the frames of the first pair of a row that can be shown."""
        found: list[Footage | Gap] = []
        for pair in self._slot.rows[number].pairs[:_TRIED]:
            found = [self._videos.footage(video, grid) for video in pair]
            if not any(isinstance(footage, Gap) for footage in found):
                break
        return found

    def _shares(self, mean: Float32Array) -> Float32Array:
        """Return a difference as positions among the colours: 0.5 where there is none."""
        shares = np.nan_to_num(mean / (2 * self._limit)) + 0.5
        return np.asarray(np.clip(shares, 0, 1), dtype=np.float32)

    @cached_property
    def _limit(self) -> float:
        """The largest difference in any row."""
        found = [mean for mean in self._means if not isinstance(mean, Gap)]
        largest = max((float(np.nanmax(np.abs(mean), initial=0)) for mean in found), default=0.0)
        return largest or 1.0

    @cached_property
    def _means(self) -> list[Float32Array | Gap]:
        """The mean difference of each row, `[moment, height, width]`; or why it is not known."""
        sums = [_Sum() for _ in self._slot.rows]
        for part in _by_seed(self._slot.rows):
            videos = {str(video.path): video for _, pair in part for video in pair}
            maps = {path: self._videos.maps(video, self._word) for path, video in videos.items()}
            for number, (first, second) in part:
                sums[number].add(maps[str(first.path)], maps[str(second.path)])
        return [found.mean() for found in sums]


class _Sum:
    """The differences of a row, added up."""

    def __init__(self) -> None:
        self._total: Float64Array | None = None
        self._count = 0
        self._gap = Gap("it has no videos")

    def add(self, first: Float32Array | Gap, second: Float32Array | Gap) -> None:
        """Add the difference of two videos, if it can be had."""
        if isinstance(first, Gap):
            self._gap = first
            return
        if isinstance(second, Gap):
            self._gap = second
            return
        if first.shape != second.shape or (self._total is not None and self._total.shape != first.shape):
            self._gap = Gap("maps of different sizes cannot be compared")
            return
        difference = first.astype(np.float64) - second
        self._total = difference if self._total is None else self._total + difference
        self._count += 1

    def mean(self) -> Float32Array | Gap:
        """Return the mean of what was added; or why there is none."""
        return self._gap if self._total is None else (self._total / self._count).astype(np.float32)


def _by_seed(rows: Sequence[Comparison]) -> Iterable[list[tuple[int, tuple[Manifest, Manifest]]]]:
    """Return the pairs of each seed with the number of their row, so that few maps are needed at a time."""
    parts: dict[int | None, list[tuple[int, tuple[Manifest, Manifest]]]] = defaultdict(list)
    for number, row in enumerate(rows):
        for pair in row.pairs:
            parts[pair[0].document.generation.seed].append((number, pair))
    return parts.values()


def _groups(slot: Slot) -> tuple[Group, ...]:
    """Return the rows with their labels, in a group for each two choices; a single one is named by the title."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in slot.rows:
        which = (row.others,) if row.others else ("all",) if row.others is None else ()
        groups[_difference(row)].append(Row((*which, counted(len(row.pairs), "pair")), row.pairs[0]))
    return tuple(Group("", title if len(groups) > 1 else "", tuple(rows)) for title, rows in groups.items())


def _difference(row: Comparison) -> str:
    """Return what is subtracted from what; an empty choice is called so."""
    return f"{row.first or NOTHING} minus {row.second or NOTHING}"
