"""Encoding frames as H.264: colours, timing and reproducibility."""

from fractions import Fraction

import av
import numpy as np
import pytest

from generator.errors import VideoError
from generator.outputs.encode import encode_video

COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0], [0.5, 0.5, 0.5]], np.float32)


def stripes(frames=5):
    """Vertical stripes of plain colours that move by one stripe per frame."""
    pictures = [np.repeat(np.roll(COLOURS, shift, axis=0), 16, axis=0)[None].repeat(64, 0) for shift in range(frames)]
    return np.stack(pictures)


def decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream, list(container.decode(stream))


def test_decoded_frames_have_the_same_colours_and_timestamps(tmp_path):
    frames = stripes()
    encode_video(tmp_path / "a.mp4", frames, fps=8.0)
    stream, decoded = decode(tmp_path / "a.mp4")
    assert stream.codec_context.name == "h264"
    assert stream.average_rate == 8
    assert [Fraction(frame.pts * frame.time_base) for frame in decoded] == [Fraction(n, 8) for n in range(5)]
    centres = slice(8, None, 16)
    for frame, expected in zip(decoded, frames, strict=True):
        shown = frame.to_ndarray(format="rgb24")[32, centres] / 255
        assert np.abs(shown - expected[32, centres]).max() <= 3 / 255


def test_colours_are_converted_with_bt709_and_tagged_so(tmp_path):
    encode_video(tmp_path / "a.mp4", stripes(), fps=8.0)
    stream, decoded = decode(tmp_path / "a.mp4")
    context = stream.codec_context
    assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 1, 1, 1)
    assert context.pix_fmt == "yuv420p"
    luma_of_green = decoded[0].to_ndarray()[32, 24]
    assert abs(int(luma_of_green) - (16 + 219 * 0.7152)) <= 2  # BT.601 would give 16 + 219 x 0.587


def test_a_frame_rate_may_be_fractional(tmp_path):
    encode_video(tmp_path / "a.mp4", stripes(), fps=23.976)
    stream, _ = decode(tmp_path / "a.mp4")
    assert float(stream.average_rate) == pytest.approx(23.976, abs=1e-4)


def test_the_index_precedes_the_frames(tmp_path):
    encode_video(tmp_path / "a.mp4", stripes(), fps=8.0)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(("height", "width"), [(64, 96), (80, 80), (48, 64)])
def test_equal_frames_give_equal_files_whatever_is_in_memory(tmp_path, height, width):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    blobs = [np.exp(-((x - 10 - 3 * frame) ** 2 + (y - height / 2) ** 2) / 60) for frame in range(17)]
    frames = np.stack([np.stack([blob, x / width, y / height], -1) for blob in blobs])
    frames += rng.normal(0, 0.02, frames.shape)
    files = set()
    for _ in range(20):
        litter = [rng.random(rng.integers(1_000, 100_000)) for _ in range(5)]
        encode_video(tmp_path / "video.mp4", frames, fps=8.0)
        files.add((tmp_path / "video.mp4").read_bytes())
        del litter
    assert len(files) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_frames_that_are_not_finite_are_refused(tmp_path, value):
    frames = stripes()
    frames[2, 3, 4, 0] = value
    with pytest.raises(VideoError, match="frames that are not numbers"):
        encode_video(tmp_path / "a.mp4", frames, fps=8.0)
    assert not (tmp_path / "a.mp4").exists()
