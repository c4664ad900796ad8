"""Decides what a target needs: compares its manifest and files with its receipt. Reads everything, changes nothing."""

import contextlib
from dataclasses import replace
from pathlib import Path

from attnwatch.batches.settling import Settling, may_still_grow, quiet_time
from attnwatch.batches.targets import Target, ended_batch, ending_sha256
from attnwatch.batches.videos import outputs_of, read_video, stands_for_video
from attnwatch.config import Settings
from attnwatch.contract.acceptance import with_acceptance
from attnwatch.contract.attempts import failures_at
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.fingerprint import RENDERER_VERSION, Fingerprint
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import OUTPUT_DIRECTORY
from attnwatch.contract.receipts import Place, describe, is_known, is_untouched, seconds_until_due, unreadable
from attnwatch.contract.stamps import sizes, stamp_of
from attnwatch.contract.validity import as_rendered, own_output, removed_tensors
from attnwatch.errors import AttnwatchError, ManifestError, Problem
from attnwatch.report.reasons import ONLY_COLLECTED, SWITCHED_OFF
from attnwatch.settings import Visualization
from attnwatch.watch.decision import Decision, GivenUp, NotYet, Refused, Render, Settled
from attnwatch.watch.decisions import Decisions, origins
from attnwatch.watch.options import Options
from attnwatch.watch.supervision import unforeseen
from attnwatch.watch.task import Basis, Task


