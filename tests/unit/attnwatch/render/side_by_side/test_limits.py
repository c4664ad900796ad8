"""Forms of a picture that are small enough."""

from fractions import Fraction

import pytest

from attnwatch.errors import ConfigError
from attnwatch.render.side_by_side.limits import Details, Form, fitted

FIRST = Form(Fraction(24), 960, 256)
DETAILS = Details((256, 128, 64), "{} colours")


def size(form):
    """Return a plausible size: a million bytes in the first form."""
    return round(1e6 * float(form.rate) / 24 * (form.width / 960) ** 2 * (form.detail / 256) ** 0.5)


def found(limit, first=FIRST, sizes=size):
    written, said = [], []

    def write(form):
        written.append(form)
        return sizes(form)

    last = fitted(write, first, DETAILS, limit, said.append)
    assert written[-1] == last
    assert len(said) == len(written) - 1
    return written, said


def test_what_is_small_enough_stays_as_it_is():
    assert found(1_000_000) == ([FIRST], [])


def test_frames_are_left_out_first_and_no_more_of_them_than_necessary():
    written, said = found(600_000)
    assert written[1:] == [Form(Fraction(12), 960, 256)]
    (line,) = said
    assert "24 frames/s, 960 pixels wide, 256 colours) is too large; now 12 frames/s" in line


def test_then_it_gets_smaller_and_then_coarser():
    written, _ = found(30_000)
    rates = [form.rate for form in written]
    widths = [form.width for form in written]
    details = [form.detail for form in written]
    assert rates == sorted(rates, reverse=True)
    assert min(rates) == 8
    assert widths == sorted(widths, reverse=True)
    assert min(widths) == 320
    assert details == sorted(details, reverse=True)
    assert all(form.rate == 8 for form in written if form.width < 960)
    assert all(form.width == 320 for form in written if form.detail < 256)


@pytest.mark.parametrize("limit", [20_000, 50_000, 100_000, 300_000])
def test_few_tries_are_needed(limit):
    written, _ = found(limit)
    assert size(written[-1]) <= limit
    assert len(written) <= 6


def test_a_slow_video_keeps_its_rate_and_a_narrow_one_its_width():
    written, _ = found(13_000, Form(Fraction(15), 200, 256), lambda form: 100 * form.detail)
    assert written == [Form(Fraction(15), 200, 256), Form(Fraction(15), 200, 128)]


def test_what_cannot_be_small_enough_is_refused_with_the_smallest_size():
    with pytest.raises(ConfigError, match=r"max_size: found .* at least \(8 frames/s, 320 pixels wide, 64 colours\)"):
        found(1_000)
