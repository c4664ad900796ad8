"""A module fits on a few screens."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES = 300


@pytest.mark.parametrize("package", ["attnwatch", "generator"])
def test_no_module_of_a_program_is_longer_than_300_lines(package):
    modules = list((ROOT / package).rglob("*.py"))
    assert len(modules) > 50
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}
