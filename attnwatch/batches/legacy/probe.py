"""Reads the size of a video file and checks that the file is complete."""

from pathlib import Path

import av

from attnwatch.batches.legacy.grid import Size
from attnwatch.contract.manifest import Manifest
from attnwatch.errors import VideoError

_FORMAT = "mp4"  # all older videos; FFmpeg must not take one for a list of other files


def probe(manifest: Manifest) -> Size:
    """Return the size of a manifest's video after reading, but not decoding, all of its packets.

    Raises:
        VideoError: the video cannot be read, or has fewer frames than its header says.

    """
    path = manifest.video
    try:
        with manifest.open_file(path) as file, av.open(file, mode="r", format=_FORMAT) as container:
            if not container.streams.video:
                raise VideoError(_message(path, "no video stream"))
            stream = container.streams.video[0]
            frames = sum(1 for packet in container.demux(stream) if packet.size and not packet.is_corrupt)
            size = Size(frames, stream.codec_context.height, stream.codec_context.width)
            if frames < max(1, stream.frames):
                raise VideoError(_message(path, f"{frames} of {max(1, stream.frames)} frames"))
    except (av.FFmpegError, ValueError) as error:
        raise VideoError(_message(path, f"data that FFmpeg cannot read ({error})")) from error
    return size


def _message(path: Path, found: str) -> str:
    return f"{path}: found {found}; expected a complete video; generate it again"
