"""Two videos beside each other, over each other, and what their attention differs by; and stills."""

import io

import numpy as np
import pytest
from PIL import Image

from attnwatch.render.colormap import colormap_rgb
from tests.browser.conftest import opened, served
from tests.browser.pages import add, barriers, measured, open_page, rows, settled, until
from tests.browser.pictures import Rendered
from tests.support import Batch, blob_maps, write_tensors

FRAME = 4


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("compared")
    batch = Batch.make(outputs)
    for prompt, choice in ((1, "sits"), (2, "runs")):
        for take in (1, 2):
            manifest = add(batch, prompt, take, choice=choice, rates=((9, 16),), words=("cat",))
            maps = blob_maps(peak=0.1 * take * prompt)
            write_tensors(
                batch.prompt(prompt) / "attention_maps" / f"vid{take:03d}.safetensors",
                {"cat": maps if prompt == 1 else maps[..., ::-1].copy()},
            )
            measured(manifest, 0.1 * prompt + 0.01 * take)
    return outputs


@pytest.fixture(scope="module")
def compared(browser, outputs):
    """Return a page on which the two videos of the first seed are compared, at a frame in the middle."""
    with served(outputs) as address, opened(browser) as page:
        show(page, address)
        yield page


def show(page, address):
    open_page(page, address)
    batch = page.evaluate("[...attnwatch.library.batches.keys()][0]")
    open_page(page, address, f"batch={batch}")
    until(page, "attnwatch.library.rows.size === 4")
    known = rows(page)
    a, b = (known[f"prompt_00{prompt}_vid001"]["id"] for prompt in (1, 2))
    open_page(page, address, f"batch={batch}&compare={a}&compare={b}")
    until(page, "document.querySelector('.numbers tbody tr') !== null")
    page.evaluate(f"attnwatch.clock.seek({FRAME} / 16)")
    settled(page)


def choose(page, mode):
    page.evaluate(
        "(mode) => [...document.querySelectorAll('.modes button')].find((one) => one.innerText === mode).click()",
        mode,
    )


def attention(outputs):
    """Return the attention of both videos at the frame: `[row, column]` each."""
    paths = [next(outputs.rglob(f"prompt_00{prompt}/video_001.complete.json")) for prompt in (1, 2)]
    return [Rendered(path, (FRAME,)).attention("cat")[FRAME] for path in paths]


def number(text):
    return float(text.replace("−", "-"))


def test_both_videos_share_one_scale_and_tell_the_attention_under_the_pointer(compared, outputs):
    choose(compared, "Side by side")
    first, second = attention(outputs)
    low, high = map(number, compared.locator(".colour-bar .ends span").all_inner_texts())
    frames = [Rendered(path, (0,)).attention("cat") for path in sorted(outputs.rglob("video_001.complete.json"))]
    assert (low, high) == pytest.approx((min(map(np.min, frames)), max(map(np.max, frames))), rel=0.01)
    box = compared.locator(".seen-picture").first.bounding_box()
    compared.mouse.move(box["x"] + box["width"] * 2.5 / 8, box["y"] + box["height"] * 2.5 / 6)
    told = [number(text) for text in compared.locator(".readout strong").all_inner_texts()]
    assert told == pytest.approx([first[2, 2], second[2, 2], first[2, 2] - second[2, 2]], rel=0.1)


def test_the_difference_is_red_where_the_first_video_has_more(compared, outputs):
    choose(compared, "Difference")
    canvas = compared.locator(".difference canvas")
    box = canvas.bounding_box()
    picture = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(int)
    first, second = attention(outputs)
    difference = first - second
    for name, place in (("more", difference.argmax()), ("less", difference.argmin())):
        row, column = np.unravel_index(place, difference.shape)
        y, x = int(box["height"] * (row + 0.5) / 6), int(box["width"] * (column + 0.5) / 8)
        red, _, blue = picture[y, x]
        assert (red > blue + 30) if name == "more" else (blue > red + 30), name
    ends = compared.locator(".colour-bar").last.locator(".ends span").all_inner_texts()
    assert number(ends[0]) == -number(ends[2]) < 0
    assert ends[1] == "0"


