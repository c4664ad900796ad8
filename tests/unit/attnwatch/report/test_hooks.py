import json
import logging
import os
import signal
import subprocess
import sys
import time
import tracemalloc

import pytest

from attnwatch.contract.documents import ReceiptDocument
from attnwatch.report import hooks
from attnwatch.report.hooks import AT_A_TIME, Hooks
from tests.support import children_since, is_running, opened_since, threads_since, wait_until


@pytest.fixture(autouse=True)
def propagating(monkeypatch):
    monkeypatch.setattr(logging.getLogger("attnwatch"), "propagate", True)


@pytest.fixture(autouse=True)
def _killed_commands_are_waited_for(monkeypatch):
    """However busy the machine is: they would be left to the tests that come after."""
    monkeypatch.setattr(hooks, "_DEATH_TIME", 60.0)


def receipt(video_id="prompt_001_vid001", **fields):
    return ReceiptDocument(
        video_id=video_id,
        manifest="video_001.complete.json",
        status="rendered",
        manifest_sha256="0" * 64,
        settings_sha256="1" * 64,
        renderer=1,
        **fields,
    )


def run_all(command, *receipts, path="/o/a.rendered.json"):
    """Run the command for each receipt, and wait until all have ended."""
    with Hooks(command) as started:
        for one in receipts or (receipt(),):
            started.run(one, path)
        wait_until(lambda: not started.pending)


def test_a_command_gets_the_receipt_on_its_standard_input_and_names_in_its_environment(tmp_path):
    command = f'cat > {tmp_path}/in; printf "%s %s" "$ATTNWATCH_VIDEO_ID" "$ATTNWATCH_RECEIPT" > {tmp_path}/names'
    run_all(command, receipt(notes=("über",)), path="/o/a b.rendered.json")
    assert ReceiptDocument.model_validate_json((tmp_path / "in").read_bytes()) == receipt(notes=("über",))
    assert json.loads((tmp_path / "in").read_text())["notes"] == ["über"]
    assert (tmp_path / "names").read_text() == "prompt_001_vid001 /o/a b.rendered.json"


def test_without_a_command_nothing_runs():
    with Hooks(None) as started:
        started.run(receipt(), "/o/a")
        assert started.pending == 0


@pytest.mark.parametrize(
    "command", ["sleep 30", "exec sleep 30 < /dev/null", "trap '' TERM INT; sleep 30", "yes >&2", "sleep 30 <&- 2>&-"]
)
def test_no_command_blocks_the_caller(command):
    large = receipt(notes=tuple("x" * 1000 for _ in range(2000)))  # more than any pipe holds
    start = time.monotonic()
    with Hooks(command) as started:
        for _ in range(3):
            started.run(large, "/o/a")
        assert time.monotonic() - start < 20
        assert started.pending == 3


def test_before_the_first_command_there_is_neither_a_thread_nor_a_process():
    threads, processes = threads_since(), children_since()
    with Hooks("true") as started:
        assert not threads()
        assert not processes()
        started.run(receipt(), "/o/a")
        assert threads()
    assert not threads()


def test_a_flood_on_stderr_takes_no_memory(caplog):
    tracemalloc.start()
    try:
        run_all("head -c 30000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo done >&2; exit 1")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "exited with code 1: done" in caplog.text
    assert peak < 2_000_000


def test_a_background_process_that_holds_stderr_open_does_not_delay_the_end(tmp_path):
    start = time.monotonic()
    run_all(f"sleep 600 & echo $! > {tmp_path}/pid")
    assert time.monotonic() - start < 60
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_success_is_not_logged(caplog):
    run_all("echo all is well; echo a warning >&2")
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo first >&2; echo 'no route to host' >&2; exit 3", "the command exited with code 3: no route to host"),
        ("exit 1", "the command exited with code 1"),
        ("kill -SEGV $$", "the command was ended by signal 11"),
        ("head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; exit 1", "exited with code 1: last"),
        ("/nowhere/at/all", "exited with code 127"),
    ],
)
def test_a_failure_is_logged_with_its_last_line_of_stderr(caplog, command, said):
    run_all(command)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "prompt_001_vid001" in record.getMessage()
    assert said in record.getMessage()


