"""Fixtures shared by the tests of the watcher."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test advances by setting `now`."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("attnwatch.watch.pauses.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock
