"""What the manifest and the log say about the kernels that computed a video's attention."""

import math

import pytest
import torch

from generator.capture import once
from generator.capture.attention import AttentionCall, Ran
from generator.capture.kernel_report import KernelReport


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    monkeypatch.setattr(once, "_said", set())


def call(*ran):
    tensor = torch.zeros(1, 1, 1, 1)
    return AttentionCall(tensor, tensor, ran=Ran(*ran))


def test_kernels_and_sources_are_listed_once_in_alphabetical_order():
    report = KernelReport()
    for name in ("flash_attention", "cudnn_attention", "flash_attention"):
        report.add(call(name), "kernel")
    assert report.summary() == {"kernel": "cudnn_attention, flash_attention", "log_sum": "kernel", "exact": True}


def test_one_inexact_call_makes_the_video_inexact_and_the_largest_difference_counts(caplog):
    report = KernelReport()
    for ran in (("flash", True, 1e-4), ("sage", False, 2e-2), ("sage", False, 1e-2), ("math",)):
        report.add(call(*ran), "second pass")
    assert report.summary() == {
        "kernel": "flash, math, sage",
        "log_sum": "second pass",
        "exact": False,
        "largest_difference": 2e-2,
    }


def test_the_log_warns_once_of_each_inexact_kernel_even_in_a_batch_of_videos(caplog):
    for name in ("sage", "sage", "mine"):
        KernelReport().add(call(name, False, 2e-2), "whole rows")
    found = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in found] == ["sage", "mine"]
    assert "something other than the exact softmax" in found[0]
    assert "2.0e-02" in found[0]


@pytest.mark.parametrize("difference", [math.nan, math.inf])
def test_a_difference_that_json_cannot_hold_is_null(difference):
    report = KernelReport()
    report.add(call("sage", False, difference), "whole rows")
    report.add(call("sage", False, 0.1), "whole rows")
    assert report.summary()["largest_difference"] is None
