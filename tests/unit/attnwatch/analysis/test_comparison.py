import numpy as np
import pytest

from attnwatch.analysis.comparison import compare
from attnwatch.analysis.findings import notation, number, p_value, sentence
from attnwatch.analysis.records import table_of
from attnwatch.errors import ConfigError
from tests.unit.attnwatch.analysis.tables import row, rows

pytest.importorskip("scipy.stats", reason="scipy is not installed: pip install 'attnwatch[measure]'")

ONE = ("concentration",)
BASE = np.linspace(0.2, 0.4, 12)
NOISE = np.array([0.02, -0.01, 0.03, 0.05, 0.0, 0.04, 0.02, 0.06, 0.01, 0.03, -0.02, 0.05])


@pytest.fixture(scope="module")
def men_and_women():
    """Concentration is lower by 0.0233 for two women; spread is not different."""
    table = rows("concentration", {"two men": BASE, "two women": BASE - NOISE})
    for one, spread in zip(table, (0.2 + 0.01 * (np.arange(24) * 7 % 5)).tolist(), strict=True):
        one["spread"] = spread
    return compare(table, 1, measures=["concentration", "spread"])


def test_a_difference_is_that_of_the_second_choice_from_the_first(men_and_women):
    found = men_and_women.results[0]
    assert (found.first, found.second, found.is_paired) == ("two men", "two women", True)
    assert found.means == pytest.approx((0.3, 0.3 - NOISE.mean()))
    assert found.difference.mean == pytest.approx(-NOISE.mean())
    assert found.difference.effect == pytest.approx(-NOISE.mean() / NOISE.std(ddof=1))


def test_p_values_are_corrected_for_everything_that_was_asked(men_and_women):
    first, second = men_and_women.results
    assert first.corrected == pytest.approx(2 * first.difference.p)
    assert second.corrected == pytest.approx(max(second.difference.p, first.corrected))
    assert men_and_women.tests == 2


def test_a_finding_is_a_sentence_for_a_paper(men_and_women):
    assert sentence(men_and_women.results[0], men_and_women) == (
        "Attention to 'kiss' was less concentrated with 'two women' than with 'two men' (mean difference −0.023, "
        "95 % CI −0.038 to −0.006, d = −0.9, p = 0.029 Holm-corrected for 2 comparisons, n = 12 seeds)."
    )


def test_without_evidence_a_sentence_says_how_many_seeds_would_show_a_difference_of_this_size(men_and_women):
    text = sentence(men_and_women.results[1], men_and_women)
    assert text.startswith(
        "No difference in the spread of attention to 'kiss' between 'two men' and 'two women' was shown"
    )
    assert "n = 12 seeds); about " in text
    assert text.endswith(" more seeds would show a difference of this size in four of five experiments.")


def test_no_sentence_calls_anything_significant(men_and_women):
    assert not any("significant" in sentence(result, men_and_women) for result in men_and_women.results)


def test_every_two_choices_are_compared():
    found = compare(rows("concentration", {"a": [0.1, 0.2], "b": [0.3, 0.5], "c": [0.2, 0.6]}), "1", measures=ONE)
    assert [(one.first, one.second) for one in found.results] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found.values["concentration"]["b"] == {1: 0.3, 2: 0.5}


def test_a_huge_difference_of_few_seeds_is_not_shown_but_needs_only_as_many_as_the_test_can_answer_with():
    found = compare(rows("concentration", {"a": [0.1, 0.2, 0.3], "b": [0.5, 0.61, 0.7]}), 1, measures=ONE)
    (only,) = found.results
    assert only.difference.p == 0.25
    assert (only.is_shown, only.more_seeds(found.tests)) == (False, 3)
    text = sentence(only, found)
    assert text.startswith("There were too few seeds to show a difference in the concentration of attention to 'kiss' ")
    assert "; about 3 more seeds would show" in text


def test_one_seed_has_a_difference_but_no_interval_and_no_effect_size():
    found = compare(rows("concentration", {"a": [0.1], "b": [0.5]}), 1, measures=ONE)
    assert sentence(found.results[0], found).endswith("'a' and 'b' (mean difference 0.40, p = 1.000, n = 1 seed).")


def test_choices_without_common_seeds_are_compared_unpaired_and_this_is_said():
    table = [row(seed, "a", mass=0.1 + seed / 100) for seed in range(6)]
    table += [row(seed, "b", mass=0.2 + seed / 100) for seed in range(10, 16)]
    found = compare(table, 1, measures=["mass"])
    assert not found.results[0].is_paired
    assert sentence(found.results[0], found).startswith("More of the attention went to 'kiss' with 'b' than with 'a' (")
    assert ", g = " in sentence(found.results[0], found)
    assert sentence(found.results[0], found).endswith("p = 0.002, n = 6 and 6 seeds, unpaired).")
    assert found.notes[0].startswith("'a' and 'b': compared unpaired, because no video of one has a counterpart")


