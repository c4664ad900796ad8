"""`make bench-capture`: the cost of capture over a plain forward pass, compared with other methods.

On a CPU, it runs one block of the real architecture at real size with random weights through
`generator.capture.recorder`. The other methods compute the same probabilities of the same three words in the same
forward pass. Times are CPU seconds of one thread, measured alternately. The parts that need a GPU are in `capture_gpu`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

import diffusers
import torch

from generator.capture.attention import AttentionCall
from generator.capture.maps import CONDITIONAL
from generator.capture.recorder import Recorder
from generator.models.contract import LatentGrid
from tests.bench.capture_cases import Case, captured, cogvideox, wan
from tests.bench.capture_gpu import PARTS as GPU_PARTS
from tests.bench.capture_gpu import versions
from tests.bench.capture_ways import OTHER_WAYS, replaced
from tests.bench.measure import Ratio, cpu_seconds, peak_megabytes
from tests.bench.table import Part, Row, print_table

ROUNDS = 5
SIDE = 32


def over_plain(case: Case, entered: Callable[[], AbstractContextManager[object]], rounds: int = 3) -> Ratio:
    """Time the forward pass inside ``entered`` and outside, alternately; return the pair with the median ratio."""
    pairs = []
    with torch.no_grad():
        case.step()
        for _ in range(rounds):
            with entered():
                inside = cpu_seconds(case.step)
            pairs.append(Ratio(inside, cpu_seconds(case.step)))
    return sorted(pairs, key=lambda pair: pair.value)[rounds // 2]


def own_work(case: Case, plain: float) -> Ratio:
    """Add the time in capture's own functions to that of the plain pass, which avoids the noise between passes."""
    spent = []
    see = Recorder.see

    def timed(recorder: Recorder, layer: str, call: AttentionCall) -> None:
        spent.append(cpu_seconds(lambda: see(recorder, layer, call)))

    with torch.no_grad(), patch.object(Recorder, "see", timed), captured(case):
        for _ in range(ROUNDS):
            case.step()
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


def _grid(frames: int) -> LatentGrid:
    return LatentGrid(frames, SIDE, SIDE, 4, causal_first_frame=True)


def apart_4k(_folder: Path) -> Iterator[Row]:
    """Cross-attention, 4096 latent tokens."""
    yield from _rows("Wan 1.3B, 4k tokens", wan(_grid(4), branches=[CONDITIONAL], num_layers=1), 3.0)


def apart_8k(_folder: Path) -> Iterator[Row]:
    """Cross-attention, 8192 latent tokens."""
    yield from _rows("Wan 1.3B, 8k tokens", wan(_grid(8), branches=[CONDITIONAL], num_layers=1), 3.0)


def joint_4k(_folder: Path) -> Iterator[Row]:
    """Joint attention, 4096 latent tokens."""
    yield from _rows("CogVideoX 5B, 4k tokens", cogvideox(_grid(4), batch=1, num_layers=1), 5.0)


MEMORY = """
import sys, torch
from tests.bench import capture_ways
torch.set_num_threads(1)
heads, rows, keys, dim = map(int, sys.argv[2:])
with torch.no_grad():
    query, key, value = (torch.randn(1, length, heads, dim).transpose(1, 2) for length in (rows, keys, keys))
    capture_ways.plain_attention(query, key, value)
    if sys.argv[1] != "plain":
        getattr(capture_ways, sys.argv[1])(query, key, value)
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


PARTS: tuple[Part, ...] = (apart_4k, apart_8k, joint_4k, memory, *GPU_PARTS)

if __name__ == "__main__":
    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()
    print_table(PARTS, "bench-capture.json", versions())
