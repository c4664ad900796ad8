"""The fonts of these tests."""

import pytest
from matplotlib.font_manager import fontManager

from attnwatch.render.text import fonts

CACHES = (fonts._unusual, fonts._choice, fonts._installed, fonts._installed_for)


@pytest.fixture
def only_own_fonts(monkeypatch):
    """Use only the fonts that come with matplotlib, whatever this machine has."""
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", list)
    own = [entry for entry in fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(fontManager, "ttflist", own)
    for cached in CACHES:
        cached.cache_clear()
    yield
    for cached in CACHES:
        cached.cache_clear()
