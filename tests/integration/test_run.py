"""`attnwatch run`: real commands, watchers, signals and terminals."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Batch, environment, read_receipt, wait_until
from tests.terminal import on_a_terminal, shown

RUN = [sys.executable, "-m", "attnwatch", "run"]

# A generator: makes its videos, says so, and takes signals until it is told to end. Each signal is written to a file.
GENERATOR = """
got() { echo $1 >> signals; [ -f stubborn ] && rm stubborn || exit $2; }
trap 'got INT 130' INT
trap 'got TERM 143' TERM
cp -r made outputs
[ -t 1 ] && size=" $(stty size < /dev/tty)"
echo "made$size"
while :; do sleep 0.05; done
"""


@pytest.fixture
def made(tmp_path):
    """A folder with a finished batch in `made`; return the manifest that a command will put into `outputs`."""
    manifest = Batch.make(tmp_path / "made").add()
    (tmp_path / "generator.sh").write_text(GENERATOR)
    return tmp_path / "outputs" / manifest.relative_to(tmp_path / "made")


def ran(folder, *command, options=(), **given):
    return subprocess.run(
        [*RUN, *options, "--", *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=120,
        check=False,
        **given,
    )


def rendered(manifest):
    receipt = read_receipt(manifest)
    return receipt is not None and receipt["status"] == "rendered"


def processes_of(folder):
    """Return the command lines of the processes that work in a folder, by process id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if (process / "cwd").readlink() == folder:
                found[int(process.name)] = (process / "cmdline").read_text()
    return found


def watcher_in(folder):
    """Return the process id of the watcher that a run has started; None before that."""
    found = [number for number, line in processes_of(folder).items() if "--started-by" in line]
    return min(found, default=None)


def ended(folder):
    wait_until(lambda: not processes_of(folder), about="the end of all processes")
    return True


@pytest.mark.parametrize("code", [0, 3])
def test_what_a_command_makes_is_rendered_and_its_exit_code_is_that_of_the_run(made, tmp_path, code):
    done = ran(tmp_path, "sh", "-c", f"cp -r made outputs; echo done; exit {code}")
    assert (done.returncode, done.stdout) == (code, b"done\n")
    assert rendered(made)
    lines = done.stderr.decode().splitlines()
    assert all(line.startswith("[attnwatch] ") for line in lines), lines
    assert any("Generated attention video: prompt_001_vid001_kiss_overlay.mp4" in line for line in lines)
    assert ended(tmp_path)


def test_another_folder_and_the_watchers_options_may_be_given(made, tmp_path):
    moved = tmp_path / "elsewhere" / made.relative_to(tmp_path / "outputs")
    options = ("elsewhere", "--set", "generate_overlay=false", "-q")
    done = ran(tmp_path, "cp", "-r", "made", "elsewhere", options=options)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [output["kind"] for output in read_receipt(moved)["outputs"]] == ["attention", "static"]


def test_streams_of_the_command_are_its_own_where_there_is_no_terminal(tmp_path):
    (tmp_path / "outputs").mkdir()
    done = ran(tmp_path, "sh", "-c", "cat; echo oops >&2", input=b"a\0b\xff")
    assert done.stdout == b"a\0b\xff"
    assert b"\noops\n" in b"\n" + done.stderr


