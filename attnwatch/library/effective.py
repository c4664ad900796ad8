"""The settings that apply to a video in a call."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attnwatch.config import load_settings
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import ConfigError, did_you_mean
from attnwatch.settings import SETTING_NAMES, Visualization, Watcher

_log = logging.getLogger(__name__)


def effective(manifest: Manifest, chosen: Mapping[str, Any]) -> tuple[Visualization, Watcher]:
    """Return the settings of a call over those of the environment over those of the batch; log what is ignored."""
    settings = load_settings(None, chosen, spell_flag=str)
    pictures, notes = settings.for_batch(manifest.document.visualization, manifest.path)
    log_notes(manifest, notes)
    return pictures.per_video(), settings.watcher


def require_settings(chosen: Mapping[str, Any], arguments: Collection[str]) -> None:
    """Check the settings of a call that many videos are measured for, before the first one.

    Args:
        chosen: the settings, by name.
        arguments: the other arguments of the call, which may have been meant.

    Raises:
        ConfigError: there is no such setting, or its value is invalid.

    """
    for name in chosen:
        if name not in SETTING_NAMES:
            raise ConfigError(f"{name}: found an unknown setting; {did_you_mean(name, [*arguments, *SETTING_NAMES])}")
    load_settings(None, chosen, spell_flag=str)


def log_notes(manifest: Manifest, notes: Sequence[str]) -> None:
    """Log remarks about a video as warnings."""
    for note in notes:
        _log.warning("%s: %s", manifest.video_id, note)
