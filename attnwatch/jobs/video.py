"""The job of one video: render under the video's lock, move the outputs into place, write the receipt.

A job that crashes or hangs affects nothing else: outputs appear complete under their final names, the receipt last.
A job works in the folder of its video or batch with relative paths. If that folder is renamed meanwhile, the outputs
go along, and nothing appears at the old path.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attnwatch.batches.targets import batch_of
from attnwatch.batches.videos import home_of, read_video
from attnwatch.contract.documents import FileRecord, OutputRecord, ReceiptDocument
from attnwatch.contract.fingerprint import Fingerprint
from attnwatch.contract.manifest import Manifest, verify
from attnwatch.contract.names import MEASURES_SUFFIX
from attnwatch.contract.output_names import NAMING, own_names
from attnwatch.contract.receipts import (
    Content,
    Place,
    Stored,
    failure,
    is_same_content,
    record_content,
    success,
)
from attnwatch.contract.stamps import sizes
from attnwatch.contract.validity import as_rendered, remove_outdated
from attnwatch.errors import AttnwatchError, BusyError, NotReadyError
from attnwatch.jobs.batch_scale import BatchScale
from attnwatch.jobs.faults import explained, raise_if_short, raise_if_unfinished
from attnwatch.jobs.kept import kept_kinds, note_of
from attnwatch.jobs.outputs import ExchangedError, move_all, record_of, require_unchanged, temporary_folder
from attnwatch.jobs.stages import begin, spent, timed
from attnwatch.jobs.work import Result, obstructed
from attnwatch.settings import Visualization, Watcher
from attnwatch.system.files import link_or_copy
from attnwatch.system.folders import Folder, PathError
from attnwatch.system.limits import Limits
from attnwatch.system.locks import exclusive
from attnwatch.system.roots import Root

if TYPE_CHECKING:
    from attnwatch.render.maps import Scale

_NAMING_PATIENCE = 60.0  # seconds for others to move their outputs into the same folder


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to render one video.

    Attributes:
        place: of the receipt; the outputs go beside it.
        seen: the receipt when the job was planned. If its bytes have changed since, the video is planned again.
        settings: the effective settings.
        tokens: only these words; None for all.
        watcher: how often a video is tried, and the limits of a rendering.
        video_may_be_absent: render without overlays if the source video is missing.
        threads: outputs encoded at the same time.
        root: the folder that the user named, from which the manifest is reached without links; None for its own.
        batch: folder of the batch, if this rendering is for its collection; None for the one beside the video.
        batch_sha256: digest of how the batch ended, if the colour scale is that of the whole batch; else None.
        accepted: files that a user has accepted, if the outputs are elsewhere; None for those beside the video.
        recheck: the receipt is valid except for file times: render only if the content of a file has changed.

    """

    place: Place
    seen: Stored
    settings: Visualization
    tokens: tuple[str, ...] | None
    watcher: Watcher
    video_may_be_absent: bool
    threads: int = 1
    root: Root | None = None
    batch: Path | None = None
    batch_sha256: str | None = None
    accepted: Mapping[str, FileRecord] | None = None
    recheck: bool = False

    @property
    def label(self) -> str:
        """What it is called: `render-kiss_20260102_030405/prompt_001_vid001`."""
        return f"render-{(self.batch or batch_of(self.place.manifest)).name}/{self.place.video_id}"

    @property
    def limits(self) -> Limits:
        """Limits of its process: `visualization_timeout`, and again for each video whose scale has to be measured."""
        watcher, scale = self.watcher, self.batch_scale
        seconds = self.settings.visualization_timeout * (1 + (scale.videos_to_measure() if scale else 0))
        return Limits(seconds, self.threads, watcher.memory_limit, watcher.nice)

    @property
    def batch_scale(self) -> BatchScale | None:
        """The colour scale of the whole batch; None if each video has its own."""
        if self.batch is None or self.batch_sha256 is None:
            return None
        root = self.root or Root(self.batch)
        return BatchScale(self.batch, self.batch_sha256, self.place, self.settings, root)

    @property
    def home(self) -> Root:
        """Folder of the video or the batch."""
        path = self.batch or home_of(self.place.manifest)
        return Root(path) if self.root is None else self.root.below(path)

    def seen_from(self, folder: Path) -> Self:
        """Return the same job with paths relative to its home."""
        root = self.root and self.root.seen_from(folder)
        return replace(self, place=self.place.seen_from(folder), root=root, batch=self.batch and Path())

    def run(self) -> "Result":
        """Render in this process; see `run`."""
        return run(self)


