import itertools

import numpy as np
import pytest
from matplotlib.text import Text

from attnwatch.analysis.comparison import compare
from attnwatch.errors import ConfigError
from attnwatch.render.charts.comparison import comparison_chart
from attnwatch.render.charts.sheet import COLUMN, WIDTH
from tests.unit.attnwatch.analysis.tables import row

pytest.importorskip("scipy.stats", reason="scipy is not installed: pip install 'attnwatch[measure]'")

CHOICES = ("two men", "two women", "a man and a woman", "two cats", "", "a cat and a very big dog")
LARGE = {"mass": 4e-4, "concentration": 0.3, "velocity_x": -0.05, "speed": 0.1}


def comparison(choices, measures, *, seeds=range(8), other_seeds=None):
    """The last measure differs by far between all choices, the others do not differ."""
    random = np.random.default_rng(0)
    table = []
    for index, choice in enumerate(choices):
        for seed in other_seeds if index and other_seeds else seeds:
            values = {name: LARGE[name] * (1 + random.uniform(0, 0.1)) for name in measures}
            values[measures[-1]] += LARGE[measures[-1]] * index
            table.append(row(seed, choice, **values))
    return compare(table, 1, measures=measures)


@pytest.fixture(scope="module")
def chart():
    plot = comparison_chart(comparison(CHOICES[:2], ("mass", "concentration", "speed")))
    plot.canvas.draw()
    return plot


def texts(plot):
    found = plot.findobj(Text)
    return {text: text.get_window_extent() for text in found if text.get_text() and text.get_visible()}


def shown(plot):
    return [text.get_text() for text in texts(plot)]


@pytest.mark.parametrize("count", [2, 3, 6])
def test_all_text_is_inside_and_apart_from_other_text(count):
    plot = comparison_chart(comparison(CHOICES[:count], ("mass", "velocity_x", "concentration")))
    plot.canvas.draw()
    width, height = plot.get_size_inches() * plot.dpi
    boxes = texts(plot)
    assert [text for text, box in boxes.items() if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height] == []
    inner = {text: box.padded(-0.5) for text, box in boxes.items()}  # letters of lines that follow each other may touch
    pairs = itertools.combinations(inner.items(), 2)
    assert [(a.get_text(), b.get_text()) for (a, one), (b, other) in pairs if one.overlaps(other)] == []


def test_two_choices_have_a_panel_for_each_measure_with_its_name_unit_and_figures(chart):
    found = shown(chart)
    assert "Attention to 'kiss'" in found
    assert {"mass (share of attention, 10⁻⁴)", "concentration"} <= {text.replace("\n", " ") for text in found}
    assert sum(text.startswith(("d = ", "p = ")) and text.endswith("n = 8 seeds") for text in found) == 3


def test_each_seed_is_a_line_and_each_choice_has_its_points(chart):
    axes = chart.axes[2]
    lines = [line for line in axes.lines if line.get_color() == "0.78"]
    assert len(lines) == 8
    result = comparison(CHOICES[:2], ("mass", "concentration", "speed")).results[1]
    assert sorted(line.get_ydata()[1] for line in lines) == pytest.approx(sorted(result.pairs.second))


def test_the_difference_is_filled_only_where_it_is_shown(chart):
    differences = [axes for axes in chart.axes if axes.get_ylabel().startswith("difference")]
    assert [axes.lines[-1].get_markerfacecolor() for axes in differences] == ["white", "white", "black"]


def test_the_interval_is_drawn_beside_zero(chart):
    axes = [axes for axes in chart.axes if axes.get_ylabel().startswith("difference")][2]
    difference = comparison(CHOICES[:2], ("mass", "concentration", "speed")).results[2].difference
    assert axes.lines[1].get_ydata() == pytest.approx([difference.low, difference.high])
    low, high = axes.get_ylim()
    assert low < 0 < difference.low < difference.high < high


def test_of_several_choices_all_pairs_are_listed_from_the_top():
    plot = comparison_chart(comparison(CHOICES[:3], ("speed",)))
    names = [label.get_text().replace("\n", " ") for label in plot.axes[1].get_yticklabels()]
    assert names == ["two women − two men", "a man and a woman − two men", "a man and a woman − two women"]
    assert plot.axes[1].yaxis_inverted()


def test_unpaired_choices_have_no_lines():
    plot = comparison_chart(comparison(CHOICES[:2], ("speed",), other_seeds=range(20, 28)))
    assert not [line for line in plot.axes[0].lines if line.get_color() == "0.78"]
    assert any(text.endswith("n = 8 and 8 seeds, unpaired") for text in shown(plot))


def test_a_single_measure_of_two_choices_is_a_column_wide():
    assert comparison_chart(comparison(CHOICES[:2], ("speed",))).get_size_inches()[0] == COLUMN
    assert comparison_chart(comparison(CHOICES[:3], ("speed",))).get_size_inches()[0] == WIDTH


def test_more_choices_than_can_be_drawn_are_refused():
    many = comparison([f"choice {number}" for number in range(13)], ("speed",), seeds=[1])
    with pytest.raises(ConfigError, match="found 13 choices; expected at most 12 in a figure"):
        comparison_chart(many)


def test_one_seed_has_no_interval_but_a_chart():
    plot = comparison_chart(comparison(CHOICES[:2], ("speed",), seeds=[1]))
    plot.canvas.draw()
    assert "p = 1.000, n = 1 seed" in shown(plot)


def test_names_in_any_script_are_drawn_as_they_are(tmp_path):
    plot = comparison_chart(comparison(("$x_1$", "δύο άνδρες"), ("speed",)))
    assert [label.get_text() for label in plot.axes[0].get_xticklabels()] == ["$x_1$", "δύο άνδρες"]
    assert plot.save(tmp_path / "chart.svg").read_text(encoding="utf-8").count("$x_1$") >= 1
