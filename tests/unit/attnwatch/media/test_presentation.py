from fractions import Fraction

import av
import numpy as np
import pytest

from attnwatch.media.container import open_video
from attnwatch.media.presentation import presented
from tests.odd_videos import write_trimmed_video
from tests.support import write_source_video


def presentation(path):
    with path.open("rb") as file, open_video(file, path.name) as (container, stream):
        shown = presented(container, stream)
        return shown.frames, [time * stream.time_base for time in shown.times]


def test_every_frame_of_an_ordinary_video_is_shown(tmp_path):
    frames, times = presentation(write_source_video(tmp_path / "a.mp4", frames=9, fps=16))
    assert frames == 9
    assert times == [Fraction(index, 16) for index in range(9)]


@pytest.mark.parametrize("hidden", [1, 5, 11])
def test_frames_before_a_lossless_cut_do_not_count(tmp_path, hidden):
    path = write_trimmed_video(tmp_path / "a.mp4", frames=20, hidden=hidden)
    with av.open(str(path)) as container:
        assert len([packet for packet in container.demux(video=0) if packet.size]) == 20
    with av.open(str(path)) as container:
        decoded = [frame.time for frame in container.decode(video=0)]
    frames, times = presentation(path)
    assert frames == len(decoded) == 20 - hidden
    assert times == pytest.approx(decoded)


def test_frames_that_are_stored_out_of_order_are_counted_in_the_order_of_showing(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"bf": "3", "b-adapt": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            picture = np.full((48, 64, 3), 20 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert stored != sorted(stored)
    assert presentation(path)[1] == [Fraction(index, 16) for index in range(12)]
