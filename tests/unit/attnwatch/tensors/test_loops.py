import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnwatch.tensors import loops
from attnwatch.tensors.loops import WHY_NOT_COMPILED, add_halves_with_numpy, colour_with_numpy, tint_with_numpy

HALVES = 0x7C00  # number of 16-bit values that are finite and not negative

compiled = pytest.mark.skipif(
    WHY_NOT_COMPILED is not None, reason=f"{WHY_NOT_COMPILED}: install a C compiler, then attnwatch again"
)


def both(name, with_numpy):
    functions = [
        pytest.param(with_numpy, id="numpy"),
        pytest.param(getattr(loops, name), id="compiled", marks=compiled),
    ]
    return pytest.mark.parametrize(name, functions)


both_additions = both("add_halves", add_halves_with_numpy)
both_colourings = both("colour", colour_with_numpy)
both_tints = both("tint", tint_with_numpy)

sizes = st.integers(0, 100)
numbers_of_maps = st.integers(0, 9)


def as_numbers(bits):
    return bits.view(np.float16).astype(np.float64)


def unscaled(total):
    return total.astype(np.float64) * 2.0**112


@both_additions
@settings(deadline=None)
@given(size=sizes, maps=numbers_of_maps, odd=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_maps_are_added_from_any_start_position(add_halves, size, maps, odd, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, HALVES, 300, np.uint16)
    halves = np.frombuffer(b" " * odd + bits.tobytes(), np.uint16, offset=int(odd))
    starts = rng.integers(0, 300 - size + 1, maps)
    total = np.zeros(size, np.float32)
    assert add_halves(total, halves, starts)
    wanted = sum((as_numbers(bits[start : start + size]) for start in starts), np.zeros(size))
    np.testing.assert_allclose(unscaled(total), wanted, rtol=1e-6)


@both_additions
def test_every_half_is_converted_exactly(add_halves):
    bits = np.arange(HALVES, dtype=np.uint16)
    total = np.zeros(HALVES, np.float32)
    assert add_halves(total, bits, np.array([0]))
    np.testing.assert_array_equal(unscaled(total), as_numbers(bits))


@compiled
@settings(deadline=None)
@given(size=sizes, maps=numbers_of_maps, tiny=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_compiled_sums_match_numpy_bit_for_bit(size, maps, tiny, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 0x0500 if tiny else HALVES, maps * size, np.uint16)
    starts = np.arange(maps) * size
    one, other = np.zeros(size, np.float32), np.zeros(size, np.float32)
    assert loops.add_halves(one, bits, starts)
    assert add_halves_with_numpy(other, bits, starts)
    assert one.tobytes() == other.tobytes()


@both_additions
@pytest.mark.parametrize("bits", [0x7C00, 0x7E00, 0x8001, 0xBC00, 0xFC00, 0xFFFF])
@pytest.mark.parametrize("maps", [1, 4, 6])
def test_a_single_invalid_value_is_detected_at_any_position(add_halves, bits, maps):
    size = 37
    for place in range(maps * size):
        halves = np.full(maps * size, 0x3C00, np.uint16)
        halves[place] = bits
        assert not add_halves(np.zeros(size, np.float32), halves, np.arange(maps) * size)


@both_additions
def test_a_negative_zero_is_zero(add_halves):
    total = np.zeros(40, np.float32)
    assert add_halves(total, np.full(160, 0x8000, np.uint16), np.arange(4) * 40)
    assert total.tobytes() == bytes(160)


@both_additions
@pytest.mark.parametrize("start", [-1, 21, 2**62, -(2**63)])
def test_a_map_beyond_the_values_is_refused_before_any_addition(add_halves, start):
    total = np.zeros(10, np.float32)
    with pytest.raises(IndexError, match="beyond the values"):
        add_halves(total, np.full(30, 0x3C00, np.uint16), np.array([0, start]))
    assert not total.any()


@both_additions
def test_a_map_larger_than_the_values_is_refused(add_halves):
    with pytest.raises(IndexError, match="beyond the values"):
        add_halves(np.zeros(31, np.float32), np.zeros(30, np.uint16), np.array([0]))


sides = st.integers(0, 140)  # includes multiples of the number of rows processed at once


def picture(rng, height, width, padding):
    """Return random bytes with padded rows, as in a video frame."""
    return rng.integers(0, 256, (height, width + padding), np.uint8)[:, :width]


def weights_of(*values):
    return np.array(values, np.uint16).tobytes()


@both_tints
@settings(deadline=None)
@given(height=sides, width=sides, padding=st.integers(0, 9), seed=st.integers(0, 2**32 - 1))
def test_a_tint_is_within_half_a_level_and_does_not_touch_the_padding(tint, height, width, padding, seed):
    rng = np.random.default_rng(seed)
    below, grey = picture(rng, height, width, padding), picture(rng, height, width, 0)
    table, weights = rng.integers(0, 256, 256, np.uint8), rng.integers(0, 257, 256, np.uint16)
    whole = np.full((height, width + padding), 7, np.uint8)
    tint(whole[:, :width], below, grey, table.tobytes(), weights.tobytes())
    share = weights[grey] / 256
    np.testing.assert_allclose(whole[:, :width], (1 - share) * below + share * table[grey], atol=0.5)
    assert (whole[:, width:] == 7).all()


@both_tints
@pytest.mark.parametrize("weight", range(257))
def test_all_pairs_of_levels_are_rounded_the_same_way(tint, weight):
    below, grey = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    mixed = np.empty((256, 256), np.uint8)
    everywhere = weights_of(*[weight] * 256)
    tint(mixed, np.ascontiguousarray(below), np.ascontiguousarray(grey), bytes(range(256)), everywhere)
    exact = below.astype(int) * (256 - weight) + grey.astype(int) * weight
    np.testing.assert_array_equal(mixed, (exact + 128) // 256)


@both_colourings
@settings(deadline=None)
@given(height=sides, width=sides, padding=st.integers(0, 9), table=st.binary(min_size=256, max_size=256))
def test_every_byte_is_looked_up_and_the_padding_is_not_touched(colour, height, width, padding, table):
    grey = picture(np.random.default_rng(0), height, width, padding)
    whole = np.full((height, width + padding), 7, np.uint8)
    colour(whole[:, :width], grey, table)
    np.testing.assert_array_equal(whole[:, :width], np.frombuffer(table, np.uint8)[grey])
    assert (whole[:, width:] == 7).all()


@both_tints
def test_pictures_of_different_sizes_are_not_tinted(tint):
    small, large = np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)
    for pictures in ((large, small, small), (small, large, small), (small, small, large)):
        with pytest.raises(ValueError, match="different sizes"):
            tint(*pictures, bytes(256), bytes(512))


@both_tints
@pytest.mark.parametrize(
    ("table", "weights", "message"),
    [
        (bytes(255), bytes(512), "tables of 255 and 512 bytes"),
        (bytes(256), bytes(256), "tables of 256 and 256 bytes"),
        (bytes(256), weights_of(*[0] * 255, 257), "a weight above 256"),
    ],
)
def test_unsuitable_tables_of_a_tint_are_refused(tint, table, weights, message):
    picture = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match=f"found {message}"):
        tint(picture, picture, picture, table, weights)


@both_colourings
def test_a_picture_of_another_size_is_not_coloured(colour):
    with pytest.raises(ValueError, match="different sizes"):
        colour(np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8), bytes(256))


