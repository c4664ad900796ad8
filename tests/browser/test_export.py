"""The page as a folder, opened as users do: from `file:`, without a server."""

import json

import pytest

from attnwatch.web.export.content import Content, Selection
from attnwatch.web.export.writing import write_page
from tests.browser.pages import add, barriers, settled, until
from tests.support import Batch, write_receipt


def exported(tmp_path, prompts, **selection):
    """Export a batch of two videos of each prompt, and return the folder of the page."""
    batch = Batch.make(tmp_path / "outputs")
    for prompt in range(1, prompts + 1):
        for take in (1, 2):
            write_receipt(add(batch, prompt, take))
    folder = tmp_path / 'page of "cat" & 100%'
    write_page(Content(batch.folder, None, Selection(**selection)), folder)
    return folder


def opened(page, folder, state=""):
    """Open an export; return the addresses that it asks for outside of its folder, as they come."""
    outside = []
    here = folder.as_uri()
    page.on("request", lambda asked: asked.url.startswith((here, "data:", "blob:")) or outside.append(asked.url))
    page.goto(f"{here}/index.html#{state}")
    until(page, "!!window.attnwatch?.view && document.body.dataset.view !== undefined")
    return outside


def everything(page, folder, count):
    """Do with an export what can be done with a page."""
    outside = opened(page, folder)
    batch = page.evaluate("[...attnwatch.library.batches.keys()][0]")
    page.goto(f"{folder.as_uri()}/index.html#batch={batch}")
    until(page, "document.querySelectorAll('.tile video').length > 0 || document.querySelectorAll('video').length > 0")
    settled(page)
    assert page.evaluate("attnwatch.library.rows.size") == count
    page.evaluate("attnwatch.clock.seek(0.25)")
    settled(page)
    video = page.evaluate("[...attnwatch.library.rows.keys()][0]")
    detail = page.evaluate(f"attnwatch.source.video('{video}')")
    word = detail["words"][0]

    def scale(steps, clip=None):
        part = json.dumps({"steps": steps, "layers": None, "heads": None, "clip": clip})
        return page.evaluate(f"attnwatch.source.scale('{batch}', '{word}', {part})")

    for steps in ("mean", *map(str, detail["maps"][word]["steps"])):
        assert 0 <= scale(steps)["low"] < scale(steps)["high"]
    assert scale("mean", "5,95")["high"] < scale("mean")["high"]
    page.goto(f"{folder.as_uri()}/index.html#batch={batch}&video={video}")
    until(page, "document.querySelector('video')?.readyState >= 2")
    pixels = """(() => {
        const video = document.querySelector('video'), canvas = document.createElement('canvas');
        canvas.width = canvas.height = 4;
        canvas.getContext('2d').drawImage(video, 0, 0, 4, 4);
        return canvas.toDataURL('image/png').length;
    })()"""
    assert page.evaluate(pixels) > 100  # a still can be saved
    assert page.evaluate(f"attnwatch.source.measures('{video}')") is None
    assert page.evaluate("attnwatch.source.live") is False
    page.evaluate("attnwatch.session.change({video: null, compare: [...attnwatch.library.rows.keys()].slice(0, 2)})")
    until(page, "[...document.querySelectorAll('.comparison video')].filter((one) => one.readyState >= 2).length === 2")
    return outside


def test_an_export_opens_from_a_folder_plays_draws_and_asks_for_nothing_outside(page, tmp_path):
    folder = exported(tmp_path, 1)
    assert everything(page, folder, 2) == []
    assert barriers(page) == {}


def test_an_export_with_linked_videos_plays_them_from_where_they_are(page, tmp_path):
    folder = exported(tmp_path, 1, linked=True)
    opened(page, folder)
    batch = page.evaluate("[...attnwatch.library.batches.keys()][0]")
    page.goto(f"{folder.as_uri()}/index.html#batch={batch}")
    settled(page)
    assert page.evaluate("[...document.querySelectorAll('video')].every((one) => one.src.includes('outputs/'))")


@pytest.mark.slow
def test_an_export_of_24_videos_does_everything_but_live_updates(page, tmp_path):
    folder = exported(tmp_path, 12)
    assert everything(page, folder, 24) == []
