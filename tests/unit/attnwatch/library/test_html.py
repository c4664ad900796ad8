import io
import re
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

import attnwatch
from tests.odd_videos import of_one_colour
from tests.support import Batch, write_source_video

RED = (220, 20, 20)


@pytest.fixture
def batch(tmp_path):
    return Batch.make(tmp_path)


def picture_in(html):
    (data,) = re.findall('src="data:image/jpeg;base64,([^"]+)"', html)
    return np.asarray(Image.open(io.BytesIO(b64decode(data))))


def test_a_notebook_shows_the_first_frame_of_a_video_with_its_seed_and_prompt(batch):
    path = batch.add(generation={"prompt": "a <script> (kiss)", "seed": 42}, tokens=[{"slug": "kiss", "text": "kiss"}])
    write_source_video(path.with_name("video_001.mp4"), colour=RED)
    html = attnwatch.open(batch.folder)["prompt_001_vid001"]._repr_html_()
    assert "<b>prompt_001_vid001</b>, seed 42<br>a &lt;script&gt; (kiss)<br>kiss" in html
    picture = picture_in(html)
    assert picture.shape == (180, 240, 3)
    assert picture.mean(axis=(0, 1)) == pytest.approx(RED, abs=8)


@pytest.mark.parametrize(("yuv", "matrix"), [((63, 102, 240), 1), ((81, 90, 240), 6)], ids=["BT.709", "BT.601"])
def test_a_notebook_shows_the_colours_of_a_video_whatever_its_matrix(batch, yuv, matrix):
    of_one_colour(batch.add().with_name("video_001.mp4"), yuv, (64, 48), (matrix, matrix, matrix))
    picture = picture_in(attnwatch.open(batch.folder)["prompt_001_vid001"]._repr_html_())
    assert picture.mean(axis=(0, 1)) == pytest.approx([255, 0, 0], abs=2)


def test_a_notebook_shows_the_overlay_where_one_was_rendered(batch):
    write_source_video(batch.add().with_name("video_001.mp4"), colour=RED)
    video = attnwatch.open(batch.folder)["prompt_001_vid001"]
    before = picture_in(video._repr_html_())
    attnwatch.render_video(video, quality="fast", generate_aggregated=False, overlay="uniform")
    assert np.abs(picture_in(video._repr_html_()).astype(int) - before).max() > 40


def test_a_batch_shows_its_first_videos_and_how_many_there_are(batch):
    for number in range(1, 15):
        batch.add(number, tensors={}, source=False, attention=[])
    (batch.prompt() / "video_002.complete.json").write_text("{")
    html = attnwatch.open(batch.folder)._repr_html_()
    assert "14 videos" in html
    assert "and 2 more" in html
    assert html.count("<b>prompt_001_vid0") == 11
    assert "<img" not in html
