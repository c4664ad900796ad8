"""Builders of small real videos, tensor files, manifests and batches, and the watcher as a process."""

import contextlib
import gc
import hashlib
import json
import math
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
import zstandard
from safetensors.numpy import save

from attnwatch import Video
from attnwatch import open as open_batch
from attnwatch.cli.app import main
from attnwatch.contract.documents import OutputRecord
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.manifest import read_manifest
from attnwatch.contract.names import OUTPUT_DIRECTORY
from attnwatch.contract.receipts import Place, failure, success
from attnwatch.errors import JobError
from attnwatch.settings import Visualization
from attnwatch.settings import Watcher as Limits
from attnwatch.system.forkserver import ForkServer
from attnwatch.system.limits import SINGLE_THREADED
from tests import forking
from tests.forking import Forked, run_program

WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 9, 16
GRID = (3, 6, 8)  # latent frames, rows, columns: a causal stride of 4, 8 pixels per cell
BATCH = "demo_20260102_030405"

Maps = npt.NDArray[np.float32]

# What a watcher imports, and what it has its own fork server import.
_FORKS = forking.ForkServer(
    "attnwatch.__main__",
    "attnwatch.cli.rendering",
    "attnwatch.render.video",
    "attnwatch.jobs.measures",
    "attnwatch.jobs.sheets",
    "matplotlib.colors",
    **SINGLE_THREADED,
)


def write_source_video(
    path: Path,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    frames: int = FRAMES,
    fps: int | Fraction = FPS,
    pix_fmt: str = "yuv420p",
    colour: tuple[int, int, int] | None = None,
    gop: int = 12,
) -> Path:
    """Encode a video: one colour if given, else a grey ramp that gets brighter with every frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "ultrafast", "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        ramp = np.linspace(0, 180, width, dtype=np.uint8)
        for index in range(frames):
            picture = np.empty((height, width, 3), np.uint8)
            picture[:] = colour if colour else (ramp + 60 * index // max(1, frames))[None, :, None]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def decode(path: Path) -> list[av.VideoFrame]:
    """Decode every frame of a video."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def blob_centre(frame: int, grid: tuple[int, int, int] = GRID) -> tuple[float, float]:
    """Return the row and column of the blob in a latent frame."""
    frames, height, width = grid
    done = frame / max(1, frames - 1)
    return (height - 1) * (0.25 + 0.5 * done), (width - 1) * (0.1 + 0.8 * done)


def blob_maps(
    grid: tuple[int, int, int] = GRID,
    *,
    steps: int = 2,
    layers: int = 1,
    heads: int = 1,
    dtype: npt.DTypeLike = np.float32,
    peak: float = 0.5,
) -> npt.NDArray[Any]:
    """Return `[step, layer, head, frame, height, width]`: a blob moving from the upper left to the lower right."""
    frames, height, width = grid
    rows, columns = np.mgrid[:height, :width]
    blobs = np.empty(grid)
    for frame in range(frames):
        row, column = blob_centre(frame, grid)
        blobs[frame] = peak * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 3)
    share = np.linspace(0.5, 1.5, steps * layers * heads).reshape(steps, layers, heads, 1, 1, 1)
    return (blobs * share).astype(dtype)


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: dict[str, str] | None = None) -> Path:
    """Write a safetensors file, compressed if its name ends in `.zst`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, metadata)
    path.write_bytes(zstandard.ZstdCompressor().compress(data) if path.name.endswith(".zst") else data)
    return path


def write_manifest(path: Path, **fields: Any) -> Path:
    """Write a manifest atomically, as the contract requires; fields that are None are left out."""
    stem = path.name.removesuffix(".complete.json")
    document = {"format": "attnwatch/1", "video": f"{stem}.mp4", "attention": ["maps.safetensors"], **fields}
    return write_json(path, {name: value for name, value in document.items() if value is not None})


def write_json(path: Path, content: Any) -> Path:
    """Write a JSON file under a hidden name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    return temporary.rename(path)


