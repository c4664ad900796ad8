"""What the browser draws is what the renderer draws, before it is encoded."""

import base64
from typing import get_args

import numpy as np
import pytest

from attnwatch.render.scales import batch_scales
from attnwatch.settings import OverlayStyle, Visualization
from attnwatch.system.roots import Root
from tests.browser.conftest import opened, served
from tests.browser.pictures import Rendered
from tests.support import Batch, blob_maps, write_source_video

COLORMAPS = ("viridis", "magma", "turbo", "hot", "gray")
FRAMES = (0, 4, 8)  # first, middle, last
CELL = 16  # pixels of a cell, as in videos of Wan
GREY = 110
MOST = 1.0
"""Levels of 255 by which a picture may differ on average: the renderer rounds luma, chroma and their mixtures."""
OVERLAYS = get_args(OverlayStyle)
WIDTH, HEIGHT = 8 * CELL, 6 * CELL

_BEGIN = """async () => {
    const { MapStore, Painter } = await import("/static/maps/index.js");
    const json = async (path) => (await fetch(path)).json();
    const query = (part) => new URLSearchParams(Object.entries(part).filter(([, value]) => value !== null));
    const asked = [];
    const source = {
        maps: async (id, word, part) => {
            asked.push(`${word} ${query(part)}`);
            return (await fetch(`/api/videos/${id}/maps/${word}?${query(part)}`)).arrayBuffer();
        },
        scale: (batch, word, part) => json(`/api/batches/${batch}/scales/${word}?${query(part)}`),
    };
    const painter = new Painter(await json("/api/tables"));
    const canvas = document.body.appendChild(document.createElement("canvas"));
    const layer = painter.layer(canvas);
    const batch = (await json("/api/batches")).batches[0].id;
    const details = [];
    for (const { id } of (await json(`/api/batches/${batch}`)).videos) details.push(await json(`/api/videos/${id}`));
    const plain = {
        words: ["kiss"], step: null, layers: null, heads: null, colormap: "viridis", alpha: 0.8, style: "weighted",
        threshold: 0, scale: "video", upsampling: "bilinear", invert: false,
    };
    const store = new MapStore(source);
    const show = async (view, n = 0) => {
        const all = { ...plain, ...view };
        layer.show(details[n], await store.get(details[n], all), all);
    };
    const bytes = (data) => {
        let text = "";
        for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
        return btoa(text);
    };
    const over = async (view, frames, pictures, [height, width]) => {
        await show(view);
        const drawing = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
        return frames.map((frame, n) => {
            const rgba = Uint8ClampedArray.from(atob(pictures[n]), (one) => one.charCodeAt(0));
            drawing.putImageData(new ImageData(rgba, width, height), 0, 0);
            layer.draw(frame);
            layer.paint(drawing, width, height, { over: true });
            return bytes(drawing.getImageData(0, 0, width, height).data);
        });
    };
    globalThis.test = { painter, layer, canvas, details, store, show, over, asked, plain };
    return painter.problem;
}"""


class Drawn:
    """The page about a batch, in which maps are drawn over pictures that the renderer has decoded."""

    def __init__(self, page, url):
        self.page = page
        page.goto(f"{url}api/tables")  # a document without a program of its own
        assert page.evaluate(_BEGIN) is None

    def over(self, view, frames, pictures):
        """Return pictures with maps over them, RGB."""
        opaque = [np.dstack([one, np.full(one.shape[:2], 255, np.uint8)]) for one in pictures]
        given = [base64.b64encode(one.tobytes()).decode() for one in opaque]
        call = "([view, frames, pictures, shape]) => test.over(view, frames, pictures, shape)"
        shape = opaque[0].shape
        found = self.page.evaluate(call, [view, frames, given, shape[:2]])
        return [np.frombuffer(base64.b64decode(one), np.uint8).reshape(shape)[..., :3] for one in found]

    def difference(self, rendered, view, settings, scale=None):
        """Return the mean difference in levels of the browser's pictures from the renderer's, of the worst one."""
        view = {"words": ["kiss"], **view}
        drawn = self.over(view, rendered.frames, rendered.sources)
        expected = rendered.overlays(view["words"], Visualization(**settings), scale)
        return max(np.abs(one.astype(int) - other).mean() for one, other in zip(drawn, expected, strict=True))


def lines(picture, least):
    """Return where lines are in a picture over grey, their outlines included: `[row, column]`; `least`: contrast."""
    return np.abs(picture.astype(int) - GREY).max(axis=2) > least


def grown(mask):
    """Return the pixels of a mask, and those beside them."""
    padded = np.pad(mask, 1)
    shifts = [(down, right) for down in range(3) for right in range(3)]
    rows, columns = mask.shape
    return np.any([padded[down : down + rows, right : right + columns] for down, right in shifts], axis=0)


def hottest(levels, cell):
    """Return where the middle of the hottest tenth of a picture's cells is, in cells."""
    rows, columns = np.nonzero(levels >= levels.max())
    return np.array([rows.mean() + 0.5, columns.mean() + 0.5]) / cell


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    batch = Batch.make(tmp_path_factory.mktemp("maps") / "outputs")
    other = blob_maps(steps=3)[..., ::-1, ::-1].copy()
    batch.add(1, tensors={"kiss": blob_maps(steps=3), "dog": other})
    batch.add(2, tensors={"kiss": blob_maps(steps=3, peak=0.8)})
    write_source_video(batch.prompt() / "video_001.mp4", width=WIDTH, height=HEIGHT)
    return batch


@pytest.fixture(scope="module")
def rendered(batch):
    return Rendered(batch.prompt() / "video_001.complete.json", FRAMES)


@pytest.fixture(scope="module")
def drawn(browser, batch):
    with served(batch.folder.parent) as url, opened(browser) as page:
        yield Drawn(page, url)


SCALES = [
    ("video", {}),
    ("frame", {"normalization": "frame"}),
    ("batch", {}),
    ({"low": 0.05, "high": 0.3}, {"vmin": 0.05, "vmax": 0.3}),
]


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_maps_over_the_video_are_those_of_the_renderer(drawn, rendered, batch, colormap):
    paths = sorted(batch.prompt().glob("*.complete.json"))
    of_batch = batch_scales(paths, Visualization(), Root(batch.folder))["kiss"]
    for scale, settings in SCALES:
        view = {"colormap": colormap, "scale": scale}
        ends = of_batch if scale == "batch" else None
        assert drawn.difference(rendered, view, {"colormap": colormap, **settings}, ends) < MOST, scale


CONTROLS = [
    ({"style": "uniform", "alpha": 0.5}, {"overlay": "uniform", "overlay_alpha": 0.5}),
    ({"style": "spotlight", "alpha": 0.6}, {"overlay": "spotlight", "overlay_alpha": 0.6}),
    ({"style": "spotlight", "invert": True}, {"overlay": "spotlight", "invert": True}),
    ({"style": "contour", "colormap": "hot"}, {"overlay": "contour", "colormap": "hot"}),
    (
        {"style": "contour", "scale": "frame", "invert": True},
        {"overlay": "contour", "normalization": "frame", "invert": True},
    ),
    ({"threshold": 0.4}, {"threshold": 0.4}),
    ({"invert": True}, {"invert": True}),
    ({"clip": [5, 90]}, {"clip": (5, 90)}),
    ({"clip": [5, 90], "scale": "frame"}, {"clip": (5, 90), "normalization": "frame"}),
    ({"step": 2}, {"steps": 2}),
    ({"scale": {"low": None, "high": 0.2}}, {"vmax": 0.2}),
    ({"scale": {"low": 2, "high": None}}, {"vmin": 2}),
    ({"upsampling": "nearest", "alpha": 1}, {"upsampling": "nearest", "overlay_alpha": 1}),
    ({"words": ["kiss", "dog"]}, {}),
    ({"words": ["kiss", "dog"], "invert": True, "alpha": 0.6}, {"invert": True, "overlay_alpha": 0.6}),
]


@pytest.mark.parametrize(("view", "settings"), CONTROLS)
def test_every_control_does_what_the_setting_of_the_renderer_does(drawn, rendered, view, settings):
    assert drawn.difference(rendered, view, settings) < MOST


@pytest.mark.slow
@pytest.mark.parametrize("colormap", COLORMAPS)
def test_large_pictures_are_those_of_the_renderer(browser, tmp_path, colormap):
    batch = Batch.make(tmp_path / "outputs")
    rows, columns = np.mgrid[:30, :52]
    noise = np.random.default_rng(5).gamma(0.6, 1, (3, 30, 52))
    blobs = np.stack([np.exp(-((rows - 9 - 5 * n) ** 2 + (columns - 12 - 12 * n) ** 2) / 60) for n in range(3)])
    maps = (blobs + 0.04 * noise).astype(np.float32)[None, None, None]
    path = batch.add(1, tensors={"kiss": maps, "dog": maps[..., ::-1].copy()})
    write_source_video(path.with_name("video_001.mp4"), width=832, height=480)
    rendered = Rendered(path, FRAMES)
    with served(batch.folder.parent) as url, opened(browser) as page:
        drawn = Drawn(page, url)
        for scale, settings in SCALES:
            for style in OVERLAYS:
                # Contours of cells as stored run along whole sides of cells, and rounding decides about whole sides.
                for upsampling in ("bilinear",) if style == "contour" else ("bilinear", "nearest"):
                    view = {"colormap": colormap, "scale": scale, "style": style, "upsampling": upsampling}
                    given = {"colormap": colormap, "overlay": style, "upsampling": upsampling, **settings}
                    found = drawn.difference(rendered, view, given)
                    assert found < MOST, view
        assert drawn.difference(rendered, {"words": ["kiss", "dog"]}, {}) < MOST


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
def test_contours_are_where_the_renderer_has_them(drawn, rendered, upsampling):
    """To a pixel: lines are that wide where they fade, so that one beside another is the rounding of the map."""
    settings = Visualization(overlay="contour", upsampling=upsampling, overlay_alpha=1)
    view = {"words": ["kiss"], "style": "contour", "upsampling": upsampling, "alpha": 1}
    shown = drawn.over(view, FRAMES, [np.full_like(picture, GREY) for picture in rendered.sources])
    for picture, expected in zip(shown, rendered.over_grey("kiss", settings, GREY), strict=True):
        assert lines(expected, 40).any()
        assert not (lines(picture, 40) & ~grown(lines(expected, 10))).any()
        assert not (lines(expected, 40) & ~grown(lines(picture, 10))).any()


