import contextlib
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from attnwatch.contract.documents import ManifestDocument
from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import VideoError
from attnwatch.render.compose import pixels
from attnwatch.render.source import AbsentSource, VideoSource, open_source, read_timeline
from tests.odd_videos import tagged, turn, without_first_packet, write_at, write_trimmed_video
from tests.support import write_manifest, write_source_video


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


@pytest.fixture
def opened():
    """Open a file as a source; it is closed after the test."""
    with contextlib.ExitStack() as files:
        yield lambda path, **options: VideoSource(files.enter_context(path.open("rb")), path.name, **options)


def document(**fields):
    return ManifestDocument.model_validate({"format": "attnwatch/1", "video": "a.mp4", "attention": (), **fields})


def test_frame_count_rate_size_and_times_match_the_file(opened, tmp_path):
    source = opened(write_source_video(tmp_path / "a.mp4", frames=9, fps=Fraction(24000, 1001)))
    timeline = source.timeline
    assert (timeline.width, timeline.height, timeline.frames) == (64, 48, 9)
    assert timeline.rate == Fraction(24000, 1001)
    times = [frame.pts * timeline.time_base for frame in source.frames()]
    assert times == [index * Fraction(1001, 24000) for index in range(9)]


def test_uneven_times_are_kept(opened, tmp_path):
    times = [0, 700, 2900, 3000, 7000]
    source = opened(write(tmp_path / "a.mp4", times=times))
    assert [frame.pts * source.timeline.time_base for frame in source.frames()] == [Fraction(t, 16000) for t in times]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv422p", "yuv420p10le", "yuv444p10le"])
def test_every_pixel_format_becomes_limited_range_yuv420p(opened, tmp_path, pix_fmt):
    source = opened(write(tmp_path / "a.mp4", pix_fmt=pix_fmt))
    for frame in source.frames():
        assert frame.picture.format.name == "yuv420p"
        luma = pixels(frame.picture.planes[0])
        assert abs(int(luma[-1, -1]) - (16 + 219 * 120 / 255)) <= 2
        assert abs(int(luma[0, 0]) - (16 + 219 * 250 / 255)) <= 2


def test_a_full_range_source_becomes_limited_range(opened, tmp_path):
    source = opened(write(tmp_path / "a.mp4", full_range=True, pix_fmt="yuvj420p"))
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
def test_the_matrix_comes_from_the_tag_or_else_the_height(opened, tmp_path, matrix, size, expected):
    assert opened(write(tmp_path / "a.mp4", matrix=matrix, size=size)).timeline.colours.matrix == expected


def test_odd_sizes_lose_their_last_row_and_column(opened, tmp_path):
    source = opened(write(tmp_path / "a.mp4", pix_fmt="yuv444p", size=(63, 47)))
    assert (source.timeline.width, source.timeline.height) == (62, 46)


