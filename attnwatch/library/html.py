"""How notebooks show videos and batches: with a small picture of each."""

import contextlib
from base64 import b64encode
from collections.abc import Iterable
from fractions import Fraction
from html import escape

import av
import numpy as np
from av.video.reformatter import Colorspace

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.receipts import Place
from attnwatch.errors import AttnwatchError
from attnwatch.render.colormap import yuv_matrix
from attnwatch.render.colours import Colours, srgb
from attnwatch.render.compose import pixels
from attnwatch.render.full_range import SPANS
from attnwatch.render.source import VideoSource

_WIDTH = 240  # pixels of a small picture
_JFIF = Colorspace.ITU601  # the matrix of all JPEG files, whatever that of the video
_ZEROS = (0, 128, 128)  # of Y, U and V in full range, which JPEG files have
_CARD = "display: inline-block; vertical-align: top; margin: 4px; width: 240px; font-size: small"


def card(manifest: Manifest, words: Iterable[str] = ()) -> str:
    """Return a small picture of a video with its name, seed and prompt, and some words."""
    generation, picture = manifest.document.generation, thumbnail(manifest)
    shown = "" if picture is None else f'<img src="data:image/jpeg;base64,{b64encode(picture).decode()}"><br>'
    seed = "" if generation.seed is None else f", seed {generation.seed}"
    tracked = ", ".join(words)
    lines = (f"<b>{escape(manifest.video_id)}</b>{seed}", escape(generation.prompt or ""), escape(tracked))
    return f'<div style="{_CARD}">{shown}{"<br>".join(filter(None, lines))}</div>'


def thumbnail(manifest: Manifest) -> bytes | None:
    """Return the first frame of the first overlay of a video, else of the video itself, as JPEG; None if there is none.

    What cannot be read is no reason to show nothing of the video, so it is left out.
    """
    place = Place(manifest.path, manifest.video_id, manifest.output_directory, root=manifest.outputs_root)
    receipt = place.read()
    outputs = receipt.outputs if receipt is not None else ()
    overlays = [place.directory / output.file for output in outputs if output.kind == OutputKind.OVERLAY][:1]
    found = [*((path, manifest.outputs_root.open_file) for path in overlays), (manifest.video, manifest.open_file)]
    for path, opened in found:
        with contextlib.suppress(AttnwatchError, OSError), opened(path) as file:
            source = VideoSource(file, path.name, turns=True)
            frame = next(source.frames())
            if frame.picture is not None:
                return _jpeg(frame.picture, source.timeline.colours)
    return None


def _jpeg(picture: av.VideoFrame, colours: Colours) -> bytes:
    height = max(2, round(_WIDTH * picture.height / picture.width / 2) * 2)
    rgb = srgb(picture.reformat(width=_WIDTH, height=height), colours) / 255
    small = av.VideoFrame(_WIDTH, height, "yuvj444p")
    for plane, weights, span, zero in zip(small.planes, yuv_matrix(_JFIF), SPANS, _ZEROS, strict=True):
        pixels(plane)[:] = np.rint(255 * (rgb @ weights) / span + zero).clip(0, 255)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = _WIDTH, height, small.format.name
    encoder.time_base, small.pts = Fraction(1), 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(small), *encoder.encode(None)))
