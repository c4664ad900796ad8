import math

import numpy as np
import pytest

from attnwatch.analysis.stepwise import FinalForm, settled_from
from tests.unit.attnwatch.analysis import reference

FINAL = np.random.default_rng(3).random((2, 5, 6))
NOISE = np.random.default_rng(4).random((2, 5, 6))


def test_correlations_are_pearsons() -> None:
    steps = np.stack([FINAL * share + NOISE * (1 - share) for share in (0.1, 0.5, 1)]).astype(np.float32)

    found = [FinalForm(steps[-1]).correlation(step) for step in steps]

    rows = steps.reshape(3, -1).tolist()
    assert found == pytest.approx([reference.correlation(row, rows[-1]) for row in rows], rel=1e-6)


def test_a_map_that_differs_by_a_factor_and_an_offset_correlates_fully() -> None:
    assert FinalForm(FINAL).correlation(2 * FINAL + 3) == pytest.approx(1)


def test_a_flat_map_has_no_correlation() -> None:
    flat = np.full_like(FINAL, 0.2)

    assert math.isnan(FinalForm(FINAL).correlation(flat))
    assert math.isnan(FinalForm(flat).correlation(FINAL))


@pytest.mark.parametrize(
    ("correlation", "step"),
    [
        ([0.2, 0.95, 0.99, 1.0], 1),
        ([0.95, 0.5, 0.99, 1.0], 2),  # once is not enough: it has to stay
        ([0.95, 0.99, 1.0], 0),
        ([0.1, 0.2, 1.0], 2),
        ([np.nan, 1.0], 1),
        ([np.nan, np.nan], None),
        ([], None),
    ],
)
def test_a_map_has_settled_when_it_stays_like_the_last_one(correlation: list[float], step: int | None) -> None:
    assert settled_from(correlation) == step