def file_record(path: Path) -> dict[str, Any]:
    """Return the `files` entry of a file."""
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@dataclass(frozen=True)
class Batch:
    """A batch folder to which videos are added: `outputs/<batch>/videos/prompt_001/...`."""

    folder: Path

    @classmethod
    def make(cls, outputs: Path, name: str = BATCH) -> "Batch":
        """Make an empty batch."""
        folder = outputs / name
        (folder / "videos").mkdir(parents=True, exist_ok=True)
        return cls(folder)

    def prompt(self, number: int = 1) -> Path:
        """Return the folder of a prompt."""
        return self.folder / "videos" / f"prompt_{number:03d}"

    def add(
        self,
        number: int = 1,
        /,
        *,
        prompt: int = 1,
        words: Sequence[str] = ("kiss",),
        tensors: Mapping[str, npt.NDArray[Any]] | None = None,
        source: bool = True,
        frames: int = FRAMES,
        **fields: Any,
    ) -> Path:
        """Write one finished video and return its manifest; `fields` are added to the manifest."""
        maps, manifest = self.write_data(
            number, prompt=prompt, words=words, tensors=tensors, source=source, frames=frames
        )
        return write_manifest(manifest, **{"attention": [str(maps.relative_to(manifest.parent))], **fields})

    def add_full(self, number: int = 1, /, *, prompt: int = 1, words: Sequence[str] = ("kiss",), **fields: Any) -> Path:
        """Write one finished video whose manifest has every field of the contract; return the manifest."""
        maps, manifest = self.write_data(number, prompt=prompt, words=words)
        source = manifest.with_name(f"video_{number:03d}.mp4")
        files = {str(path.relative_to(manifest.parent)): file_record(path) for path in (source, maps)}
        return write_manifest(manifest, **{**full_fields(number, prompt, words, files), **fields})

    def write_data(
        self,
        number: int = 1,
        /,
        *,
        prompt: int = 1,
        words: Sequence[str] = ("kiss",),
        tensors: Mapping[str, npt.NDArray[Any]] | None = None,
        source: bool = True,
        frames: int = FRAMES,
    ) -> tuple[Path, Path]:
        """Write all files of a video except its manifest; return the tensor file and the future manifest's path."""
        folder = self.prompt(prompt)
        if source:
            write_source_video(folder / f"video_{number:03d}.mp4", frames=frames)
        maps = folder / "attention_maps" / f"vid{number:03d}.safetensors"
        write_tensors(maps, tensors if tensors is not None else {word: blob_maps() for word in words})
        return maps, folder / f"video_{number:03d}.complete.json"


