"""All attention videos of one generated video, in one pass over its frames."""

import contextlib
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import av

from attnwatch.errors import Problem, TensorError
from attnwatch.manifest import Manifest
from attnwatch.render.colormap import YuvTables, yuv_tables
from attnwatch.render.compose import Blender, HeatPainter
from attnwatch.render.encode import Encoder
from attnwatch.render.maps import Scale, TimeMapping, UInt16Array, resample_in_time
from attnwatch.render.source import AbsentSource, SourceFrame, Timeline, VideoSource
from attnwatch.settings import Visualization
from attnwatch.tensors import AttentionReader, WordMaps

UNFINISHED_SUFFIX = ".partial"


@dataclass(frozen=True)
class Output:
    """One file that was rendered.

    Attributes:
        path: where it is, under its final name and `.partial`, which no search for videos finds.
        kind: `attention`, `overlay` or `static`.
        token: slug of the tracked word.
        scale: the attention values at the two ends of the colormap.

    """

    path: Path
    kind: str
    token: str
    scale: Scale

    @property
    def file(self) -> str:
        """The final file name."""
        return self.path.name.removesuffix(UNFINISHED_SUFFIX)


@dataclass(frozen=True)
class Rendering:
    """What came of one video: its outputs, and notes on what was left out and why."""

    outputs: tuple[Output, ...]
    notes: tuple[str, ...]


def render_video(
    manifest: Manifest,
    settings: Visualization,
    directory: Path,
    *,
    tokens: Collection[str] | None = None,
    threads: int = 1,
) -> Rendering:
    """Render every tracked word of one video.

    Args:
        manifest: of the finished video.
        settings: what to render, and how.
        directory: where the files go; it exists.
        tokens: only words whose slug or text is one of these; None for all.
        threads: outputs of this many words are encoded at the same time.

    Raises:
        TensorError: a tensor file breaks the contract.
        VideoError: the video cannot be decoded.

    """
    notes: list[str] = []
    with AttentionReader(manifest) as reader:
        words = _selected(manifest, reader.words, tokens, notes)
        if not words:
            return Rendering((), tuple(notes))
        source = _source(manifest, words[0], notes)
        job = _Job(manifest, settings, directory, source.timeline)
        outputs = [job.static(word) for word in words] if settings.generate_aggregated else []
        overlay = settings.generate_overlay and isinstance(source, VideoSource)
        if overlay or settings.generate_attention_only:
            with contextlib.ExitStack() as stack:
                lanes = [stack.enter_context(job.lane(word, overlay=overlay)) for word in words]
                _drive(source, lanes, threads)
            outputs.extend(output for lane in lanes for output in lane.outputs)
    return Rendering(tuple(sorted(outputs, key=lambda output: output.file)), tuple(notes))


def _selected(
    manifest: Manifest, words: dict[str, WordMaps], tokens: Collection[str] | None, notes: list[str]
) -> list[WordMaps]:
    if not words:
        notes.append("no word was tracked")
    if tokens is None:
        return list(words.values())
    texts = {token.slug: token.text for token in manifest.document.tokens}
    chosen = [word for slug, word in words.items() if slug in tokens or texts.get(slug) in tokens]
    if words and not chosen:
        notes.append(f"none of the words {', '.join(words)} was asked for")
    return chosen


def _source(manifest: Manifest, word: WordMaps, notes: list[str]) -> VideoSource | AbsentSource:
    if manifest.video.exists():
        return VideoSource(manifest.video)
    notes.append(f"no overlay: the video {manifest.document.video} is absent")
    return AbsentSource(manifest.document, word.grid)


def _drive(source: VideoSource | AbsentSource, lanes: list["_Lane"], threads: int) -> None:
    """Decode the source once and hand each frame to all words."""
    last = source.timeline.frames - 1
    with ThreadPoolExecutor(threads) as pool:
        over_lanes = pool.map if threads > 1 and len(lanes) > 1 else map
        for index, frame in enumerate(source.frames()):
            list(over_lanes(_Lane.write, lanes, repeat(min(index, last)), repeat(frame)))


