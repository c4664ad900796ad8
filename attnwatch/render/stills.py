"""Writes the outputs that are independent of the video's frames: the static mean and the evolution over the steps."""

from fractions import Fraction

import numpy as np

from attnwatch.contract.kinds import OutputKind
from attnwatch.render.colour_bars import colour_bar
from attnwatch.render.compose import Enlarged
from attnwatch.render.encode import Encoder
from attnwatch.render.maps import Scale, to_levels
from attnwatch.render.memory import must_be_lean
from attnwatch.render.output import Context, Output
from attnwatch.render.pages.evolution import evolution_page
from attnwatch.render.pages.page import Page
from attnwatch.render.timeline import SourceFrame
from attnwatch.system.limits import room
from attnwatch.tensors.reader import WordMaps
from attnwatch.tensors.reduction import Float32Array

MIN_EVOLUTION_WIDTH = 48  # pixels; five moments do not fit below a narrower picture

_EVOLUTION_RATE = Fraction(4)  # denoising steps per second
_COLUMNS = 5  # moments shown below the picture


def write_static(context: Context, word: WordMaps) -> Output:
    """Write the mean over time as a still picture of `static_duration` seconds."""
    frames = word.frames(context.part)
    is_large = frames.max() > np.finfo(np.float32).max / len(frames)  # their sum exceeds the range of float32
    mean = frames.mean(axis=0, keepdims=True, dtype=np.float64 if is_large else np.float32).astype(np.float32)
    levels = to_levels(mean, context.settings, context.scales.get(word.slug))
    output = context.output(word, OutputKind.STATIC, levels.scale)
    page = context.page(word, OutputKind.STATIC, levels.scale)
    picture = context.painter(context.size if page is None else page.boxes[0].size).paint(levels.shares[0])
    if page is not None:
        picture = page.compose([picture])
    fps = context.settings.fps
    rate = context.timeline.still_rate if fps is None else Fraction(fps).limit_denominator(1001)
    size = (picture.width, picture.height)
    with _encoder(context, output, size, rate, squared=context.settings.figsize is not None) as encoder:
        for index in range(max(1, round(context.settings.static_duration * rate))):
            encoder.write(picture, index, 1)
    return output


def write_evolution(context: Context, word: WordMaps, middle: SourceFrame) -> Output:
    """Write one frame per denoising step: the map over the video's middle frame, above a row of moments.

    Args:
        context: context of the video.
        word: a word with a map for each denoising step.
        middle: middle frame of the source; without a picture if the video is absent.

    """
    steps = list(word.steps(context.part))
    maps = np.stack([_moments(step.mean(), context) for step in steps])
    levels = to_levels(maps.reshape(-1, *maps.shape[-2:]), context.settings, context.scales.get(word.slug))
    shares = levels.shares.reshape(maps.shape)
    output = context.output(word, OutputKind.EVOLUTION, levels.scale)
    page = _evolution_page(context, word, levels.scale, last=steps[-1].number + 1)
    painters = [context.painter(box.size) for box in page.boxes]
    overlay = context.overlay()
    footage = middle.picture is not None
    with _encoder(context, output, page.size, _EVOLUTION_RATE, footage=footage) as encoder:
        for index, (step, moments) in enumerate(zip(steps, shares, strict=True)):
            pictures = [painter.paint(moment) for painter, moment in zip(painters, moments, strict=True)]
            if middle.picture is not None:
                pictures[0] = overlay.over(middle.picture, Enlarged(painters[0], moments[0]))
            encoder.write(page.compose(pictures, step=step.number + 1), index, 1)
    return output


def _encoder(
    context: Context,
    output: Output,
    size: tuple[int, int],
    rate: Fraction,
    *,
    footage: bool = False,
    squared: bool = False,
) -> Encoder:
    lean = must_be_lean(size, context.settings.quality, room())
    return context.encoder(output.path, size, (rate, 1 / rate), footage=footage, lean=lean, squared=squared)


def _moments(frames: Float32Array, context: Context) -> Float32Array:
    """Return the maps at the middle of the video and at evenly spaced moments: `[1 + columns, height, width]`."""
    spaced = np.rint(np.linspace(0, context.timeline.frames - 1, _COLUMNS))
    moments = np.concatenate([[context.timeline.frames // 2], spaced])
    return context.alignment.moments(frames, moments.astype(int).tolist())


def _evolution_page(context: Context, word: WordMaps, scale: Scale, last: int) -> Page:
    timeline, kind = context.timeline, OutputKind.EVOLUTION
    frames = np.rint(np.linspace(0, timeline.frames - 1, _COLUMNS)).astype(int) + 1
    labels = f"frame {timeline.frames // 2 + 1}", [f"{frame}" for frame in frames.tolist()]
    bar = colour_bar(kind, scale, context.settings, context.tables)
    return evolution_page(context.size, timeline.pixel_aspect, context.title(word, kind), labels, last=last, bar=bar)
