"""Starting the generator as a user does, as a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


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


def generate(*arguments, timeout=120):
    """Run to the end; return the finished process, its output as text."""
    return subprocess.run(
        command(*arguments), env=environment(), capture_output=True, text=True, timeout=timeout, check=False
    )


@contextmanager
def generating(*arguments):
    """Run in the background; whatever happens, the process is gone afterwards."""
    process = subprocess.Popen(
        command(*arguments), env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def wait_for(condition, timeout=240.0):
    """Return the first true value of ``condition``, or fail."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {timeout} s in vain")


def batch_below(output):
    (folder,) = output.iterdir()
    return folder


def manifests(output):
    return sorted(output.rglob("video_*.complete.json"))


def read(path):
    return json.loads(path.read_text())


def contents(folder):
    """Digest of every video and every tensor file, by path."""
    files = [path for path in folder.rglob("*") if path.suffix in {".mp4", ".safetensors"}]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_whole(folder):
    """Check that every manifest's files are there with the digests it lists."""
    for manifest in manifests(folder):
        for name, facts in read(manifest)["files"].items():
            content = (manifest.parent / name).read_bytes()
            assert len(content) == facts["bytes"]
            assert hashlib.sha256(content).hexdigest() == facts["sha256"]
