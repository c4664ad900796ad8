"""The watcher as a service: unit files, notifications to the service manager, and restrictions."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.support import Batch, environment, is_running, read_receipt, wait_until

ROOT = Path(__file__).parents[2]
UNITS = {"system": ROOT / "systemd/attnwatch@.service", "user": ROOT / "systemd/user/attnwatch@.service"}
VIEW = ROOT / "systemd/attnwatch-view@.service"
PROGRAM = Path(sys.executable).with_name("attnwatch")
_PR_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: unit files cannot be checked"
)


def instance(tmp_path, kind, **changes):
    """Write the unit for one folder on this machine, with some of its lines changed."""
    text = re.sub(
        r"^ExecStart=\S+", f"ExecStart={PROGRAM}", UNITS[kind].read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    for old, new in changes.items():
        assert re.search(rf"^{old}=", text, flags=re.MULTILINE), old
        text = re.sub(rf"^{old}=.*", new, text, flags=re.MULTILINE)
    unit = tmp_path / "attnwatch@tmp-outputs.service"
    unit.write_text(text)
    return unit


def analyze(*arguments, **variables):
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, check=False, timeout=60
    )


def verified(kind, unit):
    # Units of the machine have sockets in that folder, whose paths may have 108 bytes.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        return analyze("verify", f"--{kind}", "--man=no", unit, XDG_RUNTIME_DIR=short)


@needs_systemd
@pytest.mark.parametrize("kind", UNITS)
def test_systemd_accepts_a_unit_without_complaint(tmp_path, kind):
    done = verified(kind, instance(tmp_path, kind))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_accepts_the_unit_of_the_page_which_exposes_little(tmp_path):
    unit = tmp_path / "attnwatch-view@tmp-outputs.service"
    unit.write_text(VIEW.read_text(encoding="utf-8").replace("/opt/attnwatch/bin/attnwatch", str(PROGRAM)))
    done = verified("system", unit)
    assert (done.returncode, done.stderr) == (0, "")
    assert exposure(unit) <= 2


@needs_systemd
def test_a_misspelt_line_is_noticed(tmp_path):
    done = verified("system", instance(tmp_path, "system", WatchdogSec="WatchDogSec=60"))
    assert "WatchDogSec" in done.stderr


def exposure(unit):
    done = analyze("security", "--offline=yes", "--no-pager", unit)
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)[1])


@needs_systemd
@pytest.mark.parametrize("kind", UNITS)
def test_a_unit_exposes_little(tmp_path, kind):
    assert exposure(instance(tmp_path, kind)) <= 1.5
    assert exposure(instance(tmp_path, kind, ProtectSystem="", CapabilityBoundingSet="", SystemCallFilter="")) > 1.5


@pytest.mark.parametrize("kind", UNITS)
def test_a_unit_is_notified_reloaded_and_restarted(kind):
    lines = UNITS[kind].read_text(encoding="utf-8").splitlines()
    for line in ("Type=notify", "Restart=on-failure", "ExecReload=/bin/kill -HUP $MAINPID", "BindPaths=%f"):
        assert line in lines
    assert any(re.fullmatch(r"WatchdogSec=\d+", line) for line in lines)


class Manager:
    """A service manager as a service sees it: a socket that receives notifications."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(0.1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.messages = []
        self.sender = None

    def wait_for(self, line, seconds=180.0):
        """Wait for a line among the notifications, and drop all up to then."""

        def came():
            with contextlib.suppress(TimeoutError):
                data, [(_, _, credentials)], *_ = self._socket.recvmsg(4096, socket.CMSG_SPACE(12))
                self.messages.extend(data.decode().splitlines())
                self.sender = int.from_bytes(credentials[:4], sys.byteorder)
            return any(re.fullmatch(line, message) for message in self.messages)

        wait_until(came, seconds, f"{line} among {self.messages}")
        self.messages.clear()

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(outputs):
    manager = Manager(outputs / ".notify")
    yield manager
    manager.close()


@contextlib.contextmanager
def service(outputs, log, *, prefix=(), arguments=(), prepare=None, **variables):
    """Start the watcher as a service manager would."""
    variables = {"NOTIFY_SOCKET": f"{outputs}/.notify", **variables}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "attnwatch", str(outputs), *arguments],
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=prepare,  # noqa: PLW1509 - it only makes a system call
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_service_manager_gets_every_notification_it_expects(outputs, manager, tmp_path):
    configuration = tmp_path / "settings.yaml"
    configuration.write_text("watcher: {workers: 1}")
    with service(
        outputs, tmp_path / "log", arguments=("--config", str(configuration)), WATCHDOG_USEC="1000000"
    ) as process:
        manager.wait_for("READY=1")
        manager.wait_for("WATCHDOG=1")
        Batch.make(outputs).add()
        manager.wait_for("STATUS=1 rendered, .*")
        process.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING=1")
        manager.wait_for("READY=1")
        manager.wait_for("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert process.wait(60) == 0


def test_a_watcher_that_hangs_does_not_notify_the_watchdog(outputs, manager, tmp_path):
    with service(outputs, tmp_path / "log", WATCHDOG_USEC="200000") as process:
        manager.wait_for("WATCHDOG=1")
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        with contextlib.suppress(AssertionError):
            manager.wait_for("nothing more", seconds=0.3)
        manager.messages.clear()
        with pytest.raises(AssertionError):
            manager.wait_for("WATCHDOG=1", seconds=1)
        process.send_signal(signal.SIGCONT)
        manager.wait_for("WATCHDOG=1")


def test_a_killed_watcher_takes_its_commands_along(outputs, tmp_path):
    command = f"sleep 60 & echo $! $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pids; wait; true"
    Batch.make(outputs).add()
    with service(outputs, tmp_path / "log", arguments=("--on-rendered", command)) as process:
        wait_until((tmp_path / "pids").exists)
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert all(map(is_running, pids))
        process.kill()
    wait_until(lambda: not any(map(is_running, pids)))


READ_ONLY = """
set -e
mount --bind "$1" "$1"
sed 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\([^ ]*\\) .*/\\1/' /proc/self/mountinfo | sort -u | while read -r point; do
  [ "$point" = "$1" ] || [ "$point" = /dev/shm ] || mount -o remount,bind,ro "$point" 2>/dev/null || true
done
shift
exec "$@"
"""


def bwrap(outputs):
    everything = ["--ro-bind", "/", "/", "--dev", "/dev", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    return ["bwrap", *everything, "--die-with-parent", "--bind", str(outputs), str(outputs)]


def unshare(outputs):
    return ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", READ_ONLY, "sh", str(outputs)]


def works(prefix):
    """Whether a way to restrict a program is installed and allowed."""
    if shutil.which(prefix[0]) is None:
        return False
    return subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=60).returncode == 0


def refuse_new_code():
    """Forbid making memory executable, as MemoryDenyWriteExecute= does, if the kernel supports it."""
    ctypes.CDLL(None).prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)


