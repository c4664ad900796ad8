"""Fixtures shared by the tests of the watcher."""

import logging
from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def log_as_before():
    """Undo what a command that is called in this process does to logging."""
    logger, others = logging.getLogger("attnwatch"), logging.getLogger()
    before, known = (logger.handlers[:], logger.level, logger.propagate), others.handlers[:]
    yield
    logger.handlers[:], logger.level, logger.propagate = before
    for handler in [handler for handler in others.handlers if handler not in known]:
        if not type(handler).__module__.startswith("_pytest"):
            others.removeHandler(handler)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test advances by setting `now`."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("attnwatch.watch.pauses.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock
