import pytest

from attnwatch.contract.backoff import Backoff


def test_waits_double_up_to_the_limit():
    backoff = Backoff(first=2.0, longest=30.0)
    assert [backoff.wait(failures) for failures in range(1, 8)] == [2, 4, 8, 16, 30, 30, 30]


def test_any_number_of_failures_is_valid():
    assert Backoff(first=0.5, longest=30.0).wait(100_000) == 30


def test_a_first_wait_of_zero_disables_waiting():
    assert Backoff(first=0.0, longest=3600.0).wait(9) == 0


@pytest.mark.parametrize("failures", [1, 50])
def test_jitter_spreads_waits_around_the_exact_value(failures):
    exact, spread = Backoff(10.0, 3600.0).wait(failures), Backoff(10.0, 3600.0, jitter=0.1)
    waits = [spread.wait(failures) for _ in range(200)]
    assert min(waits) >= 0.9 * exact
    assert max(waits) <= 1.1 * exact
    assert len(set(waits)) > 100
