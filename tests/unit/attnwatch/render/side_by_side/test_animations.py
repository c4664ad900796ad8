"""Moving pictures, decoded again by another decoder."""

from fractions import Fraction

import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image, ImageSequence

from attnwatch.render.colormap import rgb_to_yuv
from attnwatch.render.colours import Colours
from attnwatch.render.side_by_side.animations import DETAILS, animate, fastest
from tests.moving import number_of, write_numbered
from tests.odd_videos import of_one_colour
from tests.support import write_source_video

WIDE = Colours.of_matrix(Colorspace.BT2020)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Nine frames in 0.56 s."""
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    write_numbered(path, 9, 16, (96, 64))
    return path


def read(path):
    """Return the duration of each frame in seconds, their pictures, and how often they are repeated."""
    with Image.open(path) as image:
        times, pictures = [], []
        for frame in ImageSequence.Iterator(image):
            pictures.append(np.asarray(frame.convert("RGB")).astype(float))
            times.append(frame.info["duration"] / 1000)
        return times, pictures, image.info["loop"]


@pytest.mark.parametrize("name", ["picture.gif", "picture.webp"])
@pytest.mark.parametrize(("rate", "shown"), [(16, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (8, [0, 2, 4, 6, 8]), (5, [0, 3, 6])])
def test_every_frame_is_there_for_its_time_and_all_are_repeated_without_end(name, rate, shown, video, tmp_path):
    path = tmp_path / name
    assert animate(video, path, Fraction(rate), DETAILS[path.suffix].steps[0]) == len(shown)
    times, pictures, loop = read(path)
    assert loop == 0
    assert sum(times) == pytest.approx(len(shown) / rate, abs=0.011)
    assert max(abs(time - 1 / rate) for time in times) < 0.011
    lumas = [16 + 219 / 255 * picture.mean() for picture in pictures]
    assert [number_of(luma) for luma in lumas] == shown


def test_what_browsers_would_slow_down_is_not_asked_for():
    assert fastest(".gif", Fraction(60)) == 50
    assert fastest(".webp", Fraction(60)) == 60
    assert fastest(".gif", Fraction(24000, 1001)) == Fraction(24000, 1001)


def test_colours_are_those_of_the_video(tmp_path):
    red = of_one_colour(tmp_path / "red.mp4", (63, 102, 240), (64, 48), (1, 1, 1))  # of BT.709
    for suffix, detail in ((".gif", 64), (".webp", 80)):
        path = tmp_path / f"red{suffix}"
        animate(red, path, Fraction(16), detail)
        assert read(path)[1][0].mean(axis=(0, 1)) == pytest.approx([255, 0, 0], abs=6)


def test_greys_of_a_gif_are_as_bright_as_those_of_the_video(tmp_path):
    for luma in (60, 120, 200):
        path = tmp_path / f"{luma}.gif"
        animate(of_one_colour(path.with_suffix(".mp4"), (luma, 128, 128), (64, 48), (1, 1, 1)), path, Fraction(16), 64)
        assert read(path)[1][0].mean(axis=(0, 1)) == pytest.approx([(luma - 16) / 219 * 255] * 3, abs=0.6)


def test_wide_colours_are_shown_in_srgb(tmp_path):
    path = tmp_path / "wide.gif"
    pale_red = [int(plane[0]) for plane in rgb_to_yuv(np.array([[0.8, 0.3, 0.3]]), WIDE)]
    animate(of_one_colour(path.with_suffix(".mp4"), pale_red, (64, 48), (9, 9, 14)), path, Fraction(16), 64)
    assert read(path)[1][0].mean(axis=(0, 1)) == pytest.approx([204, 76.5, 76.5], abs=3)


def test_fewer_colours_and_a_lower_quality_make_smaller_files(tmp_path):
    video = write_source_video(tmp_path / "ramp.mp4", width=128, height=64, frames=4)
    for suffix, details in ((".gif", (256, 16)), (".webp", (80, 10))):
        sizes = []
        for detail in details:
            path = tmp_path / f"{detail}{suffix}"
            animate(video, path, Fraction(16), detail)
            sizes.append(path.stat().st_size)
        assert sizes[1] < sizes[0]
