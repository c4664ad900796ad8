"""Which videos differ in one choice only."""

import pytest

from attnwatch.contract.manifest import read_manifest
from attnwatch.render.sheets.pairs import slots_of
from tests import sheets

MEN, WOMEN, BOTH = "two men", "two women", "a man and a woman"


@pytest.fixture
def batch(tmp_path):
    return sheets.empty(tmp_path)


def slots(batch, *choices, seeds=2):
    return slots_of(map(read_manifest, sheets.product_of_choices(batch, *choices, seeds=seeds)))


def rows(slot):
    return [(row.first, row.second, row.others, len(row.pairs)) for row in slot.rows]


def test_videos_of_one_seed_and_other_choices_are_compared(batch):
    first, second = slots(batch, [MEN, WOMEN], ["park", "beach"])
    assert (first.number, first.choices) == (1, (MEN, WOMEN))
    assert rows(first) == [(MEN, WOMEN, None, 4), (MEN, WOMEN, "park", 2), (MEN, WOMEN, "beach", 2)]
    assert rows(second)[0] == ("park", "beach", None, 4)
    for row in first.rows:
        for one, other in row.pairs:
            assert one.document.generation.seed == other.document.generation.seed
            assert (one.document.generation.choices[0], other.document.generation.choices[0]) == (MEN, WOMEN)
            assert one.document.generation.choices[1] == other.document.generation.choices[1]


def test_a_template_with_one_slot_has_a_row_for_each_two_choices(batch):
    (slot,) = slots(batch, [MEN, WOMEN, BOTH], seeds=3)
    assert rows(slot) == [(MEN, WOMEN, "", 3), (MEN, BOTH, "", 3), (WOMEN, BOTH, "", 3)]
    assert slot.left_out is None


def test_of_many_choices_only_the_first_is_compared(batch):
    (slot,) = slots(batch, list("abcdef"), seeds=1)
    assert [(row.first, row.second) for row in slot.rows] == [("a", other) for other in "bcdef"]
    assert slot.left_out == "compares only the first of 6 choices with the others"


def test_of_many_slots_the_first_are_compared(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.pairs.MOST_SLOTS", 2)
    assert [slot.number for slot in slots(batch, ["a", "b"], ["c"], ["e", "f"], seeds=1)] == [1]


def test_of_too_many_rows_the_means_over_other_choices_are_shown(batch, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.pairs.MOST_COMPARED", 5)
    first, _ = slots(batch, ["a", "b", "c"], ["x", "y"], seeds=1)
    assert [(row.others, len(row.pairs)) for row in first.rows] == [(None, 2)] * 3
    assert first.left_out == "does not show single choices of the other slots"
    monkeypatch.setattr("attnwatch.render.sheets.pairs.MOST_COMPARED", 2)
    first, _ = slots(batch, ["a", "b", "c"], ["x", "y"], seeds=1)
    assert len(first.rows) == 2
    assert first.left_out.endswith("shows only 2 of 3 comparisons")


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 7},
        {"seed": None},
        {"template": "another"},
        {"choices": None},
        {"choices": ["b", "y"]},
        {"choices": ["b", "x", "z"]},
    ],
    ids=str,
)
def test_videos_that_differ_in_more_are_not_compared(batch, changed):
    how = {"template": "[a|b] [x|y]", "seed": 42}
    first = sheets.video(batch, 1, choices=["a", "x"], **how)
    second = sheets.video(batch, 2, **{"choices": ["b", "x"], **how, **changed})
    assert slots_of(map(read_manifest, (first, second))) == []
    assert len(slots_of(map(read_manifest, (first, sheets.video(batch, 3, choices=["b", "x"], **how))))) == 1


def test_batches_without_choices_have_nothing_to_compare(batch):
    assert slots_of([read_manifest(batch.add(source=False))]) == []
