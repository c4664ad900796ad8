"""The settings that apply to a video in a call."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from attnwatch.config import load_settings
from attnwatch.contract.manifest import Manifest
from attnwatch.settings import Visualization, Watcher

_log = logging.getLogger(__name__)


def effective(manifest: Manifest, chosen: Mapping[str, Any]) -> tuple[Visualization, Watcher]:
    """Return the settings of a call over those of the environment over those of the batch; log what is ignored."""
    settings = load_settings(None, chosen, spell_flag=str)
    pictures, notes = settings.for_batch(manifest.document.visualization, manifest.path)
    log_notes(manifest, notes)
    return pictures.per_video(), settings.watcher


def log_notes(manifest: Manifest, notes: Sequence[str]) -> None:
    """Log remarks about a video as warnings."""
    for note in notes:
        _log.warning("%s: %s", manifest.video_id, note)
