"""Captures in several threads, each with its own pipeline, beside a pipeline without capture."""

import itertools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chaos.figures import Figure, Line, Scale, none_of

FAMILIES = ("wan", "cogvideox", "wan", "animatediff")
"""Families of the captured pipelines: with diffusers' attention function and with torch's. The one without is a Wan."""
OFTEN = 1e-5
"""Seconds after which Python lets another thread run; by default it is 5 ms."""
KEPT = {"storage_dtype": "float32", "store_per_block": True, "store_per_head": True}


def run(_folder: Path, scale: Scale) -> Iterator[Line]:
    """Compare every video and every map with those of captures that are alone."""
    from tests.integration.library_support import attributes, build, differences

    makers = [Maker(build(family), family, captured=True) for family in FAMILIES]
    makers.append(Maker(build("wan"), "wan", captured=False))
    videos = scale.pick(2, 50)
    before, interval = attributes([maker.pipe for maker in makers]), sys.getswitchinterval()
    sys.setswitchinterval(OFTEN)
    try:
        threads = [threading.Thread(target=maker.make, args=(videos,)) for maker in makers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    what = f"{len(FAMILIES)} threads x {videos} captured videos"
    yield Figure(f"{what}: not made", sum(videos - maker.made for maker in makers), 0)
    problems = itertools.chain(*(maker.problems for maker in makers))
    yield none_of(f"{what}: wrong videos, wrong maps, errors", problems)
    left = differences(before, attributes([maker.pipe for maker in makers]))
    yield none_of(f"{what}: attributes left changed", left)


class Maker:
    """Makes the same video again and again."""

    def __init__(self, pipe: Any, family: str, *, captured: bool) -> None:
        self.pipe = pipe
        self.made = 0
        self.problems: list[str] = []
        self._family = family
        self._captured = captured
        self._expected = self._video()

    def make(self, videos: int) -> None:
        """Make videos; note in `problems` what differs from the first one."""
        import numpy as np

        for number in range(videos):
            try:
                found = self._video()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
                self.problems.append(f"{self._family} {number}: {type(error).__name__}: {error}")
                continue
            self.made += 1
            for what, one, other in zip(("video", "map"), found, self._expected, strict=False):
                if not np.array_equal(one, other):
                    self.problems.append(f"{self._family} {number}: another {what}")

    def _video(self) -> tuple[Any, ...]:
        """Return the frames and, if it is captured, the map."""
        from generator.library import capture
        from tests.integration.library_support import call

        if not self._captured:
            return (call(self.pipe, self._family, 2),)
        with capture(self.pipe, ["kiss"], **KEPT) as maps:
            frames = call(self.pipe, self._family, 2)
        return frames, maps["kiss"]