def test_at_most_four_run_at_a_time_and_all_get_their_turn(tmp_path):
    wait = f"while ! test -e {tmp_path}/go; do sleep 0.01; done"
    command = f'touch "{tmp_path}/begun_$ATTNWATCH_VIDEO_ID"; {wait}; echo "$ATTNWATCH_VIDEO_ID" >> {tmp_path}/done'
    with Hooks(command) as started:
        for number in range(AT_A_TIME + 3):
            started.run(receipt(str(number)), "/o/a")
        assert started.pending == AT_A_TIME + 3
        wait_until(lambda: len(list(tmp_path.glob("begun_*"))) >= AT_A_TIME)
        time.sleep(0.2)
        assert {path.name for path in tmp_path.iterdir()} == {f"begun_{number}" for number in range(AT_A_TIME)}
        (tmp_path / "go").touch()
        wait_until(lambda: not started.pending)
    assert sorted((tmp_path / "done").read_text().split()) == [str(number) for number in range(AT_A_TIME + 3)]


def test_a_command_that_takes_too_long_is_killed_with_everything_it_started(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(hooks, "TIME_LIMIT", 0.3)
    command = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/shell; wait; wait"
    run_all(command)
    pids = [int((tmp_path / name).read_text()) for name in ("child", "shell")]
    wait_until(lambda: not any(map(is_running, pids)))
    assert "was killed: it took longer than 0.3 s" in caplog.text


def test_at_the_end_running_commands_get_some_time_and_are_then_killed(tmp_path, caplog):
    quick = Hooks(f"sleep 0.1; touch {tmp_path}/quick")
    quick.run(receipt(), "/o/a")
    quick.close(patience=20)
    assert (tmp_path / "quick").exists()
    assert caplog.text == ""
    slow = Hooks(f"echo $$ > {tmp_path}/pid; sleep 60")
    for _ in range(AT_A_TIME + 1):
        slow.run(receipt(), "/o/a")
    wait_until((tmp_path / "pid").exists)
    slow.close(patience=0.05)
    assert slow.pending == 0
    assert "waiting commands dropped because the watcher ends: 1" in caplog.text
    assert caplog.text.count("was killed: the watcher ends") == AT_A_TIME


def test_too_many_waiting_commands_are_refused(monkeypatch, caplog):
    monkeypatch.setattr(hooks, "MOST_WAITING", 2)
    with Hooks("sleep 60") as started:
        for _ in range(AT_A_TIME + 3):
            started.run(receipt(), "/o/a")
        assert started.pending == AT_A_TIME + 2
    assert "2 are waiting already" in caplog.text


def test_a_command_that_cannot_be_started_is_logged(monkeypatch, caplog):
    def refuse(*_arguments, **_options):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(hooks.os, "memfd_create", refuse)
    run_all("true")
    assert "prompt_001_vid001: the command cannot be run: found Too many open files; expected" in caplog.text


def test_an_unexpected_error_is_logged(monkeypatch, caplog):
    def fail(_call):
        raise ValueError("unexpected")

    monkeypatch.setattr(hooks, "_start", fail)
    run_all("true")
    assert "--on-rendered: unexpected" in caplog.text


def test_neither_descriptors_nor_zombies_are_left():
    opened, processes = opened_since(), children_since()
    run_all("true", *(receipt(str(number)) for number in range(8)))
    assert not opened()
    assert not processes()


def test_a_command_does_not_get_the_signals_of_the_terminal(tmp_path):
    with Hooks(f"echo $$ > {tmp_path}/pid; sleep 60") as started:
        started.run(receipt(), "/o/a")
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        pid = int((tmp_path / "pid").read_text())
        assert os.getpgid(pid) == pid != os.getpgrp()


PROGRAM = """
import signal, sys
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.report.hooks import Hooks
with Hooks(sys.argv[1]) as started:
    for video_id in "0123456":
        receipt = ReceiptDocument.model_construct(video_id=video_id, status="rendered")
        started.run(receipt, "/o/a")
    signal.pause()
"""


def test_no_command_outlives_a_watcher_that_is_killed(tmp_path):
    command = (
        f"trap '' TERM HUP; sleep 60 & echo $! $$ > {tmp_path}/new$$; mv {tmp_path}/new$$ {tmp_path}/pids$$; wait; wait"
    )
    watcher = subprocess.Popen([sys.executable, "-c", PROGRAM, command], start_new_session=True)
    try:
        wait_until(lambda: len(list(tmp_path.glob("pids*"))) == AT_A_TIME)
        pids = [int(pid) for path in tmp_path.glob("pids*") for pid in path.read_text().split()]
        assert all(map(is_running, pids))
    finally:
        watcher.kill()
        watcher.wait()
    wait_until(lambda: not any(map(is_running, pids)))
    assert len(list(tmp_path.glob("pids*"))) == AT_A_TIME
