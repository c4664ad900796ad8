"""The rows of `make bench-capture` that need a GPU: whole networks at real size, per denoising step.

Weights are random, in bfloat16; a step of Wan is both of its calls. Everything also runs on a CPU at tiny size, so that
a test shows that it works before a GPU is at hand.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import diffusers
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from generator.errors import first_line
from tests.bench.capture_cases import SPECS, Case
from tests.bench.capture_steps import Check, Cost, Origin, Variant, check, cost, origin, plain_step
from tests.bench.table import Part, Row

Result = TypeVar("Result")

LIMIT = 440.0
"""Seconds after which no measurement starts, so that the whole table takes no more than 8 minutes."""

BASE = Variant("3 words", bar=2.0)
VARIANTS = (
    Variant("1 word", words=1, bar=2.0),
    Variant("8 words", words=8, bar=3.0),
    Variant("branch: both", settings={"branch": "both"}, bar=3.0),
    Variant("store_per_block", settings={"store_per_block": True}),
    Variant("store_per_block, store_per_head", settings={"store_per_block": True, "store_per_head": True}),
    Variant("store_reserved", settings={"store_reserved": True}),
)
BARS = {("wan", "store_per_block, store_per_head"): 3.0}
"""Bars that hold for one model only."""
BACKENDS = {
    "native": None,
    "_native_flash": SDPBackend.FLASH_ATTENTION,
    "_native_cudnn": SDPBackend.CUDNN_ATTENTION,
    "_native_efficient": SDPBackend.EFFICIENT_ATTENTION,
}
"""Attention backends of diffusers, and what limits torch to the same kernel for processors that heed no backend."""
FEWER_LAYERS = {"wan": {"num_layers": 10}, "ltx": {}, "cogvideox": {"num_layers": 4}}
COMPILED_LAYERS = 4


@dataclass(frozen=True)
class Place:
    """Where models run, in which type, whether they are tiny, and the backend of torch.compile.

    No measurement starts after ``until``, by the monotonic clock.
    """

    device: str = "cuda"
    dtype: torch.dtype = torch.bfloat16
    tiny: bool = False
    compiler: str = "inductor"
    until: float = math.inf


@dataclass(frozen=True)
class Bench:
    """A model on a device; without one, ``missing`` says why."""

    case: Case | None
    missing: str = ""
    until: float = math.inf

    def measured(self, measure: Callable[[Case], Result]) -> tuple[Result | None, str]:
        """Return what ``measure`` returns, or None and the reason."""
        if self.case is None:
            return None, self.missing
        if time.monotonic() > self.until:
            return None, "the time limit was reached"
        try:
            return measure(self.case), ""
        except Exception as error:  # noqa: BLE001 - the other rows are still wanted
            return None, f"{type(error).__name__}: {first_line(error)}"


def bench(name: str, place: Place | None, layers: Mapping[str, int] | None = None) -> Bench:
    """Build a model."""
    if place is None:
        return Bench(None, "no CUDA device")
    gc.collect()  # the model before
    if place.device == "cuda":
        torch.cuda.empty_cache()
    try:
        case = SPECS[name].made(tiny=place.tiny, device=place.device, dtype=place.dtype, layers=layers)
    except RuntimeError as error:
        return Bench(None, first_line(error))
    return Bench(case, until=place.until)


@contextmanager
def backend(case: Case, name: str) -> Iterator[None]:
    """Use an attention backend. diffusers sets it for the whole process; afterwards it is as before."""
    before, _ = _AttentionBackendRegistry.get_active_backend()
    kernel = BACKENDS[name]
    try:
        if case.model.attention_function == "dispatch_attention_fn":
            case.network.set_attention_backend(name)
            yield
        elif kernel is None:
            yield
        else:
            with sdpa_kernel(kernel):
                yield
    finally:
        case.network.reset_attention_backend()
        _AttentionBackendRegistry.set_active_backend(before)


def model_rows(name: str, place: Place | None) -> Iterator[Row]:
    """Yield all rows of one model; ``place`` is None without a device."""
    title, model = SPECS[name].title, bench(name, place)
    costs = _costs(model)
    found, why = costs(BASE)
    yield _cost_row(f"{title}: {BASE.title}", BASE.bar, found, why or SPECS[name].size)
    yield from _device_rows(title, found, why or "no CUDA device")
    yield from _check_rows(title, *model.measured(check), *model.measured(origin))
    for variant in VARIANTS:
        if name != "hunyuan" or "branch" not in variant.settings:  # HunyuanVideo computes one branch
            bar = BARS.get((name, variant.title), variant.bar)
            yield _cost_row(f"{title}: {variant.title}", bar, *costs(variant))


def _costs(model: Bench) -> Callable[[Variant], tuple[Cost | None, str]]:
    """Measure a step without capture; return what measures a variant, or says why it cannot."""
    plain, why = model.measured(plain_step)
    if plain is None:
        return lambda _variant: (None, why)
    return lambda variant: model.measured(partial(cost, variant, plain))


def backend_rows(name: str, place: Place | None) -> Iterator[Row]:
    """Yield a row for each of torch's own kernels."""
    model = bench(name, place, FEWER_LAYERS[name])
    for chosen in BACKENDS:
        found, why = model.measured(partial(_with_backend, chosen))
        spent, note = found or (None, why)
        yield _cost_row(f"{SPECS[name].title}, {chosen}: {BASE.title}", 3.0, spent, note)


