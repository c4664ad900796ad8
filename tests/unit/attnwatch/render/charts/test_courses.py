import pytest
from matplotlib.text import Text

from attnwatch.analysis.courses import courses
from attnwatch.render.charts.courses import courses_chart
from attnwatch.render.charts.panels import COLOURS
from tests.unit.attnwatch.analysis.tables import row

LONG = tuple(f"a choice whose name is so long that two of them do not fit, number {number}" for number in range(3))


def followed(choices, measures=("mass", "concentration")):
    rows = [
        row(seed, choice, frame=frame, seconds=frame / 2, **dict.fromkeys(measures, 0.1 * index + 0.01 * seed * frame))
        for index, choice in enumerate(choices)
        for seed in (1, 2, 3)
        for frame in range(4)
    ]
    return courses(rows, 1, "time", measures=measures)


@pytest.fixture(scope="module")
def chart():
    return courses_chart(followed(("two men", "two women")))


def test_each_measure_has_a_panel_with_a_line_and_a_band_for_each_choice(chart):
    assert [axes.get_ylabel() for axes in chart.axes] == ["mass (share of attention)", "concentration"]
    assert [axes.get_xlabel() for axes in chart.axes] == ["time (s)", "time (s)"]
    axes = chart.axes[0]
    assert [line.get_color() for line in axes.lines] == list(COLOURS[:2])
    assert axes.lines[1].get_xdata().tolist() == [0, 0.5, 1, 1.5]
    assert axes.lines[1].get_ydata()[1] == pytest.approx(0.12)
    assert len(axes.collections) == 2


def test_choices_are_named_once_in_their_colours(chart):
    texts = [text.get_text() for text in chart.texts]
    assert texts[:1] == ["Attention to 'kiss'"]
    assert [text for text in texts if text.startswith("two")] == ["two men", "two women"]
    assert [line.get_color() for line in chart.artists if hasattr(line, "get_color")] == list(COLOURS[:2])


def test_long_names_go_on_in_further_lines_inside_the_chart():
    plot = courses_chart(followed(LONG))
    plot.canvas.draw()
    boxes = [text.get_window_extent() for text in plot.findobj(Text) if text.get_text().startswith("a choice")]
    assert len({round(box.y0) for box in boxes}) == 3
    width = plot.get_size_inches()[0] * plot.dpi
    assert all(box.x1 <= width for box in boxes)


def test_a_single_place_is_a_point():
    rows = [row(seed, choice, mass=0.1, step=0) for choice in "ab" for seed in (1, 2)]
    plot = courses_chart(courses(rows, 1, "steps", measures=["mass"]))
    assert plot.axes[0].lines[0].get_marker() == "o"
