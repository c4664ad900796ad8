"""Python API for notebooks and scripts: attention as numpy arrays, overlays to display, and rendering on request."""

from attnwatch.library.batch import Batch, open  # noqa: A004 - read as `attnwatch.open`
from attnwatch.library.clip import Clip
from attnwatch.library.comparing import BatchComparison
from attnwatch.library.composing import compose
from attnwatch.library.rendering import render_video
from attnwatch.library.video import Video

__all__ = ["Batch", "BatchComparison", "Clip", "Video", "compose", "open", "render_video"]
