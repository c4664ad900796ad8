"""What several tests of the watcher stand on."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("attnwatch.watch.pauses.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock
