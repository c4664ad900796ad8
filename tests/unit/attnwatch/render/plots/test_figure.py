"""What a figure shows: the right maps in the right places, over the right frames, in the right colours."""

import json

import matplotlib as mpl
import numpy as np
import pytest

from attnwatch.contract.manifest import read_manifest
from attnwatch.errors import ConfigError
from attnwatch.render.plots.asked import Asked
from attnwatch.render.plots.figure import figure
from attnwatch.settings import Visualization
from attnwatch.tensors.reader import AttentionReader
from tests import support
from tests.support import FRAMES, GRID, HEIGHT, WIDTH, Batch, blob_maps, brightest
from tests.unit.attnwatch.render.reference import bilinear, coloured, psnr

STEPS, LAYERS, HEADS = 2, 3, 4
PLAIN = {"colormap": "viridis", "upsampling": "nearest"}


def values(step, layer, head):
    """Attention that is the same everywhere in a map, and different in each."""
    return 0.001 * (1 + head + HEADS * layer + HEADS * LAYERS * step)


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A video, and maps with known values of each step, layer and head; those of another word are means."""
    batch = Batch.make(tmp_path_factory.mktemp("known") / "outputs")
    maps = np.zeros((STEPS, LAYERS, HEADS, *GRID), np.float32)
    for step, layer, head in np.ndindex(maps.shape[:3]):
        maps[step, layer, head] = values(step, layer, head)
    path = batch.add_full()
    tensors = {"kiss": maps, "men": blob_maps(steps=2), "late.aggregated": np.zeros(GRID, np.float32)}
    name = "attention_maps/vid001.safetensors"
    support.write_tensors(path.parent / name, tensors)
    fields = support.full_fields(1, 1, ("kiss",), {"video_001.mp4": {}, name: {}})
    tokens = [{"slug": slug, "text": slug} for slug in ("kiss", "men", "late")]
    return support.write_manifest(path, **{**fields, "files": {}, "tokens": tokens})


def drawn(path, *words, at=None, settings=None, **asked):
    manifest = read_manifest(path)
    with AttentionReader(manifest) as reader:
        chosen = [reader.words[word] for word in words]
        return figure(manifest, Visualization(**{**PLAIN, **(settings or {})}), chosen, at, Asked.of(**asked))


def pictures(plot):
    """Return the pictures, from the upper left to the lower right: where they are, and their colours."""
    found = []
    for image in plot.axes[0].images:
        left, right, bottom, top = image.get_extent()
        found.append(((top, left, bottom, right), np.asarray(image.get_array())))
    return sorted(found, key=lambda one: one[0])


def texts(plot):
    return [text.get_text() for text in plot.texts]


def saved(plot, tmp_path):
    """Return the pixels of a PNG file of 300 dpi, and the pictures in them."""
    pixels = (255 * mpl.image.imread(plot.save(tmp_path / "figure.png"))[..., :3]).round()
    boxes = [tuple(map(int, box)) for box, _ in pictures(plot)]
    return pixels, [pixels[top:bottom, left:right] for top, left, bottom, right in boxes]


def attention_in(picture, low, high):
    """Return the attention that a picture in viridis shows in its middle."""
    colour = picture[picture.shape[0] // 2, picture.shape[1] // 2].astype(float)
    table = coloured(np.linspace(0, 1, 256), "viridis")
    return low + (high - low) * np.abs(table - colour).sum(axis=1).argmin() / 255


# Words over the video


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """A video in one grey."""
    path = Batch.make(tmp_path_factory.mktemp("grey") / "outputs").add()
    support.write_source_video(path.with_name("video_001.mp4"), colour=(90, 90, 90))
    return path


def test_a_word_is_over_the_frame_of_the_moment_beside_the_frame_itself(grey, tmp_path):
    plot = drawn(grey, "kiss", at="1f", settings={"upsampling": "bilinear"}, size=4)
    (_, frame), (_, overlaid) = pictures(plot)
    assert np.abs(frame.astype(float) - 90).max() < 4
    maps = blob_maps()[0, 0, 0]
    shares = (bilinear(maps[0].astype(float), HEIGHT, WIDTH) - maps.min()) / (maps.max() - maps.min())
    weights = (0.8 * shares)[..., None]  # `overlay_alpha` of the colour where attention is highest
    expected = (1 - weights) * 90 + weights * coloured(shares, "viridis")
    assert psnr(overlaid, expected) > 33
    _, (_, printed) = saved(plot, tmp_path)
    rows, columns = (
        ((np.arange(count) + 0.5) * size / count).astype(int)
        for count, size in zip((HEIGHT, WIDTH), printed.shape[:2], strict=True)
    )
    assert psnr(printed[rows][:, columns], expected) > 33


@pytest.mark.parametrize("style", ["weighted", "uniform", "spotlight"])
def test_each_overlay_is_brightest_where_attention_is_highest_at_every_moment(grey, style):
    settings = {"overlay": style, "colormap": "gray", "upsampling": "bilinear"}
    overlays = pictures(drawn(grey, "kiss", grid="frames", moments=2, settings=settings))[2:]
    for (_, picture), maps in zip(overlays, blob_maps()[0, 0, 0, [0, 2]], strict=True):
        row, column = brightest(picture[..., 1].astype(float))
        expected = brightest(bilinear(maps.astype(float), HEIGHT, WIDTH))
        assert np.hypot(row - expected[0], column - expected[1]) < WIDTH / GRID[2]


def test_lines_over_a_small_video_are_as_fine_as_over_a_large_one(grey):
    (_, frame), (_, lined) = pictures(drawn(grey, "kiss", at="1f", settings={"overlay": "contour"}))
    assert frame.shape == lined.shape == (10 * HEIGHT, 10 * WIDTH, 3)
    assert 0.001 < (np.abs(lined.astype(float) - 90) > 30).mean() < 0.02


def test_the_bar_of_an_overlay_shows_its_colours_as_they_are_over_white_paper(grey):
    for style, lowest, highest in (("weighted", 255, 0.2 * 255), ("uniform", 0.2 * 255 + 0.8 * 255, 0.2 * 255)):
        settings = {"overlay": style, "colormap": "gray_r"}
        ramp = np.asarray(drawn(grey, "kiss", settings=settings).axes[1].images[0].get_array())
        assert ramp[0].mean() == pytest.approx(lowest, abs=4), style
        assert ramp[-1].mean() == pytest.approx(highest, abs=4), style
    lines = np.asarray(drawn(grey, "kiss", settings={"overlay": "contour"}).axes[1].images[0].get_array())
    dark = np.flatnonzero(lines[..., 1].mean(axis=1) < 200)
    assert {round(4 * row / len(lines)) for row in dark} == {1, 2, 3}


def test_a_grid_of_frames_has_a_row_for_the_video_and_one_for_each_word(known):
    plot = drawn(known, "kiss", "men", grid="frames", moments=3)
    boxes = [box for box, _ in pictures(plot)]
    assert len({top for top, *_ in boxes}) == 3
    assert len({left for _, left, *_ in boxes}) == 3
    found = texts(plot)
    assert [text for text in found if text in ("video", "“kiss”", "“men”")] == ["video", "“kiss”", "“men”"]
    assert [text for text in found if text.endswith(" s")] == ["0.00 s", "0.25 s", "0.50 s"]


def test_words_share_a_scale_unless_each_has_its_own(known):
    shared, each = (drawn(known, "kiss", "men", scale=scale) for scale in ("shared", "each"))
    assert (len(shared.axes), len(each.axes)) == (2, 3)  # the canvas, and the colour bars
    _, highest = shared.axes[1].get_ylim()
    assert highest == pytest.approx(blob_maps(steps=2).mean(axis=0).max(), rel=1e-3)
    kiss, men = (axes.get_xlim() for axes in each.axes[1:])
    mean = np.mean([values(*place) for place in np.ndindex(STEPS, LAYERS, HEADS)])
    assert kiss[0] == pytest.approx(mean)
    assert men == shared.axes[1].get_ylim()


def test_the_scale_is_that_of_the_video_so_that_moments_can_be_compared(known):
    ends = [drawn(known, "men", at=at).axes[1].get_ylim() for at in ("1f", "9f")]
    assert ends[0] == ends[1]
    own = [drawn(known, "men", at=at, settings={"normalization": "frame"}).axes[1].get_ylim() for at in ("1f", "5f")]
    assert own[0] != own[1]
    set_ends = drawn(known, "men", settings={"vmin": 0, "vmax": 2}).axes[1].get_ylim()
    assert set_ends == (0, 2)


def test_the_colour_bar_has_the_unit_of_attention(known):
    assert any("attention" in text and "probability" in text for text in texts(drawn(known, "kiss")))


def test_the_mean_over_time_is_over_the_middle_frame(known, grey):
    settings = {"overlay": "uniform", "overlay_alpha": 1, "upsampling": "bilinear"}
    _, (_, overlaid) = pictures(drawn(grey, "kiss", at="mean", settings=settings))
    mean = blob_maps()[0, 0, 0].astype(float).mean(axis=0)
    shares = (bilinear(mean, HEIGHT, WIDTH) - mean.min()) / (mean.max() - mean.min())
    assert psnr(overlaid, coloured(shares, "viridis")) > 30
    plot = drawn(known, "men", at="mean")
    assert any(text.startswith("mean over time · over the frame at 0.25 s") for text in texts(plot))


def test_a_missing_video_leaves_the_maps_alone_and_a_note(tmp_path):
    path = Batch.make(tmp_path / "outputs").add(source=False)
    plot = drawn(path, "kiss", at="1f")
    ((_, picture),) = pictures(plot)
    assert brightest(picture[..., 1].astype(float))[1] < picture.shape[1] / 2
    assert plot.notes == ("no overlay: the video video_001.mp4 is absent",)
    assert "video" not in texts(plot)


def test_the_title_is_the_prompt_and_says_what_is_averaged(known):
    assert texts(drawn(known, "kiss", at="2f"))[:2] == ["a kiss", "0.06 s · mean over the denoising steps"]
    some = drawn(known, "kiss", settings={"steps": -1, "layers": (0, 2), "heads": "1-3"})
    assert texts(some)[1] == "0.25 s · step 1, σ = 0.99 · mean over the layers 0, 2 · mean over the heads 1–3"


def test_of_a_single_map_that_may_be_a_mean_or_a_step_nothing_is_claimed(tmp_path):
    path = Batch.make(tmp_path / "outputs").add(source=False, tensors={"kiss": blob_maps(steps=1)})
    assert texts(drawn(path, "kiss", at="1f"))[1] == "0.00 s"


# Grids of maps


def test_each_layer_and_head_is_in_its_row_and_column(known, tmp_path):
    plot = drawn(known, "kiss", grid="layers", settings={"steps": 1}, size=4, title=False)
    pixels, cells = saved(plot, tmp_path)
    low, high = plot.axes[1].get_ylim()
    assert (low, high) == pytest.approx((values(1, 0, 0), values(1, 2, 3)))
    found = [attention_in(cell, low, high) for cell in cells]
    expected = [values(1, layer, head) for layer, head in np.ndindex(LAYERS, HEADS)]
    np.testing.assert_allclose(found, expected, atol=(high - low) / 100)
    assert [text for text in texts(plot) if text.isdigit()][:7] == ["0", "1", "2", "3", "0", "1", "2"]
    assert {"layer", "head"} <= set(texts(plot))
    assert (pixels[0] == 255).all()


def test_a_grid_of_heads_has_heads_as_rows(known):
    plot = drawn(known, "kiss", grid="heads", settings={"steps": 0})
    found = [attention_in(cell, *plot.axes[1].get_ylim()) for _, cell in pictures(plot)]
    expected = [values(0, layer, head) for head, layer in np.ndindex(HEADS, LAYERS)]
    np.testing.assert_allclose(found, expected, atol=0.0002)


@pytest.mark.parametrize(
    ("grid", "settings", "averaged", "expected"),
    [
        ("layers", {"heads": 2}, (), [values(0, layer, 2) for layer in range(LAYERS)]),
        ("layers", {}, ("heads",), [values(0, layer, 1.5) for layer in range(LAYERS)]),
        ("heads", {"layers": 1}, (), [values(0, 1, head) for head in range(HEADS)]),
        ("heads", {"layers": (0, 2), "heads": "1-3"}, ("layers",), [values(0, 1, head) for head in (1, 2, 3)]),
    ],
)
def test_one_axis_alone_follows_the_frame_in_lines_with_its_numbers(known, grid, settings, averaged, expected):
    plot = drawn(known, "kiss", grid=grid, settings={"steps": 0, **settings}, averaged=averaged)
    found = [attention_in(cell, *plot.axes[1].get_ylim()) for _, cell in pictures(plot)[1:]]
    np.testing.assert_allclose(found, expected, atol=0.0002)
    labels = [text for text in texts(plot) if text.startswith(("video", f"{grid[:-1]} "))]
    first = 1 if settings.get("heads") == "1-3" else 0
    assert labels == ["video", *(f"{grid[:-1]} {number}" for number in range(first, first + len(expected)))]


def test_a_scale_for_each_map_shows_each_from_its_lowest_to_its_highest(known):
    plot = drawn(known, "men", grid="steps", scale="each", moments=2)
    assert len(plot.axes) == 1 + 2
    relative = drawn(known, "kiss", grid="layers", scale="each")
    assert {"lowest", "highest"} <= set(texts(relative))
    assert len(relative.axes) == 1 + 1


def test_steps_are_rows_and_moments_are_columns(known):
    plot = drawn(known, "kiss", grid="steps", moments=3, at=None)
    low, high = plot.axes[1].get_ylim()
    found = [attention_in(cell, low, high) for _, cell in pictures(plot)[3:]]
    means = [np.mean([values(step, layer, head) for layer, head in np.ndindex(LAYERS, HEADS)]) for step in (0, 1)]
    np.testing.assert_allclose(found, np.repeat(means, 3), atol=(high - low) / 100)
    found = texts(plot)
    assert found[found.index("step 0") : found.index("step 0") + 4] == ["step 0", "σ = 0.99", "step 1", "σ = 0.99"]


def test_of_many_steps_some_at_equal_distances_are_shown_unless_they_are_listed(tmp_path):
    path = Batch.make(tmp_path / "outputs").add(tensors={"kiss": blob_maps(steps=30)}, source=False)
    named = [text for text in texts(drawn(path, "kiss", grid="steps", moments=1)) if text.startswith("step ")]
    assert named == [f"step {step}" for step in (0, 4, 8, 12, 17, 21, 25, 29)]
    some = drawn(path, "kiss", grid="steps", moments=1, settings={"steps": tuple(range(10))})
    assert len([text for text in texts(some) if text.startswith("step ")]) == 10


def test_hundreds_of_maps_are_one_picture(tmp_path):
    maps = np.arange(30 * 12, dtype=np.float32).reshape(1, 30, 12, 1, 1, 1) * np.ones(GRID, np.float32)
    path = Batch.make(tmp_path / "outputs").add(tensors={"kiss": maps}, source=False)
    plot = drawn(path, "kiss", grid="layers", dpi=100)
    ((_, mosaic),) = pictures(plot)
    assert attention_in(mosaic[-10:, -15:], 0, 359) == pytest.approx(359, abs=2)
    assert attention_in(mosaic[:10, :15], 0, 359) == pytest.approx(0, abs=2)


# What is refused


@pytest.mark.parametrize(
    ("word", "asked", "message"),
    [
        ("men", {"grid": "layers"}, r"^grid: found layers, but men has one map for all layers.*--store-per-block"),
        ("men", {"grid": "heads"}, r"^grid: found heads, but men has one map for all heads.*--store-per-head"),
        ("late", {"grid": "steps"}, r"^grid: found steps, but late has one map for all steps.*--store-attention"),
        ("kiss", {"grid": "layers", "averaged": ("layers",)}, "^layer: found mean in a grid of layers; expected some"),
        ("kiss", {"grid": "layers", "at": [0.1, 0.2]}, "^at: found 2 moments; expected one, except in grids of"),
        ("kiss", {"at": [0.1, 0.2]}, "^at: found 2 moments; expected one"),
        ("kiss", {"moments": 3}, "^moments: found 3 without a grid of frames or steps"),
        ("kiss", {"moments": 3, "at": "1f", "grid": "frames"}, "^moments: found 3 beside at"),
        ("kiss", {"at": "9s"}, "^at: found 9 s; expected 0 to 0.56 s, the length of the video"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_what_to_do(known, word, asked, message):
    with pytest.raises(ConfigError, match=message):
        drawn(known, word, **asked)


def test_a_grid_of_maps_is_about_one_word(known):
    with pytest.raises(ConfigError, match=r"^grid: found steps of 2 words \(kiss, men\); expected one word"):
        drawn(known, "kiss", "men", grid="steps")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "^size: found 0; expected a number from 1 to 30"),
        ({"dpi": 3000}, "^dpi: found 3000; expected a whole number from 30 to 2400"),
        ({"dpi": 2400, "size": 30}, "^dpi: found 2400 at a size of 30 inches.*; choose fewer pixels per inch"),
        ({"grid": "words"}, "^grid: found 'words'; expected one of frames, steps, layers, heads"),
        ({"scale": "own"}, "^scale: found 'own'; expected one of shared, each"),
        ({"moments": 0}, "^moments: found 0; expected a whole number from 1 to 50"),
    ],
)
def test_an_invalid_request_is_refused_under_its_name(values, message):
    with pytest.raises(ConfigError, match=message):
        Asked.of(**values)


def test_a_video_with_fewer_frames_than_its_file_promises_is_cut_where_it_ends(tmp_path):
    path = Batch.make(tmp_path / "outputs").add()
    with pytest.raises(ConfigError, match=f"expected 1 to {FRAMES}, "):
        drawn(path, "kiss", at=f"{FRAMES + 1}f")


def path_in(plot, picture):
    """Return the places of the coloured line over a picture, as shares of its width and height, and its colours."""
    top, left, bottom, right = pictures(plot)[picture][0]
    lines = [one for one in plot.axes[0].collections if len(one.get_colors()) > 1]
    pieces = np.array(lines[picture].get_segments())
    places = np.concatenate([pieces[:, 0], pieces[-1:, 1]])
    return (places - (left, top)) / (right - left, bottom - top), lines[picture].get_colors()[:, :3]


def test_a_path_follows_the_centre_of_attention_in_the_colours_of_time(tmp_path):
    batch = Batch.make(tmp_path / "outputs")
    path = batch.add_full(words=("kiss", "dog"))
    frames, height, width = GRID
    moving = np.zeros((1, 1, 1, *GRID), np.float32)
    for frame in range(frames):  # one hot cell, which goes to the right, and down at the end
        moving[..., frame, frame // (frames - 1), frame] = 0.5
    nowhere = np.zeros_like(moving)
    support.write_tensors(path.parent / "attention_maps/vid001.safetensors", {"kiss": moving, "dog": nowhere})
    support.write_manifest(path, **{**json.loads(path.read_text()), "files": {}})
    plot = drawn(path, "kiss", "dog", grid="paths")
    places, colours = path_in(plot, 0)
    assert places[0] == pytest.approx([0.5 / width, 0.5 / height], abs=1e-6)
    assert places[-1] == pytest.approx([(frames - 0.5) / width, 1.5 / height], abs=1e-6)
    assert (np.diff(places[:, 0]) > 0).all()
    table = mpl.colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]
    levels = [int(np.abs(table - colour).sum(axis=1).argmin()) for colour in colours]
    assert levels == sorted(levels)
    assert levels[-1] - levels[0] > 150
    assert len([one for one in plot.axes[0].collections if len(one.get_colors()) > 1]) == 1  # none without attention
    assert "centre of attention" in " ".join(texts(plot))
