"""Checks a random sample of recorded probabilities by recomputing them from the same query and key in float64."""

import torch
from torch import Tensor

from generator.capture.attention import AttentionCall, Columns

ROWS = 8
"""Number of rows of one head that are checked in each layer and step."""
SEED = 0


class SelfCheck:
    """Compares recorded probabilities with a full softmax in float64, on a random sample of rows.

    The sample has a separate random generator, so that the noise of the video does not change.
    """

    def __init__(self) -> None:
        self._random = torch.Generator().manual_seed(SEED)
        self._rows = 0
        self._errors: list[Tensor] = []
        self._largest = 0.0

    def compare(self, call: AttentionCall, columns: Columns, found: Tensor) -> None:
        """Compare a few rows of ``found``, ``[word, sample, head, row]``; the error stays on the device."""
        samples, heads, rows, _ = call.query.shape
        sample, head = self._draw(samples), self._draw(heads)
        chosen = self._spread(rows, call.query.device)
        expected = columns.sums(_whole_softmax(call, sample, head, chosen)[:, columns.keys])
        self._errors.append((found[:, sample, head, chosen] - expected).abs().max())
        self._rows += len(chosen)

    def take_error(self, device: torch.device) -> Tensor:
        """Return and forget the largest error since the last call, on a device; 0 without any comparison."""
        errors, self._errors = self._errors, []
        # layers of one network may lie on several devices
        return torch.stack([torch.zeros((), device=device), *(error.to(device) for error in errors)]).max()

    def note_error(self, error: float) -> None:
        """Take in an error that has arrived on the host."""
        self._largest = max(self._largest, error)

    def summary(self) -> dict[str, object]:
        """Return the number of compared rows and the largest absolute error."""
        return {"rows": self._rows, "max_abs_error": self._largest}

    def _spread(self, rows: int, device: torch.device) -> Tensor:
        """Draw the first of `ROWS` rows at equal distances. No copy to the device, which would be waited for."""
        count = min(ROWS, rows)
        return (torch.arange(count, device=device) * (rows // count) + self._draw(rows)) % rows

    def _draw(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self._random))


def _whole_softmax(call: AttentionCall, sample: int, head: int, rows: Tensor) -> Tensor:
    """Compute ``[row, key]`` by the textbook formula."""
    scores = call.query[sample, head, rows].double() @ call.key[sample, head].double().T * call.factor
    if call.mask is not None:
        mask = call.mask.expand(*call.query.shape[:3], call.key.shape[2])[sample, head, rows]
        allowed = mask if mask.dtype == torch.bool else None
        scores = scores + mask.double() if allowed is None else scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(-1)
