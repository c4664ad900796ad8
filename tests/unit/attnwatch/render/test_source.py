import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from attnwatch.contract.documents import ManifestDocument
from attnwatch.errors import VideoError
from attnwatch.render.compose import pixels
from attnwatch.render.source import AbsentSource, VideoSource
from tests.support import write_source_video


def write(path, *, pix_fmt="yuv420p", size=(64, 48), times=None, matrix=None, full_range=False, level=120, rotate=0):
    """Encode grey frames losslessly, with the given properties of a source."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = Fraction(1, 16000)
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if full_range:
            stream.codec_context.color_range = ColorRange.JPEG
        for pts in times or range(0, 5000, 1000):
            picture = np.full((size[1], size[0], 3), level, np.uint8)
            picture[: size[1] // 2, : size[0] // 2] = 250  # the upper left quarter is bright
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG)
            frame.pts, frame.time_base = pts, Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def document(**fields):
    return ManifestDocument.model_validate({"format": "attnwatch/1", "video": "a.mp4", "attention": (), **fields})


def test_frame_count_rate_size_and_times_match_the_file(tmp_path):
    source = VideoSource(write_source_video(tmp_path / "a.mp4", frames=9, fps=Fraction(24000, 1001)))
    timeline = source.timeline
    assert (timeline.width, timeline.height, timeline.frames) == (64, 48, 9)
    assert timeline.rate == Fraction(24000, 1001)
    times = [frame.pts * timeline.time_base for frame in source.frames()]
    assert times == [index * Fraction(1001, 24000) for index in range(9)]


def test_uneven_times_are_kept(tmp_path):
    times = [0, 700, 2900, 3000, 7000]
    source = VideoSource(write(tmp_path / "a.mp4", times=times))
    assert [frame.pts * source.timeline.time_base for frame in source.frames()] == [Fraction(t, 16000) for t in times]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv422p", "yuv420p10le", "yuv444p10le"])
def test_every_pixel_format_becomes_limited_range_yuv420p(tmp_path, pix_fmt):
    source = VideoSource(write(tmp_path / "a.mp4", pix_fmt=pix_fmt))
    for frame in source.frames():
        assert frame.picture.format.name == "yuv420p"
        luma = pixels(frame.picture.planes[0])
        assert abs(int(luma[-1, -1]) - (16 + 219 * 120 / 255)) <= 2
        assert abs(int(luma[0, 0]) - (16 + 219 * 250 / 255)) <= 2


def test_a_full_range_source_becomes_limited_range(tmp_path):
    source = VideoSource(write(tmp_path / "a.mp4", full_range=True, pix_fmt="yuvj420p"))
    luma = pixels(next(iter(source.frames())).picture.planes[0])
    assert abs(int(luma[-1, -1]) - (16 + 219 * 120 / 255)) <= 2


@pytest.mark.parametrize(
    ("matrix", "size", "expected"),
    [
        (1, (64, 48), Colorspace.ITU709),
        (5, (64, 48), Colorspace.ITU601),
        (6, (1280, 720), Colorspace.ITU601),
        (None, (64, 48), Colorspace.ITU601),
        (None, (1280, 720), Colorspace.ITU709),
    ],
)
def test_the_matrix_comes_from_the_tag_or_else_the_height(tmp_path, matrix, size, expected):
    assert VideoSource(write(tmp_path / "a.mp4", matrix=matrix, size=size)).timeline.matrix == expected


def test_odd_sizes_lose_their_last_row_and_column(tmp_path):
    source = VideoSource(write(tmp_path / "a.mp4", pix_fmt="yuv444p", size=(63, 47)))
    assert (source.timeline.width, source.timeline.height) == (62, 46)


@pytest.mark.parametrize("content", [b"", b"not a video", b"\0" * 5000])
def test_a_file_that_is_not_a_video_gives_a_clear_error(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4: found data that FFmpeg cannot read.*expected.*generate it again"):
        VideoSource(path)


def test_a_video_without_frames_gives_a_clear_error(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"0 frames|data that FFmpeg"):
        VideoSource(path)


@pytest.mark.parametrize(
    ("degrees", "matrix"), [(-90, (0, 1, -1, 0)), (180, (-1, 0, 0, -1)), (90, (0, -1, 1, 0))], ids=str
)
def test_a_rotated_video_is_refused_because_the_orientation_of_its_maps_is_unknown(tmp_path, degrees, matrix):
    path = write_source_video(tmp_path / "a.mp4", frames=3)
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    start = data.index(b"tkhd") + 44  # ISO/IEC 14496-12, section 8.3.2: the matrix of the track header
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    with pytest.raises(VideoError, match=rf"rotates the picture by -?{abs(degrees)} degrees; expected .* upright"):
        list(VideoSource(path).frames())


def test_a_file_with_only_sound_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        VideoSource(path)


class TestAbsentSource:
    def test_size_rate_and_frame_count_come_from_the_generation_record(self):
        made = {"width": 832, "height": 480, "frames": 81, "fps": 15.0}
        timeline = AbsentSource(document(generation=made), (21, 30, 52)).timeline
        assert (timeline.width, timeline.height, timeline.frames, timeline.rate) == (832, 480, 81, 15)

    def test_without_a_generation_record_they_come_from_the_grid(self):
        grid = {"frames": 3, "height": 6, "width": 8, "temporal_stride": 4, "causal_first_frame": True}
        source = AbsentSource(document(grid=grid), (3, 6, 8))
        assert (source.timeline.width, source.timeline.height, source.timeline.frames) == (128, 96, 9)
        assert [frame.pts for frame in source.frames()] == list(range(9))
        assert all(frame.picture is None for frame in source.frames())
