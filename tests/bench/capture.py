"""`make bench-capture`: the cost of capture over a plain forward pass, compared with other methods.

It runs one block of the real architecture at real size with random weights through `generator.capture.recorder`. The
other methods compute the same probabilities of the same three words in the same forward pass. On a CPU, times are CPU
seconds of one thread, measured alternately.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import diffusers
import torch
from diffusers.models.transformers import transformer_wan
from torch import Tensor, nn
from torch.nn import functional

from generator.capture.attention import AttentionCall, Columns, word_probabilities
from generator.capture.kernels import LogSumKernels
from generator.capture.recorder import Recorder, capture
from generator.models.contract import LatentGrid
from generator.models.families.base import PipelineModel
from generator.models.families.cogvideox import CogVideoXModel
from generator.models.families.wan import WanModel
from generator.prompts.tokens import TrackedWord
from tests import families
from tests.bench.measure import Ratio, cpu_seconds, peak_megabytes
from tests.bench.table import Row, print_table

POSITIONS = ((2,), (5, 6), (9,))
WORDS = [TrackedWord(f"word{at[0]}", "word", (0, 4), at, at, None) for at in POSITIONS]
PROMPT_LENGTH = 15
ROUNDS = 5

Way = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Computes attention from query, key and value, and additionally the words' probabilities."""
plain_attention = functional.scaled_dot_product_attention


@dataclass(frozen=True)
class Case:
    """A model, its latent grid, and a forward pass of its network on that grid."""

    model: PipelineModel
    grid: LatentGrid
    forward: Callable[[], object]

    @property
    def network(self) -> nn.Module:
        return next(iter(self.model.denoisers().values()))


def wan(frames: int, side: int = 32, layers: int = 1, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Case:
    """Wan 1.3B: 12 heads of 128, 512 text keys; all keys after the prompt are equal."""
    return _wan(LatentGrid(frames, side, side, 4, causal_first_frame=True), layers, device, dtype)


def _wan(grid: LatentGrid, layers: int, device: str, dtype: torch.dtype) -> Case:
    pipe = families.build("wan")
    with torch.device(device):
        network = diffusers.WanTransformer3DModel(num_attention_heads=12, ffn_dim=8960, num_layers=layers)
        text = torch.randn(1, 512, 4096)
        latents = torch.randn(1, 16, grid.frames, 2 * grid.height, 2 * grid.width)
        timestep = torch.tensor([500.0])
    text[:, PROMPT_LENGTH:] = 0.0
    pipe.transformer = network.requires_grad_(requires_grad=False)
    for name, parameter in network.named_parameters():
        if not any(kept in name for kept in network._keep_in_fp32_modules):
            parameter.data = parameter.data.to(dtype)
    text, latents = text.to(dtype), latents.to(dtype)

    def forward() -> None:
        with pipe.transformer.cache_context("cond", step_index=0):
            pipe.transformer(latents, timestep, text)

    return Case(WanModel(pipe, "Wan 1.3B"), grid, forward)


def cogvideox(frames: int, side: int = 32) -> Case:
    """CogVideoX 5B: 48 heads of 64, 226 text keys followed by the latent tokens."""
    grid = LatentGrid(frames, side, side, 4, causal_first_frame=True)
    pipe = families.build("cogvideox")
    pipe.transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=48, num_layers=1, use_rotary_positional_embeddings=True
    ).requires_grad_(requires_grad=False)
    text, latents = torch.randn(1, 226, 4096), torch.randn(1, frames, 16, 2 * side, 2 * side)
    rotary = torch.randn(grid.size, 64).cos(), torch.randn(grid.size, 64).sin()

    def forward() -> None:
        with pipe.transformer.cache_context("cond_uncond"):
            pipe.transformer(latents, text, torch.tensor([500.0]), image_rotary_emb=rotary)

    return Case(CogVideoXModel(pipe, "CogVideoX 5B"), grid, forward)


