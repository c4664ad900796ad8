"""The page in a real browser: what people see, hear and press."""

import contextlib

import av
import numpy as np
import pytest

from tests.browser.conftest import opened, served
from tests.browser.pages import barriers, by_name, mixed, open_page, rows, settled, until
from tests.support import decode

SAMPLES = """async ([count, pause]) => {
  const { clock } = attnwatch;
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const found = { farthest: 0, samples: 0, fewest: Infinity, seeks: [] };
  clock.play();
  for (let n = 0; found.samples < count; n += 1) {
    if (n % 10 === 5) {
      const start = performance.now();
      clock.seek(clock.length * ((n * 0.37) % 1));
      while (clock.gathering) await sleep(4);
      found.seeks.push(performance.now() - start);
    }
    await sleep(pause * (1 + (n % 3)));
    if (clock.gathering) continue;
    const distances = clock.distances();
    if (distances.length === 0) continue;
    found.samples += 1;
    found.fewest = Math.min(found.fewest, distances.length);
    found.farthest = Math.max(found.farthest, ...distances);
  }
  clock.pause();
  return found;
}"""
"""Play, seek now and then, and look how far visible videos are from the clock."""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    mixed(outputs)
    return outputs


@pytest.fixture(scope="module")
def address(outputs):
    with served(outputs) as address:
        yield address


@pytest.fixture(scope="module")
def shared(browser):
    """A page that all tests of this module open again; nothing may be asked of another host, nothing may fail."""
    with opened(browser) as page:
        problems = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        yield page
        assert problems == []
        assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "about:", "blob:"))] == []


@pytest.fixture
def grid(shared, address):
    """The grid of the batch, with all cells in place."""
    open_page(shared, address)
    batch = shared.evaluate("[...attnwatch.library.batches.keys()][0]")
    open_page(shared, address, f"batch={batch}")
    settled(shared)
    return shared


def cell(page, video):
    return page.locator(f'.tile[data-id="{rows(page)[video]["id"]}"]')


def test_batches_are_listed_with_their_progress_in_words_and_lead_to_their_videos(shared, address):
    open_page(shared, address)
    card = shared.locator(".batch")
    assert "8 videos: 4 rendered, 2 waiting, 1 failed, 1 planned" in card.inner_text()
    assert "a (cat) and a (dog) [sits|runs]" in card.inner_text()
    card.locator("a").click()
    until(shared, "document.body.dataset.view === 'grid'")
    assert shared.locator(".tile").count() == 8


def test_cells_tell_their_state_in_words_with_the_reason(grid):
    failure = cell(grid, "prompt_001_vid004")
    assert "failed" in failure.inner_text()
    assert "CUDA out of memory" in failure.inner_text()
    assert "planned" in cell(grid, "prompt_002_vid004").inner_text()
    assert "waiting" in cell(grid, "prompt_002_vid003").inner_text()
    assert "being" not in (label := cell(grid, "prompt_001_vid001").locator("a").get_attribute("aria-label"))
    assert label == "a cat and a dog sits, seed 42: rendered"


def test_names_that_look_like_markup_are_shown_as_text(grid):
    label = cell(grid, "prompt_002_vid003").locator("a").get_attribute("aria-label")
    assert "<script>alert(1)</script>" in label
    assert grid.evaluate("document.querySelectorAll('main script').length") == 0


def test_visible_videos_of_different_length_and_rate_stay_within_one_frame_of_the_clock(grid):
    found = grid.evaluate(SAMPLES, [40, 15])
    assert found["farthest"] <= 1
    assert found["fewest"] >= 1


def test_keys_step_by_frames_and_the_picture_is_exactly_that_frame(grid, outputs):
    grid.evaluate(f"attnwatch.openVideo({by_name('prompt_001_vid002')}.id)")
    until(grid, "attnwatch.view?.video && attnwatch.clock.length > 0")
    settled(grid)
    frames = decode(next(outputs.glob("*/videos/prompt_001/video_002.mp4")))
    seen = []
    for key, frame in ((".", 1), ("ArrowRight", 2), ("End", 12), (",", 11), ("ArrowLeft", 10), ("Shift+ArrowLeft", 0)):
        grid.keyboard.press(key)
        settled(grid)
        assert grid.evaluate("attnwatch.clock.frameNumber") == frame, key
        seen.append((frame, grid.evaluate(_BRIGHTNESS)))
    expected = [frames[frame].to_ndarray(format="rgb24").mean() for frame, _ in seen]
    assert (
        np.abs(np.array([value for _, value in seen]) - expected).max() < 2
    )  # a frame is 4.6 brighter than the one before


_BRIGHTNESS = """() => {
  const { video } = attnwatch.view;
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, n) => (n % 4 === 3 ? sum : sum + value), 0) / (canvas.width * canvas.height * 3);
}"""


