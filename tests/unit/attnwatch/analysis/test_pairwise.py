import numpy as np
import pytest

from attnwatch.analysis.pairwise import cosine_similarity, overlap
from tests.unit.attnwatch.analysis import reference
from tests.unit.attnwatch.analysis.test_spatial import HEIGHT, WIDTH, gaussian


def test_both_measures_are_those_of_their_formulas() -> None:
    first, second = np.random.default_rng(5).random((2, 3, HEIGHT, WIDTH)).astype(np.float32)
    rows = zip(first.reshape(3, -1).tolist(), second.reshape(3, -1).tolist(), strict=True)
    expected = [(reference.cosine(a, b), reference.overlap(a, b)) for a, b in rows]

    assert cosine_similarity(first, second) == pytest.approx([cosine for cosine, _ in expected], rel=1e-6)
    assert overlap(first, second) == pytest.approx([share for _, share in expected])


def test_words_at_the_same_place_overlap_fully_whatever_their_masses() -> None:
    spot = gaussian(0.4, 0.4)

    assert cosine_similarity(spot, spot * 0.01) == pytest.approx(1)
    assert overlap(spot, spot * np.float32(0.25)) == 1


def test_words_far_apart_do_not_overlap() -> None:
    left, right = gaussian(0.15, 0.5), gaussian(0.85, 0.5)

    assert cosine_similarity(left, right) == pytest.approx(0, abs=1e-6)
    assert overlap(left, right) == 0


def test_cells_without_attention_are_not_hot_even_if_hardly_any_cell_has_some() -> None:
    one, other = np.zeros((2, HEIGHT, WIDTH))
    one[0, 0], other[5, 5] = 1, 1

    assert overlap(one, other) == 0


def test_a_word_without_attention_is_not_comparable() -> None:
    found = np.zeros((HEIGHT, WIDTH)), gaussian(0.5, 0.5)

    assert np.isnan(cosine_similarity(*found))
    assert np.isnan(overlap(*found))