def test_the_wipe_shows_one_video_on_each_side_of_the_line(compared):
    choose(compared, "Wipe")
    line = compared.get_by_label("Place of the line between A and B")
    line.focus()
    line.press("Home")
    upper = compared.locator(".side .seen-picture").nth(1)
    assert upper.evaluate("(one) => getComputedStyle(one).clipPath") == "inset(0px 0px 0px 0%)"
    box = upper.bounding_box()
    middle = box["y"] + 40
    compared.mouse.move(box["x"] + box["width"] * 0.5, middle)
    compared.mouse.down()
    compared.mouse.move(box["x"] + box["width"] * 0.75, middle)
    compared.mouse.up()
    assert float(line.input_value()) == pytest.approx(75, abs=1)


def test_numbers_are_those_of_the_pair_and_of_all_pairs_like_it(compared):
    table = compared.locator(".numbers")
    assert compared.locator("#numbers-about").inner_text().startswith("2 pairs of this batch")
    cells = table.locator("tbody tr").first.locator("th, td").all_inner_texts()
    assert cells[0].startswith("Mass")
    first, second, difference = map(number, cells[1:4])
    assert difference == pytest.approx(first - second, rel=0.02)
    assert cells[4] == "−0.2 A higher in 0 of 2"


def test_a_way_to_compare_that_was_chosen_by_keys_keeps_the_focus(compared):
    compared.get_by_role("button", name="Difference").focus()
    compared.keyboard.press("Enter")
    assert compared.evaluate("document.activeElement.innerText") == "Difference"
    assert compared.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


@pytest.mark.parametrize("mode", ["Wipe", pytest.param("Difference", marks=pytest.mark.slow)])
def test_every_way_to_compare_has_no_serious_barrier(compared, mode):
    choose(compared, mode)
    assert barriers(compared) == {}


def test_sentence_and_numbers_fit_on_a_phone(compared):
    before = compared.viewport_size
    compared.set_viewport_size({"width": 390, "height": 844})
    try:
        until(compared, "innerWidth === 390")
        ends = "['#numbers-about', '.numbers'].map((one) => document.querySelector(one).getBoundingClientRect().right)"
        assert max(compared.evaluate(ends)) <= 390
        compared.evaluate("document.querySelector('.numbers').style.width = '800px'")
        sentence, numbers = compared.evaluate(ends)
        assert sentence <= 390 < numbers  # one can scroll to the numbers
    finally:
        compared.evaluate("document.querySelector('.numbers').style.width = ''")
        compared.set_viewport_size(before)


def test_a_still_is_the_frame_with_its_maps_at_the_size_of_the_video(compared):
    found = compared.evaluate(
        """async () => {
            const { still } = await import("/static/maps/index.js");
            const side = document.querySelector(".side video");
            const { painter, store, library } = attnwatch;
            const row = [...library.rows.values()].find((one) => one.video_id === "prompt_001_vid001");
            const detail = await library.detail(row);
            const view = { ...attnwatch.viewOf(row), style: "uniform", alpha: 1 };
            const layer = painter.layer(document.createElement("canvas"));
            layer.show(detail, await store.get(detail, view), view);
            layer.draw(4);
            const about = { video_id: "../a b", frame: 4, words: ["cat", "absent"] };
            const { blob, name } = await still(layer, side, about);
            layer.close();
            return [name, Array.from(new Uint8Array(await blob.arrayBuffer()))];
        }"""
    )
    name, data = found
    assert name == "a-b_cat_frame0005.png"
    picture = np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB"))
    assert picture.shape == (48, 64, 3)
    low = [round(255 * value) for value in colormap_rgb("viridis")[0].tolist()]
    assert np.abs(picture.reshape(-1, 3).astype(int) - low).sum(axis=1).min() < 12  # opaque, where attention is lowest


def test_while_nothing_can_be_painted_the_rendered_overlay_plays_and_the_reason_is_told(compared):
    told = compared.evaluate(
        """async () => {
            const { painter } = attnwatch;
            const row = [...attnwatch.library.rows.values()].find((one) => one.video_id === "prompt_001_vid001");
            const detail = await attnwatch.library.detail(row);
            detail.outputs = [{ n: 0, name: "overlay.mp4", kind: "overlay", word: "cat", bytes: 1 }];
            const side = document.querySelector(".side");
            const [film, told] = [side.querySelector("video"), side.querySelector(".told")];
            const shown = () => [film.getAttribute("src"), told.textContent];
            painter._tell("Nothing can be painted");
            const during = shown();
            painter._tell(null);
            return [...during, ...shown()];
        }"""
    )
    overlay, reason, video, nothing = told
    assert "/outputs/0?version=" in overlay
    assert reason == "Nothing can be painted. Shown instead: the rendered overlay."
    assert "/video?version=" in video
    assert nothing == ""