@dataclass(frozen=True)
class _Rendering:
    """What a job has made: outputs, notes, and the name of the file with the measures, None if there is none."""

    outputs: tuple[OutputRecord, ...]
    notes: tuple[str, ...]
    measures: str | None


@dataclass(frozen=True)
class _Attempt:
    """A job under the lock of its video.

    Attributes:
        job: the job.
        manifest: of the video.
        folder: of the outputs.
        until_written: closed when the receipt is written.

    """

    job: Job
    manifest: Manifest
    folder: Folder
    until_written: contextlib.ExitStack


def run(job: Job) -> Result:
    """Render one video. Every expected error ends in a receipt, or in a result that says why to wait."""
    start = time.monotonic()
    begin()
    try:
        manifest = replace(read_video(job.place.manifest, job.root), known_as=job.place.video_id)
        if job.accepted is not None:
            manifest = replace(manifest, accepted=job.accepted)
        with contextlib.ExitStack() as stack:
            # Older batches may lack the folder above.
            folder = stack.enter_context(job.place.open(create=True, parents=True))
            stack.enter_context(exclusive(folder, job.place.video_id))
            require_unchanged(job.place, job.seen)
            if job.recheck and (receipt := _same_as_before(manifest, job.seen.receipt)) is not None:
                # The old receipt of a success is still valid; that of a failure would ask for this again and again.
                with contextlib.suppress(*() if receipt.status == "failed" else (OSError,)):
                    job.place.write(receipt)
                return Result(receipt, unchanged=True)
            receipt, linked = _attempt(_Attempt(job, manifest, folder, stack), start)
            require_unchanged(job.place, job.seen)
            # A choice of words that this video does not have must not replace what was rendered before.
            if job.seen.receipt is None or job.tokens is None or receipt.status != "skipped":
                job.place.write(receipt)
    except (AttnwatchError, OSError) as error:
        return obstructed(error)
    return Result(receipt, linked=linked, stages=spent())


def _same_as_before(manifest: Manifest, seen: ReceiptDocument | None) -> ReceiptDocument | None:
    """Return the receipt with the files' new times if their content is unchanged; None if it is not.

    Files that were removed since stay in the receipt as they were, because they may come back.
    """
    stamps = manifest.stamps()
    digests = {name: manifest.digest(name) for name, stamp in stamps.items() if stamp is not None}
    if seen is None or not is_same_content(seen, digests):
        return None
    return seen.model_copy(update={"content": {**seen.content, **record_content(stamps, digests)}})


def _attempt(attempt: _Attempt, start: float) -> tuple[ReceiptDocument, bool]:
    """Return the receipt of an attempt, and whether its outputs are those beside the video."""
    job, manifest = attempt.job, attempt.manifest
    stamps = manifest.stamps()
    fingerprint = Fingerprint.of(manifest.sha256, job.settings, job.tokens, sizes(stamps), job.batch_sha256)
    digests: dict[str, str] = {}
    try:
        scales = scale.ends() if (scale := job.batch_scale) else None
        timed("verify")(verify)(manifest, video_may_be_absent=job.video_may_be_absent, digests=digests)
        content = record_content(stamps, digests)
        linked = _linked(attempt, fingerprint, content)
        made = _with_what_stays(job, manifest, linked or _render(attempt, scales))
    except (BusyError, NotReadyError, ExchangedError):
        raise
    except (AttnwatchError, OSError, MemoryError) as error:
        raise_if_short(error, job.place.directory, job.watcher.min_free_space)
        raise_if_unfinished(error, manifest, job.watcher.settle_time_unmarked)
        reason = explained(error, manifest, job.watcher.memory_limit)
        seconds = time.monotonic() - start
        content = record_content(stamps, digests)
        return failure(job.place, fingerprint, reason, seconds, job.watcher, content=content), False
    seconds = time.monotonic() - start
    receipt = success(job.place, fingerprint, made.outputs, made.notes, seconds, content=content)
    return receipt.model_copy(update={"measures": made.measures}), linked is not None


