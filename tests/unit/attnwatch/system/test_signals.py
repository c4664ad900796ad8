import os
import select
import signal

from attnwatch.system.signals import drain, handling


def is_readable(woken):
    return bool(select.select([woken], [], [], 5)[0])


def test_a_signal_is_handled_and_wakes_who_waits_on_the_socket():
    seen = []
    with handling(lambda number, _frame: seen.append(number)) as woken:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            assert is_readable(woken)
            drain(woken)
            assert not select.select([woken], [], [], 0)[0]
    assert seen == [signal.SIGTERM, signal.SIGINT]


def test_a_hangup_is_handled_where_that_is_asked_for():
    seen = []
    with handling(lambda number, _frame: seen.append(number), (signal.SIGHUP,)) as woken:
        os.kill(os.getpid(), signal.SIGHUP)
        assert is_readable(woken)
    assert seen == [signal.SIGHUP]


def test_signals_that_nobody_asked_for_stay_as_they_were():
    before = signal.getsignal(signal.SIGHUP)
    with handling(lambda _number, _frame: None):
        assert signal.getsignal(signal.SIGHUP) is before


def test_a_storm_of_signals_fills_nothing_up():
    seen = []
    with handling(lambda number, _frame: seen.append(number), (signal.SIGUSR1,)) as woken:
        for _ in range(5000):
            signal.raise_signal(signal.SIGUSR1)
        assert len(seen) == 5000
        assert is_readable(woken)
        drain(woken)


def test_nothing_to_drain_is_no_error():
    with handling(lambda _number, _frame: None) as woken:
        drain(woken)


def test_afterwards_everything_is_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with handling(lambda _number, _frame: None):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert signal.set_wakeup_fd(-1) == -1
