"""Comparisons of videos of the embedded model whose answer is known: which way objects move, and how large they are."""

import json

import pytest

from tests.integration.generator_support import batch_below, generated
from tests.support import called

pytest.importorskip("scipy.stats", reason="scipy is not installed: pip install 'attnwatch[measure]'")
pytestmark = pytest.mark.slow

SEEDS = 6  # the fewest with which a permutation test can be below 5 %


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Squares and stars that move to the left or to the right; a star covers two thirds of the area of a square."""
    folder = tmp_path_factory.mktemp("known")
    template = "a red [(square)|(star)] moving [left|right]"
    options = ("--videos-per-variation", SEEDS, "--seed", 1, "--steps", 3, "--output", folder)
    code, log = generated("--template", template, *options)
    assert code == 0, log
    return batch_below(folder)


def compared(capsys, batch, folder, by, measure):
    asked = ("--by", by, "--word", "slot:1", "--measure", measure, "-o", folder / "results.json")
    code, out, _ = called(capsys, "compare", batch, *asked)
    assert code == 0
    (result,) = json.loads((folder / "results.json").read_text())
    return result, out.splitlines()[-1]


def test_attention_moves_the_way_that_the_prompt_says(batch, capsys, tmp_path):
    result, sentence = compared(capsys, batch, tmp_path, 2, "velocity_x")
    assert (result["first"], result["second"], result["first_n"]) == ("left", "right", SEEDS)
    assert result["first_mean"] < -0.05
    assert result["second_mean"] > 0.05
    assert sentence.startswith("Attention to the word in bracket 1 moved more to the right with 'right' than with")
    assert sentence.endswith(f"p = 0.031, n = {SEEDS} seeds).")


def test_attention_covers_less_of_the_picture_for_smaller_shapes(batch, capsys, tmp_path):
    result, sentence = compared(capsys, batch, tmp_path, 1, "effective_area")
    assert result["high"] < 0
    assert sentence.startswith("Attention to the word in bracket 1 covered a smaller area with 'star' than with")
