import pytest

from attnwatch.analysis.contrasts import Contrast
from attnwatch.errors import ConfigError
from tests.unit.attnwatch.analysis.tables import row, rows


def pairs(contrast, first="a", second="b", measure="mass"):
    found = contrast.pairs(first, second, measure)
    return found.seeds, found.first.tolist(), found.second.tolist()


def test_videos_of_the_same_seed_are_pairs_whatever_their_order():
    table = rows("mass", {"a": [1, 2, 3], "b": [4, 5, 6]})
    assert pairs(Contrast(reversed(table), "1")) == ((1, 2, 3), [1, 2, 3], [4, 5, 6])


def test_videos_without_a_counterpart_are_counted_and_left_out():
    found = Contrast(rows("mass", {"a": [1, 2, 3], "b": [4, 5]}), "1").pairs("a", "b", "mass")
    assert (found.seeds, found.alone) == ((1, 2), 1)


def test_a_pair_without_one_of_its_values_is_left_out_of_this_measure_only():
    table = rows("mass", {"a": [1, 2, 3], "b": [4, None, float("nan")]}, spread=0.5)
    contrast = Contrast(table, "1")
    assert pairs(contrast) == ((1,), [1], [4])
    assert pairs(contrast, measure="spread")[0] == (1, 2, 3)
    assert (contrast.undefined("mass"), contrast.undefined("spread")) == (2, 0)


def test_other_choices_must_be_equal_and_are_averaged_within_each_seed():
    table = [
        row(1, "a", "left", mass=1),
        row(1, "b", "left", mass=2),
        row(1, "a", "right", mass=10),
        row(1, "b", "right", mass=14),
        row(2, "a", "left", mass=5),
        row(2, "b", "right", mass=99),  # neither has a counterpart
        row(3, "a", "left", mass=7),
        row(3, "b", "left", mass=7.5),
    ]
    contrast = Contrast(table, "1")
    found = contrast.pairs("a", "b", "mass")
    assert pairs(contrast) == ((1, 3), [5.5, 7], [8, 7.5])  # two seeds, not three pairs
    assert (found.alone, found.per_seed) == (2, 2)


def test_a_video_that_was_made_twice_counts_once():
    table = [*rows("mass", {"a": [1, 2], "b": [3, 4]}), row(1, "a", mass=2)]
    assert pairs(Contrast(table, "1")) == ((1, 2), [1.5, 2], [3, 4])


def test_pairs_are_of_one_batch_where_there_are_any():
    table = [*rows("mass", {"a": [1, 2], "b": [3, 4]}), *rows("mass", {"a": [10, 20]}, batch="other")]
    contrast = Contrast(table, "1")
    assert pairs(contrast) == ((1, 2), [1, 2], [3, 4])
    assert contrast.pairs("a", "b", "mass").alone == 2


def test_batches_of_one_choice_each_are_paired_by_seed_across_them():
    table = [*rows("mass", {"a": [1, 2]}, batch="men"), *rows("mass", {"b": [3, 4]}, batch="women")]
    contrast = Contrast(table, "1")
    assert pairs(contrast) == ((1, 2), [1, 2], [3, 4])
    assert contrast.pairs("a", "b", "mass").across


def test_different_models_are_never_a_pair_of_choices():
    table = [*rows("mass", {"a": [1, 2]}, model="wan"), *rows("mass", {"b": [3, 4]}, model="ltx")]
    assert Contrast(table, "1").pairs("a", "b", "mass").seeds is None


@pytest.mark.parametrize("by", ["model", "batch"])
def test_models_and_batches_are_paired_by_prompt_and_seed(by):
    table = [
        *rows("mass", {"a": [1, 2], "b": [5, 6]}, **{by: "wan"}),
        *rows("mass", {"a": [2, 4], "b": [7, 8]}, **{by: "ltx"}),
    ]
    assert pairs(Contrast(table, by), "wan", "ltx") == ((1, 2), [3, 4], [4.5, 6])


