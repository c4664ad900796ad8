"""Reads mutated files of one kind as the watcher and its jobs do: `python -m tests.chaos.fuzzed KIND SEED FIRST COUNT
FOLDER` writes one line per fault. The same seed and number make the same file, so a fault can be looked at alone.

What the watcher's own loop does (decide, look at other watchers, survey) must raise nothing; what a job does may raise
what `attnwatch.jobs.video` makes a receipt of.
"""

import itertools
import json
import logging
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from attnwatch.batches.targets import find_targets
from attnwatch.batches.videos import open_attention, read_video
from attnwatch.cli.check import check
from attnwatch.config import Settings
from attnwatch.errors import AttnwatchError
from attnwatch.render.source import open_source
from attnwatch.report.activity import FOLDER, Activity, Publisher, Running
from attnwatch.report.status import status
from attnwatch.system.limits import Limits
from attnwatch.watch.options import Options
from attnwatch.watch.rivals import Rivals
from tests.chaos.mutations import Mutator
from tests.legacy_support import OldBatch
from tests.planning import watching
from tests.support import Batch, write_json, write_receipt

MEMORY = 2 * 2**30  # bytes that reading may allocate
FRAMES = 4  # frames that are decoded
EXPECTED = (AttnwatchError, OSError, MemoryError)  # what a job makes a receipt of


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        seed: writes a valid batch below a root and returns the file of it that is mutated.
        mutations: each makes another file of a valid one.
        read: what jobs and commands do with it, apart from what the loop does.
        is_for_all: whether it belongs to a whole tree and not to a batch.

    """

    seed: Callable[[Path], Path]
    mutations: tuple[Callable[[Mutator, bytes], bytes], ...]
    read: Callable[[Path], None] = lambda root: None
    is_for_all: bool = False

    def mutated(self, name: str, data: bytes, seed: int, number: int) -> bytes:
        """Return a mutation of a valid file."""
        chance = random.Random(f"{name} {seed} {number}")
        return chance.choice(self.mutations)(Mutator(chance), data)


def _mkv(root: Path) -> Path:
    """Put the packets of the video into a Matroska file."""
    manifest = Batch.make(root).add()
    old, new = manifest.with_name("video_001.mp4"), manifest.with_name("video_001.mkv")
    with av.open(str(old)) as source, av.open(str(new), "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    write_json(manifest, {**json.loads(manifest.read_bytes()), "video": new.name})
    return new


def _mp4(root: Path) -> Path:
    return Batch.make(root).add().with_name("video_001.mp4")


def _safetensors(root: Path) -> Path:
    return Batch.make(root).add().parent / "attention_maps/vid001.safetensors"


def _npz(root: Path) -> Path:
    tensors = OldBatch(root / "old", layout=4).add(compressed=True, aggregate=True)
    return tensors / "kiss" / "step_000.npz"


def _manifest(root: Path) -> Path:
    return Batch.make(root).add_full()


def _receipt(root: Path) -> Path:
    return write_receipt(Batch.make(root).add_full()).path


def _failed_receipt(root: Path) -> Path:
    return write_receipt(Batch.make(root).add_full(), "crashed", attempts=2).path


def _batch(root: Path) -> Path:
    manifest = Batch.make(root).add_full(visualization={"auto_generate_videos": True, "normalization": "batch"})
    folder = manifest.parents[2]
    plan = {"video_id": "prompt_001_vid001", "prompt_id": "prompt_001", "seed": 1}
    plan["manifest"] = str(manifest.relative_to(folder))
    document = {
        "format": "attnwatch/1",
        "batch": folder.name,
        "created": "2026-01-01T00:00:00+00:00",
        "template": "a (kiss)",
        "variations": [{"prompt_id": "prompt_001", "prompt": "a kiss", "tokens": [], "choices": []}],
        "videos": [plan],
        "settings": {"video": {"steps": 2}},
        "model_revision": None,
        "visualization": {"auto_generate_videos": True},
    }
    return write_json(folder / "batch.json", document)


def _batch_complete(root: Path) -> Path:
    counts = {"expected": 1, "complete": 1, "failed": 0}
    document = {"format": "attnwatch/1", "status": "complete", "finished": "2026-01-01T00:00:00+00:00"}
    return write_json(_batch(root).with_name("batch.complete.json"), {**document, "counts": counts})


def _status(root: Path) -> Path:
    """Write what another watcher with other settings would write, as process 1, which is always there.

    It began later than all others, so that they need not yield to it.
    """
    manifest = Batch.make(root).add()
    running = [Running("prompt_001_vid001", str(manifest), "2026-01-01T00:00:00+00:00")]
    later = {"started": "9999-01-01T00:00:00+00:00", "last_scan_seconds": 0.5}
    activity = Activity((str(root),), "0.3.0", pid=1, running=running, settings="0" * 64, **later)
    Publisher([root]).publish(activity)
    (path,) = (root / FOLDER).iterdir()
    return path


def examine(root: Path) -> None:
    """Read tensors and some frames of each video, as a job does."""
    for target in find_targets(root):
        try:
            manifest = read_video(target.manifest)
            with open_attention(manifest) as reader:
                words = [word.frames() for word in reader.words.values()]
            with open_source(manifest, words[0].shape[:3] if words else (1, 1, 1)) as source:
                list(itertools.islice(source.frames(), FRAMES))
        except EXPECTED:
            continue


def check_videos(root: Path) -> None:
    """Check every document and video, as `attnwatch check` does: to the end, and with one frame encoded."""
    list(check(root))


def check_documents(root: Path) -> None:
    """Check the documents of each batch, as `attnwatch check` does before it reads the videos."""
    list(itertools.islice(check(root), len([*root.glob("*/batch*.json")])))


KINDS: dict[str, Kind] = {
    "mp4": Kind(_mp4, (Mutator.damaged, Mutator.box), read=examine),
    "mkv": Kind(_mkv, (Mutator.damaged,), read=examine),
    "safetensors": Kind(_safetensors, (Mutator.safetensors,), read=examine),
    "npz": Kind(_npz, (Mutator.npz,), read=examine),
    "manifest": Kind(_manifest, (Mutator.document,), read=check_videos),
    "receipt": Kind(_receipt, (Mutator.document,)),
    "failed receipt": Kind(_failed_receipt, (Mutator.document,)),
    "batch.json": Kind(_batch, (Mutator.document,), read=check_documents),
    "batch.complete.json": Kind(_batch_complete, (Mutator.document,), read=check_documents),
    "status": Kind(_status, (Mutator.document,), is_for_all=True),
}


class _Tracebacks(logging.Handler):
    """Keeps the errors that were logged with a traceback, as unforeseen ones are."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.found.append(_told(record.exc_info[1]))


