"""The video that a figure is about, and how its maps are coloured."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import av
import numpy as np
from av.video.reformatter import Interpolation

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import UNCONDITIONAL_PREFIX
from attnwatch.render.alignment import Alignment
from attnwatch.render.colormap import LEVELS, colormap_rgb, yuv_tables
from attnwatch.render.colours import srgb
from attnwatch.render.compose import FINE_LEVELS, Enlarged, HeatPainter
from attnwatch.render.maps import Scale, ends, part_of, to_levels
from attnwatch.render.overlay import overlay
from attnwatch.render.plots.asked import Asked
from attnwatch.render.plots.content import Content, MapCell, Rgb
from attnwatch.render.plots.moments import Moment
from attnwatch.render.text.plain import quoted
from attnwatch.render.timeline import Timeline
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import Part, WordMaps
from attnwatch.tensors.reduction import Float32Array

_RAMP = (400, 40)  # length and width in pixels of a colour bar
_UNDER_LINES = 480  # pixels: shorter side to which small frames are enlarged; lines have a width of their own


@dataclass(frozen=True)
class Subject:
    """One video, its words, and what is asked of a figure about it.

    Attributes:
        manifest: manifest of the video.
        settings: how pictures look, and which steps, layers and heads are averaged.
        asked: what the figure shows.
        timeline: size and timing of the video.
        words: the maps of the words that are shown.

    """

    manifest: Manifest
    settings: Visualization
    asked: Asked
    timeline: Timeline
    words: tuple[WordMaps, ...]

    @cached_property
    def alignment(self) -> Alignment:
        """Which generated frame each frame of the video shows."""
        return self.timeline.alignment(self.manifest.document)

    @property
    def part(self) -> Part:
        """The steps, layers and heads to average."""
        return part_of(self.settings)

    def text(self, word: WordMaps) -> str:
        """Return the words that are tracked, in quotation marks."""
        return quoted(self.manifest.document.texts.get(word.name, word.name))

    @property
    def title(self) -> str:
        """The prompt, or if it is not known, the name of the video."""
        made = self.manifest.document.generation
        is_negative = all(word.name.startswith(UNCONDITIONAL_PREFIX) for word in self.words)
        prompt = f"negative prompt: {made.negative_prompt}" if is_negative and made.negative_prompt else made.prompt
        return prompt or self.manifest.video_id

    def about(self, content: Content) -> str:
        """Return what a figure shows, for the metadata of its file."""
        words = ", ".join(word.slug for word in self.words)
        return f"{self.manifest.video_id}: attention to {words}; {content.subtitle}"

    def at(self, latent: Float32Array, moments: Sequence[Moment]) -> Float32Array:
        """Return the maps of some moments: `[moment, rows, columns]`, of latent frames `[frame, rows, columns]`."""
        shown = self.alignment.moments(
            latent, [moment.frame for moment in moments], self.settings.interpolation_steps
        ).copy()
        for index, moment in enumerate(moments):
            if moment.is_mean:
                shown[index] = latent.mean(axis=0, dtype=np.float64)
        return shown

    def shares(self, maps: Float32Array, scale: Scale) -> Float32Array:
        """Return maps, `[map, rows, columns]`, as positions on a colour scale, 0..1."""
        return to_levels(maps, self.settings, scale).shares

    def scale(self, *maps: Float32Array) -> Scale:
        """Return the colour scale that some maps share."""
        found = [ends(some, self.settings) for some in maps]
        return Scale(min(scale.low for scale in found), max(scale.high for scale in found))

    def picture(self, frame: av.VideoFrame) -> Rgb:
        """Return a frame of the video in sRGB."""
        return srgb(self._under_lines(frame), self.timeline.colours)

    def over(self, frame: av.VideoFrame, shares: Float32Array) -> Rgb:
        """Return a map, `[rows, columns]`, 0..1, over a frame of the video."""
        settings, tables = self.settings, yuv_tables(self.settings.colormap, self.timeline.colours)
        frame = self._under_lines(frame)
        painter = HeatPainter(frame.width, frame.height, tables, settings.upsampling)
        laid = overlay(settings.overlay, tables, settings.overlay_alpha, inverted=settings.invert)
        return srgb(laid.over(frame, Enlarged(painter, shares)), self.timeline.colours)

    def _under_lines(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return a frame that is large enough for fine lines, if there are to be any."""
        times = round(_UNDER_LINES / min(frame.width, frame.height))
        if self.settings.overlay != "contour" or times <= 1:
            return frame
        return frame.reformat(times * frame.width, times * frame.height, interpolation=Interpolation.BICUBIC)

    def painted(self, cell: MapCell, width: int, height: int) -> Rgb:
        """Return a map alone, at a size in pixels."""
        tables = yuv_tables(self.settings.colormap, self.timeline.colours)
        fine = Enlarged(HeatPainter(width, height, tables, self.settings.upsampling), cell.shares).fine()
        levels = np.rint(fine * np.float32((LEVELS - 1) / (FINE_LEVELS - 1))).astype(np.intp)
        colours: Rgb = np.rint(255 * colormap_rgb(self.settings.colormap)).astype(np.uint8)
        painted: Rgb = colours[levels]
        return painted

    def ramp(self, scale: Scale, *, over_video: bool) -> Rgb:
        """Return the colours from the lower to the upper end of a scale; those of an overlay as they are over white."""
        if scale.low == scale.high:
            scale = Scale(0, 1)
        # Smaller than the picture, because maps are enlarged.
        values = np.linspace(scale.low, scale.high, _RAMP[0] // 2, dtype=np.float32)
        shares = self.shares(np.repeat(values[:, None], _RAMP[1] // 2, axis=1)[None], scale)[0]
        if not over_video:
            return self.painted(MapCell(shares), _RAMP[1], _RAMP[0])
        settings, tables = self.settings, yuv_tables(self.settings.colormap, self.timeline.colours)
        painter = HeatPainter(_RAMP[1], _RAMP[0], tables)
        white = av.VideoFrame.from_ndarray(np.full((*_RAMP, 3), 255, np.uint8), format="rgb24")
        paper = white.reformat(format="yuv420p", dst_colorspace=self.timeline.colours.matrix)
        laid = overlay(settings.overlay, tables, settings.overlay_alpha, inverted=settings.invert)
        return srgb(laid.over(paper, Enlarged(painter, shares)), self.timeline.colours)
