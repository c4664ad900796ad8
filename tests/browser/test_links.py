"""Links that name what is not, or no longer, here."""

import shutil

import pytest

from tests.browser.conftest import opened, served
from tests.browser.pages import add, barriers, mixed, open_page, planned, rows, until
from tests.support import Batch


@pytest.fixture(scope="module")
def place(browser, tmp_path_factory):
    """A page of a batch, with its address and the identifiers of the batch and of its videos."""
    outputs = tmp_path_factory.mktemp("linked")
    mixed(outputs)
    with served(outputs) as address, opened(browser) as page:
        open_page(page, address)
        batch = page.evaluate("[...attnwatch.library.batches.keys()][0]")
        open_page(page, address, f"batch={batch}")
        until(page, "attnwatch.library.rows.size === 8")
        yield page, address, batch, [row["id"] for row in rows(page).values()]


def told(page):
    until(page, "document.querySelector('.failure') !== null")
    assert page.locator("#panel").is_hidden() or page.evaluate("attnwatch.isOpen")
    return page.locator(".failure h1").inner_text(), page.locator(".failure a").all_inner_texts()


def test_an_unknown_batch_is_told_with_a_way_on(place):
    page, address, _, _ = place
    open_page(page, address, "batch=elsewhere&video=some")
    title, ways = told(page)
    assert (title, ways) == ("This batch is not here", ["All batches"])
    page.get_by_text("All batches").click()
    until(page, "document.querySelector('.batch') !== null")


def test_unknown_videos_are_told_and_the_rest_of_the_link_is_kept(place):
    page, address, batch, (first, *_) = place
    open_page(page, address, f"batch={batch}&video=gone&colormap=magma")
    title, ways = told(page)
    assert title == "This video is not in the batch"
    page.get_by_text(ways[0]).click()
    until(page, "document.querySelectorAll('.tile').length === 8")
    assert page.evaluate("attnwatch.session.state.view.colormap") == "magma"
    open_page(page, address, f"batch={batch}&compare=gone&compare={first}")
    title, ways = told(page)
    assert barriers(page) == {}
    assert title == "One of the two videos is not in the batch"
    page.get_by_text(ways[0]).click()
    until(page, "document.querySelector('.choosing:not([hidden])') !== null")
    open_page(page, address, f"batch={batch}&compare=gone&compare=lost")
    assert told(page)[0] == "Neither of the two videos is in the batch"


AWAY = [
    (
        "",
        "**/files/**",
        "document.querySelector('.tiles')?.innerText.split('could not be loaded').length === 7",
        (
            "document.querySelectorAll('video[data-joined]').length === 6"
            " && !document.querySelector('.tiles').innerText.includes('could not be loaded')"
        ),
    ),
    (
        "&video=FIRST",
        "**/api/videos/**",
        "document.querySelector('.stage .missing')?.innerText.startsWith('The server does not answer')",
        "document.querySelector('.stage video[data-joined]') !== null && document.querySelector('.chart') !== null",
    ),
    pytest.param(
        "",
        "**/api/batches/*",
        "document.querySelector('.failure h1')?.innerText === 'This cannot be shown'",
        "document.querySelectorAll('.tile').length === 8",
        marks=pytest.mark.slow,
    ),
]
"""What of the address is shown, which requests fail, what is told then, and what is there in the end."""


@pytest.mark.parametrize(("state", "refused", "told", "shown"), AWAY)
def test_what_could_not_be_loaded_is_told_and_there_as_soon_as_the_server_answers(place, state, refused, told, shown):
    page, address, batch, (first, *_) = place
    page.route("**/api/events*", lambda route: route.fulfill(status=502))
    page.route(refused, lambda route: route.abort())
    page.goto("about:blank")
    page.goto(f"{address}#batch={batch}{state.replace('FIRST', first)}")
    until(page, f"window.attnwatch?.library.connected === false && {told}")
    page.unroute_all(behavior="wait")
    until(page, f"attnwatch.library.connected && {shown}")


UNKNOWN = {
    "style=neon": "the overlay “neon”",
    "scale=log": "the scale “log”",
    "upsampling=cubic": "between cells “cubic”",
    "colormap=mauve": "the colours “mauve”",
    "step=99": "denoising step “99”",
    "layers=7": "layer “7”",
    "heads=40-42": "head “40-42”",
    "rows=slot9": "rows by “slot9”",
    "columns=moon": "columns by “moon”",
    "sort=-beauty.cat": "sorted by “-beauty.cat”",
    "t=late": "time “late”",
    "rate=fast": "speed “fast”",
    "alpha=much": "opacity “much”",
    "words=cat ghost": "the word “ghost”",
    "states=lost": "the state “lost”",
}


@pytest.mark.slow
def test_every_other_part_of_a_link_that_is_unknown_is_named_and_the_rest_is_shown(place):
    page, address, batch, _ = place
    for parts, told in (("&".join(UNKNOWN), list(UNKNOWN.values())), ("sort=mass.ghost", ["sorted by “mass.ghost”"])):
        open_page(page, address, f"batch={batch}&find=sits&{parts}")
        until(page, "!document.getElementById('note').hidden && document.querySelectorAll('.tile').length === 4")
        said = page.locator("#note span").inner_text()
        assert said == f"This link names what is not here: {', '.join(told)}. The rest of it is shown."
        kept = page.evaluate("attnwatch.session.link").partition("#")[2]
        assert kept == f"batch={batch}&find=sits" + ("&words=cat" if "words" in parts else "")
    assert barriers(page) == {}
    page.get_by_role("button", name="Close").click()
    assert page.locator("#note").is_hidden()
    everything = "&".join(("words=cat", "step=1", "style=contour", "sort=-mass.dog", "rows=slot0", "states=rendered"))
    open_page(page, address, f"batch={batch}&{everything}")
    until(page, "document.querySelectorAll('.tile').length === 4")
    assert page.locator("#note").is_hidden()


def test_filters_that_nothing_passes_are_told_and_cleared(place):
    page, address, batch, _ = place
    open_page(page, address, f"batch={batch}&seeds=77&word=ghost&choices=0:flies")
    until(page, "document.querySelector('.empty:not([hidden])') !== null")
    page.get_by_role("button", name="Show all videos").click()
    until(page, "document.querySelectorAll('.tile').length === 8")


def test_a_video_or_batch_that_goes_while_it_is_open_is_told_and_opens_again_once_it_is_back(browser, tmp_path):
    batch = Batch.make(tmp_path)
    manifest = add(batch, 1, 1)
    with served(tmp_path) as address, opened(browser) as page:
        open_page(page, address)
        until(page, "[...attnwatch.library.batches.values()].some(({ counts }) => counts.finished === 1)")
        found = page.evaluate("[...attnwatch.library.batches.keys()][0]")
        open_page(page, address, f"batch={found}")
        until(page, "document.querySelectorAll('.tile').length === 1")
        page.evaluate("attnwatch.openVideo([...attnwatch.library.rows.keys()][0])")
        until(page, "document.querySelector('.stage video') !== null")
        planned(batch, [(2, 1)])
        text = manifest.read_text()
        manifest.unlink()
        until(page, "document.querySelector('.failure h1')?.innerText === 'This video is not in the batch'")
        manifest.write_text(text)
        until(page, "document.querySelector('.stage video') !== null")
        shutil.rmtree(batch.folder)
        until(page, "document.querySelector('.failure h1')?.innerText === 'This batch is not here'")
