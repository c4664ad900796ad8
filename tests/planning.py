"""Test doubles for the dispatcher's surroundings: a planner with a ledger, and an engine that runs nothing."""

from collections.abc import Sequence
from pathlib import Path

from attnwatch.batches.targets import Target
from attnwatch.config import Settings
from attnwatch.jobs.engine import Finished, Waitable
from attnwatch.jobs.work import Work
from attnwatch.watch.decision import Decision, NotYet, Render
from attnwatch.watch.ledger import Ledger
from attnwatch.watch.options import Options
from attnwatch.watch.plan import Planner
from attnwatch.watch.task import Task


class PlannerAndLedger:
    """Decides about targets as the dispatcher does."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self.ledger = Ledger(settings, options)
        self.planner = Planner(settings, options, self.ledger.decisions)

    def decide(self, target: Target) -> Decision:
        """Decide about a target and apply the decision."""
        decision = self.planner.decide(target)
        self.ledger.apply(target, decision)
        return decision

    def rescan(self, target: Target) -> Decision | None:
        """Decide about a target as after a scan; return None if it is still settled."""
        return None if self.ledger.decisions.is_settled(target) else self.decide(target)

    def reload(self, settings: Settings) -> None:
        """Use new settings, as after a SIGHUP."""
        self.planner.reload(settings)
        self.ledger.reload(settings)


def watching(root: Path, *, settings: Settings | None = None, **options: object) -> PlannerAndLedger:
    """Return a planner and a ledger for one root folder."""
    return PlannerAndLedger(settings or Settings(), Options(roots=(root,), **options))


def due(decision: Decision | None) -> Task:
    """Return the task of a target that is due now."""
    assert isinstance(decision, Render)
    return decision.task


def seconds_to_wait(decision: Decision | None) -> float:
    """Return the seconds until a target is due."""
    assert isinstance(decision, NotYet)
    return decision.seconds


def needs_nothing(decision: Decision | None) -> bool:
    """Return whether a decision plans no rendering, now or later."""
    return not isinstance(decision, Render | NotYet)


class FakeEngine:
    """An engine that runs nothing: each job counts as running until the test ends it."""

    def __init__(self) -> None:
        self.jobs: list[Work] = []
        self.error: Exception | None = None
        """The error that `start` raises."""
        self._ended: list[Finished] = []
        self.slots: int | None = None
        self.obstacle: str | None = None
        self.workers: dict[int, str] = {}
        """Workers of a cluster by the identities of the jobs that they have."""

    def worker_of(self, job: Work) -> str | None:
        return self.workers.get(id(job))

    @property
    def running(self) -> int:
        """Number of jobs that the test has not ended."""
        return len(self.jobs)

    def start(self, job: Work) -> None:
        """Record a job."""
        if self.error is not None:
            raise self.error
        self.jobs.append(job)

    def end(self, outcome: object, job: Work | None = None) -> None:
        """End a job, by default the first; the next `wait` returns it."""
        ended = job or self.jobs[0]
        self.jobs.remove(ended)
        self._ended.append(Finished(ended, outcome, 1.0))

    def wait(self, timeout: float | None = 0.0, others: Sequence[Waitable] = ()) -> list[Finished]:
        """Return the jobs that the test has ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self) -> list[Finished]:
        """Drop all running jobs."""
        self.jobs.clear()
        return self.wait()
