"""For one manifest: is there something to do, and when? Desired state against receipts, nothing else."""

import contextlib
import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from attnwatch.config import Settings
from attnwatch.documents import ReceiptDocument
from attnwatch.errors import AttnwatchError
from attnwatch.manifest import OUTPUT_DIRECTORY, Manifest, read_manifest
from attnwatch.names import default_video_id
from attnwatch.receipts import Fingerprint, Place, describe, failure, seconds_until_due
from attnwatch.settings import Visualization

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
        tokens: only these words; None for all.

    """

    roots: tuple[Path, ...]
    once: bool = False
    force: bool = False
    dry_run: bool = False
    by_name: bool = False
    tokens: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Task:
    """A video that is to be rendered, `wait` seconds from now, and the receipt that says so, if there is one."""

    place: Place
    fingerprint: Fingerprint
    settings: Visualization
    wait: float
    receipt: ReceiptDocument | None


class Planner:
    """Decides what is to be done. Says each complaint once."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._rendered: dict[Path, tuple[str, dict[str, int | None]]] = {}
        self._failed: set[Path] = set()
        self._said: set[str] = set()
        self.given_up: set[Path] = set()
        self._settled: set[Path] = set()

    @property
    def up_to_date(self) -> int:
        """Number of videos that were found with a receipt that still holds."""
        return len(self._settled)

    def plan(self, path: Path) -> Task | None:
        """Return what is to be done for a manifest, or None when there is nothing.

        A manifest that cannot be rendered at all gets its receipt here, and is in `given_up` from then on.
        """
        self.given_up.discard(path)
        try:
            manifest = read_manifest(path)
            settings, notes = self._settings.for_batch(manifest.document.visualization, path)
            inputs = manifest.inputs()
        except FileNotFoundError:
            return None
        except (AttnwatchError, OSError) as error:
            self._refuse(path, error)
            return None
        for note in notes:
            self.say(f"{manifest.path}: {note}; it is ignored")
        if not settings.auto_generate_per_video and not self._options.by_name:
            return None
        return self._task(manifest, settings.per_video(), inputs)

    def note_rendered(self, task: Task) -> None:
        """Remember what this run has rendered.

        It is not rendered again when another watcher with other settings has replaced the receipt: two watchers on
        one folder would go on for ever.
        """
        self._rendered[task.place.manifest] = (task.fingerprint.manifest_sha256, task.fingerprint.inputs)

    def note_failed(self, task: Task) -> None:
        """Remember that a video had its turn in this run: its receipt says when the next one is, also with `force`."""
        self._failed.add(task.place.manifest)

    def say(self, message: str) -> None:
        """Log a complaint, once."""
        if message not in self._said:
            self._said.add(message)
            _log.warning("%s", message)

    def _task(self, manifest: Manifest, settings: Visualization, inputs: dict[str, int | None]) -> Task | None:
        place = Place(manifest.path, manifest.video_id, manifest.output_directory)
        fingerprint = Fingerprint.of(manifest.sha256, settings, self._options.tokens, inputs)
        receipt = place.read()
        if receipt is not None and self._rendered.get(manifest.path) == (manifest.sha256, inputs):
            return None
        force = self._options.force and manifest.path not in self._failed
        wait = 0.0 if force else seconds_until_due(receipt, fingerprint)
        if receipt is not None and receipt.status == "failed":
            if self._options.by_name or (self._options.once and wait is not None):
                wait = 0.0  # whoever asks now does not want to wait for the next attempt
            elif wait is None:
                self.given_up.add(manifest.path)
        if wait is None:
            self._settled.add(manifest.path)
            return None
        self._settled.discard(manifest.path)
        return Task(place, fingerprint, settings, wait, receipt)

    def _refuse(self, path: Path, error: AttnwatchError | OSError) -> None:
        self.given_up.add(path)
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
