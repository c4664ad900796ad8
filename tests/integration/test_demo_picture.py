"""The picture that `make demo` ends with, drawn by the demo's own script."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import attnwatch

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/contract/golden/golden_20261122_091959"


@pytest.fixture
def batch(tmp_path):
    return shutil.copytree(GOLDEN, tmp_path / GOLDEN.name)


def draw(batch, picture):
    command = [sys.executable, str(ROOT / "configs/demo_picture.py"), str(batch), str(picture)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_each_row_shows_a_video_and_the_overlay_of_each_word(batch, tmp_path):
    videos = attnwatch.open(batch).values()
    for video in videos:
        attnwatch.render_video(video)
    picture = tmp_path / "overview.png"
    ended = draw(batch, picture)
    assert ended.returncode == 0, ended.stderr
    drawn = imread(picture)[..., :3]
    columns = 1 + max(len(video.words) for video in videos)
    width = drawn.shape[1] // columns
    for column in range(columns):  # every column has a strip: none is blank
        assert (drawn[:, column * width : (column + 1) * width].min(-1) < 0.9).mean() > 0.3
    first, second = drawn[:, :width], drawn[:, width : 2 * width]
    assert np.abs(first - second).mean() > 0.02  # the overlay is not the video


def test_an_unrendered_batch_fails_with_the_name_of_the_missing_file(batch, tmp_path):
    ended = draw(batch, tmp_path / "overview.png")
    assert ended.returncode != 0
    assert "_overlay.mp4" in ended.stderr
    assert not (tmp_path / "overview.png").exists()
