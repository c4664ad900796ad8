"""What contact sheets read of a video."""

import numpy as np
import pytest
from av.video.reformatter import Interpolation

from attnwatch.contract.manifest import read_manifest
from attnwatch.render.colours import ACCURATE
from attnwatch.render.sheets.moments import Gap, Videos
from attnwatch.render.sheets.pictures import frame_of
from attnwatch.settings import Visualization
from tests import sheets
from tests.support import decode

RISING = np.arange(sheets.LATENT, dtype=np.float32)[:, None, None] * np.ones((sheets.ROWS, sheets.COLUMNS), np.float32)


@pytest.fixture
def batch(tmp_path):
    return sheets.empty(tmp_path)


@pytest.fixture
def videos():
    return Videos(Visualization())


def test_the_first_and_the_last_map_are_shown_and_four_between(batch, videos):
    for fields in ({}, {"frames": None}):  # without a video, their number may be known from the tensors alone
        manifest = read_manifest(sheets.video(batch, 1, 1, RISING[None, None, None], **fields))
        assert videos.size(manifest) is not None
        means = videos.maps(manifest, "kiss").mean(axis=(1, 2))
        assert (means[0], means[-1]) == (0, sheets.LATENT - 1)
        assert (np.diff(means) >= 0).all()


def test_the_middle_frame_is_that_of_the_video_and_times_count_from_its_start(batch, videos):
    manifest = read_manifest(batch.add(frames=9))
    footage = videos.footage(manifest, (6, 8))
    assert footage.seconds == pytest.approx([4 / 16, 0, 2 / 16, 3 / 16, 5 / 16, 6 / 16, 8 / 16])
    assert footage.size == (332, 248)
    picture = decode(manifest.video)[4].reformat(332, 248, "rgb24", interpolation=Interpolation.BICUBIC | ACCURATE)
    source = picture.to_ndarray().astype(int)
    assert np.abs(frame_of(footage) - source).mean() < 1.5


@pytest.mark.parametrize(
    ("size", "small"),
    [((832, 480), (332, 192)), ((480, 832), (230, 400)), ((1280, 720), (332, 186)), ((64, 64), (332, 332))],
    ids=str,
)
def test_pictures_fit_a_cell_in_the_shape_of_their_video(batch, videos, size, small):
    assert videos.size(read_manifest(sheets.video(batch, size=size))) == small


def test_what_was_read_is_kept_for_the_next_word_but_not_for_ever(batch, videos, monkeypatch):
    monkeypatch.setattr("attnwatch.render.sheets.moments._KEPT", 1)
    one, other = (read_manifest(sheets.video(batch, number)) for number in (1, 2))
    kept = videos.footage(one, (6, 8))
    assert videos.footage(one, (6, 8)) is kept
    videos.footage(other, (6, 8))
    assert videos.footage(one, (6, 8)) is not kept


def test_a_word_that_the_tensors_lack_is_a_gap_that_names_it(batch, videos):
    gap = videos.maps(read_manifest(sheets.video(batch)), "unknown")
    assert isinstance(gap, Gap)
    assert "found no word 'unknown'" in gap.reason