class _Job:
    """What all outputs of one video share."""

    def __init__(self, manifest: Manifest, settings: Visualization, directory: Path, timeline: Timeline) -> None:
        self._manifest = manifest
        self._settings = settings
        self._directory = directory
        self._timeline = timeline
        self._tables: YuvTables = yuv_tables(settings.colormap, timeline.matrix)

    def static(self, word: WordMaps) -> Output:
        """Write the mean over time as a still picture."""
        mean = word.aggregated().mean(axis=0)
        scale = Scale.of(mean)
        output = self._output(word, "static", scale)
        timeline = self._timeline
        picture = self._painter().paint(scale.apply(mean))
        usual = max(1, round(1 / (timeline.rate * timeline.time_base)))
        with self._encoder(output.path) as encoder:
            for index in range(max(1, round(self._settings.static_duration * timeline.rate))):
                encoder.write(picture, index * usual, usual)
        return output

    @contextlib.contextmanager
    def lane(self, word: WordMaps, *, overlay: bool) -> Iterator["_Lane"]:
        """Open the encoders of one word for the time of the context."""
        maps = word.frames()
        self._check_grid(word)
        mapping = TimeMapping.of(len(maps), self._timeline.frames, self._manifest.document.grid)
        frames = resample_in_time(maps, mapping, self._timeline.frames, self._settings.interpolation_steps)
        scale = Scale.of(frames)
        kinds = [
            kind
            for kind, wanted in (("attention", self._settings.generate_attention_only), ("overlay", overlay))
            if wanted
        ]
        outputs = {kind: self._output(word, kind, scale) for kind in kinds}
        with contextlib.ExitStack() as stack:
            encoders = {kind: stack.enter_context(self._encoder(output.path)) for kind, output in outputs.items()}
            blender = Blender(self._settings.overlay_alpha)
            yield _Lane(scale.apply(frames), self._painter(), blender, encoders, list(outputs.values()))

    def _check_grid(self, word: WordMaps) -> None:
        grid = self._manifest.document.grid
        if grid is None or (grid.frames, grid.height, grid.width) == word.grid:
            return
        raise TensorError(
            Problem(
                file=self._manifest.path,
                field="grid",
                found=f"{grid.frames} x {grid.height} x {grid.width}",
                expected=f"{' x '.join(map(str, word.grid))}, as the tensors of {word.name!r} have it",
                remedy="write the grid of the tensors, or leave the field out",
            )
        )

    def _output(self, word: WordMaps, kind: str, scale: Scale) -> Output:
        path = self._directory / f"{self._manifest.video_id}_{word.slug}_{kind}.mp4{UNFINISHED_SUFFIX}"
        return Output(path, kind, word.slug, scale)

    def _painter(self) -> HeatPainter:
        return HeatPainter(self._timeline.width, self._timeline.height, self._tables)

    def _encoder(self, path: Path) -> Encoder:
        timeline = self._timeline
        return Encoder(
            path,
            width=timeline.width,
            height=timeline.height,
            rate=timeline.rate,
            time_base=timeline.time_base,
            matrix=timeline.matrix,
            quality=self._settings.quality,
        )


class _Lane:
    """The outputs of one word, fed frame by frame."""

    def __init__(
        self,
        maps: UInt16Array,
        painter: HeatPainter,
        blender: Blender,
        encoders: dict[str, Encoder],
        outputs: list[Output],
    ) -> None:
        self._maps = maps
        self._painter = painter
        self._blender = blender
        self._encoders = encoders
        self.outputs = outputs

    def write(self, index: int, frame: SourceFrame) -> None:
        """Paint the map of one video frame and encode it, alone and over the source."""
        heat = self._painter.paint(self._maps[index])
        if "overlay" in self._encoders and frame.picture is not None:
            self._write("overlay", self._blender.blend(frame.picture, heat), frame)
        if "attention" in self._encoders:
            self._write("attention", heat, frame)

    def _write(self, kind: str, picture: av.VideoFrame, frame: SourceFrame) -> None:
        self._encoders[kind].write(picture, frame.pts, frame.duration)