@pytest.mark.parametrize("restricted", [bwrap, unshare])
def test_the_watcher_needs_only_its_folder(outputs, manager, tmp_path, restricted):
    """Without a network, and with everything else read-only, including the home and temporary directories."""
    prefix = restricted(outputs)
    if not works(prefix):
        pytest.skip(f"{prefix[0]} is not installed, or not allowed here")
    probe = subprocess.run([*prefix, "touch", str(tmp_path / "elsewhere"), "/tmp/elsewhere"], check=False)
    assert probe.returncode != 0
    assert not (tmp_path / "elsewhere").exists()
    manifest = Batch.make(outputs).add()
    log = tmp_path / "log"
    figures = ("--set", "figsize=[4,3]", "--set", "static_duration=0.2")
    with service(outputs, log, prefix=prefix, arguments=figures, prepare=refuse_new_code) as process:
        manager.wait_for("READY=1")
        wait_until(lambda: read_receipt(manifest))
        assert read_receipt(manifest)["status"] == "rendered", log.read_text()
        second = Batch.make(outputs).add(2)
        wait_until(lambda: read_receipt(second))
        os.kill(manager.sender, signal.SIGTERM)
        assert process.wait(60) == 0
    said = log.read_text()
    patience = "matplotlib is building the font cache; this may take a moment"  # on a busy machine
    assert "matplotlib" not in said.replace(patience, "").lower()
    assert "Traceback" not in said
    assert all(re.match(r"\d{4}-\d\d-\d\d \S+ (INFO|WARNING): ", line) for line in said.splitlines()), said


def test_the_example_for_slurm_generates_and_renders_to_the_end(tmp_path):
    """With a generator of three lines instead of the real one, and without Slurm."""
    finished = Batch.make(tmp_path / "finished")
    finished.add(1)
    finished.add(2)
    script = f'[ "$*" = "-m generator --template a" ] || exit 9\nmv {finished.folder} outputs/\nexit 7'
    path = f"{fake_programs(tmp_path, python=script)}:{PROGRAM.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / "configs/slurm.sbatch"), "--template", "a"],
        cwd=tmp_path,
        env=environment(PATH=path, SLURM_SUBMIT_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    for number in (1, 2):
        manifest = tmp_path / "outputs" / finished.folder.name / f"videos/prompt_001/video_{number:03d}.complete.json"
        assert read_receipt(manifest)["status"] == "rendered"


def test_the_example_for_slurm_returns_the_status_of_a_generator_that_ends_at_once(tmp_path):
    path = f"{fake_programs(tmp_path, python='exit 7', attnwatch='exit 0')}:{os.environ['PATH']}"
    command = ["bash", "-c", 'kill() { sleep 0.3; command kill "$@"; }; . "$0"', str(ROOT / "configs/slurm.sbatch")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(PATH=path), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 7, done.stderr


def fake_programs(folder, **scripts):
    """Write shell scripts in place of programs, and return their folder."""
    programs = folder / "bin"
    programs.mkdir()
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    return programs


def test_the_example_for_a_slurm_array_passes_on_the_folder_and_the_flags(tmp_path):
    path = f"{fake_programs(tmp_path, python='echo $*; exit 7')}:{os.environ['PATH']}"
    command = ["bash", str(ROOT / "configs/slurm-array.sbatch"), "outputs/kiss", "--template", "a"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(PATH=path), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 7
    assert done.stdout.splitlines()[1:] == ["-m generator --claim outputs/kiss --template a"]


@pytest.mark.parametrize("script", ["slurm", "slurm-array"])
def test_the_examples_for_slurm_end_the_generator_when_their_time_runs_out(tmp_path, script):
    program = ROOT / f"configs/{script}.sbatch"
    script = "trap 'touch stopped; exit 143' TERM\ntouch started\nwhile :; do sleep 0.1; done"
    path = f"{fake_programs(tmp_path, python=script)}:{PROGRAM.parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        ["bash", str(program), "outputs/kiss"],
        cwd=tmp_path,
        env=environment(PATH=path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until((tmp_path / "started").exists)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert (tmp_path / "stopped").exists()
    finally:
        process.kill()
        process.wait()
