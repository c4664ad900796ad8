"""Takes single frames out of a video."""

from collections.abc import Collection

import av

from attnwatch.render.source import AbsentSource, VideoSource


def frames_of(source: VideoSource | AbsentSource, wanted: Collection[int]) -> dict[int, av.VideoFrame]:
    """Decode a video up to the last wanted frame; return the wanted ones by their numbers, from 0.

    If the video ends before, its timeline tells afterwards how many frames it has. An absent video has none.
    """
    found: dict[int, av.VideoFrame] = {}
    last = max(wanted)
    for number, frame in enumerate(source.frames()):
        if number in wanted and frame.picture is not None:
            found[number] = frame.picture
        if number == last:
            break
    return found
