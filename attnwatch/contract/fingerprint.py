"""Fingerprints: everything that the pictures of a video depend on, and which receipts record the same.

Settings are compared without those that have their default value, so a setting that a later version adds makes no
receipt stale until somebody uses it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from attnwatch.contract.documents import ReceiptDocument
from attnwatch.settings import ADDED_SINCE_0_1_0, NOT_IN_PICTURES, Visualization

RENDERER_VERSION = 2
"""Version of the pictures. Increasing it makes all existing receipts stale."""

_KNOWN_TO_0_1_0 = {*Visualization.model_fields, "tokens", "batch_sha256"} - ADDED_SINCE_0_1_0


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
        return self.has_input_of(receipt) and settings_sha256_of(receipt) == self.settings_sha256

    def has_input_of(self, receipt: ReceiptDocument) -> bool:
        """Whether a receipt records the same manifest, inputs and renderer, or a later one, whatever its settings.

        Pictures of a later renderer stay: two versions at work on one folder would otherwise replace each other's.
        """
        same_input = (receipt.manifest_sha256, receipt.inputs) == (self.manifest_sha256, self.inputs)
        return same_input and receipt.renderer >= self.renderer


def _shaping(settings: Visualization) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude=set(NOT_IN_PICTURES))


@cache
def _defaults(model: type[Visualization]) -> Mapping[str, Any]:
    return {**_shaping(model()), "tokens": None}


def _without_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the settings that have their default value; keep names that this version does not know."""
    defaults = _defaults(Visualization)
    return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}


def settings_sha256_of(receipt: ReceiptDocument) -> str:
    """Return the digest of the settings that a receipt was written with, as `Fingerprint` computes it.

    Version 0.1.0 wrote the digest of all settings, defaults included; leave the defaults out of such a receipt.
    """
    if receipt.settings_sha256 == _digest(receipt.settings):
        return _digest(_without_defaults(receipt.settings))
    return receipt.settings_sha256


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
