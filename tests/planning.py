"""The watcher's parts in a test's hands: decide about targets as the dispatcher does, and run jobs on a fake engine."""

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


class Watching:
    """A planner and a ledger, used as the dispatcher uses them."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self.ledger = Ledger(settings, options)
        self.planner = Planner(settings, options, self.ledger.decisions)

    def decide(self, target: Target) -> Decision:
        """Decide about a target and act on the decision."""
        decision = self.planner.decide(target)
        self.ledger.apply(target, decision)
        return decision

    def look(self, target: Target) -> Decision | None:
        """Look at a target as in a scan: decide only if it is not settled."""
        return None if self.ledger.decisions.is_settled(target) else self.decide(target)

    def reload(self, settings: Settings) -> None:
        """Use other settings, as after a SIGHUP."""
        self.planner.reload(settings)
        self.ledger.reload(settings)


def watching(root: Path, *, settings: Settings | None = None, **options: object) -> Watching:
    """Return a planner and a ledger for one folder."""
    return Watching(settings or Settings(), Options(roots=(root,), **options))


def due(decision: Decision | None) -> Task:
    """Return the task of a target that is due now."""
    assert isinstance(decision, Render)
    return decision.task


def waiting(decision: Decision | None) -> float:
    """Return for how many seconds a target has to wait."""
    assert isinstance(decision, NotYet)
    return decision.seconds


def left_alone(decision: Decision | None) -> bool:
    """Return whether nothing is to be done."""
    return not isinstance(decision, Render | NotYet)


class FakeEngine:
    """An engine that runs nothing: jobs are under way until the test lets them end."""

    def __init__(self) -> None:
        self.jobs: list[Work] = []
        self.error: Exception | None = None
        """What `start` raises."""
        self._ended: list[Finished] = []

    @property
    def running(self) -> int:
        """Number of jobs under way."""
        return len(self.jobs)

    def start(self, job: Work) -> None:
        """Note a job."""
        if self.error is not None:
            raise self.error
        self.jobs.append(job)

    def end(self, outcome: object, job: Work | None = None) -> None:
        """Let a job end, by default the first; `wait` returns it."""
        ended = job or self.jobs[0]
        self.jobs.remove(ended)
        self._ended.append(Finished(ended, outcome, 1.0))

    def wait(self, timeout: float | None = 0.0, others: Sequence[Waitable] = ()) -> list[Finished]:
        """Return the jobs that the test has let end."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self) -> list[Finished]:
        """End everything."""
        self.jobs.clear()
        return self.wait()
