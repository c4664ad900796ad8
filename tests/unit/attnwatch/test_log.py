import io
import logging
import re

import pytest
from rich.console import Console

from attnwatch.log import PACKAGE, console, set_up


@pytest.fixture(autouse=True)
def logger():
    """Give the package's logger back as it was."""
    logger = logging.getLogger(PACKAGE)
    before = logger.handlers[:], logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.level, logger.propagate = before


def test_away_from_a_terminal_a_record_is_a_plain_line_on_stderr(capsys, logger):
    set_up(logging.INFO, console())
    logging.getLogger("attnwatch.daemon").info("✅ %s", "[bold]done[/bold]")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(" INFO: ✅ [bold]done[/bold]\n")
    assert "\x1b" not in err


def test_what_is_below_the_level_is_not_said(capsys):
    set_up(logging.WARNING, console())
    logging.getLogger("attnwatch.daemon").info("nothing")
    assert capsys.readouterr().err == ""


def test_setting_up_twice_says_everything_once(capsys):
    set_up(logging.INFO, console())
    set_up(logging.INFO, console())
    logging.getLogger("attnwatch.daemon").info("once")
    assert capsys.readouterr().err.count("once") == 1


def terminal(**options):
    return Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False, **options)


def test_on_a_terminal_records_are_coloured_and_their_text_is_no_markup():
    target = terminal(color_system="standard")
    set_up(logging.INFO, target)
    logging.getLogger("attnwatch.daemon").error("tensor [step, layer] [/red]")
    written = target.file.getvalue()
    assert "\x1b[" in written
    assert "tensor [step, layer] [/red]" in re.sub(r"\x1b\[[\d;]*m", "", written)


def test_no_color_is_honoured_on_a_terminal(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    target = terminal()
    set_up(logging.INFO, target)
    logging.getLogger("attnwatch.daemon").error("plain")
    assert "\x1b[3" not in target.file.getvalue()
