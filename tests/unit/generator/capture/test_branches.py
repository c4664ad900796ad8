"""The guidance branch of a call is known by its name, its place in the batch, its text, or the order of calls."""

from collections import Counter

import pytest
import torch

from generator.capture.branches import Branches
from generator.capture.heard import Heard
from generator.capture.taps import CallContext, NetworkCall
from generator.errors import CaptureError


class Model:
    guidance_in_one_batch = False
    extra_samples = 0

    def __init__(self, *, guided=True, **others):
        self.guided = guided
        self.branch_names = {"pred_cond": "cond", "pred_uncond": "uncond", "further": None}
        vars(self).update(others)

    def is_guided(self):
        return self.guided


PROMPT, NEGATIVE = torch.ones(1, 2, 3), torch.zeros(1, 2, 3)


def branches(model, *prompts):
    heard = Heard(None, None)
    heard.note_prompts(prompts)
    return Branches(model, heard)


def call(batch=1, name=None, text=None, videos=1):
    return NetworkCall("transformer", CallContext(name, None), batch, {"encoder_hidden_states": text}, print, 0, videos)


def test_a_call_is_known_by_the_name_of_its_model_and_extra_ones_are_left_out():
    found = branches(Model())
    assert [found.of(call(name=name), Counter()) for name in ("pred_uncond", "pred_cond", "further")] == [
        ("uncond",),
        ("cond",),
        (),
    ]
    assert found.source == "cache_context"


def test_a_batch_has_both_branches_and_the_samples_of_further_guidance_behind_them():
    both = ("uncond", "cond")
    assert branches(Model(guidance_in_one_batch=True)).of(call(2), Counter()) == both
    assert branches(Model(guidance_in_one_batch=True, extra_samples=1)).of(call(3), Counter()) == both
    assert branches(Model(guidance_in_one_batch=True)).of(call(6, videos=3), Counter()) == both
    with pytest.raises(CaptureError, match="found a batch of 2 latent videos"):
        branches(Model(guidance_in_one_batch=True, guided=False)).of(call(2), Counter())


def test_a_call_without_a_name_is_known_by_its_text_also_in_another_data_type():
    found = branches(Model(), PROMPT, NEGATIVE)
    assert found.of(call(text=NEGATIVE.bfloat16()), Counter()) == ("uncond",)
    assert found.of(call(text=PROMPT), Counter()) == ("cond",)
    assert found.source == "text"


def test_branches_with_the_same_text_are_known_by_the_order_of_calls():
    found, begun = branches(Model(), PROMPT, PROMPT.clone()), Counter()
    for expected in ("cond", "uncond", "cond", "uncond"):
        assert found.of(call(text=PROMPT.clone()), begun) == (expected,)
        begun[expected] += 1
    assert found.source == "order of calls"


def test_without_a_negative_prompt_each_call_is_conditional():
    found = branches(Model(), PROMPT)
    begun = Counter(cond=3)
    assert found.of(call(text=NEGATIVE), begun) == ("cond",)


def test_a_text_that_no_pipeline_encoded_is_refused():
    with pytest.raises(CaptureError, match="outside of `cache_context`"):
        branches(Model()).of(call(text=PROMPT), Counter())
