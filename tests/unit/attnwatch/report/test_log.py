import io
import json
import logging
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from attnwatch.report.log import PACKAGE, STDERR, console, set_up, when


@pytest.fixture
def logger():
    return logging.getLogger(PACKAGE)


def test_without_a_terminal_a_record_is_a_plain_line_on_stderr(capsys, logger):
    set_up(logging.INFO, console())
    logging.getLogger("attnwatch.watch.daemon").info("✅ %s", "[bold]done[/bold]")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(" INFO: ✅ [bold]done[/bold]\n")
    assert "\x1b" not in err


def test_records_below_the_level_are_dropped(capsys):
    set_up(logging.WARNING, console())
    logging.getLogger("attnwatch.watch.daemon").info("nothing")
    assert capsys.readouterr().err == ""


def test_setting_up_twice_logs_everything_once(capsys):
    set_up(logging.INFO, console())
    set_up(logging.INFO, console())
    logging.getLogger("attnwatch.watch.daemon").info("once")
    assert capsys.readouterr().err.count("once") == 1


def terminal(**options):
    return Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False, **options)


def test_on_a_terminal_records_are_coloured_and_their_text_is_not_markup():
    target = terminal(color_system="standard")
    set_up(logging.INFO, target)
    logging.getLogger("attnwatch.watch.daemon").error("tensor [step, layer] [/red]")
    written = target.file.getvalue()
    assert "\x1b[" in written
    assert "tensor [step, layer] [/red]" in re.sub(r"\x1b\[[\d;]*m", "", written)


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (logging.INFO, "✅ Generated attention video: prompt_001_vid001_flowers_attention.mp4"),
        (logging.INFO, "prompt_001_vid001: 12 outputs in 12.3 s (kiss_20260102_030405)"),
        (logging.WARNING, "1 linked folder is not followed: outputs/kiss"),
        (logging.ERROR, "❌ prompt_001_vid001 (kiss_20260102_030405, attempt 1)"),
    ],
)
def test_the_lines_about_a_video_fit_on_a_terminal_of_80_columns(level, message):
    target = terminal(color_system=None)
    set_up(logging.INFO, target)
    logging.getLogger("attnwatch.watch.daemon").log(level, "%s", message)
    (line,) = target.file.getvalue().splitlines()
    shown = "" if level == logging.INFO else f"{logging.getLevelName(level).lower()}: "
    assert re.fullmatch(rf"\d\d:\d\d:\d\d {re.escape(shown + message)} *", line)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "now"), (-9, "now"), (30, "in 30 s"), (90, "in 2 min"), (7200, "in 2 h")]
)
def test_a_time_is_told_as_seen_from_now(seconds, expected):
    assert when((datetime.now(UTC) + timedelta(seconds=seconds + 0.4)).isoformat()) == expected


def test_no_color_is_honoured_on_a_terminal(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    target = terminal()
    set_up(logging.INFO, target)
    logging.getLogger("attnwatch.watch.daemon").error("plain")
    assert "\x1b[3" not in target.file.getvalue()


LONG = "a_long_name_without_a_blank/" * 10


def test_a_plain_line_is_not_wrapped(capsys):
    set_up(logging.INFO, console())
    logging.getLogger("attnwatch.watch.daemon").info("✅ %s and %s", LONG, LONG)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"{LONG} and {LONG}")


LEVELS = [("critical", 2), ("error", 3), ("warning", 4), ("info", 6), ("debug", 7)]


@pytest.mark.parametrize(("level", "priority"), LEVELS)
def test_lines_for_the_journal_begin_with_a_priority_and_have_no_time(capsys, level, priority):
    set_up(logging.DEBUG, console(), "journald")
    getattr(logging.getLogger("attnwatch.watch.daemon"), level)("said %s", LONG)
    assert capsys.readouterr().err == f"<{priority}>said {LONG}\n"


FORMATS = ["plain", "rich", "journald", "json"]
HOSTILE = "x\n2026-01-01 00:00:00 INFO: all is well\r\x1b[2J\x9b31m\u202egpj\u2028end"


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_name_can_neither_forge_a_record_nor_control_the_terminal(capsys, log_format):
    set_up(logging.INFO, console(), log_format)
    logging.getLogger("attnwatch.watch.daemon").error("%s: cannot be read", HOSTILE)
    written = capsys.readouterr().err
    if log_format != "rich":  # which wraps lines
        assert len(written.splitlines()) == 1
        assert "cannot be read" in written
    assert not any(line.startswith("2026-01-01") for line in written.splitlines())
    assert not set("\r\x1b\x9b\u202e\u2028") & set(written)


@pytest.mark.parametrize("log_format", FORMATS)
def test_a_long_message_is_cut_but_keeps_its_end(capsys, log_format):
    set_up(logging.INFO, console(), log_format)
    logging.getLogger("attnwatch.watch.daemon").error("found %s; delete it", "x" * 1_000_000)
    written = capsys.readouterr().err
    assert len(written) < 20_000
    assert "characters left out" in " ".join(written.split())
    assert "delete it" in written


