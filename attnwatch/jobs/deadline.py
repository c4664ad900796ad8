"""Decides when a job has had its time: waiting for a processor or a disk does not count, up to a limit."""

import enum
from dataclasses import dataclass, field

from attnwatch.system.usage import Usage

LONGEST = 10.0
"""Multiple of its time limit after which a job is ended in any case."""

_MOSTLY = 0.8  # share of the limit; a job that has computed for that long had its time
_SLICE = 0.05  # share of the limit between two looks at a job that may be held up


class Verdict(enum.Enum):
    """Why a job has to be ended: it needs more time than it may have, or it was not let work."""

    LATE = "late"
    STARVED = "starved"


@dataclass
class Deadline:
    """The deadline of one job. A job that ends in time is never looked at.

    Its own time is the time since its start, without the time for which it had to wait: the kernel counts for how long
    each thread could have run but had no processor. A job that sleeps or spins thus ends at its limit. One that is
    over the limit without having computed for most of it may still be held up in a way that is not counted: its
    processor quota is used up, its disk is slow, or it was stopped by a signal. It goes on as long as that shows.

    Attributes:
        limit: seconds of its own time.
        started: monotonic time of its start.
        due: monotonic time of the next look at it.

    """

    limit: float
    started: float
    due: float = field(init=False)
    _before: Usage | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Look for the first time when the limit has passed."""
        self.due = self.started + self.limit

    def shift(self, seconds: float) -> None:
        """Leave out a span of time in which this process did not run, and perhaps the whole machine did not."""
        self.started += seconds
        self.due += seconds

    def look(self, now: float, usage: Usage | None) -> Verdict | None:
        """Judge a job that is due; None if it may go on, until `due`.

        Args:
            now: monotonic time.
            usage: what it has used; None if that is unknown, and then only the time since its start counts.

        """
        before, self._before = self._before, usage
        own = now - self.started - (usage.waited if usage else 0.0)
        over = own >= self.limit
        if usage is None or (over and usage.computed >= _MOSTLY * self.limit):
            return Verdict.LATE
        if over and before is not None and not usage.held_up and usage.moved == before.moved:
            return Verdict.LATE
        end = self.started + LONGEST * self.limit
        if now >= end:
            return Verdict.STARVED
        self.due = min(end, now + max(_SLICE * self.limit, self.limit - own))
        return None
