"""Draws what is asked of one video as a figure."""

from collections.abc import Iterator, Sequence

from attnwatch.contract.manifest import Manifest
from attnwatch.errors import ConfigError
from attnwatch.render.plots.asked import Asked
from attnwatch.render.plots.content import Content
from attnwatch.render.plots.drawing import drawn
from attnwatch.render.plots.layers import layers_and_heads
from attnwatch.render.plots.moments import At, Moment, evenly, middle, moments
from attnwatch.render.plots.over_video import Frames, one_moment, some_moments
from attnwatch.render.plots.paths import centroid_paths
from attnwatch.render.plots.plot import Plot
from attnwatch.render.plots.source import frames_of
from attnwatch.render.plots.steps import steps_and_moments
from attnwatch.render.plots.subject import Subject
from attnwatch.render.source import open_source
from attnwatch.render.text.missing import missing_glyphs
from attnwatch.render.timeline import Timeline
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import WordMaps

_MOMENTS, _MOMENTS_IN_A_COLUMN = 6, 4
_OWN_SCALE = "uses this video's own scale: normalization batch is for collections only; vmin and vmax set the ends"


def figure(manifest: Manifest, settings: Visualization, words: Sequence[WordMaps], at: At, asked: Asked) -> Plot:
    """Draw a figure about one video.

    Args:
        manifest: manifest of the video, whose files are verified.
        settings: how pictures look, and which steps, layers and heads are averaged.
        words: the maps of the words to show, at least one.
        at: the moment or moments to show; None for the middle of the video, or evenly spaced ones.
        asked: what else the figure shows.

    Raises:
        ConfigError: a moment is beyond the end; a step, layer or head is not stored; parameters contradict each other.
        TensorError: a tensor file breaks the contract.
        VideoError: the video cannot be decoded.

    """
    with open_source(manifest, words[0].grid, turns=settings.rotation == "apply") as source:
        counted = None
        # Decoding may find fewer frames than the file promised: then the moments are others.
        while counted != source.timeline:
            counted = source.timeline
            chosen = _moments(at, asked, counted)
            frames = frames_of(source, {moment.frame for moment in chosen})
        subject = Subject(manifest, settings, asked, source.timeline, tuple(words))
        return drawn(_content(subject, chosen, frames), subject, list(_notes(subject, source.notes)))


def _moments(at: At, asked: Asked, timeline: Timeline) -> list[Moment]:
    """Return the moments to show: those that are named, or the usual ones."""
    is_row = asked.grid in ("frames", "steps")
    if asked.moments is not None and (at is not None or not is_row):
        why = "beside at" if is_row else "without a grid of frames or steps"
        raise ConfigError(f"moments: found {asked.moments} {why}; expected one of the two; leave moments out")
    if at is None:
        usual = _MOMENTS_IN_A_COLUMN if asked.is_narrow else _MOMENTS
        return evenly(asked.moments or usual, timeline) if is_row else [middle(timeline)]
    found = moments(at, timeline)
    if len(found) > 1 and not is_row:
        raise ConfigError(
            f"at: found {len(found)} moments; expected one, except in grids of frames and steps; choose one of "
            "them, or such a grid"
        )
    return found


def _content(subject: Subject, chosen: Sequence[Moment], frames: Frames) -> Content:
    match subject.asked.grid:
        case "frames":
            return some_moments(subject, chosen, frames)
        case "steps":
            return steps_and_moments(subject, chosen, frames)
        case "paths":
            return centroid_paths(subject, chosen[0], frames)
        case None:
            return one_moment(subject, chosen[0], frames)
        case _:
            return layers_and_heads(subject, chosen[0], frames)


def _notes(subject: Subject, of_source: Sequence[str]) -> Iterator[str]:
    """Yield remarks on what the figure lacks, or shows otherwise than the manifest says."""
    yield from subject.manifest.notes
    yield from of_source
    if subject.alignment.note is not None:
        yield subject.alignment.note
    if subject.settings.measures_batch:
        yield _OWN_SCALE
    if (missing := missing_glyphs("".join([subject.title, *map(subject.text, subject.words)]))) is not None:
        yield str(missing)