def test_the_hottest_pixel_is_where_the_renderer_has_it(drawn, rendered):
    settings = Visualization(colormap="gray")
    black = [np.zeros_like(picture) for picture in rendered.sources]
    view = {"words": ["kiss"], "colormap": "gray", "style": "uniform", "alpha": 1}
    shown = drawn.over(view, FRAMES, black)
    for picture, levels in zip(shown, rendered.levels("kiss", settings), strict=True):
        assert np.abs(hottest(picture[..., 0].astype(int), CELL) - hottest(levels, CELL)).max() <= 0.5
        assert np.abs(picture[..., 0].astype(int) - levels).max() <= 1


def test_the_step_slider_loads_all_steps_once_and_draws_each_in_time(drawn):
    asked, times = drawn.page.evaluate(
        """async () => {
            const { asked, layer, show, details } = test;
            details[0].version += "again";  // nothing is kept of this video
            asked.length = 0;
            const times = [];
            for (let n = 0; n < 50; n += 1) {
                const begin = performance.now();
                await show({ step: n % 3 });
                layer.draw(n % 9);
                times.push(performance.now() - begin);
            }
            return [asked, times.slice(1)];
        }"""
    )
    assert asked == ["kiss steps=each"]
    assert np.median(times) < 16, times


def test_the_value_under_the_pointer_is_attention(drawn, rendered):
    found = drawn.page.evaluate(
        """async () => {
            await test.show({ upsampling: "nearest", scale: { low: 0.1, high: 0.2 }, threshold: 0.5, invert: true });
            test.layer.draw(8);
            return [test.layer.valueAt(3.5 / 8, 2.5 / 6)[0].value, test.layer.valueAt(1.5, -1)[0].value];
        }"""
    )
    frames = rendered.attention("kiss")
    assert found == pytest.approx([frames[8][2, 3], frames[8][0, 7]], abs=1e-4)


def test_lost_graphics_are_told_and_come_back(drawn):
    told = drawn.page.evaluate(
        """async () => {
            const { painter, layer, show, canvas } = test;
            const pixels = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            const sum = () => pixels().reduce((total, one) => total + one, 0);
            const changed = () => new Promise((resolve) => painter.addEventListener("change", resolve, { once: true }));
            await show({});
            layer.draw(0);
            const before = sum();
            const loss = painter._gl.getExtension("WEBGL_lose_context");
            let change = changed();
            loss.loseContext();
            await change;
            const problem = painter.problem;
            layer.draw(0);
            const during = sum();
            change = changed();
            await new Promise((resolve) => setTimeout(resolve));  // after the event, from which it cannot be restored
            loss.restoreContext();
            await change;
            return [before, problem, during, painter.problem, sum()];
        }"""
    )
    before, problem, during, after, again = told
    assert "graphics driver" in problem
    assert during == 0 < before
    assert again == pytest.approx(before, rel=1e-3)  # canvases that are read often are drawn by other code
    assert after is None


def test_without_webgl_the_page_says_so_and_names_the_rendered_overlay(drawn):
    found = drawn.page.evaluate(
        """async () => {
            const { Painter, instead } = await import("/static/maps/index.js");
            const { plain, painter } = test;
            const own = HTMLCanvasElement.prototype.getContext;
            HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
                return kind === "webgl2" ? null : own.call(this, kind, ...more);
            };
            const without = new Painter(painter._tables);
            HTMLCanvasElement.prototype.getContext = own;
            const source = { outputUrl: (id, n) => `files/${id}/outputs/${n}` };
            const outputs = ["attention", "overlay"].map((kind, n) => ({ n, kind, word: "kiss", bytes: 7 }));
            const detail = { id: "a", version: "first", attempts: [], outputs };
            const again = { ...detail, attempts: [{ at: "2026-01-02T03:04:05+00:00", error: null }] };
            const layer = without.layer(document.createElement("canvas"));
            layer.show({ ...test.details[0] }, await test.store.get(test.details[0], plain), plain);
            const several = { ...plain, words: ["a", "b"] };
            return [
                instead(without, source, detail, plain),
                instead(without, source, again, plain),
                instead(without, source, detail, several),
                instead(painter, source, detail, plain),
            ];
        }"""
    )
    one, again, several, with_webgl = found
    assert "no WebGL 2" in one["text"]
    assert one["url"].startswith("files/a/outputs/1?version=first")
    assert again["url"] != one["url"]  # browsers play what they hold of an address
    assert (several["url"], with_webgl) == (None, None)
