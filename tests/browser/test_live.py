"""The page while a batch grows: what arrives is shown, and nothing else moves."""

import pytest

from attnwatch.contract.names import MEASURES_SUFFIX, OUTPUT_DIRECTORY, RECEIPT_SUFFIX
from attnwatch.system.folders import Folder
from attnwatch.system.locks import exclusive
from tests.browser.conftest import opened, served
from tests.browser.pages import add, by_name, failed, measured, open_page, planned, until
from tests.support import Batch, write_receipt

FIRST, SECOND, LAST = "prompt_001_vid001", "prompt_001_vid002", "prompt_002_vid001"


class Growing:
    """A batch of two prompts and two takes, of which the last one is not made yet, and a page that shows it."""

    def __init__(self, root, page):
        self.batch, self.page = Batch.make(root), page
        self.manifests = {FIRST: add(self.batch, 1, 1), SECOND: add(self.batch, 1, 2), LAST: add(self.batch, 2, 1)}
        planned(self.batch, [(prompt, take) for prompt in (1, 2) for take in (1, 2)])

    def open(self, address):
        """Open its grid."""
        open_page(self.page, address)
        until(self.page, "attnwatch.library.batches.size === 1")
        open_page(self.page, address, f"batch={self.page.evaluate('[...attnwatch.library.batches.keys()][0]')}")

    def mark(self, videos):
        """Mark what shows so many videos, as soon as they do."""
        until(self.page, f"document.querySelectorAll('video[data-joined]').length === {videos}")
        self.page.evaluate(_MARK)

    def marks(self):
        """Return the marks of all videos and maps that are shown."""
        return self.page.evaluate("[...document.querySelectorAll('main video, main canvas')].map((one) => one.marked)")

    def render(self, video, mass):
        """Write the receipt of a video, and wait until the page has heard of it."""
        stamp = self.page.evaluate(f"{by_name(video)}.stamp")
        measured(self.manifests[video], mass)
        until(self.page, f"{by_name(video)}.stamp !== '{stamp}' && {by_name(video)}.measures?.cat.speed === {mass}")
        self.page.evaluate(_TWO_FRAMES)


@pytest.fixture(scope="module")
def growing(browser, tmp_path_factory):
    """One page for all tests of this module, which leave it with the grid open."""
    root = tmp_path_factory.mktemp("outputs")
    with opened(browser) as page:
        growing = Growing(root, page)
        with served(root) as address:
            growing.open(address)
            yield growing


_MARK = """() => document.querySelectorAll('main video, main canvas').forEach((one) => {
  one.marked = 'at first';
  one.addEventListener('emptied', () => (one.marked = 'loaded again'));
})"""

_TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def test_videos_go_on_playing_in_their_cells_while_they_are_rendered(growing):
    growing.mark(videos=3)
    growing.page.evaluate("attnwatch.clock.play()")
    growing.render(FIRST, 0.25)
    assert growing.marks() == ["at first"] * 6
    assert growing.page.evaluate("attnwatch.clock.playing")
    assert "1 rendered" in growing.page.locator("#top").inner_text()
    growing.page.evaluate("attnwatch.clock.pause()")


def test_the_focus_stays_where_it_is_whatever_arrives(growing):
    growing.page.evaluate(f"attnwatch.choose({by_name(FIRST)}.id)")
    until(growing.page, "document.querySelector('.choosing button')?.offsetParent")
    for n, focused in enumerate([".home", ".batch-name", ".tile .open", ".choosing button", "#panel select"]):
        growing.page.evaluate("(one) => (window.held = document.querySelector(one)).focus()", focused)
        growing.render(FIRST, n + 0.5)
        assert growing.page.evaluate("window.held.isConnected && document.activeElement === window.held"), focused
    growing.page.evaluate(f"attnwatch.choose({by_name(FIRST)}.id)")


def test_controls_are_made_again_only_for_what_can_be_chosen(growing):
    growing.page.evaluate("document.activeElement.blur()")
    growing.page.evaluate("window.held = document.querySelector('#panel select')")
    growing.render(SECOND, 0.5)
    assert growing.page.evaluate("window.held.isConnected")
    growing.render(LAST, 0.25)
    assert growing.page.evaluate("window.held.isConnected")
    failed(growing.batch, 2, 2, "CUDA out of memory")
    until(growing.page, "document.querySelector('#panel .chip[data-value=failed]') !== null")