def _told(error: BaseException) -> str:
    """Return an error with the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    at = "" if trace is None else f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    return f"{type(error).__name__}: {str(error)[:200]!r}{at}"


def look(root: Path) -> None:
    """Do what the watcher's loop does about a tree, and what `attnwatch status` does."""
    planner = watching(root)
    for target in find_targets(root):
        planner.decide(target)
    Rivals(Settings(), Options((root,)), Activity((str(root),), "0.3.0")).look()
    status(root).model_dump_json()


def faults(kind: Kind, root: Path, log: _Tracebacks) -> Iterator[tuple[str, Any]]:
    """Read the tree; yield what was wrong, and last the seconds that the loop's part took."""
    log.found.clear()
    start = time.monotonic()
    try:
        look(root)
    except Exception as error:  # noqa: BLE001 - whatever is raised is a fault
        yield "loop", _told(error)
    seconds = time.monotonic() - start
    try:
        kind.read(root)
    except Exception as error:  # noqa: BLE001 - whatever is raised is a fault
        yield "job", _told(error)
    for found in log.found:
        yield "log", found
    yield "seconds", seconds


def main() -> None:
    name, seed, first, count = sys.argv[1], *map(int, sys.argv[2:5])
    folder = Path(sys.argv[5])
    kind, root = KINDS[name], folder / "outputs"
    root.mkdir()
    path = kind.seed(root)
    valid = path.read_bytes()
    log = _Tracebacks()
    logging.getLogger().addHandler(log)
    logging.getLogger("attnwatch").setLevel(logging.DEBUG)
    logging.getLogger("attnwatch").propagate = True
    warnings.simplefilter("ignore")
    Limits(seconds=count + 600, memory=MEMORY).restrict()
    progress = os.open(folder / "progress", os.O_WRONLY | os.O_CREAT)
    longest = 0.0
    for number in range(first, first + count):
        os.pwrite(progress, f"{number:<12}".encode(), 0)
        path.write_bytes(kind.mutated(name, valid, seed, number))
        for what, found in faults(kind, root, log):
            if what != "seconds" or found > longest:
                longest = found if what == "seconds" else longest
                print(json.dumps([number, what, found]), flush=True)  # noqa: T201
    os.pwrite(progress, f"{first + count:<12}".encode(), 0)


if __name__ == "__main__":
    main()