def own(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The method of `generator.capture`, for a single call of attention."""
    kernels = LogSumKernels(plain_attention)
    output = kernels(query, key, value)
    word_probabilities(AttentionCall(query, key, log_sum=kernels.take()), _columns(query))
    return output


def full_map(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute the full map, multiply it with the values, and select its columns."""
    scores = query.float() @ key.float().transpose(-1, -2) * query.shape[-1] ** -0.5
    probabilities = scores.softmax(-1)
    _columns(query).sums(probabilities.index_select(-1, _columns(query).keys))
    return (probabilities @ value.float()).to(query.dtype)


def one_hot_values(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Call the kernel a second time, with values that are 1 at the tracked keys."""
    columns = _columns(query)
    picked = torch.zeros_like(value)
    picked[..., columns.keys, torch.arange(len(columns.keys), device=query.device)] = 1.0
    columns.sums(plain_attention(query, key, picked)[..., : len(columns.keys)].float())
    return plain_attention(query, key, value)


def chunks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compute all scores a second time, a few rows at a time."""
    word_probabilities(AttentionCall(query, key), _columns(query))
    return plain_attention(query, key, value)


OTHER_WAYS: dict[str, Way] = {"full map": full_map, "one-hot values": one_hot_values, "rows in chunks": chunks}


def _columns(query: Tensor) -> Columns:
    return Columns.of(POSITIONS, query.device)


@contextmanager
def replaced(case: Case, way: Way) -> Iterator[None]:
    """Replace the text attention of a network by another method."""
    if isinstance(case.model, WanModel):
        dispatch = transformer_wan.dispatch_attention_fn

        def attention(query: Tensor, key: Tensor, value: Tensor, **more: object) -> Tensor:
            if key.shape[1] != case.model.text_keys:
                return dispatch(query, key, value, **more)
            return way(*(tensor.transpose(1, 2) for tensor in (query, key, value))).transpose(1, 2)

        with patch.object(transformer_wan, "dispatch_attention_fn", attention):
            yield
    else:
        with patch.object(functional, "scaled_dot_product_attention", lambda q, k, v, **_: way(q, k, v)):
            yield


@contextmanager
def captured(case: Case) -> Iterator[Recorder]:
    """Capture three words, as the generator does, after the first call, which verifies the kernels."""
    with capture(case.model, WORDS, case.grid) as recorder, torch.no_grad():
        case.forward()
        yield recorder


def over_plain(case: Case, entered: Callable[[], AbstractContextManager[object]], rounds: int = 3) -> Ratio:
    """Time the forward pass inside ``entered`` and outside, alternately; return the pair with the median ratio."""
    pairs = []
    with torch.no_grad():
        case.forward()
        for _ in range(rounds):
            with entered():
                inside = cpu_seconds(case.forward)
            pairs.append(Ratio(inside, cpu_seconds(case.forward)))
    return sorted(pairs, key=lambda pair: pair.value)[rounds // 2]


def own_work(case: Case, plain: float) -> Ratio:
    """Add the time in capture's own functions to that of the plain pass, which avoids the noise between passes."""
    spent = []
    see = Recorder.see

    def timed(recorder: Recorder, layer: str, call: AttentionCall) -> None:
        spent.append(cpu_seconds(lambda: see(recorder, layer, call)))

    with torch.no_grad(), patch.object(Recorder, "see", timed), captured(case):
        for _ in range(ROUNDS):
            case.forward()
    return Ratio(plain + median(spent), plain)


def _rows(name: str, case: Case, bar: float) -> Iterator[Row]:
    ratio = over_plain(case, partial(captured, case), ROUNDS)
    yield _percent(f"{name}: capture", ratio, bar)
    yield _percent(f"{name}: capture's own functions", own_work(case, ratio.reference), None)
    for other, way in OTHER_WAYS.items():
        yield _percent(f"{name}: {other}", over_plain(case, partial(replaced, case, way)), None)
    yield _percent(f"{name}: plain pass again, for the noise", over_plain(case, nullcontext), None)


def _percent(what: str, ratio: Ratio, bar: float | None) -> Row:
    return Row(what, 100 * (ratio.value - 1), bar, "%", f"{ratio.work:.2f} s / {ratio.reference:.2f} s")


def apart_4k(_folder: Path) -> Iterator[Row]:
    """Cross-attention, 4096 latent tokens."""
    yield from _rows("Wan 1.3B, 4k tokens", wan(4), 3.0)


def apart_8k(_folder: Path) -> Iterator[Row]:
    """Cross-attention, 8192 latent tokens."""
    yield from _rows("Wan 1.3B, 8k tokens", wan(8), 3.0)


def joint_4k(_folder: Path) -> Iterator[Row]:
    """Joint attention, 4096 latent tokens."""
    yield from _rows("CogVideoX 5B, 4k tokens", cogvideox(4), 5.0)


MEMORY = """
import sys, torch
from tests.bench import capture
torch.set_num_threads(1)
heads, rows, keys, dim = map(int, sys.argv[2:])
with torch.no_grad():
    query, key, value = (torch.randn(1, length, heads, dim).transpose(1, 2) for length in (rows, keys, keys))
    capture.plain_attention(query, key, value)
    if sys.argv[1] != "plain":
        getattr(capture, sys.argv[1])(query, key, value)
"""


def memory(_folder: Path) -> Iterator[Row]:
    """Peak memory of the process in one call of attention, over that of a plain call."""
    for name, shape in (("Wan 1.3B, 8k tokens", (12, 8192, 512, 128)), ("joint, 12 heads, 8k", (12, 8418, 8418, 64))):
        ways = {way: _peak(way, shape) for way in ("plain", "own", "full_map")}
        plain = ways["plain"]
        ours, full = ways["own"] - plain, ways["full_map"] - plain
        yield Row(f"{name}: extra memory of full map", 100 * ours / full, 10.0, "%", f"{ours:.0f} MB / {full:.0f} MB")


def _peak(way: str, shape: tuple[int, ...]) -> float:
    return peak_megabytes(MEMORY, way, *map(str, shape))


def gpu(_folder: Path) -> Iterator[Row]:
    """A whole denoising step of Wan 1.3B with random bfloat16 weights, 81 frames of 832x480."""
    names = (
        "Wan 1.3B on a GPU, a step: time",
        "Wan 1.3B on a GPU, a step: memory",
        "Wan 1.3B on a GPU: synchronisations",
    )
    bars = (2.0, "%"), (200.0, "MB"), (1.0, "")
    if not torch.cuda.is_available():
        for name, (bar, unit) in zip(names, bars, strict=True):
            yield Row(name, None, bar, unit)
        return
    case = _wan(LatentGrid(21, 30, 52, 4, causal_first_frame=True), 30, "cuda", torch.bfloat16)
    with torch.no_grad():
        plain, inside = _on_gpu(case, nullcontext), _on_gpu(case, partial(captured, case))
    for name, found, (bar, unit) in zip(
        names, (100 * (inside[0] / plain[0] - 1), inside[1] - plain[1], inside[2] - plain[2]), bars, strict=True
    ):
        yield Row(name, found, bar, unit)


def _on_gpu(case: Case, entered: Callable[[], AbstractContextManager[object]]) -> tuple[float, float, float]:
    """Return median seconds, peak megabytes and number of synchronisations of a forward pass."""
    seconds = []
    with entered():
        case.forward()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(ROUNDS):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            case.forward()
            end.record()
            end.synchronize()
            seconds.append(start.elapsed_time(end) / 1000)
        peak = torch.cuda.max_memory_allocated() / 2**20
        return sorted(seconds)[ROUNDS // 2], peak, _synchronisations(case.forward)


def _synchronisations(work: Callable[[], object]) -> float:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        work()
        torch.cuda.set_sync_debug_mode("default")
    return float(len(caught))


PARTS = (apart_4k, apart_8k, joint_4k, memory, gpu)

if __name__ == "__main__":
    torch.set_num_threads(1)
    print_table(PARTS, "bench-capture.json", f"torch {torch.__version__}, diffusers {diffusers.__version__}")
