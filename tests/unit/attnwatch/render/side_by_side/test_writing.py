"""Files of compositions: which kinds there are, where they may be, and what is left of failed ones."""

import logging
import os
from fractions import Fraction

import av
import pytest
from PIL import Image

from attnwatch.batches.discover import walk
from attnwatch.batches.passed import Passed
from attnwatch.batches.videos import read_video
from attnwatch.errors import ConfigError, VideoError
from attnwatch.render.side_by_side.scene import Request
from attnwatch.render.side_by_side.writing import write
from attnwatch.settings import Visualization
from tests.moving import add_numbered
from tests.support import Batch, contents, decode

SETTINGS = Visualization()
SMALL = Request(width=200)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    batch = Batch.make(tmp_path_factory.mktemp("batch"))
    return [read_video(add_numbered(batch, number)) for number in (1, 2)]


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.webp", "OUT.GIF"])
def test_the_suffix_decides_what_is_written_and_nothing_else_is_left(name, manifests, tmp_path):
    written = write(manifests, SETTINGS, SMALL, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (written.frames, written.rate) == (9, 16)
    if name.lower().endswith(".mp4"):
        frames = decode(tmp_path / name)
        assert (len(frames), (frames[0].width, frames[0].height)) == (9, written.size)
    else:
        with Image.open(tmp_path / name) as image:
            assert (image.n_frames, image.size) == (9, written.size)


def test_pictures_for_slides_are_no_wider_than_slides_need(manifests, tmp_path):
    assert write(manifests * 2, SETTINGS, Request(across=4), tmp_path / "out.webp").size[0] <= 960


def test_a_limit_is_kept_and_the_log_says_at_what_price(manifests, tmp_path, caplog):
    caplog.set_level(logging.INFO, "attnwatch")
    whole = write(manifests, SETTINGS, Request(width=480), tmp_path / "whole.gif")
    size = (tmp_path / "whole.gif").stat().st_size
    assert caplog.messages == []
    reduced = write(manifests, SETTINGS, Request(width=480), tmp_path / "out.gif", limit=size // 3)
    assert (tmp_path / "out.gif").stat().st_size <= size // 3
    assert reduced.rate == Fraction(8)
    assert reduced.size[0] < whole.size[0]
    with Image.open(tmp_path / "out.gif") as image:
        assert (image.size, image.n_frames) == (reduced.size, reduced.frames)
    assert caplog.messages[0].startswith("out.gif: ")
    assert "now 8 frames/s" in caplog.messages[0]


@pytest.mark.parametrize("name", ["out.gif", "out.mp4"])
def test_what_was_composed_into_a_watched_folder_is_no_video_without_a_manifest(name, manifests, tmp_path):
    composed = write(manifests, SETTINGS, SMALL, tmp_path / name)
    (tmp_path / name).with_stem("own").write_bytes(b"another program's")
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    passed = Passed()
    for folder in walk(tmp_path):
        passed.take(folder)
    assert [path.stem for path in passed.unmarked] == ["own"]
    with av.open(str(tmp_path / name)) as container:
        assert sum(1 for _ in container.decode(video=0)) == composed.frames


def test_an_impossible_limit_is_refused_and_what_was_there_stays(manifests, tmp_path):
    (tmp_path / "out.webp").write_bytes(b"earlier")
    with pytest.raises(ConfigError, match=r"max_size: found .* at least"):
        write(manifests, SETTINGS, Request(width=240), tmp_path / "out.webp", limit=500)
    assert contents(tmp_path) == {"out.webp": b"earlier"}


@pytest.mark.parametrize(
    ("name", "limit", "about"),
    [
        ("out.avi", None, r"found out.avi; expected a name that ends in .mp4, .gif or .webp"),
        ("out.mp4", 1000, r"max_size: found a limit for a video; expected a name that ends in .gif or .webp"),
        ("nowhere/out.mp4", None, r"found no folder .*nowhere for out.mp4; expected an existing one; create it"),
        ("folder.mp4", None, r"found the folder .*folder.mp4; expected the name of a file"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_read(name, limit, about, manifests, tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ConfigError, match=about):
        write([], SETTINGS, SMALL, tmp_path / name, limit)


def test_a_file_of_the_videos_is_not_overwritten(tmp_path):
    manifest = read_video(add_numbered(Batch.make(tmp_path), 1))
    (tmp_path / "link.mp4").symlink_to(manifest.video)
    before = manifest.video.read_bytes()
    for path in (manifest.video, tmp_path / "link.mp4"):
        with pytest.raises(ConfigError, match="as the output and as a file of prompt_001_vid001; expected another"):
            write([manifest], SETTINGS, SMALL, path)
    assert manifest.video.read_bytes() == before


def test_a_video_that_cannot_be_decoded_leaves_nothing_behind(tmp_path):
    manifest = read_video(add_numbered(Batch.make(tmp_path / "outputs"), 1))
    manifest.video.write_bytes(b"no video")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(VideoError, match="FFmpeg cannot read"):
        write([manifest], SETTINGS, SMALL, out / "out.mp4")
    assert contents(out) == {}
