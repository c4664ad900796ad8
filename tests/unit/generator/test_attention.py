import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from generator import attention
from generator.attention import Columns, repeats_differ, trailing_repeats, without_repeats, word_probabilities

ROWS, HEADS, DIM = 37, 3, 8


def random_inputs(keys, rows=ROWS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        3 * torch.randn(rows, HEADS, DIM, generator=generator),
        3 * torch.randn(keys, HEADS, DIM, generator=generator),
    )


def in_float64(query, key, positions, scale=DIM**-0.5):
    """The whole softmax, as the textbook has it."""
    scores = torch.einsum("rhd,khd->hrk", query.double(), key.double()) * scale
    probabilities = scores.softmax(-1)
    return torch.stack([probabilities[..., list(word)].sum(-1) for word in positions])


def columns(*positions):
    return Columns.of(positions, torch.device("cpu"))


def test_probabilities_are_those_of_the_whole_softmax():
    query, key = random_inputs(keys=20)
    positions = [(0,), (3, 4, 19), (4,)]
    found = word_probabilities(query, key, columns(*positions))
    assert found.dtype == torch.float32
    assert found.shape == (3, HEADS, ROWS)
    assert (found - in_float64(query, key, positions)).abs().max() <= 1e-6


def test_another_scale_is_taken_into_account():
    query, key = random_inputs(keys=20)
    found = word_probabilities(query, key, columns((1,)), scale=0.1)
    assert (found - in_float64(query, key, [(1,)], scale=0.1)).abs().max() <= 1e-6


def test_equal_keys_at_the_end_are_replaced_by_one_without_a_difference():
    query, key = random_inputs(keys=20)
    key[12:] = key[12]
    few = without_repeats(key, 8)
    assert len(few) == 13
    found = word_probabilities(query, few, columns((2,), (3, 11)), repeats=8)
    assert (found - in_float64(query, key, [(2,), (3, 11)])).abs().max() <= 1e-6


def test_bfloat16_inputs_are_computed_in_float32():
    query, key = (tensor.bfloat16() for tensor in random_inputs(keys=20))
    found = word_probabilities(query, key, columns((2, 5)))
    assert (found - in_float64(query, key, [(2, 5)])).abs().max() <= 1e-6


def test_rows_are_taken_in_chunks_that_fit(monkeypatch):
    query, key = random_inputs(keys=20)
    whole = word_probabilities(query, key, columns((2, 5)))
    sizes = []
    bmm = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda left, right: sizes.append(left.shape[1]) or bmm(left, right))
    monkeypatch.setattr(attention, "CHUNK_BYTES", 5 * 4 * HEADS * (DIM + 2 * 20))
    chunked = word_probabilities(query, key, columns((2, 5)))
    assert sizes == [5] * 7 + [2]
    assert torch.allclose(whole, chunked, atol=1e-7)


class LargestTensor(TorchDispatchMode):
    """Watches every operation and remembers the size of the largest result, in bytes."""

    bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.bytes = max(self.bytes, tensor.nbytes)
        return result


def test_the_map_of_all_rows_and_keys_never_exists():
    query, key = random_inputs(keys=512, rows=40_000)
    whole_map = 4 * HEADS * len(query) * len(key)
    with LargestTensor() as largest:
        word_probabilities(query, key, columns((2, 5)))
    assert largest.bytes <= attention.CHUNK_BYTES < whole_map / 7


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 30), st.integers(1, 29), st.integers(0, 2**32))
def test_all_words_and_the_padding_add_up_to_one(keys, length, seed):
    length = min(length, keys - 1)
    query, key = random_inputs(keys, seed=seed)
    key[length:] = key[-1]
    words = [(position,) for position in range(length)]
    padding = [tuple(range(length, keys))]
    found = word_probabilities(query, key, columns(*words, *padding))
    assert (found.sum(0) - 1).abs().max() <= 1e-5
    fewer = word_probabilities(query, without_repeats(key, keys - length), columns(*words), repeats=keys - length)
    assert (found[:-1] - fewer).abs().max() <= 1e-6


@pytest.mark.parametrize(("equal", "found"), [(0, 1), (1, 1), (2, 2), (5, 5), (12, 12)])
def test_repeats_are_counted_from_the_end(equal, found):
    _, key = random_inputs(keys=12)
    key[12 - equal :] = key[11].clone()
    key[0] = key[11] if equal == 12 else key[0]
    assert trailing_repeats(key).item() == found


def test_an_equal_key_further_up_is_no_repeat():
    _, key = random_inputs(keys=12)
    key[3] = key[10] = key[11]
    assert trailing_repeats(key).item() == 2


def test_a_key_that_differs_in_its_last_bit_is_no_repeat():
    _, key = random_inputs(keys=12)
    key[8:] = key[11].clone()
    assert not repeats_differ(key, 4)
    key[9, 0, 0] = torch.nextafter(key[9, 0, 0], torch.tensor(torch.inf))
    assert repeats_differ(key, 4)
    assert trailing_repeats(key).item() == 2
