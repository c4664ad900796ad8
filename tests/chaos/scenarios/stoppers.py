"""Single videos, or folders, that try to stop the watcher or to starve all others: these are rendered as if alone."""

import contextlib
import errno
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from tests.chaos.cases import MAPS, write_manifest
from tests.chaos.figures import Figure, Line, Scale, Skipped, none_of, seconds
from tests.chaos.leavings import faults
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Trial
from tests.support import blob_maps, bury, dig, write_json, write_tensors

LONGEST_TURN = 1.0  # seconds
AT_MOST = 2.0  # times the duration without the stopper
SETTLED = 3.0  # seconds in which a stopper does its work before the others come
FILES = 1024  # open files that are usual
SETTINGS = ("--set", "rescan_interval=2", "--set", "retry_backoff=0.5", "--set", "min_free_space=1MiB", *QUICK_PICTURES)


@dataclass
class Case:
    """One stopper.

    Attributes:
        trial: the folder that it is planted in.
        material: writes good videos.
        scale: how large it is.
        variables: environment of the watcher.
        exits: called at the end.

    """

    trial: Trial
    material: Material
    scale: Scale
    variables: dict[str, str] = field(default_factory=dict)
    exits: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def root(self) -> Path:
        return self.trial.root


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Render good videos alone, then beside each stopper."""
    alone, *_ = _rendered(Case(Trial(folder / "alone"), Material(folder / "material"), scale), _nothing)
    for stopper in STOPPERS:
        name = stopper.__name__.replace("_", " ")
        case = Case(Trial(folder / stopper.__name__), Material(folder / "material"), scale)
        with case.exits:
            try:
                took, missing, turn, said = _rendered(case, stopper)
            except PermissionError as error:
                yield Skipped(name, f"needs root ({error})")
                continue
        yield none_of(f"{name}: good videos not rendered, or the watcher ended", missing)
        yield Figure(f"{name}: tracebacks on stderr", said.count("Traceback (most recent call last)"), 0)
        yield Figure(f"{name}: stderr", len(said) / 1e6, 1, "MB")
        yield seconds(f"{name}: good videos, {AT_MOST:g} x without it", took, AT_MOST * alone + LONGEST_TURN)
        yield seconds(f"{name}: longest turn of the loop", turn, LONGEST_TURN)


def _rendered(case: Case, stopper: Callable[[Case], object]) -> tuple[float, list[object], float, str]:
    """Return how long good videos take, those that are missing, the longest turn of the loop, and what was said."""
    stopper(case)
    turns = case.trial.folder / "turns"
    few = ("sh", "-c", f'ulimit -Sn {FILES}; exec "$@"', "sh")
    variables = {"CHAOS_STUB": "real", "CHAOS_TURNS": str(turns), **case.variables}
    with case.trial.daemon("--workers", 2, *SETTINGS, prefix=few, **variables) as daemon:
        daemon.wait_for("watching")
        time.sleep(case.scale.pick(1.0, SETTLED))
        start = time.monotonic()
        good = case.material.add_many(case.root / "good", case.scale.pick(6, 30))
        missing: list[object] = [*case.trial.wait_for_receipts(good, PATIENCE)]
        took = time.monotonic() - start
        if daemon.process.poll() is not None:
            missing.append(f"the watcher ended: {daemon.said[-300:]}")
        said = daemon.said
    wrong = faults(case.root / "good", good)
    return took, missing + wrong["lost"] + wrong["torn"], float(turns.read_text() if turns.exists() else 0), said


def _nothing(_case: Case) -> None:
    """Plant nothing."""


def _dug(case: Case, folder: Path, depth: int) -> None:
    os.close(dig(folder, depth))
    case.exits.callback(bury, folder)


def _newest(manifest: Path) -> Path:
    """Let a video be the first one in the backlog."""
    later = time.time() + 10**6
    os.utime(manifest, (later, later))
    return manifest


def deep_folder(case: Case) -> None:
    """Nest folders deeper than Python calls functions."""
    _dug(case, case.root / "deep", case.scale.pick(1_100, 1_500))


def deep_leftovers(case: Case) -> None:
    """Nest folders where a killed job leaves its files."""
    manifest = case.material.add(case.root / "hostile")
    _dug(case, manifest.parent / "attention_videos" / ".hostile_vid001.tmp", case.scale.pick(1_100, 1_500))


def _ended_batch(case: Case, **visualization: object) -> Path:
    batch = case.root / "hostile"
    case.material.add(batch / "videos" / "prompt_001", visualization={"auto_generate_videos": True, **visualization})
    return batch


def fifo_at_the_end_of_a_batch(case: Case) -> None:
    """Make the end marker of a batch a pipe that nobody writes to."""
    os.mkfifo(_ended_batch(case, normalization="batch") / "batch.complete.json")


def fifo_for_contact_sheets(case: Case) -> None:
    """Make the record of the contact sheets a pipe that nobody writes to."""
    batch = _ended_batch(case)
    (batch / "attention_videos").mkdir()
    os.mkfifo(batch / "attention_videos" / "contact_sheets.json")
    write_json(batch / "batch.complete.json", {})


def sparse_end_of_a_batch(case: Case) -> None:
    """Make the end marker of a batch large, without using any space."""
    marker = write_json(_ended_batch(case, normalization="batch") / "batch.complete.json", {})
    os.truncate(marker, 3 * 2**30)


def manifest_of_deep_paths(case: Case) -> None:
    """Name thousands of files, each in hundreds of folders."""
    folder, depth = case.root / "hostile", case.scale.pick(100, 900)
    folder.mkdir()
    (folder / "video_001.mp4").touch()
    innermost = dig(folder / "a", depth)
    os.close(os.open(MAPS, os.O_CREAT | os.O_WRONLY, dir_fd=innermost))
    os.close(innermost)
    case.exits.callback(bury, folder / "a")
    name = "a/" * (depth + 1) + MAPS
    _newest(write_manifest(folder, attention=[name] * min(10_000, 4 * 2**20 // (len(name) + 5))))


def large_records_of_an_older_batch(case: Case) -> None:
    """Link one large file many times, where each video of a batch asks for all of them."""
    batch = case.root / "hostile"
    for number in range(5):
        (batch / f"attention_maps/prompt_000/p000_b{number:03d}_s000/token_kiss").mkdir(parents=True)
    (batch / "videos").mkdir()
    configs = batch / "configs"
    configs.mkdir()
    record = configs / "video_metadata_0000.json"
    record.write_bytes(b'{"videos":[' + b"{}," * case.scale.pick(300_000, 22_000_000) + b"0]}")
    for number in range(1, 40):
        os.link(record, configs / f"video_metadata_{number:04d}.json")


def more_files_than_may_be_open(case: Case) -> None:
    """Name more tensor files than a process may open."""
    folder = case.root / "hostile"
    manifest = case.material.place(folder)
    maps = write_tensors(folder / MAPS, {"kiss": blob_maps(steps=1)})
    names = [f"{number:04d}.safetensors" for number in range(FILES + 100)]
    for name in names:
        os.link(maps, folder / name)
    _newest(case.material.mark(manifest, attention=names))


def maps_larger_than_the_temporary_folder(case: Case) -> None:
    """Compress maps that no temporary folder has room for."""
    temporary = case.trial.folder / "temporary"
    temporary.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(temporary)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        raise PermissionError(errno.EPERM, "to mount a file system")
    case.exits.callback(subprocess.run, ["umount", "-l", str(temporary)], check=True)
    case.variables["TMPDIR"] = str(temporary)
    data = zstandard.ZstdCompressor().compress(bytes(50 * 2**20))
    for number in range(3):
        manifest = case.material.place(case.root / f"hostile_{number}")
        (manifest.parent / f"{MAPS}.zst").write_bytes(data)
        _newest(case.material.mark(manifest, attention=[f"{MAPS}.zst"]))


def held_lock_of_a_colour_scale(case: Case) -> None:
    """Hold the lock that all videos of a collection need."""
    batch = case.root / "hostile"
    visualization = {"auto_generate_videos": True, "normalization": "batch"}
    for number in range(1, 4):
        case.material.add(batch / "videos" / "prompt_001", number, visualization=visualization)
    write_json(batch / "batch.complete.json", {})
    case.trial.command("collect", batch, *QUICK_PICTURES)
    (scale,) = (batch / "attention_videos").glob(".scales_*.json")
    for path in (batch / "attention_videos").iterdir():
        path.unlink()
    lock = (batch / "attention_videos" / f".{scale.name}.lock").open("w")
    case.exits.callback(lock.close)
    fcntl.flock(lock, fcntl.LOCK_EX)


def video_that_is_its_own_output(case: Case) -> None:
    """Name as the video what its rendering replaces."""
    manifest = case.material.place(case.root / "hostile")
    output = "attention_videos/hostile_vid001_kiss_overlay.mp4"
    (manifest.parent / "attention_videos").mkdir()
    shutil.copy2(manifest.parent / "video_001.mp4", manifest.parent / output)
    _newest(case.material.mark(manifest, video=output))


STOPPERS: tuple[Callable[[Case], None], ...] = (
    deep_folder,
    deep_leftovers,
    fifo_at_the_end_of_a_batch,
    fifo_for_contact_sheets,
    sparse_end_of_a_batch,
    manifest_of_deep_paths,
    large_records_of_an_older_batch,
    more_files_than_may_be_open,
    maps_larger_than_the_temporary_folder,
    held_lock_of_a_colour_scale,
    video_that_is_its_own_output,
)
