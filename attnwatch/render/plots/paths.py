"""Where the centre of the attention to each word moves, as a path over one frame of the video."""

import numpy as np

from attnwatch.analysis.spatial import spatial
from attnwatch.render.colormap import LEVELS, colormap_rgb
from attnwatch.render.plots.content import Bar, Cell, Content, Path, Rgb
from attnwatch.render.plots.described import averaged, joined
from attnwatch.render.plots.moments import Moment
from attnwatch.render.plots.over_video import Frames, in_rows
from attnwatch.render.plots.subject import Subject
from attnwatch.tensors.reader import WordMaps

TIMES = "viridis"
"""Colormap of time; its first and its last colour differ in lightness too."""

_PALE = 0.55  # how much of the way to white the frame is shown, so that all colours of a path are seen on it
_PAPER = 240  # grey behind the paths if the video is absent
_PIECES = 256  # of a path, each in one colour
_RAMP_WIDTH = 40  # pixels


def centroid_paths(subject: Subject, moment: Moment, frames: Frames) -> Content:
    """Return the frame of a moment for each word, with the path of the word's centroid over it."""
    background = _background(subject, moment, frames)
    cells = [Cell(background, subject.text(word), _path(subject, word)) for word in subject.words]
    rows = in_rows(cells)
    ramp: Rgb = np.rint(255 * colormap_rgb(TIMES)).astype(np.uint8)
    bar = Bar(
        np.repeat(ramp[:, None], _RAMP_WIDTH, axis=1),
        0.0,
        float(subject.timeline.seconds[-1]),
        "time (s)",
        (0, len(rows) - 1),
        (0, len(rows[0]) - 1),
    )
    over = f"over the frame at {moment.seconds:.2f} s" if frames else ""
    about = joined("centre of attention", over, *averaged(subject, subject.words[0]))
    return Content(subject.title, about, rows, [bar], float(subject.timeline.aspect))


def _background(subject: Subject, moment: Moment, frames: Frames) -> Rgb:
    if moment.frame not in frames:
        return np.full((subject.timeline.height, subject.timeline.width, 3), _PAPER, np.uint8)
    picture = subject.picture(frames[moment.frame]).astype(np.float32)
    pale: Rgb = np.rint(picture + (255 - picture) * _PALE).astype(np.uint8)
    return pale


def _path(subject: Subject, word: WordMaps) -> Path:
    """Return the places between the first and the last latent frame that have attention, in small steps of time."""
    latent = word.frames(subject.part)
    measured, times = spatial(latent), subject.timeline.seconds
    known = np.isfinite(measured.centroid_x)
    if not known.any():
        return Path(np.empty((0, 2)), np.empty((0, 3)))
    seconds = subject.alignment.latent_seconds(len(latent), times)[known]
    moments = np.linspace(seconds[0], seconds[-1], _PIECES)
    places = [np.interp(moments, seconds, some[known]) for some in (measured.centroid_x, measured.centroid_y)]
    levels = np.rint(moments / (float(times[-1]) or 1.0) * (LEVELS - 1)).astype(int)
    return Path(np.stack(places, axis=-1), colormap_rgb(TIMES)[levels.clip(0, LEVELS - 1)])
