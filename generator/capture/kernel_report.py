"""Collects which kernels computed a video's text attention, and says so where it is not the exact softmax."""

import logging
import math

from generator.capture.attention import AttentionCall
from generator.capture.once import is_first

log = logging.getLogger(__name__)


class KernelReport:
    """The kernels of one video, how their log-sum-exps were had, and how exact they are."""

    def __init__(self) -> None:
        self._kernels: set[str] = set()
        self._log_sums: set[str] = set()
        self._is_exact = True
        self._difference: float | None = None

    def add(self, call: AttentionCall, log_sum: str) -> None:
        """Add a captured call; ``log_sum`` tells how its log-sum-exp was had, as `summary` lists it."""
        self._log_sums.add(log_sum)
        ran = call.ran
        if ran is None:
            return
        self._kernels.add(ran.kernel)
        self._is_exact &= ran.is_exact
        if ran.difference is None:
            return
        self._difference = _larger(self._difference, ran.difference)
        if not ran.is_exact and is_first("inexact", ran.kernel):
            log.warning(
                "%s computes something other than the exact softmax: on a sample of rows, its output differs by up to "
                "%.1e. The maps show the exact softmax of the same queries and keys. The manifest notes this under "
                "`generation.capture`",
                ran.kernel,
                ran.difference,
            )

    def summary(self) -> dict[str, object]:
        """Return the report for the manifest: ``capture`` in FORMAT.md."""
        found: dict[str, object] = {
            "kernel": ", ".join(sorted(self._kernels)),
            "log_sum": ", ".join(sorted(self._log_sums)),
            "exact": self._is_exact,
        }
        if self._difference is not None:
            found["largest_difference"] = self._difference if math.isfinite(self._difference) else None
        return found


def _larger(one: float | None, other: float) -> float:
    """Return the larger of two differences, where one that is not a number is the largest of all."""
    return other if one is None or math.isnan(other) or other > one else one
