from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from attnwatch.errors import VideoError
from attnwatch.render.colours import Colours
from attnwatch.render.compose import pixels
from attnwatch.render.encode import KEYFRAME_INTERVAL, Encoder
from attnwatch.system.limits import Limits, own_data
from tests.support import called_in_a_process

QUALITIES = ["fast", "balanced", "high"]


def grey(level, width=64, height=48):
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(frame.planes, (level, 128, 128), strict=True):
        pixels(plane)[:] = value
    return frame


def encode(path, times, *, quality="fast", time_base=Fraction(1, 16000), size=(64, 48), **properties):
    properties.setdefault("colours", Colours.of_matrix(Colorspace.ITU601))
    rate = Fraction(16)
    with Encoder(
        path,
        width=size[0],
        height=size[1],
        rate=rate,
        time_base=time_base,
        quality=quality,
        **properties,
    ) as encoder:
        for index, (pts, duration) in enumerate(times):
            encoder.write(grey(16 + index % 200, *size), pts, duration)
    return path


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_file_plays_everywhere(tmp_path, quality):
    path = encode(tmp_path / "a.mp4", [(i * 1000, 1000) for i in range(40)], quality=quality)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("matrix", "tags"), [(Colorspace.ITU601, (5, 6, 6)), (Colorspace.ITU709, (1, 1, 1))], ids=["601", "709"]
)
def test_range_matrix_primaries_and_transfer_are_tagged(tmp_path, matrix, tags):
    path = encode(tmp_path / "a.mp4", [(0, 1000)], colours=Colours.of_matrix(matrix))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert int(frame.color_range) == 1
        assert (int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)) == tags


@pytest.mark.parametrize("colours", [Colours(Colorspace.ITU601, 1, 1), Colours(Colorspace.BT2020, 9, 14)], ids=str)
def test_other_colours_are_tagged_as_they_are(tmp_path, colours):
    path = encode(tmp_path / "a.mp4", [(0, 1000)], colours=colours)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        found = (int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc))
    assert found == (int(colours.matrix), colours.primaries, colours.transfer)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(32, 27), Fraction(1, 2)], ids=str)
def test_the_shape_of_pixels_is_written(tmp_path, aspect):
    path = encode(tmp_path / "a.mp4", [(0, 1000)], pixel_aspect=aspect)
    with av.open(str(path)) as container:
        assert (container.streams.video[0].sample_aspect_ratio or 1) == aspect
    assert (b"pasp" in path.read_bytes()) == (aspect != 1)


@pytest.mark.parametrize("quality", QUALITIES)
def test_times_are_kept_exactly_even_if_uneven(tmp_path, quality):
    times = [(0, 500), (500, 1700), (2200, 333), (2533, 3000), (5533, 1000), (6533, 1), (6534, 2000)]
    path = encode(tmp_path / "a.mp4", times, quality=quality)
    with av.open(str(path)) as container:
        decoded = [frame.time for frame in container.decode(video=0)]
    assert decoded == pytest.approx([pts / 16000 for pts, _ in times], abs=1e-9)


@pytest.mark.parametrize("quality", QUALITIES)
def test_keyframes_are_never_far_apart(tmp_path, quality):
    path = encode(tmp_path / "a.mp4", [(i * 1000, 1000) for i in range(60)], quality=quality)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    keys = [index for index, frame in enumerate(frames) if frame.key_frame]
    assert keys[0] == 0
    assert max(b - a for a, b in zip(keys, [*keys[1:], len(frames)], strict=True)) <= KEYFRAME_INTERVAL


@pytest.mark.parametrize("quality", QUALITIES)
def test_seeking_lands_on_the_requested_frame(tmp_path, quality):
    path = encode(tmp_path / "a.mp4", [(i * 1000, 1000) for i in range(60)], quality=quality)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for index in np.random.default_rng(0).permutation(60)[:20]:
            wanted = Fraction(int(index) * 1000, 16000)
            container.seek(int(wanted / stream.time_base), stream=stream, backward=True)
            found = next(frame for frame in container.decode(stream) if frame.pts * stream.time_base >= wanted)
            assert found.pts * stream.time_base == wanted
            assert abs(int(pixels(found.planes[0]).mean()) - (16 + index)) <= 1


def test_a_video_may_have_a_single_frame(tmp_path):
    path = encode(tmp_path / "a.mp4", [(0, 1000)])
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 1


def test_a_size_that_x264_rejects_gives_a_clear_error(tmp_path):
    with pytest.raises(VideoError, match=r"a\.mp4.*63 x 48"):
        encode(tmp_path / "a.mp4", [(0, 1000)], size=(63, 48))


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_same_frames_make_the_same_file(tmp_path, quality):
    shade = np.add.outer(np.arange(96), np.arange(160)) * 215 // 255
    files = set()
    for run in range(12):
        path = tmp_path / f"{run}.mp4"
        with Encoder(
            path,
            width=160,
            height=96,
            rate=Fraction(16),
            time_base=Fraction(1, 16),
            colours=Colours.of_matrix(Colorspace.ITU601),
            quality=quality,
        ) as encoder:
            for index in range(9):
                frame = grey(0, 160, 96)
                pixels(frame.planes[0])[:] = np.roll(shade, 2 * index, axis=1)
                encoder.write(frame, index, 1)
        files.add(path.read_bytes())
    assert len(files) == 1


@pytest.mark.parametrize(
    "numbers", [{"rate": Fraction(10**12, 7)}, {"time_base": Fraction(1, 10**12)}, {"rate": Fraction(0)}], ids=str
)
def test_a_rate_that_mp4_cannot_hold_is_refused_with_its_value(tmp_path, numbers):
    (value,) = numbers.values()
    usual = {"rate": Fraction(16), "time_base": Fraction(1, 16000)}
    with pytest.raises(VideoError, match=f"a.mp4: found a .* of {value}; expected a positive fraction"):
        Encoder(
            tmp_path / "a.mp4",
            width=64,
            height=48,
            colours=Colours.of_matrix(Colorspace.ITU601),
            quality="fast",
            **{**usual, **numbers},
        )


def fail_to_encode(path):
    Limits(600, memory=own_data() + 30 * 2**20).restrict()
    try:
        encode(path, [(i * 1000, 1000) for i in range(8)], quality="high", size=(3840, 2160))
    except MemoryError as error:
        return str(error)
    return "it fits"


def test_a_lack_of_memory_is_not_blamed_on_the_video(tmp_path):
    assert "a.mp4: no memory to encode" in called_in_a_process(fail_to_encode, tmp_path / "a.mp4")
