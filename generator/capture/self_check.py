"""A random sample of a real run's probabilities, computed once more from the same query and key in float64."""

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall, Columns

ROWS = 8
"""Rows of one head that are looked at in each layer and step."""
SEED = 0


class SelfCheck:
    """Compares recorded probabilities with those of the whole softmax in float64, on a sample of rows.

    The sample is drawn from a random generator of its own: the one that makes the video is left alone.
    """

    def __init__(self) -> None:
        self._random = torch.Generator().manual_seed(SEED)
        self._rows = 0
        self._errors: list[Tensor] = []
        self._largest = 0.0

    def compare(self, call: AttentionCall, columns: Columns, found: Tensor) -> None:
        """Compare ``found``, ``[word, sample, head, row]``, in a few rows; the result stays on the device."""
        samples, heads, rows, _ = call.query.shape
        sample, head = self._draw(samples), self._draw(heads)
        chosen = torch.randint(rows, (min(ROWS, rows),), generator=self._random).to(call.query.device)
        expected = columns.sums(_whole_softmax(call, sample, head, chosen)[:, columns.keys])
        self._errors.append((found[:, sample, head, chosen] - expected).abs().max())
        self._rows += len(chosen)

    def read_back(self) -> None:
        """Fetch the errors since the last time from the device."""
        if self._errors:
            self._largest = max(self._largest, torch.stack(self._errors).max().item())
            self._errors.clear()

    def summary(self) -> dict[str, object]:
        """Tell how many rows were compared, and the largest absolute error."""
        return {"rows": self._rows, "max_abs_error": self._largest}

    def _draw(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self._random))


def _whole_softmax(call: AttentionCall, sample: int, head: int, rows: Tensor) -> Tensor:
    """Compute ``[row, key]`` as the textbook has it."""
    scores = call.query[sample, head, rows].double() @ call.key[sample, head].double().T * call.factor
    if call.mask is not None:
        mask = call.mask.expand(*call.query.shape[:3], call.key.shape[2])[sample, head, rows]
        allowed = mask if mask.dtype == torch.bool else None
        scores = scores + mask.double() if allowed is None else scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(-1)