@compiled
def test_the_compiled_sum_refuses_arrays_that_it_would_misread():
    total, halves, starts = np.zeros(4, np.float32), np.zeros(8, np.uint16), np.zeros(1, np.int64)
    unaligned = np.frombuffer(bytes(9), np.int64, offset=1, count=1)
    for wrong in (
        (total.astype(np.float64), halves, starts),
        (total, halves.astype(np.float16), starts),
        (total, halves, starts.astype(np.int32)),
        (total.reshape(2, 2), halves, starts),
        (total, halves[::2], starts),
        (total, halves, unaligned),
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - numpy words some of the messages
            loops.add_halves(*wrong)


def test_numpy_replaces_a_missing_compiled_module():
    program = """
import sys
sys.modules["attnwatch.tensors._loops"] = None
from attnwatch.tensors import loops
print([getattr(loops, name).__name__ for name in ("add_halves", "colour", "tint")], loops.WHY_NOT_COMPILED is None)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['add_halves_with_numpy', 'colour_with_numpy', 'tint_with_numpy'] False"


@compiled
def test_compiled_loops_refuse_unsuitable_arguments():
    picture, frozen = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    frozen.flags.writeable = False
    for wrong in (np.zeros(4, np.uint8), np.zeros((4, 4), np.uint16), np.zeros((4, 8), np.uint8)[:, ::2]):
        with pytest.raises(ValueError, match="expected bytes"):
            loops.colour(picture, wrong, bytes(256))
    with pytest.raises(ValueError, match="read-only"):
        loops.tint(frozen, picture, picture, bytes(256), bytes(512))
    with pytest.raises(ValueError, match="a table of 255 bytes"):
        loops.colour(picture, picture, bytes(255))
    with pytest.raises(TypeError):
        loops.colour(None, picture, bytes(256))
