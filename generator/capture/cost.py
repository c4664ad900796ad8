"""Estimates what capture costs where whole rows of attention must be computed a second time, and says so in time."""

import logging
import time

import torch

from generator.capture.attention import AttentionCall, Columns, rows_at_once, word_probabilities
from generator.capture.kernels import TORCH_KERNELS
from generator.capture.layers import layer_count
from generator.capture.maps import Keep
from generator.capture.once import is_first
from generator.models.contract import VideoModel

log = logging.getLogger(__name__)

WORTH_SAYING = 0.05
"""Smallest cost of a denoising step, in seconds, that users are told of."""
MANY = 10
"""Seconds of which no fraction is given."""
TRIES = 3
"""Number of times that a part is timed; the shortest counts."""


def warn_of_whole_rows(part: AttentionCall, rows: int, kernel: str) -> None:
    """Warn, once for each kernel, of the cost of whole rows in a denoising step.

    Args:
        part: a call of some rows of one head, with all their keys; it is timed
        rows: number of rows of all heads and layers in a denoising step
        kernel: what computes the attention itself

    """
    device, dtype = part.query.device.type, str(part.query.dtype).removeprefix("torch.")
    if not is_first("whole rows", kernel, device, dtype):
        return
    seconds = _seconds(part) * rows / part.query.shape[2]
    if seconds >= WORTH_SAYING:
        log.warning(
            "capture will take about %s s of each denoising step (measured on a part of the rows): %s does not tell "
            "the sums of its rows in %s on %s, so all scores are computed a second time, in float32. %s. To capture "
            "less: list fewer `layers`, or set `storage_interval` and `store_aggregated_attention: false`",
            f"{seconds:.2g}" if seconds < MANY else f"{seconds:.0f}",
            kernel,
            dtype,
            device,
            _remedy(kernel, device, dtype),
        )


def _seconds(part: AttentionCall) -> float:
    """Measure the time of whole rows."""
    columns = Columns.of([[0]], part.query.device)
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        word_probabilities(part, columns).sum().item()  # waits for the device
        taken.append(time.perf_counter() - began)
    return min(taken)


def captured_calls(model: VideoModel, keep: Keep) -> int:
    """Return the number of text attention calls that are captured in each denoising step."""
    return (layer_count(model) if keep.layers is None else len(keep.layers)) * len(keep.branches)


def slice_of(call: AttentionCall) -> AttentionCall:
    """Return as many rows of one head as are computed at a time."""
    return call.part(slice(0, 1), slice(0, rows_at_once(call)), slice(0, 1))


def _remedy(kernel: str, device: str, dtype: str) -> str:
    if kernel not in TORCH_KERNELS:
        return "To avoid it, do not set an attention backend or replace torch's attention"
    if device == "cpu" and dtype != str(torch.float32).removeprefix("torch."):
        return "To avoid it on a CPU, compute in float32: --dtype float32, without autocast"
    return "To avoid it, let torch choose its attention kernel"