def full_fields(
    number: int, prompt: int, words: Sequence[str], files: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return every field of a manifest, with values that match what `Batch` writes; `files` has the video first."""
    names = list(files)
    text = f"a {' and a '.join(words)}"
    spans = [text.index(f"a {word}") + 2 for word in words]
    return {
        "video_id": f"prompt_{prompt:03d}_vid{number:03d}",
        "video": names[0],
        "attention": names[1:],
        "files": files,
        "tokens": [
            {
                "slug": word,
                "text": word,
                "span": [start, start + len(word)],
                "positions": [2 * index + 1],
                "ids": [index + 7],
                "slot": None,
            }
            for index, (word, start) in enumerate(zip(words, spans, strict=True))
        ],
        "grid": {
            "frames": GRID[0],
            "height": GRID[1],
            "width": GRID[2],
            "temporal_stride": 4,
            "causal_first_frame": True,
        },
        "denoising": [
            {"index": step, "timestep": 999.0 - 500 * step, "sigma": 0.99, "model": "transformer", "branch": "cond"}
            for step in range(2)
        ],
        "generation": {
            "prompt": text,
            "negative_prompt": "",
            "template": text.replace(words[0], f"({words[0]})", 1),
            "prompt_id": f"prompt_{prompt:03d}",
            "variation": prompt,
            "choices": [],
            "seed": 41 + number,
            "model": "tiny",
            "model_revision": None,
            "width": WIDTH,
            "height": HEIGHT,
            "frames": FRAMES,
            "fps": float(FPS),
            "steps": 2,
            "guidance_scale": 5.0,
            "scheduler": "UniPCMultistepScheduler",
            "versions": {"diffusers": "0.42.1"},
            "capture": {"calls": 4},
        },
        "visualization": {"colormap": "viridis"},
    }


def write_receipt(manifest: Path, error: str | None = None, *, attempts: int = 1, batch: Path | None = None) -> Place:
    """Write the receipt of a watcher with default settings: rendered, or failed `attempts` times with `error`."""
    read = read_manifest(manifest)
    place = Place(manifest, read.video_id, (batch or manifest.parent) / OUTPUT_DIRECTORY)
    fingerprint = Fingerprint.of(read.sha256, Visualization(), None, read.inputs())
    output = OutputRecord(file=f"{read.video_id}_kiss_overlay.mp4", kind="overlay", token="kiss", bytes=7, scale=(0, 1))
    for _ in range(attempts):
        if error is None:
            place.write(success(place, fingerprint, (output,), (), 1.5))
        else:
            place.write(failure(place, fingerprint, JobError(error), 0.5, Limits()))
    return place


def read_receipt(manifest: Path) -> dict[str, Any] | None:
    """Return the receipt of the video with this manifest, or None."""
    for path in sorted((manifest.parent / "attention_videos").glob("*.rendered.json")):
        receipt: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if receipt["manifest"] == manifest.name:
            return receipt
    return None


def wait_until(condition: Callable[[], Any], seconds: float = 180.0, about: str = "") -> Any:
    """Poll a condition until it is true and return its value; fail after `seconds`."""
    limit = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(f"not within {seconds:g} s: {about or condition}")
        time.sleep(0.01)


def remove(folder: Path) -> None:
    """Remove a folder, again and again while a program that is at work there puts something else into it."""

    def is_gone() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    wait_until(is_gone)


def free_ports(number: int) -> list[int]:
    """Return ports on which nothing listens, none of those that the kernel gives to programs that ask for any."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < number:
            port = random.SystemRandom().randrange(10_000, max(first, 20_000))
            with contextlib.suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def call(work: tuple[Any, ...], results: "Connection[Any, Any]") -> None:
    """Call a module-level function in a process of the fork server, and send its result."""
    function, *arguments = work
    results.send(function(*arguments))


def called_in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a module-level function, called in a separate process."""
    server = ForkServer(call)
    try:
        _, results = server.start((function, *arguments))
        with results:
            return results.recv()
    finally:
        server.close()


@contextmanager
def few_descriptors(free: int) -> Iterator[None]:
    """Leave this process only `free` unused file descriptors for the duration of the context."""
    gc.collect()  # unreferenced files would otherwise be closed later and free descriptors
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    with contextlib.ExitStack() as files:
        last = -1
        while last < highest:  # the limit is on descriptor numbers, so none below it may stay free
            last = files.enter_context(Path(os.devnull).open("rb")).fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1 + free, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


def only_video(batch: Batch) -> Video:
    """Return the video of a batch that has one."""
    (video,) = open_batch(batch.folder).values()
    return video


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return what is in a folder at any depth, by relative path; a folder is None."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def opened_since() -> Callable[[], set[tuple[int, ...]]]:
    """Return a function that returns which files this process has opened from now on and not closed.

    What earlier tests have left open may be closed meanwhile, as garbage or by a thread that ends.
    """
    gc.collect()
    before = _opened_files()
    return lambda: _opened_files() - before


def _opened_files() -> set[tuple[int, ...]]:
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder was open while it was read
            status = os.fstat(int(path.name))
            found.add((int(path.name), status.st_dev, status.st_ino))
    return found


def threads_since() -> Callable[[], set[threading.Thread]]:
    """Return a function that returns which threads have been started from now on and run; others may end meanwhile."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before


def children_since() -> Callable[[], set[int]]:
    """Return a function that returns which processes have been started from now on and not been waited for."""
    before = _children()
    return lambda: _children() - before


def _children() -> set[int]:
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # that thread has ended
            found |= set(map(int, path.read_text().split()))
    return found


def dig(folder: Path, depth: int) -> int:
    """Nest folders called `a` in a new one; return a descriptor of the innermost, whose path is too long to be used."""
    folder.mkdir(parents=True)
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=descriptor)
        inside = os.open("a", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inside
    return descriptor


def bury(folder: Path) -> None:
    """Remove folders nested too deeply for `shutil.rmtree`, and so for pytest, before Python 3.12."""
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings of the two programs, plus `variables`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ATTNWATCH_", "GENERATOR_"))}
    return {**kept, **variables}


def attnwatch(*arguments: object, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `attnwatch` to completion."""
    with _started(arguments, cwd, variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(["attnwatch", *arguments], process.returncode, out, err)


def _started(arguments: Sequence[object], cwd: Path | None, variables: Mapping[str, str], **streams: Any) -> Any:
    """Start `attnwatch`, forked where that makes no difference; return a context that ends when the process has."""
    texts = [*map(str, arguments)]
    environ = environment(**variables)
    if _FORKS.knows(environ):
        return _FORKS.start(run_program, "attnwatch", *texts, environment=environ, cwd=cwd, **streams)
    command = [sys.executable, "-m", "attnwatch", *texts]
    return subprocess.Popen(command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, text=True, **streams)


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Call `attnwatch` in this process; return the exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    code = caught.value.code
    return (code if isinstance(code, int) else 0, *capsys.readouterr())


class Watcher:
    """The daemon as a separate process that logs to a file."""

    def __init__(self, process: "subprocess.Popen[str] | Forked", log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        """Everything it has logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, seconds: float = 180.0) -> None:
        """Wait until the log contains a text."""

        def logged() -> bool:
            if text in self.log:
                return True
            assert self.process.poll() is None, f"ended with {self.process.returncode} before {text!r}:\n{self.log}"
            return False

        wait_until(logged, seconds, f"{text!r} in the log")

    def stop(self, number: int, seconds: float = 180.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def watching(*arguments: object, log: Path, cwd: Path | None = None, **variables: str) -> Iterator[Watcher]:
    """Run the daemon for the duration of the context."""
    with log.open("wb") as file:
        process = _started(arguments, cwd, variables, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield Watcher(process, log)
    finally:
        process.kill()
        process.wait()


def brightest(picture: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the row and column of the centre of mass of the bright parts of a grey picture."""
    weights = np.clip(picture.astype(float) - picture.mean(), 0, None)
    total = weights.sum() or math.nan
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return float((rows * weights).sum() / total), float((columns * weights).sum() / total)


@contextmanager
def closed_folder() -> Iterator[Path]:
    """Make a folder that this process cannot read meanwhile, even if it is that of root."""
    nobody, user = 65534, os.geteuid()
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent, "closed")
        folder.mkdir(mode=0)
        if user == 0:
            os.seteuid(nobody)
        try:
            yield folder
        finally:
            os.seteuid(user)
