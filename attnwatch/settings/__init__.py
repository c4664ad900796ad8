"""All settings of attnwatch, with defaults, limits and descriptions; the tables for users are generated from them."""

from attnwatch.settings.visualization import (
    ADDED_SINCE_0_1_0,
    LIMITED_BY_WATCHER,
    NOT_IN_PICTURES,
    Choice,
    Inches,
    OverlayStyle,
    Quality,
    Upsampling,
    Visualization,
)
from attnwatch.settings.watcher import Watcher

__all__ = [
    "ADDED_SINCE_0_1_0",
    "LIMITED_BY_WATCHER",
    "NOT_IN_PICTURES",
    "Choice",
    "Inches",
    "OverlayStyle",
    "Quality",
    "Upsampling",
    "Visualization",
    "Watcher",
]
