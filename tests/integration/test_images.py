"""Builds the watcher's images, and runs what is in them: as their user, writing to nothing but the outputs and /tmp.

The base is what ATTNWATCH_DEBIAN_IMAGE names (of a mirror, or `docker-archive:FILE`), else the Containerfile's own if
it can be pulled, else one that is made by mmdebstrap.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.integration.watcher_support import wait_for_rendering
from tests.support import FRAMES, Batch, decode, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOST_MEGABYTES = 250
USER = "10001"


class Builder:
    """Buildah, with storage of its own."""

    def __init__(self, folder):
        self._command = ["buildah", "--root", folder / "storage", "--runroot", folder / "run"]
        if self.tried("info").returncode != 0:
            self._command += ["--storage-driver", "vfs"]

    def tried(self, *arguments, seconds=1800):
        return subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, check=False, timeout=seconds, cwd=ROOT
        )

    def __call__(self, *arguments):
        done = self.tried(*arguments)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.strip()


def base(builder, folder):
    """Return the name or the number of an image of Debian; skip the test if there is none."""
    given = os.environ.get("ATTNWATCH_DEBIAN_IMAGE")
    usual = re.search(r"^ARG DEBIAN=(\S+)", (ROOT / "configs/container/Containerfile").read_text(), re.MULTILINE)[1]
    if given:
        return builder("pull", given)
    with contextlib.suppress(subprocess.TimeoutExpired):
        if builder.tried("pull", usual, seconds=120).returncode == 0:
            return usual
    if shutil.which("mmdebstrap") is None:
        pytest.skip("can pull no image of Debian, and there is no mmdebstrap; ATTNWATCH_DEBIAN_IMAGE names another")
    archive = folder / "debian.tar"
    arguments = ["--variant=minbase", "--include=ca-certificates", "trixie", archive]
    done = subprocess.run(["mmdebstrap", *arguments], capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        pytest.skip(f"can pull no image of Debian, and mmdebstrap made none: {done.stderr[-300:]}")
    container = builder("from", "scratch")
    builder("add", container, archive, "/")
    # What this machine needs to reach its package registries.
    for file in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"):
        if Path(file).exists():
            builder("add", container, file, file)
    builder("commit", "--rm", container, "localhost/debian")
    archive.unlink()
    return "localhost/debian"


class Image:
    """An image whose files are mounted.

    Attributes:
        name: its name.
        config: how it is run.
        megabytes: its size, unpacked, as `buildah images` tells it.

    """

    def __init__(self, builder, name):
        self.name = name
        self.config = json.loads(builder("inspect", "--type", "image", name))["Docker"]["config"]
        number, unit = builder("images", "--format", "{{.Size}}", name).split()
        self.megabytes = float(number) * {"MB": 1, "GB": 1000}[unit]
        self._files = builder("mount", builder("from", name))

    def command(self, outputs, *arguments):
        """Return the command that runs a program of the image."""
        variables = [word for text in self.config["Env"] for word in ("--setenv", *text.split("=", 1))]
        here = ["--unshare-user", "--uid", self.config["User"], "--gid", "10001", "--unshare-ipc", "--unshare-cgroup"]
        mounts = ["--ro-bind", self._files, "/", "--bind", outputs, "/outputs", "--tmpfs", "/tmp"]
        system = ["--proc", "/proc", "--dev", "/dev", "--chdir", "/", "--clearenv", "--die-with-parent"]
        return ["bwrap", *mounts, *system, *here, *variables, *arguments]

    def run(self, outputs, *arguments):
        command = self.command(outputs, *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def built():
    """Return a function that builds the watcher's image with more arguments."""
    for program in ("buildah", "bwrap"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}")
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount an image")
    with tempfile.TemporaryDirectory() as name:  # not pytest's: paths of storage are long
        folder = Path(name)
        builder = Builder(folder)

        def build(tag, *arguments):
            options = ["--format", "docker", "--layers", "--isolation", "chroot", "--target", "watcher", "-t", tag]
            file = ["-f", "configs/container/Containerfile", "--build-arg", f"DEBIAN={debian}"]
            builder("bud", *options, *file, *arguments, ".")
            return Image(builder, tag)

        try:
            debian = base(builder, folder)
            yield build
        finally:
            builder.tried("rm", "-a")
            builder.tried("rmi", "-a", "-f")


