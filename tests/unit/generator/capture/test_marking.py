"""Keys that are not those of a tracked word are not recorded, whatever an adapter takes for granted."""

import numpy as np
import pytest
from diffusers import FirstBlockCacheConfig, PyramidAttentionBroadcastConfig

from generator.capture.placement import BranchText
from generator.errors import CaptureError
from generator.library import capture
from tests.integration.library_support import build, call

PAB = PyramidAttentionBroadcastConfig(
    spatial_attention_block_skip_range=2, spatial_attention_timestep_skip_range=(-1, 1001)
)
PROMPT = "a romantic kiss and a dog"


@pytest.fixture(scope="module")
def pipe():
    return build("wan")


def test_keys_that_are_exchanged_between_two_words_are_refused(pipe, monkeypatch):
    keys = BranchText.keys
    exchanged = {(2,): (5,), (5,): (2,)}
    monkeypatch.setattr(BranchText, "keys", lambda self, positions: exchanged[keys(self, positions)])
    refused = pytest.raises(CaptureError, match=r"tracked word 'kiss': .* changes key 2 of the text .* \[5\], by 0")
    with refused, capture(pipe, ["kiss", "dog"]) as maps:
        call(pipe, "wan", prompt=PROMPT)
    monkeypatch.undo()
    with capture(pipe, ["kiss", "dog"]) as maps:
        call(pipe, "wan", prompt=PROMPT)
    assert [word.positions for word in maps.last.recorder.words] == [(2,), (5,)]
    assert maps.last.recorder.summary()["marking"] == {"cond": 0.0}


def test_positions_of_the_caller_are_proven_too_also_in_the_padding(pipe):
    with capture(pipe, {"kiss": [2], "nothing": [400]}) as maps:
        call(pipe, "wan", prompt=PROMPT)
    assert maps.last.recorder.summary()["marking"] == {"cond": 0.0}


def test_words_of_the_negative_prompt_are_marked_in_their_own_branch(pipe):
    with capture(pipe, ["kiss"], track_negative=["dog"], branch="both") as maps:
        call(pipe, "wan", prompt=PROMPT, negative_prompt="a blurry dog")
    assert maps.last.recorder.summary()["marking"] == {"cond": 0.0, "uncond": 0.0}


@pytest.mark.parametrize("cache", [FirstBlockCacheConfig(threshold=0.5), PAB], ids=["first block", "broadcast"])
def test_what_a_cache_keeps_between_calls_is_as_without_capture(cache):
    pipe = build("wan")
    if cache is PAB:
        cache.current_timestep_callback = lambda: pipe.current_timestep
    pipe.transformer.enable_cache(cache)
    given = {"prompt": PROMPT, "negative_prompt": "a blurry dog", "steps": 4}
    without = call(pipe, "wan", **given)
    with capture(pipe, ["kiss"], track_negative=["dog"], branch="both") as maps:
        during = call(pipe, "wan", **given)
    assert np.array_equal(without, during)
    assert maps.last.recorder.summary()["marking"] == {"cond": 0.0, "uncond": 0.0}