def test_a_grid_at_rest_is_left_alone(grid):
    laid = grid.evaluate("""async () => {
      const { session } = attnwatch;
      let told = 0;
      const stop = session.listen(() => (told += 1));
      attnwatch.view.layout();
      for (let n = 0; n < 5; n += 1) await new Promise(requestAnimationFrame);
      stop();
      return told;
    }""")
    assert laid == 0


def test_a_link_shows_the_same_thing_again(grid, address):
    grid.evaluate(
        "attnwatch.session.change({ rows: 'seed', columns: 'slot0', find: 'runs', words: ['dog'], loop: false })"
    )
    grid.evaluate("attnwatch.session.changeView({ colormap: 'magma', alpha: 0.5, scale: { low: 0, high: 0.25 } })")
    grid.evaluate("attnwatch.clock.step(3)")
    before = grid.evaluate("JSON.stringify(attnwatch.session.state)")
    link = grid.evaluate("attnwatch.session.link").partition("#")[2]
    open_page(grid, address, link)
    settled(grid)
    assert grid.evaluate("JSON.stringify(attnwatch.session.state)") == before
    assert grid.evaluate("attnwatch.view.order.length") == 4
    assert grid.evaluate("attnwatch.clock.frameNumber") == 3
    assert grid.locator("#panel .field select").filter(has_text="magma").input_value() == "magma"


def test_videos_are_found_by_text_and_choice_and_sorted_by_a_measure(grid):
    grid.keyboard.press("/")
    grid.keyboard.type("memory")
    until(grid, "document.querySelectorAll('.tile').length === 1")
    assert "1 of 8" in grid.locator(".count").inner_text()
    grid.keyboard.press("Control+a")
    grid.keyboard.press("Delete")
    grid.keyboard.press("Escape")
    grid.get_by_role("group", name="Choice 1").get_by_role("button", name="runs").click()
    until(grid, "document.querySelectorAll('.tile').length === 4")
    grid.get_by_label("Sort by").select_option("mass")
    until(grid, "attnwatch.view.arrangement.table === false")
    names = grid.evaluate("attnwatch.view.order.map((id) => attnwatch.library.rows.get(id).video_id)")
    assert names[:2] == ["prompt_002_vid002", "prompt_002_vid001"]
    assert "0.016" in cell(grid, "prompt_002_vid002").inner_text()


def test_a_cell_opens_large_with_its_prompt_marked_and_curves_that_seek(grid):
    cell(grid, "prompt_001_vid001").locator("a").click()
    until(grid, "document.querySelectorAll('.chart').length >= 4")
    settled(grid)
    assert grid.locator(".tracked").all_inner_texts() == ["cat", "dog"]
    plot = grid.locator(".plot").first.bounding_box()
    grid.mouse.click(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] / 2)
    settled(grid)
    assert grid.evaluate("Math.abs(attnwatch.clock.time - attnwatch.clock.length / 2)") < 0.02
    with grid.expect_download() as download:
        grid.get_by_role("button", name="Save still").click()
    with av.open(str(download.value.path())) as picture:
        assert (picture.streams.video[0].width, picture.streams.video[0].height) == (64, 48)
    assert download.value.suggested_filename.startswith("prompt_001_vid001_cat_frame")
    grid.keyboard.press("Escape")
    until(grid, "document.body.dataset.view === 'grid'")


def test_two_chosen_cells_are_compared_and_the_focus_comes_back_to_the_second_one(grid):
    for video in ("prompt_001_vid001", "prompt_001_vid002"):
        cell(grid, video).locator("a").focus()
        grid.keyboard.press("x")
    until(grid, "document.body.dataset.view === 'compare' && document.querySelectorAll('main video').length === 2")
    grid.keyboard.press("Escape")
    until(grid, "document.activeElement.closest('.tile') !== null")
    assert grid.locator(".tile.chosen").count() == 0
    second = rows(grid)["prompt_001_vid002"]["id"]
    assert grid.evaluate("document.activeElement.closest('.tile').dataset.id") == second


def test_a_video_opens_at_the_frame_that_the_grid_shows(grid):
    grid.evaluate("""() => {
      const scrubber = document.querySelector(".scrubber");
      scrubber.value = "6";
      scrubber.dispatchEvent(new Event("input"));
    }""")
    seen = grid.evaluate("attnwatch.clock.time")
    assert seen > 0
    cell(grid, "prompt_001_vid002").locator("a").click()
    until(grid, "attnwatch.view?.video && attnwatch.clock.length > 0")
    assert abs(grid.evaluate("attnwatch.clock.time") - seen) < 0.001


