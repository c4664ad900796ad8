"""How notebooks show videos and batches: with a small picture of each."""

import contextlib
from base64 import b64encode
from collections.abc import Iterable
from fractions import Fraction
from html import escape

import av

from attnwatch.contract.kinds import OutputKind
from attnwatch.contract.manifest import Manifest
from attnwatch.contract.receipts import Place
from attnwatch.errors import AttnwatchError
from attnwatch.render.source import VideoSource

_WIDTH = 240  # pixels of a small picture
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
            frame = next(VideoSource(file, path.name, turns=True).frames())
            if frame.picture is not None:
                return _jpeg(frame.picture)
    return None


def _jpeg(picture: av.VideoFrame) -> bytes:
    height = max(2, round(_WIDTH * picture.height / picture.width / 2) * 2)
    small = picture.reformat(width=_WIDTH, height=height, format="yuvj420p")
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = _WIDTH, height, "yuvj420p"
    encoder.time_base, small.pts = Fraction(1), 0
    return b"".join(bytes(packet) for packet in (*encoder.encode(small), *encoder.encode(None)))