@pytest.mark.parametrize("content", [b"", b"not a video", b"\0" * 5000])
def test_a_file_that_is_not_a_video_gives_a_clear_error(opened, tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4: found data that FFmpeg cannot read.*expected.*generate it again"):
        opened(path)


def test_a_video_without_frames_gives_a_clear_error(opened, tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match=r"a\.mp4: found a video stream of 0 frames"):
        opened(path)


ORIENTATIONS = {
    "turns the picture by 90 degrees clockwise": (0, 1, -1, 0),
    "turns the picture by 180 degrees": (-1, 0, 0, -1),
    "turns the picture by 90 degrees counterclockwise": (0, -1, 1, 0),
    "mirrors the picture left to right": (-1, 0, 0, 1),
    "mirrors the picture top to bottom": (1, 0, 0, -1),
    "mirrors the picture left to right and turns it by 90 degrees counterclockwise": (0, 1, 1, 0),
    "mirrors the picture left to right and turns it by 90 degrees clockwise": (0, -1, -1, 0),
}


@pytest.mark.parametrize(("words", "matrix"), ORIENTATIONS.items(), ids=str)
def test_a_turned_or_mirrored_video_is_refused_because_the_orientation_of_its_maps_is_unknown(
    opened, tmp_path, words, matrix
):
    path = turn(write_source_video(tmp_path / "a.mp4", frames=3), matrix)
    with pytest.raises(VideoError, match=rf"found a header that {words}; expected a video stored upright.*rotation"):
        list(opened(path).frames())


@pytest.mark.parametrize("matrix", ORIENTATIONS.values(), ids=str)
def test_a_turned_or_mirrored_video_is_shown_as_players_show_it_if_asked(opened, tmp_path, matrix):
    path = write(tmp_path / "a.mp4")  # its upper left quarter is bright
    source = opened(turn(path, matrix), turns=True)
    luma = pixels(next(source.frames()).picture.planes[0]).astype(int)
    assert luma.shape == (source.timeline.height, source.timeline.width)
    a, b, c, d = matrix
    assert (source.timeline.width, source.timeline.height) == ((64, 48) if a else (48, 64))
    # The centre of the bright quarter is at (-1, -1) from the centre of the picture, y downwards.
    x, y = -a - c, -b - d
    height, width = luma.shape
    assert luma[height * (2 + y) // 4, width * (2 + x) // 4] > 200
    assert luma[height * (2 - y) // 4, width * (2 - x) // 4] < 140


@pytest.mark.parametrize("turns", [True, False])
@pytest.mark.parametrize("matrix", [(2, 0, 0, 2), (1, 0.001, -0.001, 1), (0, 0, 0, 0)], ids=str)
def test_a_matrix_that_does_not_turn_changes_nothing(opened, tmp_path, matrix, turns):
    source = opened(turn(write(tmp_path / "a.mp4"), matrix), turns=turns)
    assert pixels(next(source.frames()).picture.planes[0])[10, 10] > 200


@pytest.mark.parametrize("turns", [True, False])
def test_a_picture_turned_by_an_odd_angle_is_refused(opened, tmp_path, turns):
    path = turn(write_source_video(tmp_path / "a.mp4", frames=3), (0.7, 0.7, -0.7, 0.7))
    with pytest.raises(VideoError, match=r"turns the picture by -45 degrees; expected quarter turns at most"):
        list(opened(path, turns=turns).frames())


def test_a_file_with_only_sound_is_refused(opened, tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video stream"):
        opened(path)


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


class TestCounting:
    def test_frames_hidden_by_an_edit_list_are_neither_counted_nor_yielded(self, opened, tmp_path):
        source = opened(write_trimmed_video(tmp_path / "a.mp4", frames=20, hidden=7))
        assert source.timeline.frames == 13
        times = [frame.pts * source.timeline.time_base for frame in source.frames()]
        assert [float(time) for time in times] == pytest.approx(source.timeline.seconds)
        assert source.timeline.seconds == pytest.approx([index / 16 for index in range(13)])

    def test_decoding_corrects_the_number_of_frames(self, opened, tmp_path):
        source = opened(without_first_packet(tmp_path))
        assert source.timeline.frames == 17
        frames = list(source.frames())
        assert source.timeline.frames == len(frames) == 12
        assert len(source.timeline.seconds) == 12

    def test_a_video_whose_frames_cannot_be_decoded_is_refused(self, opened, tmp_path):
        path = without_first_packet(tmp_path, gop=100)
        with pytest.raises(VideoError, match=r"a\.ts: found (no frame that can be decoded|data that FFmpeg cannot)"):
            list(opened(path).frames())


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 42, 83, 83, 125, 167, 167, 208], [0, 42, 83, 84, 125, 167, 168, 208]),
        ([0, 0, 0, 0], [0, 1, 2, 3]),
        ([40, 80, 120, 160], [40, 80, 120, 160]),
    ],
)
def test_frames_at_one_time_follow_each_other_by_one_unit(opened, tmp_path, times, expected):
    source = opened(write_at(tmp_path / "a.mkv", times))
    assert source.timeline.frames == len(times)
    assert [round(frame.pts * source.timeline.time_base * 1000) for frame in source.frames()] == expected


