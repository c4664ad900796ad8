"""Names, encoders, painters and pages, shared by all outputs of one video."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import UNCONDITIONAL_PREFIX
from attnwatch.render.alignment import Alignment
from attnwatch.render.colormap import YuvTables, yuv_tables
from attnwatch.render.colour_bars import colour_bar
from attnwatch.render.compose import HeatPainter
from attnwatch.render.encode import Encoder
from attnwatch.render.maps import Scale, part_of
from attnwatch.render.overlay import Overlay, overlay
from attnwatch.render.pages.caption import Full, caption_height, caption_page
from attnwatch.render.pages.counter import frame_form, seconds_form
from attnwatch.render.pages.figure import figure_page, figure_size
from attnwatch.render.pages.page import Page
from attnwatch.render.text.plain import quoted
from attnwatch.render.timeline import Timeline
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import Part, WordMaps

UNFINISHED_SUFFIX = ".partial"

_HOW = {OutputKind.STATIC: "mean over time", OutputKind.EVOLUTION: "while denoising"}

Clock = tuple[Fraction, Fraction]
"""Frames per second, and seconds per unit of time."""


@dataclass(frozen=True)
class Output:
    """One rendered file.

    Attributes:
        path: path of the file; ends in `.partial`, so that nothing takes it for a finished video.
        kind: what it shows.
        token: slug of the tracked word; the kind if it shows several.
        scale: attention values at the two ends of the colormap.
        scales: those of each word, if it shows several.

    """

    path: Path
    kind: OutputKind
    token: str
    scale: Scale
    scales: Mapping[str, Scale] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The final file name."""
        return self.path.name.removesuffix(UNFINISHED_SUFFIX)


@dataclass(frozen=True)
class Context:
    """The video, its picture settings, and the folder for its outputs."""

    manifest: Manifest
    settings: Visualization
    directory: Path
    timeline: Timeline
    scales: Mapping[str, Scale]
    """Scales measured over a whole batch, by word; empty if each video has its own."""

    @property
    def part(self) -> Part:
        """The denoising steps, layers and heads to average."""
        return part_of(self.settings)

    @property
    def tables(self) -> YuvTables:
        """The colormap as YUV tables."""
        return yuv_tables(self.settings.colormap, self.timeline.colours)

    @cached_property
    def alignment(self) -> Alignment:
        """Which generated frame each frame of the source shows."""
        return self.timeline.alignment(self.manifest.document)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the source."""
        return self.timeline.width, self.timeline.height

    def output(self, word: WordMaps, kind: OutputKind, scale: Scale) -> Output:
        """Describe an output, with its file name."""
        path = self.directory / f"{kind.file_name(self.manifest.video_id, word.slug)}{UNFINISHED_SUFFIX}"
        return Output(path, kind, word.slug, scale)

    def combined(self, scales: Mapping[str, Scale]) -> Output:
        """Describe the output that shows several words, given the scale of each."""
        kind = OutputKind.COMBINED
        ends = [(scale.low, scale.high) for scale in scales.values()]
        lows, highs = zip(*ends, strict=True)
        scale = Scale(max(lows), min(highs)) if self.settings.invert else Scale(min(lows), max(highs))
        path = self.directory / f"{kind.file_name(self.manifest.video_id, kind)}{UNFINISHED_SUFFIX}"
        return Output(path, kind, kind.value, scale, scales)

    def text(self, word: WordMaps) -> str:
        """Return a word as it is written in the prompt."""
        return self.manifest.document.texts.get(word.name, word.name)

    def painter(self, size: tuple[int, int]) -> HeatPainter:
        """Return a painter for pictures of the given size."""
        return HeatPainter(*size, self.tables, self.settings.upsampling)

    def overlay(self) -> Overlay:
        """Return the overlay that the settings ask for."""
        settings = self.settings
        return overlay(settings.overlay, self.tables, settings.overlay_alpha, inverted=settings.invert)

    def page(self, word: WordMaps, kind: OutputKind, scale: Scale) -> Page | None:
        """Draw the page around the pictures of a word: a figure or a caption; None if the settings ask for neither."""
        settings, timeline, moves = self.settings, self.timeline, kind is not OutputKind.STATIC
        if settings.figsize is None and settings.caption == "none":
            return None
        bar = colour_bar(kind, scale, settings, self.tables)
        last = float(timeline.seconds[-1])
        if settings.figsize is not None:
            forms = [frame_form(timeline.frames, last), seconds_form(last)] if moves else []
            return figure_page(settings.figsize, self.title(word, kind), float(timeline.aspect), bar, forms)
        word_alone = self.title(word, kind, prompt=False)
        if settings.caption == "word":
            return caption_page(self.size, timeline.pixel_aspect, word_alone)
        full = Full(self.title(word, kind), bar, seconds_form(last) if moves else None)
        return caption_page(self.size, timeline.pixel_aspect, word_alone, full)

    @property
    def page_size(self) -> tuple[int, int]:
        """Width and height of an output with one picture per frame."""
        if self.settings.figsize is not None:
            return figure_size(self.settings.figsize)
        width, height = self.size
        if self.settings.caption == "none":
            return width, height
        full = self.settings.caption == "full"
        return width, height + caption_height(self.size, self.timeline.pixel_aspect, full=full)

    def drawn_titles(self, words: Iterable[WordMaps]) -> Iterator[str]:
        """Yield the titles that outputs show."""
        settings = self.settings
        with_prompt = settings.figsize is not None or settings.caption == "full" or settings.generate_step_evolution
        if with_prompt or settings.caption != "none" or settings.generate_combined:
            yield from (self.title(word, OutputKind.STATIC, prompt=with_prompt) for word in words)

    def encoder(
        self,
        path: Path,
        size: tuple[int, int],
        clock: Clock | None = None,
        *,
        footage: bool = False,
        lean: bool = False,
        squared: bool = False,
    ) -> Encoder:
        """Open the file of an output.

        Args:
            path: the file to write.
            size: width and height in pixels.
            clock: rate and time base; None for those of the timeline.
            footage: whether the pictures show the source video.
            lean: hold as few frames in memory as possible.
            squared: whether pixels are square, whatever those of the video are.

        """
        timeline = self.timeline
        rate, time_base = clock or (timeline.rate, timeline.time_base)
        return Encoder(
            path,
            width=size[0],
            height=size[1],
            rate=rate,
            time_base=time_base,
            colours=timeline.colours,
            pixel_aspect=Fraction(1) if squared else timeline.pixel_aspect,
            quality=self.settings.quality,
            footage=footage,
            lean=lean,
        )

    def title(self, word: WordMaps, kind: OutputKind, *, prompt: bool = True) -> str:
        """Return what an output of a word shows, with the prompt or without it."""
        document = self.manifest.document
        shown = quoted(self.text(word))
        how = f", {_HOW[kind]}" if kind in _HOW else ""
        if not prompt:
            return f"{shown}{how}"
        is_negative = word.name.startswith(UNCONDITIONAL_PREFIX)
        said = document.generation.negative_prompt if is_negative else document.generation.prompt
        return f"{shown}{how and how + ','} in {quoted(said) if said else self.manifest.video_id}"
