import contextlib
import errno
import re

import av
import numpy as np
import pytest

from attnwatch.errors import VideoError
from attnwatch.media.container import open_video
from attnwatch.system.shortage import Shortage, shortage_behind
from tests.leading_away import LISTS, NAMES, OWN, SECRET, listening
from tests.support import write_source_video


def mean_colour(path, name=None):
    with path.open("rb") as file, open_video(file, name or str(path)) as (container, stream):
        frame = next(container.decode(stream))
        return frame.to_ndarray(format="rgb24").mean(axis=(0, 1)).round().tolist()


@pytest.fixture
def secret(tmp_path):
    """A video that must not be read, by its absolute path."""
    return write_source_video(tmp_path / "secret.mp4", colour=SECRET)


@pytest.fixture
def port():
    """A port that something listens to; the test fails if anything connects."""
    with listening() as server:
        yield server.port
        assert server.connections == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_name_never_leads_ffmpeg_to_anything_but_the_open_file(tmp_path, monkeypatch, secret, port, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a0.mp4").hardlink_to(secret)
    own = write_source_video(tmp_path / "own.mp4", colour=OWN)
    red, green, blue = mean_colour(own, name.format(secret=secret, port=port))
    assert (red < 20, green > 240, blue < 20) == (True, True, True)


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS.keys())
@pytest.mark.parametrize("suffix", [".mp4", ".txt", ".m3u8", ".ffconcat", ".sdp", ".svg"])
def test_a_file_that_names_others_is_refused(tmp_path, secret, port, content, suffix):
    path = tmp_path / f"list{suffix}"
    path.write_text(content.format(secret=secret, port=port))
    with pytest.raises(VideoError, match=rf"{re.escape(path.name)}: found .*; expected a .*complete"):
        mean_colour(path)


def test_a_numbered_picture_is_one_picture(tmp_path):
    for name, colour in (("frame_%d.png", OWN), ("frame_0.png", SECRET), ("frame_1.png", SECRET)):
        with av.open(str(tmp_path / "a.png"), "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
            picture = np.broadcast_to(np.array(colour, np.uint8), (48, 64, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
            container.mux(stream.encode(None))
        (tmp_path / "a.png").rename(tmp_path / name)
    assert mean_colour(tmp_path / "frame_%d.png") == list(OWN)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mp4", "libx264"),
        (".mov", "png"),
        (".mkv", "ffv1"),
        (".webm", "libvpx-vp9"),
        (".avi", "mjpeg"),
        (".ts", "libx264"),
        (".gif", "gif"),
        (".h264", "libx264"),
        (".apng", "apng"),
        (".nut", "rawvideo"),
        (".y4m", "wrapped_avframe"),
    ],
)
def test_formats_that_are_complete_in_one_file_are_read(tmp_path, suffix, codec):
    path = tmp_path / f"a{suffix}"
    formats = {"gif": "rgb8", "png": "rgb24", "apng": "rgb24", "mjpeg": "yuvj420p"}
    with contextlib.ExitStack() as stack:
        container = stack.enter_context(av.open(str(path), "w"))
        stream = container.add_stream(codec, rate=16)
        stream.width, stream.height, stream.pix_fmt = 64, 48, formats.get(codec, "yuv420p")
        for level in range(0, 250, 50):
            picture = np.full((48, 64, 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with path.open("rb") as file, open_video(file, path.name) as (container, stream):
        assert sum(1 for _ in container.decode(stream)) == 5


def test_one_file_can_be_decoded_several_times_at_once(tmp_path):
    path = write_source_video(tmp_path / "a.mp4", frames=9)
    with (
        path.open("rb") as file,
        open_video(file, path.name) as (first, first_stream),
        open_video(file, path.name) as (second, second_stream),
    ):
        pairs = list(zip(first.decode(first_stream), second.decode(second_stream), strict=True))
    assert [(a.pts, b.pts) for a, b in pairs] == [(b.pts, b.pts) for _, b in pairs]
    assert len(pairs) == 9


@pytest.mark.parametrize("content", [b"", b"not a video", b"\0" * 5000])
def test_data_that_is_no_video_gives_a_clear_error(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"a\.mp4: found data that FFmpeg cannot read \(Invalid data.*\); expected"):
        mean_colour(path, path.name)


def test_a_video_that_ends_early_gives_a_clear_error(tmp_path):
    path = write_source_video(tmp_path / "a.mp4", frames=9)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(VideoError, match=r"a\.mp4: found data that FFmpeg cannot read"):
        mean_colour(path, path.name)


def test_a_codec_without_a_decoder_gives_a_clear_error(tmp_path):
    path = write_source_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match=r"a\.mp4: found a video stream in a codec that FFmpeg has no decoder for"):
        mean_colour(path, path.name)


def test_lack_of_memory_does_not_count_as_damage(tmp_path):
    path = write_source_video(tmp_path / "a.mp4")
    with path.open("rb") as file, pytest.raises(MemoryError), open_video(file, path.name):
        raise av.error.MemoryError(12, "Cannot allocate memory")


def test_titles_in_another_encoding_do_no_harm(tmp_path):
    path = write_source_video(tmp_path / "a.mp4", colour=OWN)
    plain = path.read_bytes()
    path.write_bytes(plain.replace(b"Lavf", b"L\xe4vf"))
    assert path.read_bytes() != plain
    assert mean_colour(path)[1] > 240


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EMFILE, errno.ENFILE])
def test_what_the_machine_runs_out_of_is_not_blamed_on_the_video(tmp_path, number):
    path = write_source_video(tmp_path / "v.mp4")
    with (
        path.open("rb") as file,
        pytest.raises(OSError, match=r"FFmpeg cannot work .*raise the limits") as caught,
        open_video(file, "v.mp4"),
    ):
        av.error.err_check(-number)
    assert shortage_behind(caught.value) is Shortage.MACHINE
    assert "generate it again" not in str(caught.value)
