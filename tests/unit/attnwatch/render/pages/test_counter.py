import numpy as np
import pytest

from attnwatch.render.pages.canvas import PAPER, Canvas
from attnwatch.render.pages.counter import Counter, frame_form, seconds_form
from attnwatch.render.pages.lines import TextStyle

FRAMES, LAST = 120, 12.5


@pytest.fixture(params=[9, 14, 33])
def counter(request):
    return Counter(frame_form(FRAMES, LAST), TextStyle(request.param))


def written(counter, frame, seconds):
    """Return the luma of a page with a counter."""
    canvas = Canvas(counter.width + 20, 80)
    counter.draw(canvas, 10, 50)
    luma = canvas.luma.copy()
    counter.write(luma, {"frame": frame, "seconds": seconds})
    return luma.astype(int)


def test_digits_have_cells_of_equal_width_on_one_line(counter):
    counter.draw(Canvas(400, 80), 10, 50)
    (frame, cells), (seconds, others) = counter.cells
    assert (frame.name, seconds.name) == ("frame", "seconds")
    digits = [*cells, *(cell for cell, character in zip(others, "00.00", strict=True) if character == "0")]
    assert len({(cell.width, cell.top, cell.height) for cell in digits}) == 1


def test_only_the_cells_of_digits_that_differ_change(counter):
    before, after = written(counter, 17, 0.25), written(counter, 18, 0.25)
    (_, cells), _ = counter.cells
    _, columns = np.nonzero(before != after)
    assert len(columns)
    assert cells[2].left <= columns.min()
    assert columns.max() < cells[2].right


def test_numbers_are_aligned_to_the_right(counter):
    luma = written(counter, 7, 0.5)
    (_, frame), (_, seconds) = counter.cells
    for blank in (*frame[:2], seconds[0]):
        assert (luma[blank.top : blank.bottom, blank.left : blank.right] == PAPER).all()
    for digit in (frame[2], seconds[1]):
        assert (luma[digit.top : digit.bottom, digit.left : digit.right] < PAPER).any()


def test_all_digits_stand_on_the_baseline(counter):
    for number in (111, 88, 120):
        luma = written(counter, number, 10.0)
        (_, cells), _ = counter.cells
        for cell in cells[1:]:
            rows = np.flatnonzero((luma[:, cell.left : cell.right] < PAPER - 80).any(axis=1))
            assert rows[-1] == 49


def test_a_number_beyond_the_largest_leaves_its_cells_alone(counter):
    assert (written(counter, 10**6, 99.0) == written(counter, FRAMES, LAST)).all()


def test_seconds_have_two_decimals():
    number, _ = seconds_form(5.0)
    assert [number.text(value) for value in (0, 0.6875, 5)] == ["0.00", "0.69", "5.00"]