def test_what_is_left_out_is_told_with_its_number():
    table = [
        *rows("mass", {"a": [0.1, 0.2, 0.3], "b": [0.2, 0.3, None]}),
        row(None, "a", mass=1),
        row(9, None, mass=1),
        row(8, "a", word="dog", mass=1),
    ]
    assert compare(table, 1, word="kiss", measures=["mass"]).notes == (
        "left out: 1 video without 'kiss'",
        "left out: 1 video without a seed",
        "left out: 1 video without a choice for this bracket",
        "mass: undefined in 1 video, which is left out of it",
        "'a' and 'b': left out: 1 video without a counterpart of the same seed",
    )


def test_averages_within_a_seed_are_told():
    table = [row(1, a, b, mass=mass) for a, b, mass in (("x", "l", 1), ("x", "r", 2), ("y", "l", 2), ("y", "r", 4))]
    found = compare(table, 1, measures=["mass"])
    assert found.results[0].difference.counts == (1, 1)
    assert found.notes[0].startswith("each seed counts once, with the mean over everything else that varies")


def test_a_choice_without_any_value_is_not_compared():
    found = compare(rows("mass", {"a": [1], "b": [None]}, spread=0.1), 1, measures=["mass", "spread"])
    assert [one.measure.name for one in found.results] == ["spread"]
    assert "mass: not compared between 'a' and 'b', one of which has no value" in found.notes


def test_equal_values_are_no_difference():
    found = compare(rows("mass", {"a": range(8), "b": range(8)}), 1, measures=["mass"])
    assert sentence(found.results[0], found).startswith("No difference in the mass of attention to 'kiss'")


def test_models_and_batches_are_named_as_such():
    table = [
        *rows("mass", {"a": range(8)}, model="wan", batch="one"),
        *rows("mass", {"a": range(1, 9)}, model="ltx", batch="other"),
    ]
    found = compare(table, "model", measures=["mass"])
    assert " for the model 'ltx' than for the model 'wan' (" in sentence(found.results[0], found)


def test_an_unknown_measure_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="measures: found no 'centration'; did you mean 'concentration'"):
        compare(rows("mass", {"a": [1], "b": [2]}), 1, measures=["centration"])


@pytest.mark.parametrize(
    ("by", "found"),
    [
        (7, r"by: found '7'; expected 1 \(a, b\), model or batch"),
        ("model", "by: found only 'tiny'; expected at least two"),
    ],
)
def test_what_was_given_is_refused_before_a_word_that_was_not_is_asked_for(by, found):
    several = [*rows("mass", {"a": [1], "b": [2]}), *rows("mass", {"a": [1], "b": [2]}, word="man")]
    with pytest.raises(ConfigError, match=found):
        compare(several, by, measures=["mass"])
    with pytest.raises(ConfigError, match="word: found 2 words that all 2 videos have"):
        compare(several, 1, measures=["mass"])


def test_without_videos_there_is_nothing_to_compare():
    with pytest.raises(ConfigError, match="found no tracked word in these videos"):
        compare([], 1)


def test_results_are_rows_of_a_table(men_and_women):
    table = table_of(men_and_women)
    first, _ = table.rows()
    assert first["measure"] == "concentration"
    assert (first["word"], first["first_n"], first["paired"], first["effect_size"]) == ("kiss", 12, True, "d")
    assert list(table.columns)[:7] == ["word", "by", "measure", "unit", "first", "second", "first_mean"]


def test_figures_that_are_not_known_are_empty_cells():
    (found,) = table_of(compare(rows("mass", {"a": [1], "b": [2]}), 1, measures=["mass"])).rows()
    assert [name for name, value in found.items() if value is None] == ["low", "high", "effect", "more_seeds"]


@pytest.mark.parametrize(("value", "decimals", "text"), [(-0.0312, 3, "−0.031"), (-0.0001, 2, "0.00"), (12.3, 0, "12")])
def test_numbers_are_written_as_in_a_paper(value, decimals, text):
    assert number(value, decimals) == text


def test_very_small_numbers_are_multiples_of_a_power_of_ten():
    means = {"a": [6.4e-4, 6.5e-4, 6.1e-4, 6.3e-4], "b": [5.9e-4, 5.94e-4, 5.7e-4, 5.84e-4]}
    (only,) = compare(rows("mass", means), 1, measures=["mass"]).results
    assert notation(only).written(only.difference.mean) == "−0.480 × 10⁻⁴"


def test_small_p_values_are_not_written_out():
    assert (p_value(0.0004), p_value(0.0004, sign=True), p_value(0.0123, sign=True)) == ("<0.001", "< 0.001", "= 0.012")
