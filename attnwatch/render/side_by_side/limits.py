"""Finds a form of a moving picture that fits into a number of bytes: fewer frames, then smaller, then coarser."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from attnwatch.errors import ConfigError
from attnwatch.system.sizes import size_text

_SLOWEST = 8  # frames per second below which movement is no longer seen as such
_SPARE = 0.95  # of the limit that is aimed at
_STEP = 0.85  # of the width at most, so that few tries are needed
_NARROWEST, _SHARE = 240, 1 / 3  # pixels, and of the width at first: below, captions and pictures say too little


@dataclass(frozen=True)
class Form:
    """How a picture is written.

    Attributes:
        rate: frames per second.
        width: width in pixels.
        detail: colours or quality; the larger, the finer.

    """

    rate: Fraction
    width: int
    detail: int

    def described(self, detail: str) -> str:
        """Return it in words; `detail` is a text with a place for the number."""
        return f"{float(self.rate):.3g} frames/s, {self.width} pixels wide, {detail.format(self.detail)}"


@dataclass(frozen=True)
class Details:
    """What there is to be reduced beside frames and pixels: the steps, the finest first, and their name."""

    steps: Sequence[int]
    name: str


def fitted(
    write: Callable[[Form], int], first: Form, details: Details, limit: int, reduced: Callable[[str], None]
) -> Form:
    """Write a picture in coarser and coarser forms, until it is small enough; return the last form.

    Args:
        write: writes the picture in a form, and returns its bytes.
        first: the finest form.
        details: what is reduced last.
        limit: bytes that it may have.
        reduced: called with what is reduced.

    Raises:
        ConfigError: even the coarsest form is too large.

    """
    form, size = first, write(first)
    smallest = size
    while size > limit:
        coarser = _coarser(form, first, details.steps, size / limit)
        if coarser is None:
            raise ConfigError(
                f"max_size: found {size_text(smallest)} at least ({form.described(details.name)}); expected at most "
                f"{size_text(limit)}; choose fewer videos or words, or a larger limit"
            )
        have, now = form.described(details.name), coarser.described(details.name)
        reduced(f"{size_text(size)} ({have}) is too large; now {now}")
        form, size = coarser, write(coarser)
        smallest = min(smallest, size)
    return form


def _coarser(form: Form, first: Form, details: Sequence[int], excess: float) -> Form | None:
    """Return the next form to try; None if there is none. `excess` is the size divided by the limit."""
    slower = list(_slower(first.rate, form.rate))
    if slower:
        enough = (rate for rate in slower if form.rate / rate >= excess)
        return replace(form, rate=next(enough, slower[-1]))
    narrowest = max(_NARROWEST, round(first.width * _SHARE))
    if form.width > narrowest:
        aim = form.width * min(_STEP, (_SPARE / excess) ** 0.5)
        return replace(form, width=max(narrowest, int(aim)))
    left = [detail for detail in details if detail < form.detail]
    return replace(form, detail=left[0]) if left else None


def _slower(first: Fraction, now: Fraction) -> Iterator[Fraction]:
    """Yield the rates that leave out frames evenly, from the highest to the lowest."""
    for every in range(2, int(first / _SLOWEST) + 1):
        if first / every < now:
            yield first / every
