"""One video = one process: render under the video's lock, move the outputs into place, write the receipt.

A job that crashes or hangs takes nothing with it: outputs appear under their final names whole, the receipt last.
"""

import contextlib
import os
import select
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attnwatch.discover import find_manifests
from attnwatch.documents import OutputRecord, ReceiptDocument
from attnwatch.errors import AttnwatchError, BusyError, JobError, NotReadyError
from attnwatch.files import link_or_copy, move_into_place, sync
from attnwatch.locks import exclusive, lock_file
from attnwatch.manifest import Manifest, read_manifest, verify
from attnwatch.receipts import Fingerprint, Place, describe, failure, success
from attnwatch.settings import Visualization, Watcher

if TYPE_CHECKING:
    from attnwatch.render.maps import Scale
    from attnwatch.render.output import Output

_SCALES = ".scales_"  # begins the names of files that keep the scale of a batch


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to render one video.

    Attributes:
        place: where its receipt lies, and with it the manifest and the outputs.
        seen: the receipt when this job was planned; with another one there now, it has to be planned again.
        settings: the effective settings.
        tokens: only these words; None for all.
        limits: for the time of the next attempt.
        video_may_be_absent: render without overlay when the video is not there.
        threads: outputs encoded at the same time.
        batch: folder of the batch whose collection this is for; None for the rendering beside the video.
        batch_sha256: how that batch ended, where its colour scale is that of the whole batch; else None.

    """

    place: Place
    seen: ReceiptDocument | None
    settings: Visualization
    tokens: tuple[str, ...] | None
    limits: Watcher
    video_may_be_absent: bool
    threads: int = 1
    batch: Path | None = None
    batch_sha256: str | None = None

    @property
    def timeout(self) -> float:
        """Seconds that the job may take."""
        return self.settings.visualization_timeout

    def run(self) -> "Result":
        """Do it, in this process."""
        return run(self)


@dataclass(frozen=True)
class Result:
    """How a job ended: with a receipt, or without because nothing was tried.

    Attributes:
        receipt: as written; None when nothing was tried.
        obstacle: why nothing was tried, None when there is a receipt.
        busy: the obstacle is another process that renders this video.

    """

    receipt: ReceiptDocument | None
    obstacle: str | None = None
    busy: bool = False


class Work(Protocol):
    """What a process is started for; it and its answer are picklable."""

    @property
    def timeout(self) -> float:
        """Seconds that it may take."""

    def run(self) -> object:
        """Do it; called in the process."""


def run_in_process(work: Work, results: "Connection[Any]") -> None:
    """Entry point of the job's process: cut loose from the terminal, tied to the life of the watcher."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_watcher, args=(results,), daemon=True).start()
    try:
        results.send(work.run())
    except Exception as error:
        # Nobody expected it: its text goes into the receipt, its traceback to stderr.
        results.send(JobError(f"the rendering process failed with {type(error).__name__}: {error}"))
        raise


def run(job: Job) -> Result:
    """Render one video. Every error of a kind that is expected ends in a receipt, or in a reason to wait."""
    start = time.monotonic()
    try:
        manifest = read_manifest(job.place.manifest)
        fingerprint = _fingerprint(job, manifest)
        with exclusive(job.place.directory, job.place.video_id):
            if job.place.read() != job.seen:
                raise BusyError(f"{job.place.video_id}: another process has just rendered it")
            receipt = _attempt(job, manifest, fingerprint, start)
            # A choice of words that this video has none of says nothing against what was rendered before.
            if job.seen is None or job.tokens is None or receipt.status != "skipped":
                job.place.write(receipt)
    except (AttnwatchError, OSError) as error:
        return Result(None, describe(error), isinstance(error, BusyError))
    return Result(receipt)


def _attempt(job: Job, manifest: Manifest, fingerprint: Fingerprint, start: float) -> ReceiptDocument:
    try:
        verify(manifest, video_may_be_absent=job.video_may_be_absent)
        outputs, notes = _linked(job, manifest) or _render(job, manifest)
    except NotReadyError:
        raise
    except (AttnwatchError, OSError, MemoryError) as error:
        return failure(job.place, fingerprint, error, time.monotonic() - start, job.limits)
    return success(job.place, fingerprint, outputs, notes, time.monotonic() - start)


