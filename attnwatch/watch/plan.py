"""For one manifest: is there something to do, and when? Desired state against receipts, nothing else."""

import contextlib
import hashlib
import logging
from dataclasses import replace
from pathlib import Path

from attnwatch.batches.settling import Settling, quiet_time
from attnwatch.batches.targets import (
    Target,
    ending_sha256,
)
from attnwatch.batches.videos import outputs_of, read_video, stands_for_video
from attnwatch.config import Settings
from attnwatch.contract.documents import ReceiptDocument
from attnwatch.contract.manifest import OUTPUT_DIRECTORY, Manifest
from attnwatch.contract.receipts import Fingerprint, Place, describe, failure, is_untouched, seconds_until_due
from attnwatch.contract.stamps import Stamp, sizes, stamp_of
from attnwatch.contract.validity import as_rendered, removed_tensors
from attnwatch.errors import AttnwatchError
from attnwatch.settings import Visualization
from attnwatch.watch.decisions import Memory, origins
from attnwatch.watch.options import Options
from attnwatch.watch.task import Task

_log = logging.getLogger(__name__)


class Planner:
    """Decides what is to be done. Says each complaint once."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._memory = Memory()
        self._settling = Settling()
        self._failed: set[Target] = set()
        self._said: set[int] = set()
        self._endings: dict[Path, str] = {}
        self.refused = 0
        """How many manifests and videos were refused in this run."""
        self.given_up: set[Target] = set()
        self.collections: dict[Path, Visualization] = {}
        """Settings of each batch whose videos are collected."""

    @property
    def up_to_date(self) -> int:
        """Number of videos with nothing left to do."""
        return self._memory.videos

    def reload(self, settings: Settings) -> None:
        """Decide everything anew with other settings."""
        self._settings = settings
        self._memory.forget_settled()
        self._said.clear()
        self.collections.clear()

    def prune(self, found: int) -> None:
        """Forget what is gone, if much more is remembered than the last scan has found."""
        if self._memory.prune(found):
            for targets in (self.given_up, self._failed):
                targets -= {target for target in targets if stamp_of(target.manifest) is None}
            self.collections = {batch: asked for batch, asked in self.collections.items() if stamp_of(batch)}
            self._said.clear()

    def target_of(self, receipt: Path) -> Target | None:
        """Return whose receipt this is, if this run has met its manifest."""
        return self._memory.owner(receipt)

    def is_settled(self, target: Target) -> bool:
        """Tell cheaply whether nothing is to be done for a target, because nothing has changed since that was so."""
        return self._memory.is_settled(target)

    def plan(self, target: Target) -> Task | None:
        """Return what is to be done for a target, or None when there is nothing.

        A manifest that cannot be rendered at all gets its receipt here, and is in `given_up` from then on.
        """
        self._memory.unsettle(target)
        self.given_up.discard(target)
        path, seen = target.manifest, origins(target)
        if not stands_for_video(path) or not self._options.take(target, seen[0]):
            return None
        try:
            manifest = read_video(path)
            settings, notes = self._settings.for_batch(manifest.document.visualization, path)
            stamps = manifest.stamps()
        except FileNotFoundError:
            return None
        except (AttnwatchError, OSError) as error:
            self._refuse(target, error, seen)
            return None
        for note in notes:
            self.say(f"{manifest.path}: {note}; it is ignored", about=f"{manifest.folder.parent}: {note}")
        if not self._wanted(target, settings):
            self._memory.settle(target, None, seen, stamps, None)
            return None
        return self._decide(self._task(target, manifest, settings, seen, stamps))

    def note_rendered(self, task: Task) -> None:
        """Remember what this run has rendered.

        It is not rendered again when another watcher with other settings has replaced the receipt: two watchers on
        one folder would go on for ever.
        """
        self._memory.note_rendered(task.target, task.fingerprint, task.stamps)

    def note_failed(self, task: Task) -> None:
        """Remember that a video had its turn in this run: its receipt says when the next one is, also with `force`."""
        self._failed.add(task.target)

    def say(self, message: str, about: str | None = None) -> None:
        """Log a complaint, once for each thing that it is about, which is the complaint itself if nothing is given."""
        key = hash(message if about is None else about)
        if key not in self._said:
            self._said.add(key)
            _log.warning("%s", message)

    def collection_of(self, batch: Path) -> Path:
        """Return the folder that the videos of a batch are collected in."""
        return self._options.outputs_at(batch / OUTPUT_DIRECTORY)

    def _wanted(self, target: Target, settings: Visualization) -> bool:
        if target.batch is not None:
            return settings.auto_generate_videos or self._options.collect
        return settings.auto_generate_per_video or self._options.by_name

    def _task(
        self,
        target: Target,
        manifest: Manifest,
        requested: Visualization,
        seen: tuple[Stamp | None, ...],
        stamps: dict[str, Stamp | None],
    ) -> Task:
        settings = requested.per_video() if target.batch is None else requested.for_collection()
        usual = target.batch / OUTPUT_DIRECTORY if target.batch else manifest.output_directory
        if target.batch is not None:
            self.collections[target.batch] = settings
        batch_sha256 = self._ending(target.batch) if target.batch and settings.measures_batch else None
        tokens = self._options.tokens
        return Task(
            target=target,
            place=Place(manifest.path, manifest.video_id, self._options.outputs_at(usual)),
            manifest=manifest,
            origins=seen,
            stamps=stamps,
            fingerprint=Fingerprint.of(manifest.sha256, settings, tokens, sizes(stamps), batch_sha256),
            settings=settings,
            batch_sha256=batch_sha256,
        )

    def _decide(self, task: Task) -> Task | None:
        """Compare with the receipt: return the task with its time, or None where nothing is to be done."""
        target, place, manifest = task.target, task.place, task.manifest
        owner = self._memory.owner(place.path)
        if owner not in (None, target) and stands_for_video(owner.manifest):
            self._refuse_twin(target, manifest, owner.manifest)
            return None
        self._memory.own(place.path, target)
        found = stamp_of(place.path)
        receipt = place.read()
        if receipt is not None and self._memory.was_rendered(target, task.fingerprint, task.stamps):
            self._memory.settle(target, place.path, task.origins, task.stamps, found)
            return None
        fingerprint = as_rendered(task.fingerprint, receipt, place)
        force = self._options.force and target not in self._failed
        touched = receipt is not None and not is_untouched(receipt, task.stamps)
        wait = 0.0 if force or touched else seconds_until_due(receipt, fingerprint)
        if receipt is not None and receipt.status == "failed":
            wait = self._wait_after_failure(target, receipt, wait)
        if wait is None:
            self._memory.settle(target, place.path, task.origins, task.stamps, found)
            if receipt is not None and receipt.status != "failed":
                # Good when this run began: whoever renders it otherwise meanwhile, by name, wants it so.
                self.note_rendered(task)
            return None
        holds = receipt is not None and receipt.status != "failed" and fingerprint.matches(receipt)
        recheck = touched and holds and not force
        if not recheck and (removed := removed_tensors(receipt, manifest, task.stamps)):
            self._memory.settle(target, place.path, task.origins, task.stamps, found)
            self._leave(target, removed)
            return None
        return replace(task, wait=max(wait, self._unsettled(task)), receipt=receipt, recheck=recheck)

    def _leave(self, target: Target, removed: list[str]) -> None:
        """Leave a video as it was rendered, though it should be rendered otherwise: the tensors are gone."""
        self.given_up.add(target)
        self.say(
            f"not rendered: {target.manifest}: found no {removed[0]}, which was removed after the last rendering; "
            "expected it for a new one; what was rendered is kept; put it back if other pictures are wanted"
        )

    def _unsettled(self, task: Task) -> float:
        """Return in how many seconds a video is finished, as far as its files can tell."""
        quiet = quiet_time(task.manifest, self._settings.watcher)
        return self._settling.remaining(task.target, quiet, (*task.origins, *task.stamps.values())) if quiet else 0.0

    def _wait_after_failure(self, target: Target, receipt: ReceiptDocument, wait: float | None) -> float | None:
        if self._options.by_name or ((self._options.once or self._options.dry_run) and wait is not None):
            return 0.0  # whoever asks now does not want to wait for the next attempt
        if wait is None:
            self.given_up.add(target)
            last = receipt.attempts[-1].error if receipt.attempts else "no reason is recorded"
            if target not in self._failed:  # else that has just been said
                self.say(f"given up: {target.manifest}: {last}; {self._options.retry_command(target)} tries again")
        return wait

    def _ending(self, batch: Path) -> str:
        """Return what the scale of a batch depends on; by hand, a batch is collected as it is when the run begins."""
        if not self._options.collect:
            return ending_sha256(batch)
        if batch not in self._endings:
            self._endings[batch] = ending_sha256(batch)
        return self._endings[batch]

    def _refuse_twin(self, target: Target, manifest: Manifest, owner: Path) -> None:
        """Leave alone a video whose outputs would overwrite those of another."""
        self.given_up.add(target)
        self.refused += 1
        found = f"{manifest.video_id!r}, which {owner} has too"
        self.say(
            f"not rendered: {manifest.path}: video_id: found {found}; expected one of its own; write different ones"
        )

    def _refuse(self, target: Target, error: AttnwatchError | OSError, seen: tuple[Stamp | None, ...]) -> None:
        path = target.manifest
        self.given_up.add(target)
        self.refused += 1
        self.say(f"not rendered: {describe(error)}")
        if self._options.dry_run:
            return
        video_id, directory = outputs_of(path)
        place = Place(path, video_id, self._options.outputs_at(directory))
        digest = hashlib.sha256(describe(error).encode()).hexdigest()
        fingerprint = Fingerprint(digest, {}, {})
        if isinstance(error, OSError):  # it may pass by itself
            return
        if seconds_until_due(place.read(), fingerprint) == 0:
            limits = self._settings.watcher.model_copy(update={"max_attempts": 1})
            with contextlib.suppress(OSError):  # read-only or full: the complaint is in the log
                if self._options.out is not None:
                    place.directory.mkdir(parents=True, exist_ok=True)
                place.write(failure(place, fingerprint, error, 0.0, limits))
        self._memory.own(place.path, Target(path))
        self._memory.settle(target, place.path, seen, {}, stamp_of(place.path))
