"""Clock jumps, file times, renames: only changed content is rendered again, and only once."""

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.chaos import clock
from tests.chaos.figures import Figure, Line, Scale, none_of, seconds
from tests.chaos.leavings import faults, receipts
from tests.chaos.material import Material, receipt_path
from tests.chaos.trial import PATIENCE, Daemon, Trial
from tests.support import wait_until, write_source_video

DAY = 86400.0
LONG_AGO, FAR_AHEAD = 0.0, 4102444800.0  # 1970 and 2100
SCAN = 0.5  # seconds between scans


def run(folder: Path, scale: Scale) -> Iterator[Line]:
    """Change everything except the content, then the content."""
    videos, scans = scale.pick((3, 3), (100, 20))
    yield from _clock(folder / "clock", videos, scans)
    yield from _times(folder / "times", videos, scans)
    yield from _replaced(folder / "replaced", scans)
    yield from _renamed(folder / "renamed", scale.pick(2, 30), scans)


def _clock(folder: Path, videos: int, scans: int) -> Iterator[Line]:
    trial, material = Trial(folder), Material(folder / "material")
    manifests = material.add_many(trial.root / "batch", videos)
    shift = folder / "shift"
    clock.set_shift(shift, 0)
    delays = []
    with _daemon(trial, CHAOS_CLOCK=str(shift)) as daemon:
        missing = trial.wait_for_receipts(manifests, PATIENCE + videos)
        for index, jump in enumerate((DAY, -DAY, 0.0)):
            clock.set_shift(shift, jump)
            time.sleep(SCAN * scans / 3)
            start = time.monotonic()
            manifests.append(material.add(trial.root / f"after_{index}"))
            missing += trial.wait_for_receipts(manifests[-1:], PATIENCE)
            delays.append(time.monotonic() - start)
        time.sleep(SCAN * 2)
        assert daemon.process.poll() is None
    yield none_of("clock a day forward and back: not rendered", missing)
    yield none_of("clock a day forward and back: needless renderings", _more_than_once(trial))
    yield seconds("clock a day forward and back: until a new video is rendered", max(delays), SCAN + 2)


def _times(folder: Path, videos: int, scans: int) -> Iterator[Line]:
    trial, material = Trial(folder), Material(folder / "material")
    names = ("video_*.mp4", "video_*.complete.json", "attention_maps/*")
    manifests = []
    for when, name in ((LONG_AGO, "old"), (FAR_AHEAD, "new")):
        made = material.add_many(folder / name, videos, per_prompt=1)
        for manifest in made:
            _copy_and_date(manifest.parent, trial.root / name / manifest.parent.name, names, when)
        manifests += [trial.root / name / manifest.parent.name / manifest.name for manifest in made]
    with _daemon(trial):
        missing = trial.wait_for_receipts(manifests, PATIENCE + videos)
        time.sleep(SCAN * scans / 2)
        for manifest in manifests:  # the content stays the same, the times are swapped
            for path in (file for name in names for file in manifest.parent.glob(name)):
                os.utime(path, (LONG_AGO, LONG_AGO) if "new" in manifest.parts else (FAR_AHEAD, FAR_AHEAD))
        time.sleep(SCAN * scans)
    yield none_of("times of 1970 and 2100: not rendered", missing + faults(trial.root, manifests)["lost"])
    yield none_of("times of 1970 and 2100, later swapped: needless renderings", _more_than_once(trial))


def _copy_and_date(source: Path, target: Path, names: tuple[str, ...], when: float) -> None:
    shutil.copytree(source, target)
    for path in (file for name in names for file in target.glob(name)):
        os.utime(path, (when, when))


