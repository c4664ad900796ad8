"""The sample of rows that the self-check recomputes, and where it computes."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from generator.capture.attention import AttentionCall, Columns, word_probabilities
from generator.capture.self_check import ROWS, SelfCheck

CPU = torch.device("cpu")
MASKS = {"none": None, "bool": torch.arange(20) < 15, "added": -torch.arange(20.0)}


def random_call(rows=40, mask=None):
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, 3, length, 8, generator=generator) for length in (rows, 20))
    return AttentionCall(query, key, None if mask is None else mask.reshape(1, 1, 1, -1))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("rows", [1, 5, 40, 1001])
def test_right_probabilities_have_no_error(rows, mask):
    check, call, columns = SelfCheck(), random_call(rows, mask), Columns.of([(3,), (5, 6)], CPU)
    check.compare(call, columns, word_probabilities(call, columns))
    assert check.take_error(CPU) <= 1e-6
    assert check.summary()["rows"] == min(ROWS, rows)


def test_the_largest_error_since_the_last_call_is_taken_once():
    check, call, columns = SelfCheck(), random_call(), Columns.of([(3,)], CPU)
    found = word_probabilities(call, columns)
    check.compare(call, columns, found)
    check.compare(call, columns, found + 0.5)
    assert check.take_error(CPU).item() == pytest.approx(0.5, abs=1e-6)
    assert check.take_error(CPU) == 0


def test_each_row_is_in_some_sample():
    check, call, columns = SelfCheck(), random_call(rows=17), Columns.of([(3,)], CPU)
    right = word_probabilities(call, columns)
    for row in range(17):
        wrong = right.clone()
        wrong[:, :, :, row] += 1
        errors = []
        for _ in range(60):
            check.compare(call, columns, wrong)
            errors.append(check.take_error(CPU).item() > 0.9)
        assert any(errors)
        assert not all(errors)


class Copies(TorchDispatchMode):
    """Records operators that read one device and write to another."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        devices = {value.device for value in (*args, result) if isinstance(value, torch.Tensor) and value.ndim}
        if len(devices) > 1:
            self.seen.append(function)
        return result


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_nothing_is_copied_to_the_device_which_would_wait_for_it(mask):
    call = random_call(mask=mask)
    there = AttentionCall(call.query.to("meta"), call.key.to("meta"), None if mask is None else call.mask.to("meta"))
    columns, found = Columns.of([(3,)], torch.device("meta")), torch.empty(1, 2, 3, 40, device="meta")
    check = SelfCheck()
    with Copies() as copies:
        check.compare(there, columns, found)
    assert copies.seen == []
    assert check.take_error(torch.device("meta")).device.type == "meta"


def test_the_error_is_returned_on_the_device_that_asks_for_it():
    check, call, columns = SelfCheck(), random_call(), Columns.of([(3,)], CPU)
    check.compare(call, columns, word_probabilities(call, columns))
    assert check.take_error(torch.device("meta")).device.type == "meta"