class Planner:
    """Makes decisions, which `Ledger.apply` acts on.

    Args:
        settings: merged settings.
        options: what this run was asked to do.
        decisions: what this run has rendered, and which target each receipt belongs to.

    """

    def __init__(self, settings: Settings, options: Options, decisions: Decisions) -> None:
        self._settings = settings
        self._options = options
        self._decisions = decisions
        self._settling = Settling()
        self._endings: dict[Path, str] = {}

    def reload(self, settings: Settings) -> None:
        """Use other settings from now on."""
        self._settings = settings

    def decide(self, target: Target) -> Decision:
        """Return what should be done for a target.

        Whatever is wrong with its files is a refusal of this one target; see `attnwatch.watch.supervision`.
        """
        try:
            return self._decide(target)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen must not end the watcher
            problem, place = unforeseen(target.manifest, error), None
            with contextlib.suppress(Exception):
                place = self._refusal_place(target)
            return Refused(problem, place, basis=Basis(origins(target)))

    def _decide(self, target: Target) -> Decision:
        seen = origins(target)
        if not stands_for_video(target.manifest):
            return Settled(chosen=False)
        if (other := self._options.why_not(target, seen[0])) is not None:
            return Settled(why=other, chosen=False)
        try:
            manifest = self._read(target.manifest)
            asked, notes = self._settings.for_batch(manifest.document.visualization, target.manifest)
            stamps = manifest.stamps()
        except FileNotFoundError:
            return Settled(chosen=False)
        except (AttnwatchError, OSError) as error:
            return Refused(error, self._refusal_place(target), basis=Basis(seen))
        if not self._wants(target, asked):
            why = self._why_unwanted(target, asked)
            return Settled(basis=Basis(seen, stamps), notes=notes, why=why, chosen=target.batch is None)
        task = self._task(target, manifest, asked, Basis(seen, stamps))
        collection = None if target.batch is None else task.settings
        return replace(self._compare(task), notes=notes, collection=collection)

    def _read(self, path: Path) -> Manifest:
        """Read a video, with what was accepted where its outputs are."""
        manifest = read_video(path, self._options.root_of(path))
        if self._options.out is None:
            return manifest
        return with_acceptance(manifest, self._place(manifest.path, manifest.video_id, manifest.output_directory))

    def _refusal_place(self, target: Target) -> Place:
        """Return the place of the receipt of a video that cannot be read."""
        video_id, directory = outputs_of(target.manifest)
        return self._place(target.manifest, video_id, directory)

    def _wants(self, target: Target, settings: Visualization) -> bool:
        if target.batch is not None:
            return settings.auto_generate_videos or self._options.collect
        return settings.auto_generate_per_video or self._options.by_name

    def _why_unwanted(self, target: Target, settings: Visualization) -> str | None:
        """Return why a video is not rendered beside itself; None for collections, or if it is collected instead."""
        if target.batch is not None:
            return None
        if not settings.auto_generate_videos:
            return SWITCHED_OFF
        return None if ended_batch(target.manifest, self._options.roots) else ONLY_COLLECTED

    def _task(self, target: Target, manifest: Manifest, asked: Visualization, basis: Basis) -> Task:
        settings = asked.per_video() if target.batch is None else asked.for_collection()
        directory = manifest.output_directory if target.batch is None else target.batch / OUTPUT_DIRECTORY
        batch_sha256 = self._ending(target.batch) if target.batch and settings.measures_batch else None
        inputs = sizes(basis.stamps)
        return Task(
            target=target,
            place=self._place(manifest.path, manifest.video_id, directory),
            manifest=manifest,
            basis=basis,
            fingerprint=Fingerprint.of(manifest.sha256, settings, self._options.tokens, inputs, batch_sha256),
            settings=settings,
            batch_sha256=batch_sha256,
        )

    def _place(self, manifest: Path, video_id: str, directory: Path) -> Place:
        actual = self._options.outputs_at(directory)
        return Place(manifest, video_id, actual, root=self._options.outputs_root(actual))

    def _ending(self, batch: Path) -> str:
        """Return the digest of how a batch ended; with `collect`, of its state when the run began."""
        if not self._options.collect:
            return ending_sha256(batch, self._options.root_of(batch))
        if batch not in self._endings:
            self._endings[batch] = ending_sha256(batch, self._options.root_of(batch))
        return self._endings[batch]

    def _compare(self, task: Task) -> Decision:
        """Compare a task with its receipt, and with what this run knows."""
        place = task.place
        owner = self._decisions.owner(place.path)
        if owner is not None and owner != task.target and stands_for_video(owner.manifest):
            return Refused(_duplicate_id(task.manifest, owner.manifest), basis=task.basis)
        basis = replace(task.basis, receipt=place.path, receipt_stamp=stamp_of(place.path))
        try:
            stored = place.look()
        except OSError as error:  # perhaps only at the moment, so it is not settled
            return Refused(unreadable(place.path, error), basis=basis)
        receipt = stored.receipt
        task = replace(task, basis=basis, stored=stored)
        if stored.problem is not None and not (self._options.by_name or self._is_forced(task)):
            remedy = f"{self._options.retry_command(task.target)} replaces it"
            return GivenUp(f"not rendered: {describe(stored.problem)}; {remedy}", basis=basis)
        if receipt is None:
            return self._due(task, 0.0)
        if self._decisions.was_rendered(task.target, task.fingerprint, basis.stamps):
            return Settled(basis=basis)
        has_failed = receipt.status == "failed" or failures_at(receipt, _comparable(task, receipt))
        return self._after_failure(task, receipt) if has_failed else self._after_success(task, receipt)

    def _after_failure(self, task: Task, receipt: ReceiptDocument) -> Decision:
        """Decide about a video whose last attempt failed."""
        if self._options.by_name:
            return self._due(task, 0.0)
        if self._was_only_touched(task, receipt) and is_known(receipt, task.basis.stamps):
            return self._due(replace(task, recheck=True), 0.0)  # such as by a backup that links files
        wait = self._seconds_until_due(task, receipt)
        if wait is None:
            return self._give_up(task, receipt)
        # A single run does not wait for the next attempt.
        return self._due(task, 0.0 if self._options.once or self._options.dry_run else wait)

    def _after_success(self, task: Task, receipt: ReceiptDocument) -> Decision:
        """Decide about a video that was rendered or skipped before."""
        if self._seconds_until_due(task, receipt) is None:
            if receipt.status != "skipped":
                return Settled(holds=task, basis=task.basis)
            why = "; ".join(receipt.notes) or None
            return Settled(holds=task, basis=task.basis, why=why, chosen=self._options.tokens is None)
        if (eaten := own_output(receipt, task.place, task.manifest)) is not None:
            return Refused(_output_as_input(task.manifest, eaten), basis=task.basis)
        recheck = self._was_only_touched(task, receipt)
        removed = [] if recheck else removed_tensors(receipt, task.manifest, task.basis.stamps)
        if removed:
            reason = (
                f"not rendered: {task.target.manifest}: found no {removed[0]}, which was removed after the last "
                "rendering; expected it for a new one; the existing outputs are kept; restore it to get other pictures"
            )
            return GivenUp(reason, basis=task.basis)
        return self._due(replace(task, recheck=recheck), 0.0)

    def _seconds_until_due(self, task: Task, receipt: ReceiptDocument) -> float | None:
        """Return the seconds until the next rendering according to the receipt: 0 for now, None for never."""
        if self._is_ignored(task, receipt) or not is_untouched(receipt, task.basis.stamps):
            return 0.0
        return seconds_until_due(receipt, _comparable(task, receipt))

    def _was_only_touched(self, task: Task, receipt: ReceiptDocument) -> bool:
        """Return whether nothing speaks for a new rendering but the times of files."""
        touched = not self._is_ignored(task, receipt) and not is_untouched(receipt, task.basis.stamps)
        return touched and _comparable(task, receipt).matches(receipt)

    def _is_ignored(self, task: Task, receipt: ReceiptDocument) -> bool:
        """Return whether a receipt does not count: with `force`, or with `outdated` if an older renderer wrote it."""
        is_older = self._options.outdated and receipt.renderer < RENDERER_VERSION
        return self._is_forced(task) or (is_older and not self._decisions.has_failed(task.target))

    def _is_forced(self, task: Task) -> bool:
        """Return whether the receipt is ignored: with `force`, until the video has failed in this run."""
        return self._options.force and not self._decisions.has_failed(task.target)

    def _due(self, task: Task, seconds: float) -> Decision:
        """Return the decision to render a task in a number of seconds, or later if its files may be incomplete."""
        quiet = quiet_time(task.manifest, self._settings.watcher)
        if not task.recheck and may_still_grow(task.manifest, task.basis.origins[0], task.basis.stamps):
            quiet = self._settings.watcher.settle_time
        stamps = (*task.basis.origins, *task.basis.stamps.values())
        unsettled = self._settling.remaining(task.target, quiet, stamps) if quiet else 0.0
        if unsettled > seconds:
            return NotYet(task, unsettled, "its files are still changing", basis=task.basis)
        if seconds > 0:
            return NotYet(task, seconds, "its last attempt failed", basis=task.basis)
        return Render(task, basis=task.basis)

    def _give_up(self, task: Task, receipt: ReceiptDocument) -> Decision:
        failures = failures_at(receipt, _comparable(task, receipt))
        error = failures[-1].error if failures else "no reason is recorded"
        reason = f"given up: {task.target.manifest}: {error}; {self._options.retry_command(task.target)} tries again"
        return GivenUp(reason, known=self._decisions.has_failed(task.target), basis=task.basis)


def _comparable(task: Task, receipt: ReceiptDocument) -> Fingerprint:
    """Return the fingerprint to compare with a receipt: inputs that were removed since then do not count."""
    return as_rendered(task.fingerprint, receipt, task.place)


def _output_as_input(manifest: Manifest, name: str) -> ManifestError:
    problem = Problem(
        file=manifest.path,
        field="video" if name == manifest.document.video else "attention",
        found=f"{name!r}, an output of the last rendering under another name",
        expected="a file that no rendering writes",
        remedy="name the generated video and its tensors, or copy the output",
    )
    return ManifestError(problem)


def _duplicate_id(manifest: Manifest, owner: Path) -> ManifestError:
    found = f"{manifest.video_id!r}, which {owner} has too"
    problem = Problem(
        file=manifest.path,
        field="video_id",
        found=found,
        expected="an identifier that no other video of the folder has",
        remedy="write a different one into each manifest",
    )
    return ManifestError(problem)
