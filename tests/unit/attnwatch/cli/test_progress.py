import io
import re

import pytest
from rich.console import Console

from attnwatch.cli.progress import bar
from tests.support import wait_until


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)


def wait_for(terminal, pattern):
    """Wait until a terminal shows a text."""
    wait_until(lambda: re.search(pattern, terminal.file.getvalue()), about=pattern)


def test_a_backlog_is_shown_as_a_bar_and_its_end_by_a_sign_of_life(terminal):
    with bar(terminal, watching=True) as show:
        show(1, 3)
        wait_for(terminal, "1/3 videos")
        show(3, 3)
        wait_for(terminal, r"watching, 3 rendered; nothing to render since \d\d:\d\d:\d\d")
        show(3, 4)
        wait_for(terminal, "3/4 videos")


def test_the_sign_of_life_moves(terminal):
    with bar(terminal, watching=True) as show:
        show(0, 0)
        for picture in r"-\|/":
            wait_for(terminal, re.escape(f"{picture} watching, 0 rendered"))


def test_a_single_run_is_not_said_to_watch(terminal):
    with bar(terminal, watching=False) as show:
        show(1, 3)
        wait_for(terminal, "1/3 videos")
        show(3, 3)
    assert "watching" not in terminal.file.getvalue()