@pytest.mark.parametrize(("text", "code"), [("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)])
def test_without_the_expected_folder_the_run_says_so_and_ends_as_the_command(tmp_path, text, code):
    done = ran(tmp_path, "sh", "-c", text)
    assert done.returncode == code
    assert (
        f"found nothing at {tmp_path}/outputs; expected what the command makes; name its folder" in done.stderr.decode()
    )
    assert ended(tmp_path)


def test_a_command_that_cannot_be_started_has_the_exit_code_of_a_shell(tmp_path):
    (tmp_path / "no_program").touch()
    for command, code in (("nowhere", 127), ("./no_program", 126)):
        done = ran(tmp_path, command)
        assert done.returncode == code
        assert done.stderr.decode().startswith(f"error: found {command} (")
        assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("options", [["--nonsense"], ["--set", "workers=0"], ["--out", "file/folder"], ["a", "b"]])
def test_wrong_usage_is_refused_before_the_command_begins(tmp_path, options):
    (tmp_path / "file").touch()
    done = ran(tmp_path, "touch", "x", options=options)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert not (tmp_path / "x").exists()


@pytest.fixture
def running(made, tmp_path):
    """A run without a terminal, with a command that has made its videos and goes on."""
    process = subprocess.Popen(
        [*RUN, "--", "sh", "generator.sh"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"made\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_goes_to_the_command_then_what_is_finished_is_rendered(running, made, tmp_path, number):
    running.send_signal(number)
    assert running.wait(60) == 128 + number
    assert (tmp_path / "signals").read_text() == f"{number.name.removeprefix('SIG')}\n"
    assert rendered(made)
    assert ended(tmp_path)


def test_a_second_signal_ends_the_watchers_too(running, tmp_path):
    (tmp_path / "stubborn").touch()
    running.send_signal(signal.SIGINT)
    wait_until(lambda: not (tmp_path / "stubborn").exists(), about="the first signal at the command")
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert (tmp_path / "signals").read_text() == "INT\nINT\n"
    assert b"rendering what is finished" not in running.stderr.read()
    assert ended(tmp_path)


def test_watchers_that_a_second_signal_has_ended_are_not_said_to_be_missing(tmp_path):
    stubborn = "trap '' INT; touch ready; while ! [ -f go ]; do sleep 0.05; done"
    with subprocess.Popen(
        [*RUN, "--", "sh", "-c", stubborn],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        wait_until(lambda: (tmp_path / "ready").exists() and watcher_in(tmp_path), about="command and watcher")
        process.send_signal(signal.SIGINT)
        while b"a second signal" not in (line := process.stderr.readline()):
            assert line, "the first signal was not noticed"
        process.send_signal(signal.SIGINT)
        wait_until(lambda: watcher_in(tmp_path) is None, about="the end of the watcher")
        (tmp_path / "go").touch()
        assert b"the watcher has ended" not in process.stderr.read()


def test_if_the_run_is_killed_the_kernel_ends_the_command_and_the_watcher(running, tmp_path):
    wait_until(lambda: len(processes_of(tmp_path)) > 2, about="a watcher")
    running.kill()
    assert ended(tmp_path)


def test_a_watcher_that_is_killed_is_missed_and_the_videos_are_rendered_in_the_end(running, made, tmp_path):
    wait_until(lambda: watcher_in(tmp_path), about="a watcher")
    os.kill(watcher_in(tmp_path), signal.SIGKILL)
    line = ""
    while "the watcher has ended" not in line:
        line = running.stderr.readline().decode()
        assert line, "the end of the watcher was not noticed"
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 143
    assert rendered(made)


def test_a_command_is_required(tmp_path):
    done = subprocess.run([*RUN, "outputs"], cwd=tmp_path, env=environment(), capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: found no command; expected one after `--`")


def test_on_a_terminal_ctrl_c_stops_the_command_once_and_renders(made, tmp_path):
    with on_a_terminal([*RUN, "--", "sh", "generator.sh"], tmp_path) as terminal:
        terminal.wait_for("made 24 80")
        terminal.type("\x03")
        assert terminal.wait() == 130
    assert (tmp_path / "signals").read_text() == "INT\n"
    assert rendered(made), terminal.output
    assert ended(tmp_path)


def test_on_a_terminal_a_second_ctrl_c_ends_everything(made, tmp_path):
    (tmp_path / "stubborn").touch()
    with on_a_terminal([*RUN, "--", "sh", "generator.sh"], tmp_path) as terminal:
        terminal.wait_for("made 24 80")
        terminal.type("\x03")
        terminal.wait_for("a second signal ends that, too")
        wait_until(lambda: not (tmp_path / "stubborn").exists(), about="the first signal at the command")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "rendering what is finished" not in terminal.output
    assert ended(tmp_path)


def test_everything_ends_with_the_terminal(made, tmp_path):
    with on_a_terminal([*RUN, "--", "sh", "generator.sh"], tmp_path) as terminal:
        terminal.wait_for("made 24 80")
        terminal.hang_up()
        terminal.process.wait(60)
    assert ended(tmp_path)


BARS = """
import shutil, time
from rich.console import Console
from rich.progress import Progress
shutil.copytree("made", "outputs")
console = Console()
with Progress(console=console, transient=True) as bars:
    tasks = [bars.add_task(name, total=100) for name in ("videos", "denoising")]
    for number in range(100):
        for task in tasks:
            bars.update(task, completed=number)
        if number % 20 == 10:
            console.print(f"line {number} of the command")
        time.sleep(0.05)
"""


def test_bars_of_the_command_and_lines_of_the_log_do_not_tear_each_other(made, tmp_path):
    with on_a_terminal([*RUN, "--", sys.executable, "-c", BARS], tmp_path) as terminal:
        assert terminal.wait() == 0
        assert "videos" in terminal.output
    rows = [row.rstrip() for row in shown(terminal.output) if row.strip()]
    whole = [row for row in rows if row.startswith(("[attnwatch] 2", "line "))]
    assert rows == whole, "\n".join(rows)
    assert [row for row in rows if row.startswith("line")] == [f"line {n} of the command" for n in (10, 30, 50, 70, 90)]
    assert sum("Generated attention video" in row for row in rows) == 3
