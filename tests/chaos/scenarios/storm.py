"""More events than the queue holds, fewer watches than folders, and roots and batches that come and go."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.figures import Figure, Line, Scale, Skipped, missing_tool, none_of, seconds
from tests.chaos.leavings import faults
from tests.chaos.material import Material
from tests.chaos.trial import PATIENCE, Daemon, Trial, longest_pause, stated
from tests.support import remove, wait_until

SCAN = 1.0  # seconds allowed for a scan and the start of a job
WATCHES = 100


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Put one daemon through the storms, then one that may watch only 100 folders, then move roots and batches."""
    trees, files, rescan = scale.pick((40, 12_000, 2.0), (10_000, 100_000, 30.0))
    settings = ("--workers", 2, "--quiet", "--set", f"rescan_interval={rescan}")
    trial, material = Trial(folder), Material(folder / "material")
    with trial.daemon(*settings) as daemon:
        time.sleep(2.0)
        manifests = material.add_trees(trial.root, trees)
        yield from _found(trial, daemon, manifests, f"{trees:,} trees at once", rescan)
        yield from _stopped(trial, daemon, material, files, rescan)
    yield Figure("storms: stderr, with --quiet", len(daemon.log.read_bytes()) / 1e6, 1, "MB")
    yield from _few_watches(trial, material, settings, scale.pick(60, 300), rescan)
    yield from _roots_and_batches(Trial(folder / "moves"), material, settings, rescan)


def _found(trial: Trial, daemon: Daemon, manifests: list[Path], what: str, rescan: float) -> Iterator[Line]:
    """Wait for the videos; while some are left, the daemon may be idle for at most a rescan interval."""
    there = time.monotonic()
    missing = trial.wait_for_receipts(manifests, 2 * rescan + PATIENCE + len(manifests) * 0.1)
    pause = longest_pause([note.at for note in trial.notes("start")], there)
    yield none_of(f"{what}: not rendered", missing or ([] if daemon.process.poll() is None else ["the daemon ended"]))
    yield seconds(f"{what}: longest idle time while some were left", pause, rescan + SCAN)


def _stopped(trial: Trial, daemon: Daemon, material: Material, files: int, rescan: float) -> Iterator[Line]:
    """Create files in watched folders while the daemon is stopped and reads no events."""
    folders = sorted(trial.root.glob("*/videos/prompt_001"))[: max(1, files // 100)]
    per_folder = files // len(folders)
    os.kill(daemon.pid, signal.SIGSTOP)
    manifests = []
    for folder in folders:
        for index in range(per_folder - 3):
            (folder / f"note_{index}.txt").touch()
        manifests.append(material.add(folder, 2))
    os.kill(daemon.pid, signal.SIGCONT)
    yield from _found(trial, daemon, manifests, f"{files:,} files while stopped", rescan)
    overflows = stated(trial.status(), "overflows")
    yield Figure("overflows missing from `status`", float(not overflows >= 1), 0, detail=f"overflows: {overflows}")
    twice = [path for path, count in trial.renderings().items() if count > 1]
    yield none_of("storms: rendered more than once", twice)


def _few_watches(
    trial: Trial, material: Material, settings: tuple[object, ...], videos: int, rescan: float
) -> Iterator[Line]:
    what = f"{WATCHES} watches for more folders"
    reason = missing_tool("unshare") or _cannot_limit(trial)
    if reason is not None:
        yield Skipped(what, reason)
        return
    # The limit applies to its own user namespace only; the machine's limit does not change.
    prefix = ("unshare", "--user", "--map-root-user", "sh", "-c", f'{LIMIT} && exec "$@"', "sh")
    begun = len(trial.notes("start"))
    with trial.daemon(*settings, prefix=prefix) as daemon:
        wait_until(
            lambda: "watch" in daemon.said or daemon.process.poll() is not None, PATIENCE, "a message about watches"
        )
        manifests = material.add_trees(trial.root, videos, "late")
        yield from _found(trial, daemon, manifests, what, rescan)
    yield Figure(f"{what}: needless renderings", len(trial.notes("start")) - begun - videos, 0)
    yield Figure(f"{what}: stderr", len(daemon.log.read_bytes()) / 1e6, 1, "MB")


LIMIT = f"echo {WATCHES} > /proc/sys/user/max_inotify_watches"


def _cannot_limit(trial: Trial) -> str | None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", LIMIT], capture_output=True, text=True, check=False
    )
    return f"needs user namespaces: {done.stderr.strip()}" if done.returncode else None


def _roots_and_batches(trial: Trial, material: Material, settings: tuple[object, ...], rescan: float) -> Iterator[Line]:
    with trial.daemon(*settings) as daemon:
        first = material.add_many(trial.root / "batch", 5)
        trial.wait_for_receipts(first, PATIENCE)
        remove(trial.root)
        trial.root.mkdir()
        again = material.add_many(trial.root / "again", 5)
        yield from _found(trial, daemon, again, "root deleted and made again", rescan)

        staged = material.add_many(trial.folder / "staged", 20, prompt="sleep 0.1")
        names = [trial.folder / "staged", trial.root / "moved", trial.root / "renamed", trial.folder / "out"]
        names[0].rename(names[1])
        wait_until(
            lambda: len(trial.notes("end")) > len(first) + len(again) + 2, PATIENCE + rescan, "some are rendered"
        )
        names[1].rename(names[2])
        renamed = [names[2] / manifest.relative_to(names[0]) for manifest in staged]
        yield from _found(trial, daemon, renamed, "batch moved in and renamed", rescan)
        wrong = faults(names[2], renamed)
        yield none_of(
            "batch moved in and renamed: partial, invalid, stray", wrong["torn"] + wrong["invalid"] + wrong["stray"]
        )
        others = material.add_many(names[2] / "more", 5, prompt="sleep 0.5")
        wait_until(lambda: str(others[0]) in trial.renderings(), PATIENCE + rescan, "one is being rendered")
        names[2].rename(names[3])
        time.sleep(2.0 + rescan)
        yield none_of("batch moved out: anything at a stale path", [path for path in names[1:3] if path.exists()])
        yield none_of("batch moved out: partial outputs", faults(names[3], [])["torn"])
        yield Figure("the daemon ended", int(daemon.process.poll() is not None), 0)
