"""Finds the frames of a video that a player shows, and when, without decoding."""

from array import array
from dataclasses import dataclass

from av.container import InputContainer
from av.video.stream import VideoStream


@dataclass(frozen=True)
class Presentation:
    """The frames that are shown, in order.

    Attributes:
        frames: number of frames.
        times: time of each in units of the stream's time base; empty if the file does not tell all of them.

    """

    frames: int
    times: "array[int]"


def presented(container: InputContainer, stream: VideoStream) -> Presentation:
    """Read all packets of a stream, from where the container is, as the frames that they become.

    Packets hidden by an edit list do not count: a video that was cut without encoding it again starts with some, which
    the decoder needs and nobody sees.
    """
    frames, times = 0, array("q")
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            frames += 1
            if packet.pts is not None:
                times.append(packet.pts)
    return Presentation(frames, array("q", sorted(times)) if len(times) == frames else array("q"))
