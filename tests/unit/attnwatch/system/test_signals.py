import os
import select
import signal

from attnwatch.system.signals import drain, handling


def is_readable(woken):
    return bool(select.select([woken], [], [], 5)[0])


def test_a_signal_is_handled_and_makes_the_socket_readable():
    seen = []
    with handling(lambda number, _frame: seen.append(number)) as woken:
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
            assert is_readable(woken)
            drain(woken)
            assert not select.select([woken], [], [], 0)[0]
    assert seen == [signal.SIGTERM, signal.SIGINT]


def test_a_hangup_is_handled_on_request():
    seen = []
    with handling(lambda number, _frame: seen.append(number), (signal.SIGHUP,)) as woken:
        os.kill(os.getpid(), signal.SIGHUP)
        assert is_readable(woken)
    assert seen == [signal.SIGHUP]


def test_other_signals_keep_their_handlers():
    before = signal.getsignal(signal.SIGHUP)
    with handling(lambda _number, _frame: None):
        assert signal.getsignal(signal.SIGHUP) is before


def test_many_signals_do_not_block_on_a_full_socket():
    seen = []
    with handling(lambda number, _frame: seen.append(number), (signal.SIGUSR1,)) as woken:
        for _ in range(5000):
            signal.raise_signal(signal.SIGUSR1)
        assert len(seen) == 5000
        assert is_readable(woken)
        drain(woken)


def test_draining_an_empty_socket_is_not_an_error():
    with handling(lambda _number, _frame: None) as woken:
        drain(woken)


def test_previous_handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with handling(lambda _number, _frame: None):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_that_the_caller_has_blocked_are_handled_and_blocked_again():
    seen = []
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with handling(lambda number, _frame: seen.append(number)) as woken:
            os.kill(os.getpid(), signal.SIGTERM)
            assert is_readable(woken)
        assert seen == [signal.SIGTERM]
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGTERM}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
