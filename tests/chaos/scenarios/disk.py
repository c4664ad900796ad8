"""A full disk and a read-only one: the daemon waits, charges no video an attempt, and resumes afterwards."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, Skipped, missing_tool, none_of, seconds
from tests.chaos.leavings import Tearing, faults, receipts
from tests.chaos.material import Material, prepare
from tests.chaos.trial import PATIENCE, QUICK_PICTURES, Daemon, Trial
from tests.support import wait_until

SIZE = 24 * 2**20
LEFT = 5 * 2**17  # bytes left when the disk is "full": more than `min_free_space`, less than a job tries for
MORE_THAN_LEFT = 3 * 2**20
LONGEST_RECOVERY = 60.0  # seconds within which rendering must resume
SETTINGS = (
    *("--set", "min_free_space=0.5MiB"),
    *("--set", "rescan_interval=5"),
    *("--set", "retry_backoff=0.5"),
    *QUICK_PICTURES,
)


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Take away space, then all space, then write access, and give each back."""
    reason = missing_tool("mount", "umount") or (None if os.geteuid() == 0 else "needs root, to mount a tmpfs")
    if reason is None:
        reason = _cannot_mount(folder / "try")
    if reason is not None:
        yield Skipped("full disk, read-only disk", reason)
        return
    videos, shortage = scale.pick((4, 1.5), (40, 20.0))
    yield from _trial("full disk", folder / "full", videos, shortage, _fill)
    yield from _trial("nothing left at all", folder / "nothing", videos, shortage, _fill_all)
    yield from _trial("read-only disk", folder / "readonly", videos, shortage, _make_read_only)


def _trial(
    what: str, folder: Path, videos: int, shortage: float, trouble: Callable[[Path], Callable[[], None]]
) -> Iterator[Line]:
    mount = folder / "disk"
    with _tmpfs(mount):
        trial, material = Trial(folder, mount / "outputs"), Material(mount / ".material")
        first = material.add(trial.root / "first")
        large, small = _prepared(material, trial.root, videos)
        manifests = [first, *large, *small]
        tearing = Tearing(trial.root)
        with trial.daemon("--workers", 2, *SETTINGS) as daemon:
            trial.wait_for_receipts([first], PATIENCE)
            _reveal(small)
            wait_until(lambda: len(trial.notes("start")) > 1 or daemon.process.poll() is not None, about="rendering")
            recover = trouble(mount)
            # Only now: what a large one writes while the disk is being filled would be its own part of the trouble.
            is_writable = not os.statvfs(mount).f_flag & os.ST_RDONLY
            if is_writable:
                _reveal(large)
            _look_for(shortage, tearing, daemon)
            known = receipts(trial.root)
            recovery = time.monotonic()  # before it: on a busy machine, all could be rendered by the next line
            recover()
            if not is_writable:
                _reveal(large)
            missing = trial.wait_for_receipts(manifests, PATIENCE + videos)
            resumed = [note.at - recovery for note in trial.notes("end") if note.at > recovery]
            ended = daemon.process.poll() is not None
            daemon.end()  # by SIGTERM: the last receipt is written, but its job may not have cleaned up yet
        wrong = faults(trial.root, manifests)
        tearing.look()
        charged = [path for path, receipt in receipts(trial.root).items() if len(receipt["attempts"]) != 1]
        waiting = len(manifests) - len(known)
    yield Figure(f"{what}: the daemon ended", int(ended), 0, detail=daemon.said[-200:] if ended else "")
    yield none_of(f"{what}: partial outputs", tearing.torn | set(wrong["torn"] + wrong["invalid"]))
    yield none_of(f"{what}: videos charged an attempt", charged)
    yield none_of(f"{what}: videos not rendered after recovery", missing + wrong["lost"])
    yield none_of(f"{what}: unfinished files at the end", wrong["unfinished"] + wrong["stray"])
    found = min(resumed, default=float("nan")) if waiting else 0.0
    yield seconds(f"{what}: until rendering resumes", found, LONGEST_RECOVERY, detail=f"{waiting} were waiting")
    yield Figure(f"{what}: stderr", len(daemon.log.read_bytes()) / 1e6, 1, "MB")


def _prepared(material: Material, root: Path, videos: int) -> tuple[dict[Path, Path], dict[Path, Path]]:
    """Make two videos with large renderings, and some others; return final -> hidden path of each manifest."""
    large = [material.place(root / "a_large", number) for number in (1, 2)]
    small = [material.place(root / "batch" / f"prompt_{number:03d}") for number in range(videos)]
    return (
        {manifest: prepare(manifest, f"big {MORE_THAN_LEFT}") for manifest in large},
        {manifest: prepare(manifest, "real 0.2") for manifest in small},
    )


def _reveal(prepared: dict[Path, Path]) -> None:
    for manifest, hidden in prepared.items():
        hidden.rename(manifest)


def _look_for(duration: float, tearing: Tearing, daemon: Daemon) -> None:
    end = time.monotonic() + duration
    while time.monotonic() < end and daemon.process.poll() is None:
        tearing.look()
        time.sleep(0.1)


def _fill(mount: Path) -> Callable[[], None]:
    """Leave too little space for a large rendering."""
    return _ballast(mount, LEFT)


def _fill_all(mount: Path) -> Callable[[], None]:
    """Leave no space at all."""
    return _ballast(mount, 0)


def _ballast(mount: Path, left: int) -> Callable[[], None]:
    path = mount / ".ballast"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while _free(mount) > left:
            file.write(bytes(min(65536, _free(mount) - left)))
    return path.unlink


def _make_read_only(mount: Path) -> Callable[[], None]:
    """Remount read-only, retrying while a file is being written."""

    def remount(how: str) -> None:
        wait_until(lambda: _mount("-o", f"remount,{how}", mount).returncode == 0, PATIENCE, f"remounted {how}")

    remount("ro")
    return lambda: remount("rw")


def _free(mount: Path) -> int:
    status = os.statvfs(mount)
    return status.f_bavail * status.f_frsize


@contextlib.contextmanager
def _tmpfs(mount: Path) -> Iterator[None]:
    mount.mkdir(parents=True)
    done = _mount("-t", "tmpfs", "-o", f"size={SIZE}", "none", mount)
    if done.returncode:
        raise OSError(done.stderr)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def _cannot_mount(folder: Path) -> str | None:
    try:
        with _tmpfs(folder):
            return None
    except OSError as error:
        return f"needs the right to mount a tmpfs: {error}"


def _mount(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
