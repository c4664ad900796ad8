"""Calls of networks and of their cache contexts are heard however their arguments are given."""

from contextlib import ExitStack

import pytest
import torch
from torch import nn

from generator.capture.recorder import capture
from generator.capture.running import recorded_by
from generator.capture.taps import _announce
from generator.errors import CaptureError


class Listener:
    is_listening = True

    def __init__(self):
        self.begun = []

    def begin(self, call):
        self.begun.append((call.denoiser, call.context, call.batch))

    def end(self):
        self.begun.append("end")


class UNet(nn.Module):
    def forward(self, sample, timestep=None):
        return sample


class Transformer(nn.Module):
    def forward(self, hidden_states, timestep=None):
        return hidden_states


LATENTS = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("network", "args", "kwargs"),
    [
        (UNet(), (LATENTS, 5), {}),
        (UNet(), (), {"sample": LATENTS, "timestep": 5}),
        (Transformer(), (LATENTS,), {"timestep": 5}),
        (Transformer(), (), {"timestep": 5, "hidden_states": LATENTS}),
    ],
)
def test_the_batch_of_a_call_is_found_by_place_and_by_name(network, args, kwargs):
    listener = Listener()
    with ExitStack() as stack, recorded_by(listener):
        _announce("network", network, listener, stack)
        assert network(*args, **kwargs) is LATENTS
    assert listener.begun == [("network", (None, None), 2), "end"]


def test_a_call_without_latents_is_refused():
    listener, network = Listener(), Transformer()
    with ExitStack() as stack, recorded_by(listener):
        _announce("network", network, listener, stack)
        with pytest.raises(CaptureError, match="expected its latents there"):
            network(timestep=5)
    assert listener.begun == []


def test_a_cache_context_may_be_named_by_keyword(model, sampling, words):
    def look(done, total):
        with model.pipe.transformer.cache_context(name="another", step_index=done):
            pass

    with capture(model, words("a (kiss)"), model.grid(sampling)) as recorder:
        model.generate("a kiss", sampling, 1, look)
    assert len(recorder.steps) == sampling.steps
