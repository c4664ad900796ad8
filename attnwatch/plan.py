"""For one manifest: is there something to do, and when? Desired state against receipts, nothing else."""

import contextlib
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from attnwatch.config import Settings
from attnwatch.documents import ReceiptDocument
from attnwatch.errors import AttnwatchError
from attnwatch.manifest import OUTPUT_DIRECTORY, Manifest, read_manifest
from attnwatch.names import default_video_id
from attnwatch.receipts import Fingerprint, Place, describe, failure, seconds_until_due
from attnwatch.settings import Visualization
from attnwatch.targets import Target, ending_sha256

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What one run is asked to do.

    Attributes:
        roots: files and folders to look after.
        once: render what is finished, then stop.
        force: render everything once, whatever the receipts say.
        dry_run: write nothing, not even why a manifest is refused.
        by_name: the user named these videos: render them even if their batch asks for no per-video rendering, and
            also those that were given up.
        collect: make the collections of the batches that the roots are, and nothing else.
        tokens: only these words; None for all.

    """

    roots: tuple[Path, ...]
    once: bool = False
    force: bool = False
    dry_run: bool = False
    by_name: bool = False
    collect: bool = False
    tokens: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Task:
    """A rendering that is to be made, `wait` seconds from now.

    Attributes:
        target: what it is made for.
        place: where its receipt lies.
        fingerprint: what its pictures depend on.
        settings: the effective ones.
        batch_sha256: how the batch ended, where its colour scale is that of the whole batch; else None.
        wait: seconds until it is due.
        receipt: the present one, which says that there is something to do.

    """

    target: Target
    place: Place
    fingerprint: Fingerprint
    settings: Visualization
    batch_sha256: str | None
    wait: float
    receipt: ReceiptDocument | None


def retry_command(target: Target) -> str:
    """Return the command that tries a target again, whatever its receipt says."""
    return f"`attnwatch collect {target.batch}`" if target.batch else f"`attnwatch render {target.manifest}`"


class Planner:
    """Decides what is to be done. Says each complaint once."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._rendered: dict[Target, tuple[str, dict[str, int | None]]] = {}
        self._failed: set[Target] = set()
        self._said: set[str] = set()
        self._endings: dict[Path, str] = {}
        self.given_up: set[Target] = set()
        self._settled: set[Target] = set()
        self._owners: dict[Path, Path] = {}
        """Receipt -> the manifest that it belongs to."""
        self.collections: dict[Path, Visualization] = {}
        """Settings of each batch whose videos are collected."""

    @property
    def up_to_date(self) -> int:
        """Number of videos that were found with a receipt that still holds."""
        return len({target.manifest for target in self._settled})

    def plan(self, target: Target) -> Task | None:
        """Return what is to be done for a target, or None when there is nothing.

        A manifest that cannot be rendered at all gets its receipt here, and is in `given_up` from then on.
        """
        path = target.manifest
        self.given_up.discard(target)
        try:
            manifest = read_manifest(path)
            settings, notes = self._settings.for_batch(manifest.document.visualization, path)
            inputs = manifest.inputs()
        except FileNotFoundError:
            return None
        except (AttnwatchError, OSError) as error:
            self._refuse(target, error)
            return None
        for note in notes:
            self.say(f"{manifest.path}: {note}; it is ignored")
        if not self._wanted(target, settings):
            return None
        return self._task(target, manifest, settings, inputs)

    def note_rendered(self, task: Task) -> None:
        """Remember what this run has rendered.

        It is not rendered again when another watcher with other settings has replaced the receipt: two watchers on
        one folder would go on for ever.
        """
        self._rendered[task.target] = (task.fingerprint.manifest_sha256, task.fingerprint.inputs)

    def note_failed(self, task: Task) -> None:
        """Remember that a video had its turn in this run: its receipt says when the next one is, also with `force`."""
        self._failed.add(task.target)

    def say(self, message: str) -> None:
        """Log a complaint, once."""
        if message not in self._said:
            self._said.add(message)
            _log.warning("%s", message)

    def _wanted(self, target: Target, settings: Visualization) -> bool:
        if target.batch is not None:
            return settings.auto_generate_videos or self._options.collect
        return settings.auto_generate_per_video or self._options.by_name

    def _task(
        self, target: Target, manifest: Manifest, requested: Visualization, inputs: dict[str, int | None]
    ) -> Task | None:
        settings = requested.per_video() if target.batch is None else requested.for_collection()
        directory = (target.batch or manifest.path.parent) / OUTPUT_DIRECTORY
        place = Place(manifest.path, manifest.video_id, directory)
        if target.batch is not None:
            self.collections[target.batch] = settings
        batch_sha256 = self._ending(target.batch) if target.batch and settings.measures_batch else None
        fingerprint = Fingerprint.of(manifest.sha256, settings, self._options.tokens, inputs, batch_sha256)
        owner = self._owners.setdefault(place.path, manifest.path)
        if owner != manifest.path and os.path.exists(owner):  # noqa: PTH110 - Path's raises where it may not look
            self._refuse_twin(target, manifest, owner)
            return None
        self._owners[place.path] = manifest.path
        receipt = place.read()
        if receipt is not None and self._rendered.get(target) == (manifest.sha256, inputs):
            return None
        force = self._options.force and target not in self._failed
        wait = 0.0 if force else seconds_until_due(receipt, fingerprint)
        if receipt is not None and receipt.status == "failed":
            if self._options.by_name or ((self._options.once or self._options.dry_run) and wait is not None):
                wait = 0.0  # whoever asks now does not want to wait for the next attempt
            elif wait is None:
                self.given_up.add(target)
                last = receipt.attempts[-1].error if receipt.attempts else "no reason is recorded"
                self.say(f"given up: {manifest.path}: {last}; {retry_command(target)} tries again")
        if wait is None:
            self._settled.add(target)
            if receipt is not None and receipt.status != "failed":
                # Good when this run began: whoever renders it otherwise meanwhile, by name, wants it so.
                self._rendered[target] = (manifest.sha256, inputs)
            return None
        self._settled.discard(target)
        return Task(target, place, fingerprint, settings, batch_sha256, wait, receipt)

    def _ending(self, batch: Path) -> str:
        """Return what the scale of a batch depends on; by hand, a batch is collected as it is when the run begins."""
        if not self._options.collect:
            return ending_sha256(batch)
        return self._endings.setdefault(batch, ending_sha256(batch))

    def _refuse_twin(self, target: Target, manifest: Manifest, owner: Path) -> None:
        """Leave alone a video whose outputs would overwrite those of another."""
        self.given_up.add(target)
        found = f"{manifest.video_id!r}, which {owner} has too"
        self.say(
            f"not rendered: {manifest.path}: video_id: found {found}; expected one of its own; write different ones"
        )

    def _refuse(self, target: Target, error: AttnwatchError | OSError) -> None:
        path = target.manifest
        self.given_up.add(target)
        self.say(f"not rendered: {describe(error)}")
        if self._options.dry_run:
            return
        place = Place(path, default_video_id(path), path.parent / OUTPUT_DIRECTORY)
        digest = hashlib.sha256(describe(error).encode()).hexdigest()
        fingerprint = Fingerprint(digest, {}, {})
        if isinstance(error, AttnwatchError) and seconds_until_due(place.read(), fingerprint) == 0:
            limits = self._settings.watcher.model_copy(update={"max_attempts": 1})
            with contextlib.suppress(OSError):  # read-only or full: the complaint is in the log
                place.write(failure(place, fingerprint, error, 0.0, limits))
