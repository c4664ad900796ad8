from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch.errors import TensorError
from attnwatch.reduction import IS_COMPILED, Mean, add_halves, add_with_numpy

HALVES = 0x7C00  # as many values of 16 bits are finite and not negative

WAYS = [
    pytest.param(add_with_numpy, id="numpy"),
    pytest.param(
        add_halves,
        id="compiled",
        marks=pytest.mark.skipif(
            not IS_COMPILED, reason="attnwatch._halves is not compiled: install a C compiler, then attnwatch again"
        ),
    ),
]
every_way = pytest.mark.parametrize("add", WAYS)

sizes = st.integers(0, 100)
numbers_of_maps = st.integers(0, 9)


def as_numbers(bits):
    return bits.view(np.float16).astype(np.float64)


def unscaled(total):
    return total.astype(np.float64) * 2.0**112


@every_way
@settings(deadline=None)
@given(size=sizes, maps=numbers_of_maps, odd=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_chosen_maps_are_added_wherever_they_start(add, size, maps, odd, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, HALVES, 300, np.uint16)
    halves = np.frombuffer(b" " * odd + bits.tobytes(), np.uint16, offset=int(odd))
    starts = rng.integers(0, 300 - size + 1, maps)
    total = np.zeros(size, np.float32)
    assert add(total, halves, starts)
    wanted = sum((as_numbers(bits[start : start + size]) for start in starts), np.zeros(size))
    np.testing.assert_allclose(unscaled(total), wanted, rtol=1e-6)


@every_way
def test_every_half_is_taken_at_its_value(add):
    bits = np.arange(HALVES, dtype=np.uint16)
    total = np.zeros(HALVES, np.float32)
    assert add(total, bits, np.array([0]))
    np.testing.assert_array_equal(unscaled(total), as_numbers(bits))


@pytest.mark.skipif(not IS_COMPILED, reason="attnwatch._halves is not compiled: install a C compiler")
@settings(deadline=None)
@given(size=sizes, maps=numbers_of_maps, tiny=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_what_is_compiled_gives_the_bits_that_numpy_gives(size, maps, tiny, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 0x0500 if tiny else HALVES, maps * size, np.uint16)
    starts = np.arange(maps) * size
    one, other = np.zeros(size, np.float32), np.zeros(size, np.float32)
    assert add_halves(one, bits, starts)
    assert add_with_numpy(other, bits, starts)
    assert one.tobytes() == other.tobytes()


@every_way
@pytest.mark.parametrize("bits", [0x7C00, 0x7E00, 0x8001, 0xBC00, 0xFC00, 0xFFFF])
@pytest.mark.parametrize("maps", [1, 4, 6])
def test_one_value_that_is_no_probability_is_noticed_in_any_place(add, bits, maps):
    size = 37
    for place in range(maps * size):
        halves = np.full(maps * size, 0x3C00, np.uint16)
        halves[place] = bits
        assert not add(np.zeros(size, np.float32), halves, np.arange(maps) * size)


@every_way
def test_a_negative_zero_is_zero(add):
    total = np.zeros(40, np.float32)
    assert add(total, np.full(160, 0x8000, np.uint16), np.arange(4) * 40)
    assert total.tobytes() == bytes(160)


@every_way
@pytest.mark.parametrize("start", [-1, 21, 2**62, -(2**63)])
def test_a_map_beyond_the_values_is_refused_before_any_is_read(add, start):
    total = np.zeros(10, np.float32)
    with pytest.raises(IndexError, match="outside of the values"):
        add(total, np.full(30, 0x3C00, np.uint16), np.array([0, start]))
    assert not total.any()


@every_way
def test_more_than_there_is_at_all_is_refused(add):
    with pytest.raises(IndexError, match="outside of the values"):
        add(np.zeros(31, np.float32), np.zeros(30, np.uint16), np.array([0]))


@pytest.mark.parametrize(("kind", "stored"), [("F16", np.uint16), ("F32", np.float32)])
def test_a_refusal_names_what_was_found_and_where(kind, stored):
    values = np.array([1.0, -0.5], np.float16 if kind == "F16" else np.float32).view(stored)
    with pytest.raises(TensorError) as refused:
        Mean(2, kind).add(values, [0], Path("maps.safetensors"), "kiss")
    (problem,) = refused.value.problems
    assert (problem.file, problem.field) == (Path("maps.safetensors"), "tensor 'kiss'")
    assert problem.found == "a negative value (-0.5)"
