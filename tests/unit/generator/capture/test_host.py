"""Copies on the host: order, time of delivery, and what happens to the last one."""

import pytest
import torch

from generator.capture import host
from generator.capture.host import HostCopies
from generator.capture.maps import Keep
from generator.capture.recorder import capture


def test_tensors_of_the_host_are_delivered_at_once():
    received = []
    HostCopies().put([torch.ones(2), torch.zeros(1)], received.append)
    assert [tensor.tolist() for tensor in received[0]] == [[1.0, 1.0], [0.0]]


@pytest.fixture
def like_a_gpu(monkeypatch):
    """Treat all tensors as those of a GPU, whose copies are complete only when somebody waits for them."""
    monkeypatch.setattr(host, "_is_on_gpu", lambda tensor: True)

    def begin_copy(tensors):
        copies = [torch.full_like(tensor, -1) for tensor in tensors]
        return lambda: [copy.copy_(tensor) for copy, tensor in zip(copies, tensors, strict=True)]

    monkeypatch.setattr(host, "begin_copy", begin_copy)


def test_tensors_of_a_gpu_are_delivered_in_order_at_the_next_call(like_a_gpu):
    received, copies = [], HostCopies()
    for number in range(3):
        copies.put([torch.tensor(number)], received.extend)
        assert received == list(range(number))
    copies.flush()
    copies.flush()
    assert received == [0, 1, 2]


def test_all_copies_from_a_device_share_a_stream(monkeypatch):
    made = []
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: made.append(device) or object())
    one, other = torch.device("cuda", 40), torch.device("cuda", 41)
    assert host._stream(one) is host._stream(one) is not host._stream(other)
    assert made == [one, other]


def generate(model, sampling, done=lambda *_: None):
    return model.generate("a kiss", sampling, 1, done)


def test_each_step_is_handed_over_while_the_next_one_is_computed(model, sampling, words, like_a_gpu):
    events = []
    with capture(
        model, words("a (kiss)"), model.grid(sampling), on_maps=lambda step: events.append(f"maps {step.index}")
    ):
        generate(model, sampling, lambda done, _total: events.append(f"done {done}"))
    assert events == ["done 1", "maps 0", "done 2", "maps 1"]


def test_delayed_copies_hold_what_immediate_ones_do(model, sampling, words, monkeypatch):
    keep = Keep(branches=("cond", "uncond"), dtype=torch.float32, self_check=True)
    with capture(model, words("a (kiss)"), model.grid(sampling), keep) as at_once:
        generate(model, sampling)
    monkeypatch.setattr(host, "_is_on_gpu", lambda tensor: True)
    monkeypatch.setattr(host, "begin_copy", lambda tensors: lambda: [tensor.clone() for tensor in tensors])
    with capture(model, words("a (kiss)"), model.grid(sampling), keep) as delayed:
        generate(model, sampling)
    assert len(at_once.steps) == len(delayed.steps) == 4
    for one, other in zip(at_once.steps, delayed.steps, strict=True):
        assert (one.index, one.branch) == (other.index, other.branch)
        assert torch.equal(one.maps, other.maps)
    assert at_once.summary() == delayed.summary()


def test_the_last_step_is_checked_too(model, sampling, words, like_a_gpu, monkeypatch):
    def spoil(done, total):
        if done == total - 1:
            parameter = next(model.text_attention()[0].module.to_k.parameters())
            monkeypatch.setattr(parameter, "data", torch.full_like(parameter, torch.nan))

    with capture(model, words("a (kiss)"), model.grid(sampling)) as recorder:
        generate(model, sampling, spoil)
    assert recorder.unfinished.startswith("denoising step 1: attention is not a number")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_a_copy_is_taken_before_its_tensor_is_overwritten():
    received, copies = [], HostCopies()
    tensor = torch.zeros(2**24, device="cuda")
    for number in range(4):
        tensor = tensor + 1
        copies.put([tensor * 2], received.extend)
        torch.cuda._sleep(10**7)
        assert len(received) == number
    copies.flush()
    assert [found.unique().tolist() for found in received] == [[2.0], [4.0], [6.0], [8.0]]
    assert {found.device.type for found in received} == {"cpu"}
