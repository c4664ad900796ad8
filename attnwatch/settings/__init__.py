"""All settings of attnwatch, with defaults, limits and descriptions; the tables for users are generated from them."""

from attnwatch.settings.visualization import (
    ADDED_SINCE_0_1_0,
    LIMITED_BY_WATCHER,
    NOT_IN_PICTURES,
    NOT_IN_VIDEOS,
    Choice,
    Inches,
    OverlayStyle,
    Quality,
    SheetRows,
    Upsampling,
    Visualization,
)
from attnwatch.settings.watcher import Watcher

__all__ = [
    "ADDED_SINCE_0_1_0",
    "LIMITED_BY_WATCHER",
    "NOT_IN_PICTURES",
    "NOT_IN_VIDEOS",
    "SETTING_NAMES",
    "Choice",
    "Inches",
    "OverlayStyle",
    "Quality",
    "SheetRows",
    "Upsampling",
    "Visualization",
    "Watcher",
]

SETTING_NAMES = (*Visualization.model_fields, *Watcher.model_fields)
"""Names of all settings, in the order in which they are listed."""
