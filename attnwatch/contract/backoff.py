"""Exponential backoff, the one way in which anything here waits longer after each failure."""

import random
from dataclasses import dataclass

_MOST_DOUBLINGS = 60  # 2**60 seconds are beyond any limit; more would only overflow a float


@dataclass(frozen=True)
class Backoff:
    """Waiting times that double from one failure to the next.

    Attributes:
        first: seconds to wait after the first failure.
        longest: seconds that no wait exceeds, jitter aside.
        jitter: share of the wait by which it varies at random, so that retries of many videos spread out.

    """

    first: float
    longest: float
    jitter: float = 0.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after a number of consecutive failures, counted from 1."""
        doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
        seconds = min(self.longest, self.first * 2.0**doublings)
        return seconds * (1 + random.uniform(-self.jitter, self.jitter))  # noqa: S311 - spreads retries, keeps no secret
