"""Renders all attention videos of one generated video."""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, repeat
from pathlib import Path

import numpy as np

from attnwatch.batches.videos import open_attention, why_no_words
from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import Manifest
from attnwatch.render.combined.hues import HUES
from attnwatch.render.combined.lane import CombinedLane, notes_on_combined
from attnwatch.render.lanes import Lane, at_rate, chunks
from attnwatch.render.maps import Scale, part_of
from attnwatch.render.memory import Load, plan
from attnwatch.render.output import Context, Output
from attnwatch.render.sound import add_sound
from attnwatch.render.source import AbsentSource, VideoSource, open_source
from attnwatch.render.stills import MIN_EVOLUTION_WIDTH, write_evolution, write_static
from attnwatch.render.text.missing import missing_glyphs
from attnwatch.render.timeline import SourceFrame, Timeline
from attnwatch.settings import Visualization
from attnwatch.system.limits import room
from attnwatch.tensors.reader import Part, WordMaps

_NO_GLYPHS = "labels show □ for characters that no installed font has"
_OWN_SCALE = (
    "uses this video's own scale: only the collection of the batch, made by auto_generate_videos or "
    "`attnwatch collect` with the same settings, uses the batch's scale"
)
_LEAN = "encoded with fewer frames in memory, because memory_limit leaves no room for more: the files are larger"


@dataclass(frozen=True)
class Rendering:
    """The result for one video.

    Attributes:
        outputs: what was rendered.
        notes: what was left out, and why.
        timeline: when the frames of the video are shown; None if there was no word to render.

    """

    outputs: tuple[Output, ...]
    notes: tuple[str, ...]
    timeline: Timeline | None = None


def render_outputs(
    manifest: Manifest,
    settings: Visualization,
    directory: Path,
    *,
    tokens: Collection[str] | None = None,
    scales: Mapping[str, Scale] | None = None,
    threads: int = 1,
) -> Rendering:
    """Render the tracked words of one video.

    Args:
        manifest: manifest of the finished video.
        settings: the outputs to render and their appearance.
        directory: an existing folder for the files, whose names end in `.partial`.
        tokens: render only words whose slug or text is one of these; None for all.
        scales: colour scales measured over a whole batch, by word; None for the video's own.
        threads: number of words whose outputs are encoded at the same time.

    Raises:
        TensorError: a tensor file breaks the contract.
        VideoError: the video cannot be decoded.
        ConfigError: a requested step, layer or head is not stored.
        MemoryError: not even one output of one word fits into the memory that this process may use.

    """
    notes = list(manifest.notes)
    with open_attention(manifest) as reader:
        words = _selected(manifest, reader.words, tokens, notes)
        if not words:
            return Rendering((), tuple(notes))
        with open_source(manifest, words[0].grid, turns=settings.rotation == "apply") as source:
            notes += source.notes
            if settings.normalization == "batch" and scales is None and None in (settings.vmin, settings.vmax):
                notes.append(_OWN_SCALE)
            if settings.nonfinite == "mask":
                notes.extend(_masked(words, part_of(settings)))
            counted = None
            # Decoding may find another number of frames than the file promised: then the maps are placed anew.
            while counted != source.timeline:
                counted = source.timeline
                context = Context(manifest, settings, directory, counted, scales or {})
                outputs, left_out = _outputs(context, words, source, threads)
            if settings.audio and isinstance(source, VideoSource):
                left_out += add_sound(source, *_to_be_heard(outputs, context))
    return Rendering(tuple(sorted(outputs, key=lambda output: output.file)), (*notes, *left_out), source.timeline)


def _to_be_heard(outputs: Iterable[Output], context: Context) -> tuple[list[Path], Fraction]:
    """Return the outputs that the sound of the source belongs to, and by how many seconds their times are later."""
    timeline = context.timeline
    begins_at_0 = context.settings.fps is not None and timeline.times
    shift = -timeline.times[0] * timeline.time_base if begins_at_0 else Fraction(0)
    return [output.path for output in outputs if output.kind.per_frame and output.kind.shows_source], shift


def try_one_frame(manifest: Manifest, settings: Visualization, directory: Path, room: int | None) -> None:
    """Encode the first frame of the first word, as `render_outputs` would if `room` bytes may be allocated.

    Raises the errors of `render_outputs`, and `MemoryError` if the rendering would not fit.
    """
    with open_attention(manifest) as reader:
        words = list(reader.words.values())[:1]
        if not words:
            return
        with open_source(manifest, words[0].grid, turns=settings.rotation == "apply") as source:
            kinds = _kinds(settings, source)
            if not kinds:
                return
            context = Context(manifest, settings, directory, source.timeline, {})
            planned = plan(_load(context, words, kinds, source, threads=1), len(words), kinds, room)
            for group in planned.groups:
                with _lanes(context, words, words, group, lean=planned.lean) as lanes:
                    _write(lanes, context, islice(source.frames(), 1), map)


def _selected(
    manifest: Manifest, words: dict[str, WordMaps], tokens: Collection[str] | None, notes: list[str]
) -> list[WordMaps]:
    if not words and not manifest.is_incomplete:  # else the notes say already why there are no maps
        notes.append(why_no_words(manifest))
    if tokens is None:
        return list(words.values())
    texts = manifest.document.texts
    chosen = [word for slug, word in words.items() if slug in tokens or texts.get(slug) in tokens]
    if words and not chosen:
        notes.append(f"none of the tracked words ({', '.join(words)}) was requested")
    return chosen


