from pathlib import Path

import numpy as np
import pytest

from attnwatch.errors import TensorError
from attnwatch.tensors import reduction
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
