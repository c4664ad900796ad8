"""Runs the generator in a separate process: started as a user does, or forked, which spares it the imports."""

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.forking import ForkServer, run_program
from tests.support import attnwatch

ROOT = Path(__file__).parents[2]
FORKS = ForkServer(
    "generator.cli",
    "generator.batch.claiming.process",
    "generator.batch.run",
    "tests.integration.library_support",
    OMP_NUM_THREADS="1",
    HF_HUB_OFFLINE="1",
)
LIMIT = 900.0
"""Seconds after which a process counts as hanging: far more than a heavily loaded machine needs."""


def command(*arguments):
    return [sys.executable, "-m", "generator", *map(str, arguments)]


def environment():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GENERATOR_")}
    return {
        **kept,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }


def generate(*arguments):
    """Run the generator to completion, as a user does; return the finished process, with its output as text."""
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=LIMIT, check=False
    )


def generated(*arguments, run=run_program, **variables):
    """Run a forked generator to completion; return its exit code and its messages."""
    with generating(*arguments, run=run, **variables) as process:
        log = process.stderr.read()
        return process.wait(LIMIT), log


@contextmanager
def started(*arguments):
    """Start the generator as a user does; kill it at the end of the context if it is still running."""
    process = subprocess.Popen(
        command(*arguments), env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def generating(*arguments, run=run_program, **variables):
    """Start a forked generator, to be used as a context, at the end of which it is killed if it is still running."""
    return FORKS.start(
        run,
        "generator",
        *map(str, arguments),
        environment={**environment(), **variables},
        stderr=subprocess.PIPE,
    )


def run_forked(program, *arguments):
    """Run one of the two programs to completion, in place of the function with which an evaluation runs them."""
    if program == "generator":
        code, log = generated(*arguments)
    else:
        ended = attnwatch(*arguments)
        code, log = ended.returncode, ended.stderr
    assert code == 0, log


def wait_for(condition, *processes):
    """Poll ``condition`` and return its first true value; fail as soon as one of ``processes`` has ended without it."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        ended = [process.returncode for process in processes if process.poll() is not None]
        if found := condition():
            return found
        assert not ended, f"a process ended with {ended[0]} before the condition held"
        time.sleep(0.01)
    raise AssertionError(f"the condition did not hold within {LIMIT} s")


def batch_below(output):
    (folder,) = output.iterdir()
    return folder


def manifests(output):
    return sorted(output.rglob("video_*.complete.json"))


def read(path):
    return json.loads(path.read_text())


def contents(folder):
    """Return the digest of every video and every tensor file, by path."""
    files = [path for path in folder.rglob("*") if path.suffix in {".mp4", ".safetensors"}]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_whole(folder):
    """Assert that the files of every manifest exist and have the digests that it lists."""
    for manifest in manifests(folder):
        for name, facts in read(manifest)["files"].items():
            content = (manifest.parent / name).read_bytes()
            assert len(content) == facts["bytes"]
            assert hashlib.sha256(content).hexdigest() == facts["sha256"]