def test_the_view_of_one_video_shows_what_arrives_and_goes_on_playing(growing):
    growing.page.evaluate(f"attnwatch.openVideo({by_name(SECOND)}.id)")
    until(growing.page, "document.querySelectorAll('.files a').length > 0")
    growing.mark(videos=1)
    for focused, mass in ((".files a", 0.875), (".chart-head button", 0.75), (".tracked", 0.625)):
        growing.page.evaluate("(one) => (window.held = document.querySelector(one)).focus()", focused)
        growing.render(SECOND, mass)
        until(growing.page, f"attnwatch.view.curves.measures.words.cat.over_time.speed === {mass}")
        assert growing.page.evaluate("document.activeElement === window.held"), focused
    assert growing.marks() == ["at first"] * 2
    growing.page.evaluate("attnwatch.back()")


def test_the_focus_stays_while_a_video_that_is_open_is_rendered_for_the_first_time(growing):
    page, folder = growing.page, growing.manifests[LAST].parent / OUTPUT_DIRECTORY
    for suffix in (RECEIPT_SUFFIX, MEASURES_SUFFIX):
        (folder / f"{LAST}{suffix}").unlink(missing_ok=True)
    until(page, f"{by_name(LAST)}.state === 'waiting'")
    page.evaluate(f"attnwatch.openVideo({by_name(LAST)}.id)")
    until(page, "document.querySelector('.files a') !== null && document.querySelector('.charts > p').offsetParent")
    page.evaluate("(window.held = document.querySelector('.files a')).focus()")
    growing.render(LAST, 0.25)
    until(page, "document.querySelectorAll('.chart').length > 0 && document.querySelectorAll('.files a').length > 1")
    assert page.evaluate("document.activeElement === window.held")
    page.evaluate("attnwatch.back()")
    until(page, "document.body.dataset.view === 'grid'")


def test_a_comparison_takes_measures_as_they_come(growing):
    page = growing.page
    page.evaluate(f"[{by_name(FIRST)}, {by_name(SECOND)}].forEach((row) => attnwatch.choose(row.id))")
    until(page, "document.querySelectorAll('.compare video').length === 2")
    growing.mark(videos=2)
    growing.render(SECOND, 64.0)
    until(page, "document.querySelector('.numbers')?.innerText.includes('64')")
    assert set(growing.marks()) == {"at first"}
    page.evaluate("attnwatch.back()")
    until(page, "document.body.dataset.view === 'grid'")


def test_a_video_that_was_made_again_is_loaded_again_and_no_other_one(growing):
    growing.mark(videos=3)
    add(growing.batch, 1, 1, rates=((5, 4),))
    until(growing.page, f"attnwatch.view._tiles.get({by_name(FIRST)}.id).video.duration > 1")
    assert sorted(map(str, growing.marks())) == ["None"] * 2 + ["at first"] * 4


def test_what_is_seen_stays_where_it_is_when_a_video_comes_above_it(growing):
    page = growing.page
    before = page.viewport_size
    page.set_viewport_size({"width": 420, "height": 420})
    page.evaluate("attnwatch.session.change({ sort: '-speed.cat', size: 300 })")
    until(page, "attnwatch.view.scroller.scrollHeight > 600")
    page.evaluate("attnwatch.view.scroller.scrollTop = attnwatch.view.geometry.step")
    page.evaluate(_TWO_FRAMES)
    place = f"Math.round(attnwatch.view._tiles.get({by_name(LAST)}.id).element.getBoundingClientRect().top)"
    seen = page.evaluate(place)
    growing.manifests["prompt_002_vid002"] = add(growing.batch, 2, 2)
    until(page, f"{by_name('prompt_002_vid002')}.playable")
    growing.render("prompt_002_vid002", 100.0)
    assert page.evaluate("attnwatch.view.order[0]") == page.evaluate(f"{by_name('prompt_002_vid002')}.id")
    assert page.evaluate(place) == seen
    page.set_viewport_size(before)


def test_videos_that_a_single_run_renders_are_told_where_the_watcher_would_be(growing):
    page = growing.page
    assert page.locator(".status").inner_text() == "no watcher at work"
    place = write_receipt(growing.manifests[LAST])
    with Folder.open(place.directory) as folder, exclusive(folder, place.video_id):
        until(page, f"{by_name(LAST)}.state === 'running'")
        until(page, "document.querySelector('.status').innerText === 'a single run is rendering'")
    until(page, "document.querySelector('.status').innerText === 'no watcher at work'")