def test_the_link_over_what_is_above_leads_into_the_view_and_leaves_it_open(grid):
    before = grid.evaluate("location.hash")
    grid.locator("#skip").focus()
    grid.keyboard.press("Enter")
    until(grid, "document.activeElement.id === 'main'")
    assert grid.evaluate("[location.hash, document.body.dataset.view]") == [before, "grid"]


def test_the_focus_is_led_on_from_what_is_hidden(grid):
    def press(selector, key="Enter"):
        until(grid, f"document.querySelector('{selector}')?.offsetParent")
        grid.locator(selector).first.focus()
        grid.keyboard.press(key)

    for change, selector in (
        ("attnwatch.session.change({ seeds: ['77'] })", ".empty button"),
        (f"attnwatch.choose({by_name('prompt_001_vid001')}.id)", ".choosing button"),
        ("attnwatch._tellUnknown('something')", "#note button"),
    ):
        grid.evaluate(change)
        press(selector)
        until(grid, "document.activeElement.id === 'main'")
    press("#panel .chip", "m")
    until(grid, "document.activeElement.innerText === 'Controls'")
    grid.keyboard.press("m")
    press(".show-button")
    until(grid, "document.activeElement.id === 'main'")
    grid.keyboard.press("f")
    until(grid, "document.activeElement.innerText === 'Show'")


def test_the_cell_with_the_focus_stays_while_it_is_scrolled_out_of_sight(grid):
    grid.evaluate("attnwatch.session.change({ sort: '-mass.cat', size: 600 })")
    until(grid, "attnwatch.view.arrangement.table === false && attnwatch.view.scroller.scrollHeight > 2000")
    grid.evaluate("document.querySelector('.tile .open[tabindex=\"0\"]').focus()")
    grid.evaluate("attnwatch.view.scroller.scrollTop = 1e6")
    until(grid, "!attnwatch.view._tiles.has(attnwatch.view.order[1])")
    first, second = grid.evaluate("attnwatch.view.order.slice(0, 2)")
    assert grid.evaluate("document.activeElement.closest('.tile')?.dataset.id") == first
    grid.keyboard.press("ArrowDown")
    assert grid.evaluate("document.activeElement.closest('.tile')?.dataset.id") == second


def test_controls_of_the_grid_come_back_with_it_also_where_the_focus_is_among_them(grid):
    arrange = grid.get_by_role("heading", name="Arrange")
    assert arrange.is_visible()
    grid.evaluate(f"attnwatch.openVideo({by_name('prompt_001_vid001')}.id)")
    until(grid, "attnwatch.view?.detail")
    assert not arrange.is_visible()
    grid.locator("#panel .chip").first.focus()
    grid.keyboard.press("Escape")
    until(grid, "document.body.dataset.view === 'grid'")
    assert arrange.is_visible()
    assert grid.evaluate("document.activeElement.className") == "chip"


def test_a_slider_that_has_the_focus_leaves_other_keys_to_the_page(grid):
    grid.locator(".scrubber").focus()
    grid.keyboard.press("End")
    assert grid.evaluate("attnwatch.clock.frameNumber === attnwatch.clock.lastFrame")
    for playing in (True, False):
        grid.keyboard.press("Space")
        assert grid.evaluate("attnwatch.clock.playing") is playing
    grid.keyboard.press("Escape")
    assert grid.evaluate("document.activeElement.className") == "scrubber"


def test_arrow_keys_go_from_cell_to_cell_once_a_cell_has_the_focus(grid):
    grid.evaluate("document.querySelector('.tile .open[tabindex=\"0\"]').focus()")
    first = grid.evaluate("attnwatch.view.focused")
    grid.keyboard.press("ArrowRight")
    second = grid.evaluate("attnwatch.view.focused")
    assert first != second
    assert grid.evaluate("document.activeElement.closest('.tile').dataset.id") == second
    assert grid.evaluate("attnwatch.clock.frameNumber") == 0
    grid.keyboard.press("ArrowLeft")
    assert grid.evaluate("attnwatch.view.focused") == first


def test_the_focus_comes_back_to_the_cell_that_was_open_and_stays_on_a_pressed_button(grid):
    grid.evaluate("document.querySelector('.tile .open[tabindex=\"0\"]').focus()")
    grid.keyboard.press("ArrowRight")
    chosen = grid.evaluate("attnwatch.view.focused")
    grid.keyboard.press("Enter")
    until(grid, "document.querySelector('.tools button') !== null")
    assert grid.evaluate("document.activeElement.id") == "main"
    grid.get_by_role("button", name="Save still").focus()
    grid.keyboard.press("l")
    assert grid.evaluate("document.activeElement.innerText") == "Save still"
    for tool, by in (("Next", 1), ("Previous", -1)):
        order = grid.evaluate("attnwatch.order")
        before = grid.evaluate("attnwatch.view.id")
        grid.get_by_role("button", name=tool).focus()
        grid.keyboard.press("Enter")
        until(grid, f"attnwatch.view?.id === '{order[order.index(before) + by]}' && attnwatch.view.detail !== null")
        assert grid.evaluate("document.activeElement.innerText") == tool
    word = grid.get_by_role("button", name="dog", exact=True).first
    word.focus()
    for pressed in ("true", "false"):
        grid.keyboard.press("Enter")
        assert word.get_attribute("aria-pressed") == pressed
        assert word.evaluate("(one) => document.activeElement === one")
    grid.keyboard.press("Escape")
    until(grid, "document.activeElement.closest('.tile') !== null")
    assert grid.evaluate("document.activeElement.closest('.tile').dataset.id") == chosen


