"""Receipts: record what was rendered or failed, and decide whether and when a video must be rendered.

There is one receipt per video, in the folder of its outputs. Receipts are the watcher's only persistent state: it
renders every manifest whose receipt is missing, stale or due.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from attnwatch.contract.backoff import Backoff
from attnwatch.contract.documents import Attempt, ContentRecord, OutputRecord, ReceiptDocument
from attnwatch.contract.names import RECEIPT_SUFFIX, printable
from attnwatch.contract.reading import read_document
from attnwatch.contract.stamps import Stamp
from attnwatch.errors import ConfigError, ContractError, ManifestError, VideoError
from attnwatch.settings import ADDED_SINCE_0_1_0, NOT_IN_PICTURES, Visualization, Watcher
from attnwatch.system.files import write_atomically

RENDERER_VERSION = 2
"""Version of the pictures. Increasing it makes all existing receipts stale."""

_KNOWN_TO_0_1_0 = {*Visualization.model_fields, "tokens", "batch_sha256"} - ADDED_SINCE_0_1_0
_DETERMINISTIC_ATTEMPTS = 2  # invalid input fails again; one retry in case it was read while being written
_LONGEST_WAIT = 3600.0
_JITTER = 0.1
_CLOCK_ERROR = timedelta(seconds=5)


@dataclass(frozen=True)
class Fingerprint:
    """Everything that the pictures of a video depend on. A receipt with a different fingerprint is stale.

    Attributes:
        manifest_sha256: digest of the manifest.
        settings: the settings that shape pictures, defaults included, and the selected words.
        inputs: size in bytes of the video and each tensor file, None if absent.
        renderer: version of the renderer.

    """

    manifest_sha256: str
    settings: dict[str, Any]
    inputs: dict[str, int | None]
    renderer: int = RENDERER_VERSION

    @classmethod
    def of(
        cls,
        manifest_sha256: str,
        settings: Visualization,
        tokens: tuple[str, ...] | None,
        inputs: dict[str, int | None],
        batch_sha256: str | None = None,
    ) -> "Fingerprint":
        """Build the fingerprint of one rendering.

        Args:
            manifest_sha256: digest of the manifest.
            settings: the effective settings.
            tokens: the selected words; None for all.
            inputs: size in bytes of the video and each tensor file, None if absent.
            batch_sha256: state of the batch, if the color scale is measured over the whole batch; else None.

        """
        shaping = _shaping(settings)
        shaping["tokens"] = sorted(tokens) if tokens is not None else None
        if batch_sha256 is not None:
            shaping["batch_sha256"] = batch_sha256
        return cls(manifest_sha256, shaping, inputs)

    @cached_property
    def settings_sha256(self) -> str:
        """SHA-256 of the settings that differ from their defaults, as JSON with sorted keys.

        Adding a setting therefore leaves existing receipts valid until somebody uses it. A changed default needs a new
        `RENDERER_VERSION`.
        """
        return _digest(_without_defaults(self.settings))

    @property
    def all_settings_sha256(self) -> str:
        """SHA-256 of all settings, defaults included, that version 0.1.0 knew: it recorded it and named files by it."""
        used = _without_defaults(self.settings).keys()
        return _digest({name: self.settings[name] for name in self.settings if name in used | _KNOWN_TO_0_1_0})

    def matches(self, receipt: ReceiptDocument) -> bool:
        """Whether a receipt records the same manifest, settings, inputs and renderer."""
        return (receipt.manifest_sha256, _settings_sha256(receipt), receipt.inputs, receipt.renderer) == (
            self.manifest_sha256,
            self.settings_sha256,
            self.inputs,
            self.renderer,
        )


def _shaping(settings: Visualization) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude=set(NOT_IN_PICTURES))


@cache
def _defaults(model: type[Visualization]) -> Mapping[str, Any]:
    return {**_shaping(model()), "tokens": None}


def _without_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the settings that have their default value; keep names that this version does not know."""
    defaults = _defaults(Visualization)
    return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}


def _settings_sha256(receipt: ReceiptDocument) -> str:
    """Return the digest of the settings that a receipt was written with, as `Fingerprint` computes it.

    Version 0.1.0 wrote the digest of all settings, defaults included; leave the defaults out of such a receipt.
    """
    if receipt.settings_sha256 == _digest(receipt.settings):
        return _digest(_without_defaults(receipt.settings))
    return receipt.settings_sha256


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Place:
    """Location of the receipt of a video."""

    manifest: Path
    video_id: str
    directory: Path

    def seen_from(self, folder: Path) -> "Place":
        """Return the same place with paths relative to a folder; a directory outside that folder stays absolute."""
        inside = self.directory.is_relative_to(folder)
        directory = self.directory.relative_to(folder) if inside else self.directory
        return replace(self, manifest=self.manifest.relative_to(folder), directory=directory)

    @cached_property
    def path(self) -> Path:
        """Path of the receipt."""
        return self.directory / f"{self.video_id}{RECEIPT_SUFFIX}"

    def read(self) -> ReceiptDocument | None:
        """Return the receipt; None if it is missing or unreadable, both of which ask for a rendering."""
        try:
            return read_document(self.path, ReceiptDocument)[0]
        except (OSError, ManifestError):
            return None

    def write(self, receipt: ReceiptDocument) -> None:
        """Write the receipt atomically."""
        self.directory.mkdir(exist_ok=True)
        text = receipt.model_dump_json(indent=2)
        write_atomically(self.path, text.encode() + b"\n")


