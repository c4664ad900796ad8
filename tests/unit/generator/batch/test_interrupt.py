import os
import signal
import time

import pytest

from generator.batch.interrupt import STOP_SIGNALS, Stopped, stop_on_signals


@pytest.fixture(autouse=True)
def _handlers_restored():
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("before", [signal.default_int_handler, signal.SIG_IGN, signal.SIG_DFL])
def test_a_signal_is_remembered_however_it_was_handled_at_the_start(number, code, before):
    """Shells start background jobs of scripts with SIGINT ignored, and a stop must still be clean."""
    signal.signal(number, before)
    with stop_on_signals(lambda: None) as stop:
        stop.raise_if_stopped()
        os.kill(os.getpid(), number)
        assert (stop.signal, stop.exit_code) == (number, code)
        with pytest.raises(Stopped):
            stop.raise_if_stopped()
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_the_process_at_once_after_restoring_the_terminal(monkeypatch):
    happened = []
    monkeypatch.setattr(os, "_exit", happened.append)
    with stop_on_signals(lambda: happened.append("restored")):
        os.kill(os.getpid(), signal.SIGINT)
        assert happened == []
        os.kill(os.getpid(), signal.SIGTERM)
    assert happened == ["restored", 143]


def test_a_signal_that_comes_twice_for_one_stop_counts_once(monkeypatch):
    """A batch system sends it to every process of a job, and the job's script passes it on."""
    happened = []
    monkeypatch.setattr(os, "_exit", happened.append)
    now = 10.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with stop_on_signals(lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)
        now = 10.4
        os.kill(os.getpid(), signal.SIGTERM)
        assert happened == []
        now = 11.0
        os.kill(os.getpid(), signal.SIGTERM)
    assert happened == [143]
