from pathlib import Path

import numpy as np
import pytest

from attnwatch.errors import TensorError
from attnwatch.tensors import loops, reduction
from attnwatch.tensors.loops import add_halves_with_numpy
from attnwatch.tensors.reduction import Mean


@pytest.mark.parametrize(("kind", "stored"), [("F16", np.uint16), ("F32", np.float32)])
def test_a_refusal_names_the_value_and_the_tensor(kind, stored):
    values = np.array([1.0, -0.5], np.float16 if kind == "F16" else np.float32).view(stored)
    with pytest.raises(TensorError) as refused:
        Mean(2, kind).add(values, [0], Path("maps.safetensors"), "kiss")
    (problem,) = refused.value.problems
    assert (problem.file, problem.field) == (Path("maps.safetensors"), "tensor 'kiss'")
    assert problem.found == "a negative value (-0.5)"


def test_values_that_change_while_being_read_are_refused(monkeypatch):
    monkeypatch.setattr(reduction, "add_halves", lambda *_arrays: False)
    with pytest.raises(TensorError, match="values that changed while being read"):
        Mean(2, "F16").add(np.zeros(2, np.uint16), [0], Path("maps.safetensors"), "kiss")


HALF, SINGLE = np.float16, np.float32
PATH = Path("maps.safetensors")


def mean_of(maps, kind, *, masked=True):
    """Return the mean of maps, `[map, value]`, through `Mean` as stored in a file."""
    stored = np.asarray(maps, HALF if kind == "F16" else SINGLE)
    flat = stored.reshape(-1).view(np.uint16 if kind == "F16" else SINGLE)
    mean = Mean(stored.shape[1], kind, masked=masked)
    mean.add(flat, range(0, flat.size, stored.shape[1]), PATH, "kiss")
    return mean.value()


@pytest.mark.parametrize("kind", ["F16", "F32"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_cell_with_a_masked_value_in_any_map_is_nan_in_the_mean(kind, bad):
    maps = np.arange(1, 25, dtype=SINGLE).reshape(6, 4)
    maps[2, 1] = maps[5, 3] = bad
    found = mean_of(maps, kind)
    assert np.isnan(found).tolist() == [False, True, False, True]
    np.testing.assert_array_equal(found[[0, 2]], maps.mean(axis=0)[[0, 2]])


@pytest.mark.parametrize("kind", ["F16", "F32"])
def test_without_a_bad_value_masking_changes_nothing(kind):
    maps = np.random.default_rng(0).random((7, 30))
    np.testing.assert_array_equal(mean_of(maps, kind), mean_of(maps, kind, masked=False))


def test_both_loops_give_the_same_bytes_with_masked_values(monkeypatch):
    if loops.WHY_NOT_COMPILED:
        pytest.skip(f"the loops are not compiled: {loops.WHY_NOT_COMPILED}")
    maps = np.random.default_rng(0).random((9, 30)).astype(HALF)
    maps[4, 7], maps[0, 0], maps[8, 29] = np.nan, np.inf, -np.inf
    compiled = mean_of(maps, "F16")
    monkeypatch.setattr(reduction, "add_halves", add_halves_with_numpy)
    assert mean_of(maps, "F16").tobytes() == compiled.tobytes()
    assert np.isnan(compiled).sum() == 3


@pytest.mark.parametrize("kind", ["F16", "F32"])
def test_negative_values_are_refused_even_if_others_are_masked(kind):
    with pytest.raises(TensorError, match="a negative value"):
        mean_of([[np.nan, -0.5]], kind)


def test_without_masking_a_refusal_of_nan_names_the_setting():
    with pytest.raises(TensorError, match=r"NaN or infinite values; expected .* nonfinite: mask"):
        mean_of([[np.nan, 0.5]], "F32", masked=False)


def test_a_sum_beyond_float32_is_refused_in_words():
    largest = float(np.finfo(SINGLE).max)
    with pytest.raises(TensorError, match="values whose sum exceeds the range of float32"):
        mean_of([[largest], [largest]], "F32", masked=False)
