from pathlib import Path

import numpy as np
import pytest

from attnwatch.errors import TensorError
from attnwatch.reduction import Mean


@pytest.mark.parametrize(("kind", "stored"), [("F16", np.uint16), ("F32", np.float32)])
def test_a_refusal_names_what_was_found_and_where(kind, stored):
    values = np.array([1.0, -0.5], np.float16 if kind == "F16" else np.float32).view(stored)
    with pytest.raises(TensorError) as refused:
        Mean(2, kind).add(values, [0], Path("maps.safetensors"), "kiss")
    (problem,) = refused.value.problems
    assert (problem.file, problem.field) == (Path("maps.safetensors"), "tensor 'kiss'")
    assert problem.found == "a negative value (-0.5)"
