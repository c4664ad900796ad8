"""The command `compose`; what it writes is tested in `render/side_by_side`."""

import pytest

from attnwatch.media.container import open_video
from tests.moving import add_numbered
from tests.support import Batch, called


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    batch = Batch.make(tmp_path_factory.mktemp("outputs"))
    add_numbered(batch, 1, words=("kiss", "park"))
    add_numbered(batch, 2, words=("kiss",), visualization={"colormap": "hot", "figsize": [4, 4]})
    return batch


def test_videos_of_a_batch_are_put_beside_each_other(batch, tmp_path, capsys):
    out = tmp_path / "out.mp4"
    code, said, log = called(capsys, "compose", batch.folder, "--words", "kiss", "--width", "300", "-o", out)
    assert (code, log) == (0, "")
    assert said.startswith(f"{out}: 300 x ")
    assert " pixels, 0.56 s, " in said
    with out.open("rb") as file, open_video(file, "out.mp4") as (_, stream):
        assert stream.frames == 9


def test_reductions_are_logged(batch, tmp_path, capsys):
    out = tmp_path / "out.webp"
    flags = ("--words=kiss", "--set", "colormap=gray", "--max-size", "14KB", "--width=500", "-o", out)
    code, said, log = called(capsys, "compose", batch.folder, *flags)
    assert code == 0
    assert "is too large; now 8 frames/s" in log
    assert out.stat().st_size <= 14_000
    assert "out.webp: " in said


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        ([], "found no video; expected at least one"),
        (["BATCH"], "found no output; expected one"),
        (["BATCH", "-o", "out.avi"], "expected a name that ends in"),
        (["BATCH", "-o", "out.mp4", "--words", "dog"], "found no word 'dog' in 2 videos; expected one of: kiss, park"),
        (["BATCH", "-o", "out.gif", "--max-size", "much"], "--max-size: found 'much'; expected a size such as 5MB"),
        (["BATCH", "-o", "out.mp4", "--columns", "0"], "--columns: found 0; expected a whole number from 1 on"),
        (["BATCH", "-o", "out.mp4", "--width", "-5"], "--width: found -5; expected a whole number from 1 on"),
        (["BATCH", "-o", "out.mp4", "--scale", "none"], "--scale: found 'none'; expected one of shared, each"),
        (["BATCH", "-o", "out.mp4", "--set", "steps=9"], "steps: found 9"),
        (["BATCH", "-o", "out.mp4", "--set", "caption=full"], "--set: found 'caption', which has no effect on"),
        (["BATCH/x*", "-o", "out.mp4"], "found no finished video at "),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(arguments, about, batch, elsewhere, capsys):
    given = [argument.replace("BATCH", str(batch.folder)) for argument in arguments]
    code, said, log = called(capsys, "compose", *given)
    assert (code, said) == (2, "")
    assert about in " ".join(log.split())
    assert list(elsewhere.iterdir()) == []


def test_a_video_that_cannot_be_read_ends_with_1(tmp_path, capsys):
    manifest = Batch.make(tmp_path).add()
    manifest.with_name("video_001.mp4").write_bytes(b"no video")
    code, said, log = called(capsys, "compose", manifest, "-o", tmp_path / "out.mp4")
    assert (code, said) == (1, "")
    assert "out.mp4: not written: " in " ".join(log.split())
