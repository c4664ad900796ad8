import numpy as np
import pytest

from attnwatch.errors import ConfigError
from attnwatch.render.scales import batch_scales
from attnwatch.settings import Visualization
from attnwatch.system.roots import Root
from attnwatch.web.maps import asked as limits
from attnwatch.web.maps.asked import Asked
from attnwatch.web.maps.scales import BatchScales
from tests.support import blob_maps
from tests.unit.attnwatch.web.maps.conftest import video


@pytest.fixture
def manifests(tmp_path):
    made = []
    for number, peak in enumerate((0.2, 0.5, 0.3)):
        made.append(video(tmp_path / f"{number}", blob_maps(peak=peak)))
    return made


@pytest.mark.parametrize("chosen", [{}, {"steps": 1}, {"clip": (2, 98)}])
def test_the_scale_is_the_one_that_the_renderer_measures(manifests, tmp_path, chosen):
    (expected,) = batch_scales([one.path for one in manifests], Visualization(**chosen), Root(tmp_path)).values()
    clip = ",".join(map(str, chosen["clip"])) if "clip" in chosen else None
    found = BatchScales().scale(manifests, "kiss", Asked.of(str(chosen.get("steps", "mean"))), clip)
    assert (found.low, found.high) == (expected.low, expected.high)


def test_a_video_is_measured_once_and_a_new_one_is_added(manifests, monkeypatch):
    scales = BatchScales()
    first = scales.scale(manifests[:1], "kiss", Asked.of())
    read = []
    opened = limits.Asked.bytes
    monkeypatch.setattr(limits.Asked, "bytes", lambda *given: read.append(1) or opened(*given))
    grown = scales.scale(manifests, "kiss", Asked.of())
    assert len(read) == len(manifests) - 1
    assert grown.high > first.high


def test_videos_without_the_word_or_without_maps_do_not_count(manifests):
    manifests[1].attention[0].unlink()
    scales = BatchScales()
    assert scales.scale(manifests, "kiss", Asked.of()).high < 0.4
    nothing = scales.scale(manifests, "dog", Asked.of())
    assert (nothing.low, nothing.high) == (0, 0)


def test_percentiles_that_are_none_are_refused(manifests):
    for clip in ("9", "9,3", "a,b", "1,2,3", "-1,99"):
        with pytest.raises(ConfigError, match="percentiles"):
            BatchScales().scale(manifests, "kiss", Asked.of(), clip)


def test_a_scale_for_which_too_much_would_be_read_is_refused_before_anything_is_read(manifests, monkeypatch):
    monkeypatch.setattr(limits, "MOST_BYTES", 4 * np.prod(manifests[0].document.grid or (3, 6, 8)) * 5)
    scales = BatchScales()
    scales.scale(manifests[:2], "kiss", Asked.of())
    with pytest.raises(ConfigError, match="another scale than that of the batch"):
        BatchScales().scale(manifests, "kiss", Asked.of())
