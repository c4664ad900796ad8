"""Compositions in a notebook."""

import pytest

import attnwatch
from attnwatch.errors import ConfigError, UnknownNameError
from tests.moving import add_numbered
from tests.support import decode


@pytest.fixture
def videos(batch):
    for number in (1, 2):
        add_numbered(batch, number, frames=3)
    return attnwatch.open(batch.folder)


def test_videos_of_a_batch_are_shown_beside_each_other(videos, tmp_path):
    clip = attnwatch.compose(videos.values(), "kiss", width=300, alone=True)
    assert clip._repr_html_().startswith("<video ")
    frames = decode(clip.save(tmp_path / "out.mp4"))
    assert (len(frames), frames[0].width) == (3, 300)


def test_videos_may_be_given_as_paths_and_settings_by_name(videos):
    manifests = [video.manifest for video in videos.values()]
    by_path = attnwatch.compose([manifests[0].path, manifests[1].video], ["kiss"], width=200, colormap="gray")
    assert by_path == attnwatch.compose(manifests, ["kiss"], width=200, colormap="gray")


@pytest.mark.parametrize(
    ("arguments", "error", "about"),
    [
        ({"words": "dog"}, UnknownNameError, "found no word 'dog'"),
        ({"colour": "red"}, ConfigError, "colour"),
        ({"steps": 9}, ConfigError, "steps: found 9"),
    ],
)
def test_what_cannot_be_shown_is_refused(arguments, error, about, videos):
    with pytest.raises(error, match=about):
        attnwatch.compose(videos.values(), **arguments)


def test_a_batch_or_a_single_video_may_be_given_as_it_is(videos):
    shown = {"words": "kiss", "width": 200}
    assert attnwatch.compose(videos, **shown) == attnwatch.compose(videos.values(), **shown)
    one = next(iter(videos.values()))
    assert attnwatch.compose(one, **shown) == attnwatch.compose([one], **shown)


def test_no_video_is_refused():
    with pytest.raises(ConfigError, match="videos: found none; expected at least one"):
        attnwatch.compose([])
