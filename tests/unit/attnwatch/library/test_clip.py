import base64
import re

import pytest

from attnwatch.errors import ConfigError
from attnwatch.library.clip import Clip
from tests.support import only_video


def test_an_overlay_is_saved_exactly_as_shown(batch, tmp_path):
    batch.add()
    clip = only_video(batch).overlay("kiss")
    path = clip.save(str(tmp_path / "kiss.mp4"))
    assert path == tmp_path / "kiss.mp4"
    assert path.read_bytes() == clip.data
    assert base64.b64encode(clip.data).decode() in clip._repr_html_()
    assert len(repr(clip)) < 100


def test_an_overlay_is_not_saved_under_the_name_of_another_kind_of_file(tmp_path):
    for name in ("kiss.gif", "kiss.WEBP"):
        with pytest.raises(ConfigError, match=f"found {name}; expected a name that ends in .mp4; for slides, "):
            Clip("kiss.mp4", b"").save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_overlay_loops_and_its_name_is_escaped(batch):
    batch.add(video_id='"><script>')
    shown_as = only_video(batch).overlay("kiss")._repr_html_()
    assert re.match(r"<video controls loop ", shown_as)
    assert "<script>" not in shown_as
