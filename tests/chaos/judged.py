"""Runs a scenario as a test; durations are not judged."""

from pathlib import Path

import pytest

from tests.chaos.figures import Figure, Scale, Scenario, Skipped


def judge(scenario: Scenario, folder: Path) -> None:
    """Run the quick version and assert every figure except durations, which depend on the machine's load."""
    lines = list(scenario(folder, Scale.QUICK))
    figures = [line for line in lines if isinstance(line, Figure)]
    missed = [line for line in figures if not line.timed and not line.met]
    assert not missed, "\n".join(
        f"{line.what}: found {line.found:g}, expected {line.bar:g} {line.detail}" for line in missed
    )
    if not figures:
        pytest.skip("; ".join(line.reason for line in lines if isinstance(line, Skipped)))