def _fingerprint(job: Job, manifest: Manifest) -> Fingerprint:
    return Fingerprint.of(manifest.sha256, job.settings, job.tokens, manifest.inputs(), job.batch_sha256)


def _render(job: Job, manifest: Manifest) -> tuple[tuple[OutputRecord, ...], tuple[str, ...]]:
    # Imported in the job's process only: the watcher itself stays small, without numpy and av.
    from attnwatch.render.video import render_outputs  # noqa: PLC0415

    directory = job.place.directory
    with _temporary_directory(job.place) as temporary:
        scales = _batch_scales(job)
        rendering = render_outputs(
            manifest, job.settings, temporary, tokens=job.tokens, scales=scales, threads=job.threads
        )
        records = tuple(_record(output) for output in rendering.outputs)
        for output in rendering.outputs:
            move_into_place(output.path, directory / output.file)
        sync(directory)
    if job.tokens is None:  # a choice of words says nothing about the outputs of the others
        _remove_outdated(job.place, {record.file for record in records})
    return records, rendering.notes


def _linked(job: Job, manifest: Manifest) -> tuple[tuple[OutputRecord, ...], tuple[str, ...]] | None:
    """Put the outputs that lie beside the video into the collection, if they are the very same."""
    if job.batch is None:
        return None
    beside = Place(manifest.path, manifest.video_id, manifest.output_directory)
    receipt = beside.read()
    if receipt is None or receipt.status != "rendered" or not _fingerprint(job, manifest).matches(receipt):
        return None
    with _temporary_directory(job.place) as temporary:
        try:
            for output in receipt.outputs:
                link_or_copy(beside.directory / output.file, temporary / output.file)
        except FileNotFoundError:
            return None
        for output in receipt.outputs:
            move_into_place(temporary / output.file, job.place.directory / output.file)
        sync(job.place.directory)
    _remove_outdated(job.place, {output.file for output in receipt.outputs})
    return receipt.outputs, receipt.notes


def _batch_scales(job: Job) -> "dict[str, Scale] | None":
    if job.batch is None or job.batch_sha256 is None:
        return None
    from attnwatch.render.scales import batch_scales  # noqa: PLC0415 - see `_render`

    settings_sha256 = Fingerprint.of("", job.settings, None, {}).settings_sha256
    cache = job.place.directory / f"{_SCALES}{job.batch_sha256[:16]}_{settings_sha256[:16]}.json"
    for outdated in job.place.directory.glob(f"{_SCALES}*"):
        if not outdated.name.startswith(f"{_SCALES}{job.batch_sha256[:16]}"):
            outdated.unlink(missing_ok=True)
    return batch_scales(list(find_manifests(job.batch)), job.settings, cache)


def _record(output: "Output") -> OutputRecord:
    return OutputRecord(
        file=output.file,
        kind=output.kind,
        token=output.token,
        bytes=output.path.stat().st_size,
        scale=(output.scale.low, output.scale.high),
    )


@contextlib.contextmanager
def _temporary_directory(place: Place) -> Iterator[Path]:
    """Make the directory for unfinished outputs; what a killed job left in it goes first."""
    path = _temporary(place)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_leftovers(place: Place) -> None:
    """Remove what a killed job of this video left behind, unless another process renders it meanwhile."""
    if _temporary(place).exists() or lock_file(place.directory, place.video_id).exists():
        with contextlib.suppress(BusyError, OSError), exclusive(place.directory, place.video_id):
            shutil.rmtree(_temporary(place), ignore_errors=True)


def _temporary(place: Place) -> Path:
    return place.directory / f".{place.video_id}.tmp"


def _remove_outdated(place: Place, current: set[str]) -> None:
    """Remove outputs that the last receipt names and this rendering no longer makes."""
    before = place.read()
    for output in before.outputs if before else ():
        if output.file not in current and Path(output.file).name == output.file:
            (place.directory / output.file).unlink(missing_ok=True)


def _end_with_watcher(results: "Connection[Any]") -> None:
    """End this process and all that it started as soon as nobody is left to take its result.

    The kernel's signal for a dead parent would not do: the parent is the fork server, which lives as long as its jobs.
    """
    hang_up = select.poll()
    hang_up.register(results.fileno(), 0)
    hang_up.poll()
    os.killpg(0, signal.SIGKILL)
