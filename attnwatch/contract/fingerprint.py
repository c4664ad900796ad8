"""Fingerprints: everything that the pictures of a video depend on, and which receipts record the same.

Settings are compared without those that have their default value, so a setting that a later version adds makes no
receipt stale until somebody uses it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from attnwatch.contract.documents import ReceiptDocument
from attnwatch.settings import ADDED_SINCE_0_1_0, NOT_IN_VIDEOS, Visualization

RENDERER_VERSION = 4
"""Version of the pictures. Increasing it makes existing receipts stale, except those in `EARLIER_DEFAULTS`."""

EARLIER_DEFAULTS: Mapping[int, Mapping[str, Any]] = {
    2: {"colormap": "hot", "overlay": "uniform", "overlay_alpha": 0.6},
    3: {},
}
"""Older renderers whose pictures stay valid: version, and the defaults that differ from those of today."""

_KNOWN_TO_0_1_0 = {*Visualization.model_fields, "tokens", "batch_sha256"} - ADDED_SINCE_0_1_0


def is_valid(renderer: int) -> bool:
    """Whether pictures of a version of the renderer stay as they are; those of a later one do."""
    return renderer >= RENDERER_VERSION or renderer in EARLIER_DEFAULTS


@dataclass(frozen=True)
class Fingerprint:
    """Everything that the pictures of a video depend on. A receipt with a different fingerprint is stale.

    Attributes:
        manifest_sha256: digest of the manifest.
        settings: the settings that shape pictures, defaults included, and the selected words.
        inputs: size in bytes of the video and each tensor file, None if absent.
        renderer: version of the renderer.
        chosen: names of the settings that the batch or the watcher sets; the others have their defaults.

    """

    manifest_sha256: str
    settings: dict[str, Any]
    inputs: dict[str, int | None]
    renderer: int = RENDERER_VERSION
    chosen: frozenset[str] = frozenset()

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
        return cls(manifest_sha256, shaping, inputs, chosen=frozenset(settings.model_fields_set))

    def as_of(self, renderer: int) -> "Fingerprint":
        """Return what an older renderer would have recorded, if its pictures stay valid; else the fingerprint itself.

        Settings that nobody chose then have the defaults of that renderer, so a new default makes no receipt stale.
        """
        if renderer not in EARLIER_DEFAULTS:
            return self
        before = {name: value for name, value in EARLIER_DEFAULTS[renderer].items() if name not in self.chosen}
        return replace(self, settings={**self.settings, **before}, renderer=renderer)

    @cached_property
    def settings_sha256(self) -> str:
        """SHA-256 of the settings that differ from the renderer's defaults, as JSON with sorted keys.

        Adding a setting therefore leaves existing receipts valid until somebody uses it. A changed default needs a new
        `RENDERER_VERSION`, and the old default in `EARLIER_DEFAULTS`.
        """
        return _digest(_without_defaults(self.settings, self.renderer))

    @property
    def all_settings_sha256(self) -> str:
        """SHA-256 of all settings, defaults included, that version 0.1.0 knew: it recorded it and named files by it."""
        used = _without_defaults(self.settings, self.renderer).keys()
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
    return settings.model_dump(mode="json", exclude=set(NOT_IN_VIDEOS))


@cache
def _defaults(model: type[Visualization], renderer: int) -> Mapping[str, Any]:
    return {**_shaping(model()), **EARLIER_DEFAULTS.get(renderer, {}), "tokens": None}


def _without_defaults(settings: Mapping[str, Any], renderer: int) -> dict[str, Any]:
    """Drop the settings that have the renderer's default value; keep names that this version does not know."""
    defaults = _defaults(Visualization, renderer)
    return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}


def settings_sha256_of(receipt: ReceiptDocument) -> str:
    """Return the digest of the settings that a receipt was written with, as `Fingerprint` computes it.

    Version 0.1.0 wrote the digest of all settings, defaults included; leave the defaults out of such a receipt.
    """
    if receipt.settings_sha256 == _digest(receipt.settings):
        return _digest(_without_defaults(receipt.settings, receipt.renderer))
    return receipt.settings_sha256


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
