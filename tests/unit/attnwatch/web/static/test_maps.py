"""The numbers that the page draws are those of the renderer; computed by node, without a browser."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")

from attnwatch.contract.manifest import read_manifest
from attnwatch.library.maps import open_maps
from attnwatch.render.enlarge import Enlarger
from attnwatch.render.maps import Scale, to_levels
from attnwatch.render.source import read_timeline
from attnwatch.settings import Visualization
from attnwatch.web import maps
from attnwatch.web.maps.asked import Asked
from attnwatch.web.maps.container import container
from tests.support import GRID, Batch, blob_maps

NODE = shutil.which("node")
_OLDEST = (20, 19)
PROGRAM = Path(__file__).with_name("numbers.mjs")
STATIC = Path(maps.__file__).parents[1] / "static" / "maps"


def answered(*cases):
    """Return what the page's programs say to cases."""
    if NODE is None:
        pytest.skip("found no node; install it to test the page's numbers without a browser")
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, version.lstrip("v").split(".")[:2])) < _OLDEST:
        pytest.skip(
            f"found node {version}; expected {'.'.join(map(str, _OLDEST))} or later, which takes modules of a page"
        )
    found = subprocess.run(
        [NODE, "--no-warnings", PROGRAM, STATIC], input=json.dumps(cases), capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


class Shown:
    """A video, its maps as they are sent, and which of them each frame shows."""

    def __init__(self, folder, stored):
        self.manifest = read_manifest(Batch.make(folder).add(tensors={"kiss": stored}))
        with open_maps(self.manifest) as reader:
            self.latent = reader.words["kiss"].frames(Asked.of().part)
        timeline = read_timeline(self.manifest, GRID)
        self.alignment = timeline.alignment(self.manifest.document)
        places = self.alignment.places(GRID[0])
        lower = np.floor(places)
        self.given = {
            "packed": base64.b64encode(container(self.manifest, "kiss", Asked.of())).decode(),
            "timeline": {"lower": lower.tolist(), "share": (places - lower).tolist()},
        }

    @property
    def frames(self):
        return self.alignment.maps(self.latent)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return Shown(
        tmp_path_factory.mktemp("plain"),
        (blob_maps() + np.random.default_rng(1).uniform(0, 0.1, GRID)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    stored = blob_maps()
    stored[..., 1, 2:4, 3] = np.nan
    stored[..., 2, :, :] = np.inf
    return Shown(tmp_path_factory.mktemp("masked"), stored)


VIEWS = [
    ({}, {}),
    ({"frame": True}, {"normalization": "frame"}),
    ({"measured": {"low": 0.1, "high": 0.3}}, {"scale": Scale(0.1, 0.3)}),
    ({"vmin": 0.1, "vmax": 0.2}, {"vmin": 0.1, "vmax": 0.2}),
    ({"vmin": 0.7}, {"vmin": 0.7}),
    ({"vmax": 0.01}, {"vmax": 0.01}),
    ({"vmax": 0.3, "frame": True}, {"vmax": 0.3, "normalization": "frame"}),
    ({"clip": [3, 91.5]}, {"clip": (3, 91.5)}),
    ({"clip": [10, 80], "frame": True}, {"clip": (10, 80), "normalization": "frame"}),
    ({"threshold": 0.4}, {"threshold": 0.4}),
    ({"threshold": 0.4, "invert": True}, {"threshold": 0.4, "invert": True}),
]


@pytest.mark.parametrize("kind", ["shown", "masked"])
def test_positions_in_the_colormap_are_those_of_the_renderer(request, kind):
    video = request.getfixturevalue(kind)
    found = answered(*({"what": "levels", "view": view, **video.given} for view, _ in VIEWS))
    for (view, settings), shares in zip(VIEWS, found, strict=True):
        given = dict(settings)
        scale = given.pop("scale", None)
        expected = to_levels(video.frames, Visualization(**given, nonfinite="mask"), scale).shares
        difference = np.abs(np.array(shares).reshape(expected.shape) - expected)
        assert (difference > 1e-3).mean() <= 0.002, view  # a cell at the very threshold may be on its other side
        assert np.median(difference) < 1e-5, view


def test_the_value_at_a_place_is_what_is_drawn_there(shown):
    places = [(x, y) for x in (0.01, 0.3, 0.77, 0.999) for y in (0.02, 0.5, 0.98)]
    smooth, cells = answered(
        *(
            {"what": "values", "frame": 5, "places": places, "upsampling": how, **shown.given}
            for how in ("bilinear", "nearest")
        )
    )
    size = (1600, 1200)
    picture = Enlarger(GRID[1:], size, "bilinear")(shown.frames[5])
    expected = [picture[int(y * size[1]), int(x * size[0])] for x, y in places]
    assert smooth == pytest.approx(expected, rel=0.01)
    assert cells == pytest.approx([shown.frames[5][int(y * 6), int(x * 8)] for x, y in places], abs=1e-4)


def test_words_of_two_videos_are_paired_by_name_then_by_place():
    both, others, none = answered(
        {"what": "words", "a": ["dog", "kiss"], "b": ["kiss", "cat"]},
        {"what": "words", "a": ["dog", "car"], "b": ["cat"]},
        {"what": "words", "a": ["dog"], "b": []},
    )
    assert both == [["kiss", "kiss"], ["dog", "cat"]]
    assert others == [["dog", "cat"]]
    assert none == []


def test_pairs_have_one_seed_and_differ_in_the_same_way_and_in_nothing_else():
    def row(seed, *choices, model="m", words=("kiss",)):
        return {"seed": seed, "choices": choices, "model": model, "words": words}

    rows = [
        row(1, "dog", "day"),
        row(1, "cat", "day"),
        row(2, "dog", "day"),
        row(2, "cat", "day"),
        row(1, "dog", "night"),
        row(1, "cat", "night", words=("other",)),
        row(3, "dog", "day"),
        row(3, "cat", "night"),
        row(4, "dog", "day"),
        row(4, "cat", "day", model="other"),
    ]
    asked = {"what": "pairs", "rows": rows, "words": ["kiss", "kiss"]}
    found, seeds, same = answered({**asked, "a": 0, "b": 1}, {**asked, "a": 0, "b": 3}, {**asked, "a": 0, "b": 0})
    assert found == [[0, 1], [2, 3]]
    assert seeds == same == []


def test_the_frame_of_a_time_is_the_last_one_that_has_begun():
    times = [-1, 0, 0.09, 0.1, 0.25, 9]
    assert answered({"what": "frames", "seconds": [0, 0.1, 0.2], "times": times}) == [[0, 0, 0, 1, 2, 2]]