@timed("render")
def _render(attempt: _Attempt, scales: "dict[str, Scale] | None") -> _Rendering:
    # Imported only in the job's process, so that the watcher stays small, without numpy and av.
    from attnwatch.jobs.measures import write_measures  # noqa: PLC0415
    from attnwatch.render.video import render_outputs  # noqa: PLC0415

    job = attempt.job
    settings = job.settings.model_copy(
        update={kind.setting: False for kind in kept_kinds(attempt.manifest, job.seen.receipt, job.settings)}
    )
    with temporary_folder(job.place, attempt.folder) as temporary:
        rendering = render_outputs(
            attempt.manifest, settings, temporary.handle, tokens=job.tokens, scales=scales, threads=job.threads
        )
        unfinished = {output.path.name: record_of(output) for output in rendering.outputs}
        measures, notes = None, rendering.notes
        if job.tokens is None:  # with a choice of words, the measures of all stay as they are
            write = timed("measure")(write_measures)
            measures, remarks = write(attempt.manifest, job.settings, temporary, rendering.timeline)
            notes += remarks
        records = _moved(attempt, unfinished, measures, temporary)
    return _Rendering(records, notes, measures)


def _linked(attempt: _Attempt, fingerprint: Fingerprint, content: Content) -> _Rendering | None:
    """Link the outputs beside the video into the collection if they are the same; None if they are not."""
    job, manifest = attempt.job, attempt.manifest
    if job.batch is None:
        return None
    beside = Place(manifest.path, manifest.video_id, manifest.output_directory, root=manifest.outputs_root)
    receipt = beside.read()
    if receipt is None or receipt.status != "rendered":
        return None
    if not as_rendered(fingerprint, receipt, beside).matches(receipt) or not content.items() <= receipt.content.items():
        return None
    with temporary_folder(job.place, attempt.folder) as temporary:
        try:
            with beside.open() as source:
                for output in receipt.outputs:
                    link_or_copy(output.file, source, temporary)
                measures = _linked_measures(attempt, receipt, source, temporary)
        except (FileNotFoundError, PathError):
            return None
        unfinished = {output.file: output for output in receipt.outputs}
        return _Rendering(_moved(attempt, unfinished, measures, temporary), receipt.notes, measures)


def _linked_measures(attempt: _Attempt, receipt: ReceiptDocument, source: Folder, temporary: Folder) -> str | None:
    """Link the measures beside the video; None if there are none, or if these are not those of a choice of words."""
    if receipt.measures is None or attempt.job.tokens is not None or not attempt.job.settings.measures:
        return None
    name = f"{attempt.job.place.video_id}{MEASURES_SUFFIX}"
    with contextlib.suppress(FileNotFoundError):  # a user may remove them: the pictures are linked nevertheless
        link_or_copy(name, source, temporary)
        return name
    return None


@timed("publish")
def _moved(
    attempt: _Attempt, unfinished: Mapping[str, OutputRecord], measures: str | None, temporary: Folder
) -> tuple[OutputRecord, ...]:
    """Move outputs, given by their names in a temporary folder, and measures into place; return the outputs as named.

    No other video can take these names until the receipt that claims them is written.
    """
    place = attempt.job.place
    attempt.until_written.enter_context(exclusive(attempt.folder, NAMING, _NAMING_PATIENCE))
    require_unchanged(place, attempt.job.seen)  # where locks do not hold, by a job that began after this one
    records = own_names(place, list(unfinished.values()))
    names = {name: record.file for name, record in zip(unfinished, records, strict=True)}
    move_all(place, names | ({measures: measures} if measures is not None else {}), temporary, attempt.folder)
    return records


def _with_what_stays(job: Job, manifest: Manifest, rendering: _Rendering) -> _Rendering:
    """Remove outdated outputs, but keep those that cannot be made again because the source video is missing."""
    if job.tokens is not None:  # the outputs of other words stay as they are, and so do the measures
        before = job.seen.receipt
        return replace(rendering, measures=before.measures if before is not None else None)
    measured = rendering.measures is not None
    keep = kept_kinds(manifest, job.seen.receipt, job.settings)
    kept = remove_outdated(job.place, rendering.outputs, keep=keep, measured=measured)
    notes = (*rendering.notes, *map(note_of, kept))
    return replace(rendering, outputs=(*rendering.outputs, *kept), notes=notes)