def seconds_until_due(receipt: ReceiptDocument | None, fingerprint: Fingerprint) -> float | None:
    """Return the number of seconds until a video must be rendered: 0 means now, None means never."""
    if receipt is None or not fingerprint.matches(receipt):
        return 0.0
    if receipt.status != "failed" or receipt.next_attempt is None:
        return None
    now = datetime.now(UTC)
    try:
        due = datetime.fromisoformat(receipt.next_attempt)
        if receipt.attempts and datetime.fromisoformat(receipt.attempts[-1].at) - now > _CLOCK_ERROR:
            return 0.0  # the clock was set back, so the time since the attempt is unknown
        return min(_LONGEST_WAIT, max(0.0, (due - now).total_seconds()))
    except (ValueError, TypeError):
        return 0.0


Content = Mapping[str, ContentRecord]
_NOTHING: Content = MappingProxyType({})


def record_content(stamps: Mapping[str, Stamp | None], digests: Mapping[str, str]) -> Content:
    """Return the records of the files that exist; their digests may be missing."""
    return {
        name: ContentRecord(modified=stamp.modified, changed=stamp.changed, sha256=digests.get(name))
        for name, stamp in stamps.items()
        if stamp is not None
    }


def is_untouched(receipt: ReceiptDocument, stamps: Mapping[str, Stamp | None]) -> bool:
    """Whether the times of all existing files are those in the receipt."""
    for name, record in receipt.content.items():
        stamp = stamps.get(name)
        if stamp is not None and (stamp.modified, stamp.changed) != (record.modified, record.changed):
            return False
    return True


def is_same_content(receipt: ReceiptDocument, digests: Mapping[str, str]) -> bool:
    """Whether the digests of all existing files are those in the receipt."""
    return digests.items() <= {name: record.sha256 for name, record in receipt.content.items()}.items()


def success(
    place: Place,
    fingerprint: Fingerprint,
    outputs: tuple[OutputRecord, ...],
    notes: tuple[str, ...],
    seconds: float,
    *,
    content: Content = _NOTHING,
) -> ReceiptDocument:
    """Return the receipt of a video that was rendered, or that had nothing to render."""
    attempt = Attempt(at=_now().isoformat(), seconds=round(seconds, 3))
    return _receipt(
        place,
        fingerprint,
        status="rendered" if outputs else "skipped",
        outputs=outputs,
        notes=notes,
        attempts=(*_failed_attempts(place, fingerprint), attempt),
        content=dict(content),
    )


def failure(
    place: Place,
    fingerprint: Fingerprint,
    error: BaseException,
    seconds: float,
    limits: Watcher,
    *,
    content: Content = _NOTHING,
) -> ReceiptDocument:
    """Return the receipt of a failed attempt, with the time of the next attempt if there is one."""
    attempt = Attempt(at=_now().isoformat(), seconds=round(seconds, 3), error=describe(error))
    attempts = (*_failed_attempts(place, fingerprint), attempt)
    most = min(limits.max_attempts, _DETERMINISTIC_ATTEMPTS) if is_deterministic(error) else limits.max_attempts
    due = None
    if len(attempts) < most:
        wait = Backoff(limits.retry_backoff, _LONGEST_WAIT, _JITTER).wait(len(attempts))
        due = (_now() + timedelta(seconds=wait)).isoformat()
    before = place.read()  # its outputs still exist, and may have to be removed later
    outputs = before.outputs if before is not None else ()
    return _receipt(
        place,
        fingerprint,
        status="failed",
        outputs=outputs,
        attempts=attempts,
        next_attempt=due,
        content=dict(content),
    )


def is_deterministic(error: BaseException) -> bool:
    """Whether the same input would fail in the same way again."""
    return isinstance(error, (ConfigError, ContractError, VideoError))


def describe(error: BaseException) -> str:
    """Return the message of an error, preceded by its type if it is not an error of this package."""
    text = printable(str(error)) or "no message"
    return text if type(error).__module__.startswith("attnwatch") else f"{type(error).__name__}: {text}"


def _receipt(place: Place, fingerprint: Fingerprint, **fields: Any) -> ReceiptDocument:  # noqa: ANN401 - model fields
    return ReceiptDocument(
        video_id=place.video_id,
        manifest=printable(place.manifest.name),
        manifest_sha256=fingerprint.manifest_sha256,
        settings_sha256=fingerprint.settings_sha256,
        settings=fingerprint.settings,
        renderer=RENDERER_VERSION,
        inputs=fingerprint.inputs,
        **fields,
    )


def _failed_attempts(place: Place, fingerprint: Fingerprint) -> tuple[Attempt, ...]:
    """Return the earlier failed attempts at the same rendering; a changed fingerprint starts from zero."""
    before = place.read()
    if before is None or before.status != "failed" or not fingerprint.matches(before):
        return ()
    return before.attempts


def _now() -> datetime:
    return datetime.now(UTC)
