"""Reads the size of a video file and checks that the file is complete."""

from attnwatch.batches.legacy.grid import Size
from attnwatch.contract.manifest import Manifest
from attnwatch.media.container import open_video, unusable


def probe(manifest: Manifest) -> Size:
    """Return the size of a manifest's video after reading, but not decoding, all of its packets.

    Raises:
        VideoError: the video cannot be read, or has fewer frames than its header says.

    """
    name = str(manifest.video)
    with manifest.open_file(manifest.video) as file, open_video(file, name) as (container, stream):
        stored = shown = 0
        for packet in container.demux(stream):
            if packet.size and not packet.is_corrupt:
                stored += 1
                shown += not packet.is_discard
        if stored < max(1, stream.frames):
            raise unusable(name, f"{stored} of {max(1, stream.frames)} frames")
        return Size(shown, stream.codec_context.height, stream.codec_context.width)
