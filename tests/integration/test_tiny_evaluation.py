"""The whole evaluation, with both programs, of a model with random weights."""

import pytest
import torch

from generator.tiny import evaluate, records
from generator.tiny.evaluate import BARS, Extent
from generator.tiny.networks import build
from generator.tiny.records import EvaluationError, generate
from generator.tiny.shapes import HELD_OUT
from tests.integration.generator_support import run_forked


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("untrained")
    build().save_pretrained(folder)
    return folder


def test_an_untrained_model_is_below_the_bars(untrained, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_run", run_forked)
    monkeypatch.setattr(evaluate, "HELD_OUT", HELD_OUT[:3:2])
    found = evaluate.evaluate(untrained, tmp_path, Extent(videos=1, pairs=1, clips=2))
    assert found.keys() <= BARS.keys()
    assert {"one object: shape right", "two objects: fully correct"} <= found.keys()
    assert found["one object: colour right"] < BARS["one object: colour right"]
    assert found["one object: shape word points at it"] < BARS["one object: shape word points at it"]
    assert len(list(tmp_path.rglob("*_attention.mp4"))) == 2 * 2 + 4


def test_the_error_quotes_the_output_of_a_failed_program(tmp_path):
    with pytest.raises(EvaluationError, match=r"generator ended with exit code 2:\n(?s:.*)videos.per.variation"):
        generate(tmp_path, ["a (red) star"], model="tiny", seed=1, videos=0)