@pytest.mark.parametrize("log_format", ["plain", "journald"])
def test_the_lines_of_a_traceback_are_indented_so_that_none_looks_like_a_record(capsys, log_format):
    set_up(logging.INFO, console(), log_format)
    try:
        int(HOSTILE)
    except ValueError:
        logging.getLogger("attnwatch.watch.daemon").exception("unexpected")
    first, *others = capsys.readouterr().err.splitlines()
    assert first.endswith("unexpected")
    prefix = "<3>    " if log_format == "journald" else "    "
    assert all(line.startswith(prefix) for line in others)
    assert "Traceback" in others[0]
    assert "\x1b" not in "".join(others)


def test_records_of_other_packages_have_the_same_form(capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # tests of the generator may have left theirs
    set_up(logging.INFO, console(), "json")
    logging.getLogger("another.package").warning("careful")
    (line,) = json_lines(capsys)
    assert (line["logger"], line["message"]) == ("another.package", "careful")


def json_lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(("level", "_"), LEVELS)
def test_json_has_a_line_per_record_with_time_level_and_message(capsys, level, _):
    set_up(logging.DEBUG, console(), "json")
    getattr(logging.getLogger("attnwatch.watch.daemon"), level)("first\nsecond %s", "\u2028é\udcff")
    (line,) = json_lines(capsys)
    assert abs((datetime.fromisoformat(line.pop("time")) - datetime.now(UTC)).total_seconds()) < 60
    assert line == {"level": level, "logger": "attnwatch.watch.daemon", "message": "first\nsecond \u2028é\udcff"}


def test_json_has_the_extra_fields_of_a_record(capsys, tmp_path):
    set_up(logging.INFO, console(), "json")
    extra = {"video_id": "prompt_001_vid001", "seconds": 1.5, "path": tmp_path}
    logging.getLogger("attnwatch.watch.daemon").info("rendered", extra=extra)
    (line,) = json_lines(capsys)
    assert {name: line[name] for name in extra} == {**extra, "path": str(tmp_path)}


def test_json_has_a_traceback_in_its_own_field(capsys):
    set_up(logging.INFO, console(), "json")
    try:
        int("no")
    except ValueError:
        logging.getLogger("attnwatch.watch.daemon").exception("unexpected")
    (line,) = json_lines(capsys)
    assert line["message"] == "unexpected"
    assert line["exception"].endswith("ValueError: invalid literal for int() with base 10: 'no'")


def logged_by_a_process(path, **variables):
    """Log one line in a process whose stderr is a file, and return the content of the file."""
    program = "import logging; from attnwatch.report.log import *; set_up(20, console()); "
    program += "logging.getLogger('attnwatch').error('said')"
    with path.open("wb") as stderr:
        subprocess.run([sys.executable, "-c", program], stderr=stderr, env={**os.environ, **variables}, check=True)
    return path.read_text()


def test_the_format_is_journald_if_stderr_goes_to_the_journal(tmp_path):
    path = tmp_path / "stderr"
    path.touch()
    stream = f"{path.stat().st_dev}:{path.stat().st_ino}"
    assert logged_by_a_process(path, JOURNAL_STREAM=stream) == "<3>said\n"


def test_the_format_is_plain_if_stderr_does_not_go_to_the_journal(tmp_path):
    assert logged_by_a_process(tmp_path / "stderr", JOURNAL_STREAM="7:7").endswith(" ERROR: said\n")


def test_an_explicit_format_is_used_on_a_terminal(capsys):
    target = terminal()
    set_up(logging.INFO, target, "plain")
    logging.getLogger("attnwatch.watch.daemon").info("said")
    assert capsys.readouterr().err.endswith(" INFO: said\n")
    assert target.file.getvalue() == ""


ENDINGS = {
    "an exception": "raise ValueError('unhandled')",
    "an exception in a thread": "t = threading.Thread(target=int, args=('unhandled',)); t.start(); t.join()",
    "an exception in a destructor": "type('C', (), {'__del__': lambda self: int('unhandled')})()",
    "a warning": "warnings.warn('unhandled')",
}


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_nothing_handles_is_logged_in_the_same_form(ending, log_format):
    program = f"""import logging, threading, warnings
from attnwatch.report.log import *
set_up(20, console(), {log_format!r})
log_everything()
{ENDINGS[ending]}"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    first, *others = done.stderr.splitlines()
    assert "unhandled" in done.stderr
    if log_format == "json":
        assert others == []
        json.loads(first)
    elif log_format == "journald":
        assert all(re.match(r"<[24]>", line) for line in (first, *others))
    assert all(re.match(r"(<\d>)?(    |\s+\S)", line) for line in others)


def test_what_is_written_in_place_of_dropped_lines_has_the_form_of_the_log():
    set_up(logging.INFO, console(), "json")
    line = json.loads(STDERR.about_dropped(3))
    assert line["level"] == "warning"
    assert line["message"].startswith("3 lines of the log were dropped")
