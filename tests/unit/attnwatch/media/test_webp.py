import numpy as np
import pytest
from PIL import Image

from attnwatch.errors import VideoError
from attnwatch.media.container import open_video
from attnwatch.media.webp import HEAD, is_animated_webp


@pytest.fixture
def pictures():
    return [Image.fromarray(np.full((32, 48, 3), 40 * number, np.uint8)) for number in range(1, 4)]


def animated(pictures, path):
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    return path


def test_only_an_animated_webp_is_recognised(pictures, tmp_path):
    pictures[0].save(tmp_path / "still.webp")
    paths = [animated(pictures, tmp_path / f"a.{kind}") for kind in ("webp", "png", "gif")]
    assert is_animated_webp(paths[0].read_bytes()[:HEAD])
    for path in (tmp_path / "still.webp", *paths[1:]):
        assert not is_animated_webp(path.read_bytes()[:HEAD])


@pytest.mark.parametrize("head", [b"", b"RIFF", b"RIFF\0\0\0\0WEBPVP8X"])
def test_a_file_that_is_too_short_is_not_recognised(head):
    assert not is_animated_webp(head)


def decoded(path):
    with path.open("rb") as file, open_video(file, path.name) as (container, stream):
        return list(container.decode(stream))


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_other_animated_pictures_are_decoded(pictures, tmp_path, kind):
    assert len(decoded(animated(pictures, tmp_path / f"a.{kind}"))) == 3


def test_an_animated_webp_is_refused_with_the_formats_that_are_read(pictures, tmp_path):
    path = animated(pictures, tmp_path / "a.webp")
    with pytest.raises(VideoError, match=r"found an animated WebP.*expected MP4, WebM, MKV, GIF or animated PNG"):
        decoded(path)
