import math

import numpy as np
import pytest

from attnwatch.analysis.spatial import Maps, Spatial, inner, spatial, unsorted
from tests.unit.attnwatch.analysis import reference

HEIGHT, WIDTH = 12, 20


def gaussian(x: float, y: float, sigma: float = 0.05, shape: tuple[int, int] = (HEIGHT, WIDTH)) -> Maps:
    """A round spot at a place in shares of width and height; sigma in widths."""
    height, width = shape
    columns, rows = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    across = (columns[None] - x) * width
    down = (rows[:, None] - y) * height
    return np.exp(-(across**2 + down**2) / (2 * (sigma * width) ** 2)).astype(np.float32)


def one_cell(row: int, column: int, value: float = 0.25) -> Maps:
    maps = np.zeros((HEIGHT, WIDTH), np.float32)
    maps[row, column] = value
    return maps


@pytest.mark.parametrize("shape", [(1, 7), (2, 2), (5, 3), (HEIGHT, WIDTH)])
@pytest.mark.parametrize("kind", ["noise", "faint", "sparse", "almost uniform"])
def test_every_measure_is_that_of_its_formula(kind: str, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).random((3, *shape))
    maps = {
        "noise": noise,
        "faint": noise * 1e-7,
        "sparse": np.where(noise > 0.7, noise, 0) + 1e-3 * (noise == noise.max(axis=(1, 2), keepdims=True)),
        "almost uniform": 0.01 + noise * 1e-3,
    }[kind].astype(np.float32)

    found = spatial(maps).columns()

    for frame, expected in enumerate(map(reference.spatial, maps.tolist())):
        assert {name: values[frame] for name, values in found.items()} == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_uniform_attention_covers_everything_and_is_not_concentrated() -> None:
    measures = spatial(np.full((HEIGHT, WIDTH), 0.5, np.float32))

    assert measures.mass == 0.5
    assert measures.effective_area == pytest.approx(1)
    assert measures.concentration == pytest.approx(0, abs=1e-12)
    assert (measures.centroid_x, measures.centroid_y) == pytest.approx((0.5, 0.5))
    assert measures.hottest_share == pytest.approx(0.1)


def test_one_hot_cell_has_all_the_attention_at_its_place() -> None:
    measures = spatial(one_cell(row=3, column=15))

    assert measures.mass == pytest.approx(0.25 / (HEIGHT * WIDTH))
    assert measures.peak == 0.25
    assert (measures.peak_x, measures.peak_y) == pytest.approx((15.5 / WIDTH, 3.5 / HEIGHT))
    assert (measures.centroid_x, measures.centroid_y) == pytest.approx((15.5 / WIDTH, 3.5 / HEIGHT))
    assert measures.concentration == 1
    assert measures.effective_area == pytest.approx(1 / (HEIGHT * WIDTH))
    assert measures.spread == pytest.approx(0, abs=1e-9)
    assert measures.hottest_share == 1


def test_the_spread_of_a_gaussian_is_its_own_in_diagonals() -> None:
    measures = spatial(gaussian(0.5, 0.5))

    sigma = 0.05 * WIDTH
    assert measures.spread == pytest.approx(math.sqrt(2) * sigma / math.hypot(WIDTH, HEIGHT), rel=0.01)


def test_two_equal_blobs_have_their_centroid_between_them_and_twice_the_area_of_one() -> None:
    left, right = gaussian(0.25, 0.5, 0.03), gaussian(0.75, 0.5, 0.03)

    measures = spatial(left + right)

    assert measures.centroid_x == pytest.approx(0.5)
    assert measures.effective_area == pytest.approx(2 * spatial(left).effective_area, rel=1e-3)
    assert measures.spread == pytest.approx(0.25 * WIDTH / math.hypot(WIDTH, HEIGHT), rel=0.05)


def test_measures_but_the_mass_do_not_depend_on_how_much_attention_there_is() -> None:
    bright, faint = spatial(gaussian(0.3, 0.6)).columns(), spatial(gaussian(0.3, 0.6) / 1024).columns()

    for name in bright.keys() - {"mass", "peak"}:
        assert faint[name] == pytest.approx(bright[name])
    assert faint["mass"] == pytest.approx(bright["mass"] / 1024)


def test_a_map_without_attention_has_a_mass_and_no_place() -> None:
    empty = spatial(np.zeros((2, HEIGHT, WIDTH), np.float32))

    assert empty.mass.tolist() == empty.peak.tolist() == [0, 0]
    assert all(np.isnan(values).all() for name, values in empty.columns().items() if name not in ("mass", "peak"))


def test_masked_cells_count_as_without_attention() -> None:
    masked = gaussian(0.5, 0.5)
    masked[0, 0] = np.nan
    zero = gaussian(0.5, 0.5)
    zero[0, 0] = 0

    assert _equal(spatial(masked), spatial(zero))


def test_a_grid_of_one_cell_is_neither_empty_nor_an_error() -> None:
    measures = spatial(np.array([[[0.5]], [[0.0]]], np.float32))

    assert measures.entropy[0] == 0
    assert measures.effective_area[0] == 1
    assert np.isnan(measures.entropy[1])


def test_leading_axes_are_kept() -> None:
    maps = np.random.default_rng(2).random((4, 3, HEIGHT, WIDTH)).astype(np.float32)

    mass = spatial(maps).mass

    assert mass.shape == (4, 3)
    assert mass[2, 1] == pytest.approx(spatial(maps[2, 1]).mass)


def test_measures_that_take_no_sorting_are_the_same_alone() -> None:
    maps = np.random.default_rng(3).random((3, HEIGHT, WIDTH)).astype(np.float32)
    maps[1], maps[2, 0, 0] = 0, np.nan

    found, expected = unsorted(maps), spatial(maps).columns()

    assert len(found) == 7
    assert all(np.array_equal(values, expected[name], equal_nan=True) for name, values in found.items())


@pytest.mark.parametrize("count", [0, 1, 4096, 4097, 10_000])
def test_inner_products_of_rows_of_any_length_are_those_of_numpy(count: int) -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random((2, 3, count)), rng.random((2, 3, count))

    assert inner(first, second) == pytest.approx((first * second).sum(axis=-1))


def _equal(first: Spatial, second: Spatial) -> bool:
    return all(np.array_equal(value, second.columns()[name]) for name, value in first.columns().items())