def _replaced(folder: Path, scans: int) -> Iterator[Line]:
    trial, material = Trial(folder), Material(folder / "material")
    dates: dict[str, Callable[[os.stat_result], float]] = {
        "now": lambda _: time.time(),
        "of 1970": lambda _: LONG_AGO,
        "as it was": lambda status: status.st_mtime,
    }
    made = dict(zip(dates, material.add_many(folder / "made", len(dates), per_prompt=1), strict=True))
    manifests = {}
    for index, (name, manifest) in enumerate(made.items()):
        shutil.copytree(manifest.parent, trial.root / f"prompt_{index}")
        manifests[name] = trial.root / f"prompt_{index}" / manifest.name
    with _daemon(trial):
        missing = trial.wait_for_receipts([*manifests.values()], PATIENCE)
        time.sleep(SCAN * 2)
        for name, manifest in manifests.items():
            video = manifest.with_name("video_001.mp4")
            before = video.stat()
            _replace_in_place(video)
            when = dates[name](before)
            os.utime(video, (when, when))
        with contextlib.suppress(AssertionError):  # the figures say which were not
            wait_until(lambda: all(trial.renderings()[str(path)] > 1 for path in manifests.values()), PATIENCE)
        time.sleep(max(2.0, SCAN * scans))
    begun = trial.renderings()
    yield none_of("replaced videos: never rendered", missing)
    for name, manifest in manifests.items():
        again = begun[str(manifest)] - 1
        what = f"video replaced, same size, time {name}: renderings more or less than one"
        yield Figure(what, abs(again - 1), 0)
    assert all(receipt["status"] == "rendered" for receipt in receipts(trial.root).values())


def _replace_in_place(video: Path) -> None:
    """Overwrite the file with another video of the same size, padded with an MP4 `free` box."""
    size = video.stat().st_size
    other = write_source_video(video.with_name(".other.mp4"), colour=(200, 10, 10))
    data = other.read_bytes()
    other.unlink()
    rest = size - len(data)
    assert rest >= 8, f"the other video has {len(data)} bytes; expected at most {size - 8}"
    with video.open("r+b") as file:
        file.write(data + rest.to_bytes(4, "big") + b"free" + bytes(rest - 8))


def _renamed(folder: Path, times: int, scans: int) -> Iterator[Line]:
    trial, material = Trial(folder), Material(folder / "material")
    names = [trial.root / f"name_{index}" for index in range(times + 1)]
    done = material.add_many(names[0], 5)
    with _daemon(trial) as daemon:
        missing = trial.wait_for_receipts(done, PATIENCE)
        for index, (old, new) in enumerate(itertools.pairwise(names)):
            running = material.add(old / "videos" / f"prompt_9{index:03d}", prompt="sleep 0.4")
            limit = time.monotonic() + PATIENCE
            while str(running) not in trial.renderings() and time.monotonic() < limit:
                time.sleep(0.01)
            time.sleep(0.1)
            old.rename(new)
            missing += trial.wait_for_receipts([new / running.relative_to(old)], PATIENCE)
        time.sleep(SCAN * min(scans, 6))
        wait_until(lambda: not faults(trial.root, [])["unfinished"], about="the end of renderings")
        assert daemon.process.poll() is None
    stale = [path for name in names[:-1] for path in name.rglob("*") if name.exists()]
    moved = [names[-1] / manifest.relative_to(names[0]) for manifest in done]
    # Each video that was being rendered is started at most twice: at its old path and at its new one.
    count = sum(trial.renderings().values())
    yield none_of("batch renamed while rendering: not rendered", missing + faults(names[-1], moved)["lost"])
    yield Figure("batch renamed while rendering: needless renderings", max(0, count - len(done) - 2 * times), 0)
    yield none_of("batch renamed while rendering: anything at the old path", stale)
    wrong = faults(trial.root, [])
    yield none_of("batch renamed while rendering: partial or unfinished", wrong["torn"] + wrong["unfinished"])
    assert receipt_path(moved[0]).exists()


def _daemon(trial: Trial, **variables: Any) -> "contextlib.AbstractContextManager[Daemon]":
    return trial.daemon("--workers", 1, "--set", f"rescan_interval={SCAN}", **variables)


def _more_than_once(trial: Trial) -> list[object]:
    return [path for path, count in trial.renderings().items() if count > 1]
