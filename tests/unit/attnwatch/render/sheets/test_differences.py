"""Differences of hand-made maps."""

import numpy as np
import pytest

from attnwatch.contract.manifest import read_manifest
from attnwatch.render.sheets.differences import Differences
from attnwatch.render.sheets.moments import MOMENTS, Gap, Videos
from attnwatch.render.sheets.pairs import slots_of
from attnwatch.settings import Visualization
from tests import sheets

ATTENTION = {"men": 0.6, "women": 0.2, "none": 0.2}
MIDDLE = (247, 247, 247)


@pytest.fixture
def batch(tmp_path):
    return sheets.empty(tmp_path)


def of_slot(batch, *choices, number=1, seeds=2, attention=lambda who, *_: ATTENTION[who]):
    manifests = sheets.product_of_choices(batch, *choices, seeds=seeds, attention=attention)
    settings = Visualization()
    slot = next(slot for slot in slots_of(map(read_manifest, manifests)) if slot.number == number)
    return Differences("kiss", slot, Videos(settings), settings), manifests


def means(content):
    return [colour_of(content.strip(number)) for number in range(len(content._slot.rows))]


def colour_of(strip):
    return tuple(np.rint(strip.pictures[-1].reshape(-1, 3).mean(axis=0)).astype(int).tolist())


def test_more_attention_with_the_first_choice_is_red_less_is_blue_and_none_is_the_middle(batch):
    content, _ = of_slot(batch, ["men", "women", "none"])
    assert [group.text for group in content.groups] == ["men minus women", "men minus none", "women minus none"]
    more, _, none = means(content)
    assert more[0] > 2 * more[2]
    assert none == pytest.approx(MIDDLE, abs=3)
    assert content.bar.ticks == ("−0.4", "0", "+0.4")
    less, _ = of_slot(batch, ["women", "men"])
    ((red, _, blue),) = means(less)
    assert blue > 2 * red


def test_the_difference_is_the_mean_over_the_seeds(batch):
    content, _ = of_slot(batch, ["men", "women"], attention=lambda who, seed: 0.5 + 0.1 * (who == "men") * (seed - 41))
    (mean,) = content._means
    assert mean == pytest.approx(np.full((MOMENTS, sheets.ROWS, sheets.COLUMNS), 0.15), abs=1e-6)
    assert content.groups[0].rows[0].label == ("2 pairs",)
    assert content.title == "men minus women"


def test_other_choices_have_rows_of_their_own_after_the_mean_over_all(batch):
    def attention(who, where, _):
        return ATTENTION[who] + (0.2 if (who, where) == ("men", "park") else 0)

    content, _ = of_slot(batch, ["men", "women"], ["park", "beach"], attention=attention)
    assert [row.label for row in content.groups[0].rows] == [
        ("all", "4 pairs"),
        ("park", "2 pairs"),
        ("beach", "2 pairs"),
    ]
    assert [round(float(mean.mean()), 6) for mean in content._means] == [0.5, 0.6, 0.4]


def test_a_video_that_cannot_be_read_leaves_its_pair_out(batch):
    content, manifests = of_slot(batch, ["men", "women"], attention=lambda who, seed: (who == "men") * (seed - 41) / 2)
    next((manifests[1].parent / "attention_maps").glob("vid002.*")).unlink()
    (mean,) = content._means
    assert mean == pytest.approx(np.full_like(mean, 0.5))
    assert not content.is_empty


def test_where_no_pair_can_be_compared_there_is_no_sheet(batch):
    def attention(who, *_):
        return sheets.flat(0.5, rows=6 if who == "men" else 3)

    content, _ = of_slot(batch, ["men", "women"], attention=attention)
    assert content.is_empty
    assert content.strip(0) == Gap("maps of different sizes cannot be compared")


def test_empty_choices_are_called_nothing(batch):
    content, _ = of_slot(batch, ["men", ""], attention=lambda *_: 0.5)
    assert content.title == "men minus (nothing)"
    assert means(content) == [pytest.approx(MIDDLE, abs=3)]


def test_frames_are_those_of_the_first_pair_that_can_be_shown(batch):
    content, manifests = of_slot(batch, ["men", "women"])
    manifests[0].with_name("video_001.mp4").write_bytes(b"no video")
    assert not isinstance(content.strip(0), Gap)