@pytest.fixture(scope="module")
def image(built):
    return built("localhost/watcher")


def test_it_is_small_and_not_run_by_root(image):
    assert image.megabytes <= MOST_MEGABYTES
    assert image.config["User"] == USER
    assert image.config["StopSignal"] == "SIGTERM"


def test_it_has_an_interpreter_and_no_tools_to_change_it(image, outputs):
    assert image.run(outputs, "python", "-c", "import os; assert os.getuid() == 10001").returncode == 0
    assert image.run(outputs, "sh", "-c", "exit 7").returncode == 7
    for program in ("pip", "apt-get", "dpkg", "gcc", "perl"):
        assert "No such file" in image.run(outputs, program).stderr
    assert "No module named" in image.run(outputs, "python", "-m", "pip").stderr


def test_it_renders_draws_and_measures(image, outputs):
    manifest = Batch.make(outputs).add()
    done = image.run(outputs, *image.config["Entrypoint"], "/outputs", "--once", "--set", "static_duration=0.2")
    assert done.returncode == 0, done.stderr
    made = manifest.parent / "attention_videos"
    assert len(decode(next(made.glob("*_overlay.mp4")))) == FRAMES
    assert image.run(outputs, "attnwatch", "doctor", "/outputs").returncode == 0
    video = f"/outputs/{manifest.relative_to(outputs)}"
    for kind in ("png", "pdf", "svg"):
        done = image.run(outputs, "attnwatch", "still", video, "-o", f"/outputs/still.{kind}")
        assert done.returncode == 0, done.stderr
    assert image.run(outputs, "attnwatch", "measure", "/outputs", "-o", "/outputs/measures.csv").returncode == 0
    assert {path.name for path in outputs.glob("*.*")} >= {"still.png", "still.pdf", "still.svg", "measures.csv"}


def test_it_is_healthy_while_its_watcher_lives(image, outputs):
    asked = image.config["Healthcheck"]["Test"]
    assert asked[0] == "CMD"
    manifest = Batch.make(outputs).add()

    def health():
        return image.run(outputs, *asked[1:]).returncode

    assert health() == 1
    watcher = subprocess.Popen(
        image.command(outputs, *image.config["Entrypoint"], "/outputs", "--metrics-port", "0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_rendering(manifest)
        wait_until(lambda: health() == 0)
    finally:
        watcher.kill()
        watcher.wait()
    wait_until(lambda: health() == 1)


def test_with_dask_it_is_the_scheduler_a_worker_and_the_watcher_of_a_cluster(built, outputs):
    image = built("localhost/watcher-dask", "--build-arg", "EXTRAS=dask")
    manifest = Batch.make(outputs).add()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with contextlib.ExitStack() as running:

        def start(program, *arguments):
            process = subprocess.Popen(image.command(outputs, "dask", program, *arguments), **quiet)
            running.callback(process.wait)
            running.callback(process.kill)

        about = ("--scheduler-file", "/outputs/scheduler.json", "--dashboard-address", ":0")
        start("scheduler", *about, "--host", "127.0.0.1", "--port", "0")
        file = outputs / "scheduler.json"
        address = json.loads(wait_until(lambda: file.is_file() and file.read_text()))["address"].removeprefix("tcp://")
        start("worker", *about, "--nthreads", "2")
        done = image.run(outputs, *image.config["Entrypoint"], "/outputs", "--once", "--engine", f"dask://{address}")
        assert done.returncode == 0, done.stderr
    assert len(decode(next((manifest.parent / "attention_videos").glob("*_overlay.mp4")))) == FRAMES