def test_a_still_is_copied_and_the_whole_screen_is_shown_and_left(grid):
    grid.context.grant_permissions(["clipboard-read", "clipboard-write"])
    grid.evaluate(f"attnwatch.openVideo({by_name('prompt_001_vid002')}.id)")
    until(grid, "attnwatch.view?.video && attnwatch.clock.length > 0")
    settled(grid)
    grid.get_by_role("button", name="Copy still").click()
    until(grid, "attnwatch.view.copier.textContent === 'Copied'")
    copied = "navigator.clipboard.read().then(([one]) => one.getType('image/png')).then(({ size }) => size)"
    assert grid.evaluate(copied) > 100
    before = grid.locator(".stage").bounding_box()["height"]
    grid.keyboard.press("f")
    until(grid, "getComputedStyle(document.querySelector('.top')).display === 'none'")
    until(grid, f"document.querySelector('.stage').getBoundingClientRect().height > {before}")
    grid.keyboard.press("f")
    until(grid, "getComputedStyle(document.querySelector('.top')).display !== 'none'")


def test_stills_and_colours_are_shown_only_while_maps_are_painted(grid):
    grid.evaluate(f"attnwatch.openVideo({by_name('prompt_001_vid002')}.id)")
    until(grid, "document.querySelector('.word-scale') !== null")
    still = grid.get_by_role("button", name="Save still")
    assert still.is_visible()
    grid.evaluate("attnwatch.painter._tell('Nothing can be painted')")
    until(grid, "document.querySelector('.word-scale') === null")
    assert not still.is_visible()
    grid.evaluate("attnwatch.painter._tell(null)")
    until(grid, "document.querySelector('.word-scale') !== null")
    assert still.is_visible()


@pytest.mark.parametrize("scheme", ["dark", pytest.param("light", marks=pytest.mark.slow)])
def test_the_main_views_have_no_serious_barrier(grid, address, scheme):
    grid.emulate_media(color_scheme=scheme)
    link = grid.evaluate("location.hash.slice(1)")
    first, second = list(rows(grid).values())[:2]
    for state in ("", link, f"{link}&video={first['id']}", f"{link}&compare={first['id']}&compare={second['id']}"):
        open_page(grid, address, state)
        if "video=" in state:
            until(grid, "document.querySelectorAll('.chart').length >= 4")
        assert barriers(grid) == {}, state


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off_on_a_phone_or_a_small_screen(grid, width):
    with contextlib.ExitStack() as stack:
        before = grid.viewport_size
        stack.callback(grid.set_viewport_size, before)
        grid.set_viewport_size({"width": width, "height": 800})
        until(grid, f"innerWidth === {width}")
        assert grid.evaluate("document.documentElement.scrollWidth") <= width
        assert grid.evaluate(
            "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('.said'))"
        )
        for control in grid.locator(
            ".transport button, .transport input, .transport select, .top a, .top button"
        ).all():
            if control.is_visible():
                box = control.bounding_box()
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width + 1


def test_buttons_and_values_beside_a_video_are_whole_where_there_is_little_room(grid, address):
    with contextlib.ExitStack() as stack:
        stack.callback(grid.set_viewport_size, grid.viewport_size)
        grid.set_viewport_size({"width": 1010, "height": 640})
        first, *_ = rows(grid).values()
        open_page(grid, address, f"{grid.evaluate('location.hash.slice(1)')}&video={first['id']}")
        until(grid, "document.querySelectorAll('.values span').length >= 4")
        assert grid.evaluate(
            """() => {
                const values = document.querySelector(".values");
                values.append(...Array.from({ length: 30 }, () => values.firstChild.cloneNode(true)));
                return values.scrollWidth <= values.clientWidth;
            }"""
        )
        assert grid.evaluate(
            """() => {
                const text = document.createRange();
                const lines = (button) => {
                    text.selectNodeContents(button);
                    return new Set([...text.getClientRects()].map(({ top }) => Math.round(top))).size;
                };
                return [...document.querySelectorAll('.top button')].every((button) => lines(button) <= 1);
            }"""
        )
