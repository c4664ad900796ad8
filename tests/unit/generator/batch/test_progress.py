import io
import logging
import re
import time

import pytest
from rich.console import Console

from generator.batch.plan import PlannedVideo
from generator.batch.progress import BatchProgress, loading, restore_terminal, set_up_logging
from generator.prompts.template import Template
from tests.support import wait_until

VIDEO = PlannedVideo(Template("a :dog: [red] [red|blue] " + "long " * 60).variation(1), number=1, seed=42)


def run(*, terminal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=60)
    set_up_logging(console, verbose=False)
    with BatchProgress(console, total=6, done=2) as progress:
        progress.begin(VIDEO)
        progress.step(1, 8)
        progress._bars.refresh()
        progress.finished(VIDEO)
        progress.failed(VIDEO, RuntimeError("no memory [left]"))
    return stream.getvalue()


def test_outside_a_terminal_only_whole_plain_lines_are_printed():
    lines = run(terminal=False).splitlines()
    assert len(lines) == 2
    assert re.match(
        r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO: video 3/6 prompt_001_vid001 seed 42 "a :dog: red red long', lines[0]
    )
    assert lines[0].endswith(" s")
    assert lines[1].endswith("failed: RuntimeError: no memory [left]")
    assert "\x1b" not in "".join(lines)


def test_on_a_terminal_there_are_two_bars():
    shown = run(terminal=True)
    assert "2/6" in shown
    assert "1/8" in shown
    assert "prompt_001_vid001" in shown


def test_after_the_last_step_the_bar_shows_decoding():
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80)
    with BatchProgress(console, total=6, done=2) as progress:
        progress.begin(VIDEO)
        progress.step(8, 8)
        progress._bars.refresh()
        assert "decoding" in stream.getvalue()
        progress.begin(VIDEO)
        progress._bars.refresh()
    assert stream.getvalue().rindex("prompt_001_vid001") > stream.getvalue().rindex("decoding")


@pytest.mark.parametrize("terminal", [True, False])
def test_loading_is_shown_on_a_terminal_and_logged_everywhere(terminal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=80)
    set_up_logging(console, verbose=False)
    with loading(console, "some/model"):
        if terminal:
            wait_until(lambda: "loading some/model" in stream.getvalue())
        else:
            time.sleep(0.2)  # a spinner would be drawn a few times per second
    assert ("loading some/model" in stream.getvalue()) == terminal
    assert re.search(r"INFO: loaded some/model in \d+\.\d s\n", stream.getvalue())


def test_only_the_generators_own_messages_are_shown_at_info_level():
    stream = io.StringIO()
    set_up_logging(Console(file=stream), verbose=False)
    logging.getLogger("generator.batch.run").info("own")
    logging.getLogger("generator.batch.run").debug("detail")
    logging.getLogger("diffusers").info("foreign")
    assert stream.getvalue().endswith(" INFO: own\n")
    assert stream.getvalue().count("\n") == 1


def test_a_prefix_tells_apart_processes_that_share_a_log():
    stream = io.StringIO()
    set_up_logging(Console(file=stream), verbose=False, prefix="[1] ")
    logging.getLogger("generator.batch.run").info("own")
    assert stream.getvalue().endswith(" INFO: [1] own\n")


def test_the_cursor_comes_back_before_an_abrupt_end():
    stream = io.StringIO()
    restore_terminal(Console(file=stream, force_terminal=True))
    assert stream.getvalue() == "\x1b[?25h"
    restore_terminal(Console(file=stream, force_terminal=False))
    assert stream.getvalue() == "\x1b[?25h"
