"""Precision of products is a setting of the whole process: it is restored when the last thread has computed."""

from contextlib import ExitStack

import pytest
import torch

from generator.capture.precision import exact_products

CUDA, CPU = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul


@pytest.fixture
def script():
    """Precision that a script asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield CUDA.fp32_precision, CPU.fp32_precision
    torch.set_float32_matmul_precision(before)


def test_contexts_that_overlap_leave_the_precision_of_the_script(script):
    first, second = ExitStack(), ExitStack()
    for stack in (first, second):
        stack.enter_context(exact_products("cpu"))
    first.close()
    assert (CUDA.fp32_precision, CPU.fp32_precision) == ("ieee", "ieee")
    second.close()
    assert (CUDA.fp32_precision, CPU.fp32_precision) == script


def test_what_the_script_changes_meanwhile_stays(script):
    with exact_products("cpu"):
        CUDA.fp32_precision = "tf32"
    assert CUDA.fp32_precision == "tf32"


def test_nothing_is_changed_where_products_are_exact_already(monkeypatch):
    class Untouched:
        fp32_precision = "none"
        __setattr__ = None  # raises an error

    monkeypatch.setattr("generator.capture.precision._SETTINGS", ((Untouched(), "fp32_precision", {"tf32"}, "ieee"),))
    with exact_products("cpu"):
        pass
