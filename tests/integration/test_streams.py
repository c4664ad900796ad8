"""Standard streams of a watcher that nobody reads, or that are closed."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from tests.integration.watcher_support import QUICK
from tests.support import Batch, environment, read_receipt, wait_until, write_manifest


@pytest.fixture
def batch(outputs):
    return Batch.make(outputs)


@pytest.fixture
def full():
    """A pipe that nobody reads and that takes nothing more; return the descriptor to write to."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    yield writer
    os.close(reader)
    os.close(writer)


def is_rendered(manifest):
    return (read_receipt(manifest) or {}).get("status") == "rendered"


def start(*arguments, **streams):
    command = [sys.executable, "-m", "attnwatch", *map(str, arguments)]
    return subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, **streams)


@pytest.mark.parametrize("arguments", [[], ["-v", "--log-format", "json"]])
def test_a_watcher_whose_log_nobody_reads_renders_and_can_be_stopped(batch, outputs, full, arguments):
    manifests = [batch.add(number) for number in (1, 2)]
    watcher = start(outputs, *QUICK, *arguments, stdout=subprocess.DEVNULL, stderr=full)
    try:
        for manifest in manifests:
            wait_until(lambda manifest=manifest: is_rendered(manifest), 60, "a video is rendered")
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait(60) == 0
    finally:
        watcher.kill()
        watcher.wait()


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_no_error(batch, outputs, closed):
    manifest = batch.add()
    write_manifest(manifest.with_name("wrong.complete.json"), video="../v.mp4")  # there is something to log
    run = start(outputs, "--once", *QUICK, preexec_fn=lambda: [os.close(number) for number in closed])
    assert run.wait(60) == 1
    assert is_rendered(manifest)