def _masked(words: Iterable[WordMaps], part: Part) -> Iterator[str]:
    """Yield a note for each word with cells that are masked."""
    for word in words:
        cells = np.isnan(word.frames(part))
        if cells.any():
            count = f"{np.count_nonzero(cells):,} of {cells.size:,} cells"
            yield f"{word.slug}: {count} are NaN or infinite, and are drawn as the lower end of the scale"


def _outputs(
    context: Context, words: list[WordMaps], source: VideoSource | AbsentSource, threads: int
) -> tuple[list[Output], list[str]]:
    notes = [] if context.alignment.note is None else [context.alignment.note]
    titles = "".join(context.drawn_titles(words))
    if (missing := missing_glyphs(titles)) is not None:
        notes.append(f"{_NO_GLYPHS}; {missing.remedy}")  # the same for many videos
    outputs = _stills(context, words, source, notes)
    return [*outputs, *_per_frame(context, words, source, threads, notes)], notes


def _stills(
    context: Context, words: list[WordMaps], source: VideoSource | AbsentSource, notes: list[str]
) -> list[Output]:
    outputs = []
    if OutputKind.STATIC.is_requested(context.settings):
        outputs += [write_static(context, word) for word in words]
    if OutputKind.EVOLUTION.is_requested(context.settings):
        stepwise = [word for word in words if word.shape is not None]
        if len(stepwise) < len(words):
            notes.append("no step evolution for words with only an aggregated map")
        if stepwise and context.timeline.width < MIN_EVOLUTION_WIDTH:
            stepwise = []
            notes.append(f"no step evolution: the video is less than {MIN_EVOLUTION_WIDTH} pixels wide")
        middle = _middle(source) if stepwise else None
        outputs += [write_evolution(context, word, middle) for word in stepwise if middle is not None]
    return outputs


def _middle(source: VideoSource | AbsentSource) -> SourceFrame:
    """Return the middle frame of the video, or the last one decoded before it."""
    frame = None
    for index, frame in enumerate(source.frames()):  # noqa: B007 - used after the loop
        if index >= source.timeline.frames // 2:
            break
    assert frame is not None  # noqa: S101 - for the type checker: every source has frames
    return frame


def _per_frame(
    context: Context, words: list[WordMaps], source: VideoSource | AbsentSource, threads: int, notes: list[str]
) -> list[Output]:
    """Write the per-frame outputs of a few words at a time, so that memory does not grow with the number of words."""
    kinds = _kinds(context.settings, source)
    if not kinds:
        return []
    if OutputKind.COMBINED in kinds:
        notes += notes_on_combined(context, words, over_black=isinstance(source, AbsentSource))
    outputs: list[Output] = []
    planned = plan(_load(context, words, kinds, source, threads), len(words), kinds, room())
    if planned.lean:
        notes.append(_LEAN)
    with contextlib.ExitStack() as stack:
        run: Callable[..., Iterable[None]] = map
        if threads > 1:
            run = stack.enter_context(ThreadPoolExecutor(threads)).map
        for start in range(0, len(words), planned.words):
            some = words[start : start + planned.words]
            for group in planned.groups:
                with _lanes(context, some, words if start == 0 else (), group, lean=planned.lean) as lanes:
                    _write(lanes, context, source.frames(), run)
                outputs += [output for lane in lanes for output in lane.outputs]
    return outputs


def _kinds(settings: Visualization, source: VideoSource | AbsentSource) -> list[OutputKind]:
    requested = [kind for kind in OutputKind if kind.per_frame and kind.is_requested(settings)]
    return [kind for kind in requested if isinstance(source, VideoSource) or not kind.needs_source]


def _load(
    context: Context,
    words: list[WordMaps],
    kinds: Iterable[OutputKind],
    source: VideoSource | AbsentSource,
    threads: int,
) -> Load:
    frames, settings = context.timeline.frames, context.settings
    return Load(
        source=context.size,
        sizes={kind: context.page_size if kind.per_word else context.size for kind in kinds},
        values=frames * max(word.grid[1] * word.grid[2] for word in words),
        quality=settings.quality,
        threads=threads,
        combined=min(len(words), len(HUES)),
        hdr=isinstance(source, VideoSource) and source.is_hdr,
    )


@contextlib.contextmanager
def _lanes(
    context: Context,
    words: Sequence[WordMaps],
    combined: Sequence[WordMaps],
    kinds: Collection[OutputKind],
    *,
    lean: bool,
) -> Iterator[list[Lane | CombinedLane]]:
    """Open what writes these kinds of outputs: of each of some words, and of the combined ones if there are any."""
    own = [kind for kind in kinds if kind.per_word]
    with contextlib.ExitStack() as stack:
        lanes: list[Lane | CombinedLane] = [Lane(context, word, stack, own, lean=lean) for word in words if own]
        if OutputKind.COMBINED in kinds and combined:
            lanes.append(CombinedLane(context, combined, stack, lean=lean))
        yield lanes


def _write(
    lanes: Sequence[Lane | CombinedLane],
    context: Context,
    frames: Iterator[SourceFrame],
    run: Callable[..., Iterable[None]],
) -> None:
    """Write the frames of the source to lanes; `run` works like `map`."""
    if not lanes:
        return
    for chunk in chunks(at_rate(frames, context.timeline, context.settings.fps), context.timeline):
        list(run(lambda lane, chunk: lane.write(chunk), lanes, repeat(chunk)))
