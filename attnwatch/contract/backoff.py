"""Exponential backoff: how long retries and pauses wait after repeated failures."""

import random
from dataclasses import dataclass

_MOST_DOUBLINGS = 60  # 2**60 seconds exceed any limit; more doublings would overflow a float


@dataclass(frozen=True)
class Backoff:
    """Waiting times that double with each failure.

    Attributes:
        first: seconds to wait after the first failure.
        longest: upper limit in seconds, before jitter.
        jitter: maximum random change as a share of the wait, so that retries of many videos spread out.

    """

    first: float
    longest: float
    jitter: float = 0.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after this number of consecutive failures (at least 1)."""
        doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
        seconds = min(self.longest, self.first * 2.0**doublings)
        return seconds * (1 + random.uniform(-self.jitter, self.jitter))  # noqa: S311 - not used for security
