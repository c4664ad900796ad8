"""Fixtures shared by the tests of the library."""

import os

import pytest

from tests.support import Batch


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in [name for name in os.environ if name.startswith("ATTNWATCH_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path / "outputs")
