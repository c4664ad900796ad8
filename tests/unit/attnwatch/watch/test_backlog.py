from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from attnwatch.batches.targets import Target
from attnwatch.watch.backlog import Backlog, Waiting

ONE, TWO, THREE = (Target(Path(f"/outputs/{name}.complete.json")) for name in "abc")
COLLECTED = Target(ONE.manifest, Path("/outputs"))

targets = st.sampled_from([ONE, TWO, THREE, COLLECTED])
times = st.integers(0, 5).map(float)


class BacklogMatchesASortedDict(RuleBasedStateMachine):
    """A backlog behaves like a dict whose due entries are sorted by order, due time and arrival."""

    def __init__(self):
        super().__init__()
        self.backlog = Backlog()
        self.queued: dict[Target, tuple[float, float, int]] = {}
        self.held: dict[Target, tuple[Target, Waiting]] = {}
        self.arrivals = 0
        self.now = 0.0

    def arrive(self, target, due, order):
        self.held.pop(target, None)
        self.queued[target] = (order, due, self.arrivals)
        self.arrivals += 1

    @rule(seconds=times)
    def time_passes(self, seconds):
        self.now += seconds

    @rule(one=targets, due=times, order=times)
    def put(self, one, due, order):
        self.backlog.put(Waiting(one, self.now + due, order))
        self.arrive(one, self.now + due, order)

    @rule(one=targets)
    def discard(self, one):
        self.backlog.discard(one)
        self.queued.pop(one, None)
        self.held.pop(one, None)

    def first_due(self):
        due = [(*when, target) for target, when in self.queued.items() if when[1] <= self.now]
        return min(due)[3] if due else None

    @rule()
    def pop(self):
        popped = self.backlog.pop_due(self.now)
        expected = self.first_due()
        assert (popped and popped.target) == expected
        self.queued.pop(expected, None)

    @rule(until=targets)
    def hold_the_first_due(self, until):
        expected = self.first_due()
        waiting = self.backlog.pop_due(self.now)
        if waiting is not None:
            self.backlog.hold(waiting, until)
            self.queued.pop(expected)
            self.held[expected] = (until, waiting)

    @rule(until=targets)
    def release(self, until):
        self.backlog.release(until)
        for target, (awaited, waiting) in list(self.held.items()):
            if awaited == until:
                self.arrive(target, waiting.due, waiting.order)

    @invariant()
    def counts_and_lookups_match(self):
        known = {*self.queued, *self.held}
        assert len(self.backlog) == len(known)
        assert self.backlog.videos() == len({target.manifest for target in known})
        assert self.backlog.due(self.now, 99) == sum(due <= self.now for _, due, _ in self.queued.values())
        for target in (ONE, TWO, THREE, COLLECTED):
            assert (target in self.backlog) == (target in known)
            assert (self.backlog.get(target) is not None) == (target in known)

    @rule()  # not an invariant, because next_due reorders the queue
    def next_due_matches(self):
        expected = min((due for _, due, _ in self.queued.values()), default=None)
        found = self.backlog.next_due()
        assert found == expected or max(found, expected) <= self.now


BacklogMatchesASortedDict.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBacklogMatchesASortedDict = BacklogMatchesASortedDict.TestCase


def test_targets_due_at_the_same_time_are_popped_in_order_of_arrival():
    backlog = Backlog()
    for target in (TWO, ONE, THREE):
        backlog.put(Waiting(target))
    assert [backlog.pop_due(0.0).target for _ in range(3)] == [TWO, ONE, THREE]


def test_due_targets_are_popped_by_order_not_by_waiting_time():
    backlog = Backlog()
    backlog.put(Waiting(ONE, due=1.0, order=-5.0))
    backlog.put(Waiting(TWO, due=2.0, order=-7.0))
    backlog.put(Waiting(THREE, due=9.0, order=-8.0))
    assert [backlog.pop_due(3.0).target for _ in range(2)] == [TWO, ONE]
    assert backlog.pop_due(3.0) is None


def test_due_counts_the_remaining_targets_after_a_pop():
    backlog = Backlog()
    for name in "abcdef":
        backlog.put(Waiting(Target(Path(f"/outputs/{name}.complete.json"))))
    backlog.put(Waiting(COLLECTED, due=9.0))
    assert backlog.due(0.0, 99) == 6
    backlog.pop_due(0.0)
    assert (backlog.due(0.0, 99), backlog.due(0.0, 3)) == (5, 3)


def test_holding_a_target_keeps_its_since_and_looks():
    backlog = Backlog()
    backlog.put(Waiting(COLLECTED, due=1.0, since=0.5, looks=3))
    backlog.hold(backlog.pop_due(1.0), ONE)
    assert backlog.pop_due(9.0) is None
    backlog.release(ONE)
    waiting = backlog.pop_due(9.0)
    assert (waiting.since, waiting.looks) == (0.5, 3)


def test_a_limited_release_frees_the_earliest_targets_that_still_wait():
    backlog, disk = Backlog(), 7
    for target in (ONE, TWO, THREE):
        backlog.put(Waiting(target))
        backlog.hold(backlog.pop_due(0.0), disk)
    backlog.discard(ONE)
    backlog.release(disk, most=1)
    assert backlog.pop_due(0.0).target == TWO
    assert backlog.pop_due(0.0) is None
    assert backlog.holds(disk)
    backlog.release(disk)
    assert backlog.pop_due(0.0).target == THREE
    assert not backlog.holds(disk)


def test_soon_lists_only_batches_with_a_complete_collection_that_is_due():
    backlog = Backlog()
    backlog.put(Waiting(COLLECTED, due=5.0))
    assert backlog.soon(4.0) == set()
    assert backlog.soon(5.0) == {COLLECTED.batch}
    backlog.put(Waiting(COLLECTED, due=0.0, since=1.0))
    assert backlog.soon(5.0) == set()
    backlog.put(Waiting(ONE))
    assert backlog.soon(5.0) == set()