def test_batches_of_other_prompts_are_paired_by_choices_and_seed():
    table = [
        *rows("mass", {"a": [1, 2]}, batch="men", prompt="two men kiss"),
        *rows("mass", {"a": [3, 5]}, batch="women", prompt="two women kiss"),
    ]
    contrast = Contrast(table, "batch")
    assert pairs(contrast, "men", "women") == ((1, 2), [1, 2], [3, 5])
    assert contrast.pairs("men", "women", "mass").across


def test_without_common_seeds_each_seed_is_one_value_of_its_own_choice():
    table = [
        row(1, "a", "left", mass=1),
        row(1, "a", "right", mass=3),
        row(2, "a", "left", mass=4),
        row(7, "b", "left", mass=8),
    ]
    assert pairs(Contrast(table, "1")) == (None, [2, 4], [8])
    assert Contrast(table, "1").pairs("a", "b", "mass").per_seed == 2


def test_values_of_a_choice_are_those_with_a_counterpart_for_every_other_choice():
    table = rows("mass", {"a": [1, 2, 3], "b": [4, 5], "c": [6, 7, 8]})
    seeds, values = Contrast(table, "1").values("c", "mass")
    assert (seeds, values.tolist()) == ((1, 2), [6, 7])


def test_an_empty_choice_is_a_choice():
    table = rows("mass", {"very": [1, 2], "": [3, 4]})
    assert Contrast(table, "1").pairs_of_levels() == [("very", "")]


def test_videos_without_seed_or_choice_are_counted():
    table = [*rows("mass", {"a": [1, 2], "b": [3, 4]}), row(None, "a", mass=1), row(5, None, mass=2)]
    assert Contrast(table, "1").left_out == {"without a seed": 1, "without a choice for this bracket": 1}


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("2", r"by: found '2'; expected 1 \(a, nothing\), model or batch"),
        ("colour", r"by: found 'colour'; expected 1 \(a, nothing\), model or batch"),
        ("model", "by: found only 'tiny'; expected at least two models"),
    ],
)
def test_what_cannot_be_compared_is_refused(by, said):
    with pytest.raises(ConfigError, match=said):
        Contrast(rows("mass", {"a": [1], "": [2]}), by)


def test_a_slot_with_one_choice_cannot_be_compared():
    with pytest.raises(ConfigError, match=r"found only 'a'; expected at least two choices in bracket 1 \(1 without a"):
        Contrast([row(1, "a", mass=1), row(None, "b", mass=1)], "1")


BEACH, CITY = {"image": "beach.jpg"}, {"image": "city.jpg"}


def test_images_are_compared_between_videos_of_one_prompt_and_seed_although_they_are_a_choice_too():
    table = [
        row(seed, choice, image["image"], mass=value + seed, prompt=f"{choice} kiss", **image)
        for choice, image, value in (("men", BEACH, 1), ("men", CITY, 2), ("women", BEACH, 10), ("women", CITY, 20))
        for seed in (1, 2)
    ]
    contrast = Contrast(table, "image")
    assert contrast.levels == ("beach.jpg", "city.jpg")
    assert pairs(contrast, "beach.jpg", "city.jpg") == ((1, 2), [6.5, 7.5], [12, 13])
    assert not contrast.pairs("beach.jpg", "city.jpg", "mass").across


def test_pairs_are_of_one_image_where_there_are_any():
    table = [
        *rows("mass", {"a": [1, 2], "b": [3, 4]}, **BEACH),
        *rows("mass", {"a": [9]}, **CITY),
    ]
    assert pairs(Contrast(table, "1")) == ((1, 2), [1, 2], [3, 4])
    table = [*rows("mass", {"a": [1, 2]}, **BEACH), *rows("mass", {"b": [3, 4]}, **CITY)]
    assert pairs(Contrast(table, "1")) == ((1, 2), [1, 2], [3, 4])
    assert Contrast(table, "1").pairs("a", "b", "mass").across


def test_videos_without_an_image_are_not_compared_by_it():
    with pytest.raises(ConfigError, match=r"by: found none in 4 videos; .* two images \(4 without an image\)"):
        Contrast(rows("mass", {"a": [1, 2], "b": [3, 4]}), "image")
