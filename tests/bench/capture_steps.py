"""Measures whole denoising steps with capture and without, alternately, on a GPU or, to try it out, on a CPU."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from generator.capture.attention import AttentionCall
from generator.capture.recorder import Recorder
from tests.bench.capture_cases import Case, captured
from tests.bench.measure import Ratio

SECONDS = 3.0
"""How long the rounds of one row may take, unless the fewest take longer."""
FEWEST, MOST = 2, 9
STEPS = 2
"""Steps in a row that are timed as one, so that work may overlap with the next step."""
CALLS_PER_ROUND = 1 + 2 * STEPS
PREFIX = "_scaled_dot_product_"
"""How the names of torch's fused operators begin."""


@dataclass(frozen=True)
class Variant:
    """A number of words, settings of ``attention_analysis``, and how much longer a step may take, in %."""

    title: str
    words: int = 3
    settings: Mapping[str, object] = field(default_factory=dict)
    bar: float | None = None


@dataclass(frozen=True)
class Cost:
    """The cost of capture.

    ``time`` is that of a step, with capture over without. The others are differences between a step with and without
    capture, None where there is no CUDA device: ``megabytes`` of peak memory (the first step included, which verifies
    the kernels), and the number of ``synchronisations``.
    """

    time: Ratio
    megabytes: float | None
    synchronisations: float | None

    @property
    def percent(self) -> float:
        return 100 * (self.time.value - 1)


@dataclass(frozen=True)
class Check:
    """How exact a step with capture is.

    ``error`` is the largest difference of the maps from rows of a softmax in float64 of the same query and key.
    ``differing`` is the number of bytes of the network's output that differ from a step without capture, and ``noise``
    that between two steps without capture.
    """

    error: float
    differing: int
    noise: int


@dataclass(frozen=True)
class Origin:
    """The operator that computes the text attention, and where its log-sum-exp comes from."""

    kernel: str
    source: str


@dataclass(frozen=True)
class Plain:
    """A step without capture: its device, its seconds, its peak memory in MiB, and its synchronisations."""

    device: str
    seconds: float
    megabytes: float
    synchronisations: float


@torch.no_grad()
def plain_step(case: Case) -> Plain:
    """Measure a step without capture, after a first one, which prepares the kernels."""
    device = case.step().device.type
    _reset_peak(device)
    seconds = _seconds(case.step, device)
    return Plain(device, seconds, _peak(device), _synchronisations(case.step, device))


@torch.no_grad()
def cost(variant: Variant, plain: Plain, case: Case) -> Cost:
    """Measure a variant of capture. Plain and captured steps alternate; medians count."""
    device, rounds = plain.device, _rounds(plain.seconds)
    work, reference, peak, waits = [], [], 0.0, 0.0
    for number in range(1, rounds + 1):
        reference.append(_steps(case, device))
        _reset_peak(device)
        with captured(case, variant.words, variant.settings):
            work.append(_steps(case, device))
            peak = max(peak, _peak(device))
            if number == rounds:
                waits = _synchronisations(case.step, device)
    spent = Ratio(median(work), median(reference))
    if not _on_gpu(device):
        return Cost(spent, None, None)
    return Cost(spent, peak - plain.megabytes, waits - plain.synchronisations)


@torch.no_grad()
def check(case: Case) -> Check:
    """Compare a captured step with plain ones, and its maps with float64."""
    plain, again = case.step().clone(), case.step().clone()
    with captured(case, settings={"self_check": True}) as recorder:
        during = case.step().clone()
    summary: Any = recorder.summary()
    return Check(summary["self_check"]["max_abs_error"], _differing(plain, during), _differing(plain, again))


@torch.no_grad()
def origin(case: Case) -> Origin:
    """Watch a captured step; not for compiled networks, which torch does not watch."""
    watched, see = _Watched(), Recorder.see

    def seen(recorder: Recorder, layer: str, call: AttentionCall) -> None:
        watched.note(call)
        see(recorder, layer, call)

    with captured(case), patch.object(Recorder, "see", seen), watched:
        case.step()
    return Origin(watched.kernel, watched.source)


def _differing(one: Tensor, other: Tensor) -> int:
    """Count the bytes that differ."""
    return int((one.contiguous().view(torch.uint8) != other.contiguous().view(torch.uint8)).sum())


def _steps(case: Case, device: str) -> float:
    """Return the seconds of one step, the mean of ``STEPS`` in a row."""

    def several() -> None:
        for _ in range(STEPS):
            case.step()

    return _seconds(several, device) / STEPS


def _seconds(work: Callable[[], object], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _rounds(seconds: float) -> int:
    return min(max(int(SECONDS / (seconds * CALLS_PER_ROUND)), FEWEST), MOST)


def _on_gpu(device: str) -> bool:
    return device == "cuda"


def _wait(device: str) -> None:
    if _on_gpu(device):
        torch.cuda.synchronize()


def _synchronisations(work: Callable[[], object], device: str) -> float:
    """Count the operations that wait for the device."""
    if not _on_gpu(device):
        return 0.0
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return float(sum("called a synchronizing" in str(warning.message) for warning in caught))


def _reset_peak(device: str) -> None:
    if _on_gpu(device):
        torch.cuda.reset_peak_memory_stats()


def _peak(device: str) -> float:
    """Return the largest memory in use since the last reset, in MiB."""
    return torch.cuda.max_memory_allocated() / 2**20 if _on_gpu(device) else 0.0


class _Watched(TorchDispatchMode):
    """Notes which fused operators compute the text attention."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = self.source = ""
        self._called: list[tuple[str, int]] = []

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name.startswith(PREFIX):
            self._called.append((name.removeprefix(PREFIX), args[1].shape[2]))
        return func(*args, **(kwargs or {}))

    def note(self, call: AttentionCall) -> None:
        """Note where a call of text attention came from, which has just been computed."""
        names = [name for name, keys in self._called if keys == call.key.shape[2]]  # the others are of self-attention
        self._called.clear()
        self.kernel = " and ".join(dict.fromkeys(names)) or "no fused operator"
        if call.log_sum is None:
            self.source = "whole rows"
        else:
            self.source = f"log-sum-exp of {'a second pass' if len(names) > 1 else 'the same call'}"