@pytest.mark.parametrize("sizes", [((64, 48), (32, 24)), ((32, 24), (64, 48))], ids=str)
def test_a_video_that_changes_its_size_is_refused_with_both_sizes(opened, tmp_path, sizes):
    parts = [write(tmp_path / f"{number}.ts", size=size).read_bytes() for number, size in enumerate(sizes)]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(
        VideoError, match=r"a\.ts: found .* in frame \d, and .* elsewhere.*; expected one size"
    ) as caught:
        list(opened(path).frames())
    assert all(f"{width} x {height}" in str(caught.value) for width, height in sizes)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(32, 27), Fraction(8, 9)], ids=str)
def test_pixels_that_are_not_square_are_noticed(opened, tmp_path, aspect):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    timeline = opened(path).timeline
    assert timeline.pixel_aspect == aspect
    assert timeline.aspect == aspect * 4 / 3


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ((2, 2, 2), (5, 6, 6)),
        ((1, 1, 1), (1, 1, 1)),
        ((6, 5, 1), (5, 5, 1)),
        ((9, 9, 14), (9, 9, 14)),
        ((9, 2, 2), (9, 9, 14)),
        ((7, 7, 7), (7, 7, 7)),
        ((2, 1, 13), (5, 1, 13)),
    ],
    ids=str,
)
def test_colour_tags_are_kept_and_completed(opened, tmp_path, tags, expected):
    source = opened(tagged(tmp_path / "a.mp4", *tags))
    colours = source.timeline.colours
    assert (int(colours.matrix), colours.primaries, colours.transfer) == expected
    assert source.notes == ()


def test_a_matrix_that_is_not_supported_is_noted(opened, tmp_path):
    source = opened(tagged(tmp_path / "a.mp4", 8, 1, 1))
    assert source.timeline.colours.matrix == Colorspace.ITU601
    assert source.notes == (
        "the video's colours may be off: its colour matrix (code 8 of ITU-T H.273) is not supported",
    )


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_mapped_to_bt709_and_noted(opened, tmp_path, transfer, name):
    source = opened(tagged(tmp_path / "a.mp4", 9, 9, transfer, pix_fmt="yuv420p10le", level=255))
    colours = source.timeline.colours
    assert (int(colours.matrix), colours.primaries, colours.transfer) == (1, 1, 1)
    assert source.notes == (f"the video is HDR ({name}): its pictures are mapped to the colours of BT.709",)
    picture = next(source.frames()).picture
    assert picture.format.name == "yuv420p"
    assert [int(pixels(plane)[10, 10]) for plane in picture.planes] == [235, 128, 128]


@pytest.mark.parametrize("rate", [Fraction(1, 3600), Fraction(16), Fraction(24000, 1001), Fraction(16000)], ids=str)
def test_times_are_exact_at_any_rate(opened, tmp_path, rate):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movie_timescale": "16000"}) as container:
        stream = container.add_stream("libx264", rate=rate, options={"tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * index, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = opened(path)
    assert [frame.pts * source.timeline.time_base for frame in source.frames()] == [index / rate for index in range(3)]


@pytest.mark.parametrize("kind", ["steady", "irregular", "matroska", "trimmed", "turned", "absent"])
def test_the_times_of_frames_are_the_same_without_decoding_any(tmp_path, kind):
    video = tmp_path / f"video_001.{'mkv' if kind == 'matroska' else 'mp4'}"
    if kind == "trimmed":
        write_trimmed_video(video, frames=6, hidden=2)
    elif kind != "absent":
        write(video, times=(0, 700, 2500, 2600) if kind == "irregular" else None)
    if kind == "turned":
        turn(video, (0, 1, -1, 0))
    manifest = read_manifest(
        write_manifest(tmp_path / "video_001.complete.json", video=video.name, generation={"fps": 16, "frames": 5})
    )

    found = read_timeline(manifest, (3, 6, 8))

    with open_source(manifest, (3, 6, 8), turns=True) as source:
        assert found.seconds.tolist() == source.timeline.seconds.tolist()
        assert (found.frames, found.rate) == (source.timeline.frames, source.timeline.rate)