def _with_backend(chosen: str, case: Case) -> tuple[Cost, str]:
    with backend(case, chosen):
        return cost(BASE, plain_step(case), case), f"{_exactness(check(case))}; {_described(origin(case))}"


def _whole(network: nn.Module, compiler: str) -> None:
    network.compile(backend=compiler)


def _reduce_overhead(network: nn.Module, compiler: str) -> None:
    network.compile(backend=compiler, mode="reduce-overhead")


def _per_block(network: nn.Module, compiler: str) -> None:
    network.compile_repeated_blocks(backend=compiler, fullgraph=True)  # type: ignore[operator]


COMPILED: Mapping[str, Callable[[nn.Module, str], None]] = {
    "compiled": _whole,
    "compiled, reduce-overhead": _reduce_overhead,
    "compiled per block": _per_block,
}


def compiled_rows(place: Place | None) -> Iterator[Row]:
    """Yield a row for each way of compiling Wan, over the compiled pass without capture."""
    for title, compiled in COMPILED.items():
        model = bench("wan", place, {"num_layers": COMPILED_LAYERS})
        found, why = model.measured(partial(_compiled, compiled, place.compiler if place else ""))
        spent, note = found or (None, why)
        yield _cost_row(f"Wan 1.3B, {COMPILED_LAYERS} layers, {title}: {BASE.title}", None, spent, note)


def _compiled(compiled: Callable[[nn.Module, str], None], compiler: str, case: Case) -> tuple[Cost, str]:
    torch._dynamo.reset()
    compiled(case.network, compiler)
    return cost(BASE, plain_step(case), case), _exactness(check(case))


def _cost_row(what: str, bar: float | None, found: Cost | None, note: str = "") -> Row:
    if found is None:
        return Row(what, None, bar, "%", note)
    detail = [f"{1000 * found.time.work:.1f} ms / {1000 * found.time.reference:.1f} ms"]
    if found.megabytes is not None:
        detail.append(f"{found.megabytes:+.0f} MB, {found.synchronisations:.0f} synchronisations")
    return Row(what, found.percent, bar, "%", "; ".join([*detail, note] if note else detail))


def _device_rows(title: str, found: Cost | None, why: str) -> Iterator[Row]:
    megabytes, waits = (None, None) if found is None else (found.megabytes, found.synchronisations)
    yield Row(f"{title}: extra memory", megabytes, 100.0, "MB", why if megabytes is None else "")
    yield Row(f"{title}: synchronisations a step", waits, 1.0, "", why if waits is None else "")


def _check_rows(title: str, found: Check | None, why: str, came: Origin | None, unwatched: str) -> Iterator[Row]:
    noise = why if found is None else f"{found.noise} between two steps without capture"
    kernel = unwatched if came is None else _described(came)
    yield Row(f"{title}: largest error", found and 1e6 * found.error, 1.0, "e-6", why or kernel)
    yield Row(f"{title}: bytes of the output that differ", found and float(found.differing), 0.0, "", noise)


def _exactness(found: Check) -> str:
    return f"error {found.error:.0e}, {found.differing} bytes of the output differ"


def _described(found: Origin) -> str:
    return f"{found.kernel}, {found.source}"


@cache
def here() -> Place | None:
    """Return the GPU of this machine, if it has one; the time of all parts together is limited."""
    return Place(until=time.monotonic() + LIMIT) if torch.cuda.is_available() else None


def gpu_wan(_folder: Path) -> Iterator[Row]:
    """Cross-attention without a mask, guidance in two calls."""
    yield from model_rows("wan", here())


def gpu_ltx(_folder: Path) -> Iterator[Row]:
    """Cross-attention with a mask, guidance in one batch."""
    yield from model_rows("ltx", here())


def gpu_cogvideox(_folder: Path) -> Iterator[Row]:
    """Joint attention without a mask, guidance in one batch."""
    yield from model_rows("cogvideox", here())


def gpu_hunyuan(_folder: Path) -> Iterator[Row]:
    """Joint attention with a mask."""
    yield from model_rows("hunyuan", here())


def gpu_backends(_folder: Path) -> Iterator[Row]:
    """torch's own kernels, one by one."""
    for name in FEWER_LAYERS:
        yield from backend_rows(name, here())


def gpu_compiled(_folder: Path) -> Iterator[Row]:
    """torch.compile in three forms."""
    yield from compiled_rows(here())


PARTS: tuple[Part, ...] = (gpu_wan, gpu_ltx, gpu_cogvideox, gpu_hunyuan, gpu_backends, gpu_compiled)


def versions() -> str:
    """Name the versions, the card and the date."""
    found = [f"torch {torch.__version__}", f"diffusers {diffusers.__version__}"]
    if torch.cuda.is_available():
        found += [f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}", torch.cuda.get_device_name()]
    return ", ".join([*found, f"{datetime.now(UTC):%Y-%m-%d}"])
