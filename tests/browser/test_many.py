"""The page with many videos, at full scale."""

import os
import time

import pytest

from tests.browser.conftest import opened, served
from tests.browser.pages import add, open_page, planned, settled, until
from tests.browser.test_page import SAMPLES
from tests.support import Batch

pytestmark = pytest.mark.slow


def copied(batch, first, prompts, takes):
    """Add copies of a video, which share its files' data, as videos of other prompts."""
    text = first.read_text()
    for prompt in range(1, prompts + 1):
        for take in range(1, takes + 1):
            manifest = batch.prompt(prompt) / f"video_{take:03d}.complete.json"
            if manifest == first:
                continue
            (manifest.parent / "attention_maps").mkdir(parents=True, exist_ok=True)
            names = {"video_001.mp4": f"video_{take:03d}.mp4", "vid001.safetensors": f"vid{take:03d}.safetensors"}
            os.link(first.with_name("video_001.mp4"), manifest.with_name(names["video_001.mp4"]))
            maps = "attention_maps/vid001.safetensors"
            os.link(first.parent / maps, manifest.parent / "attention_maps" / names["vid001.safetensors"])
            own = text.replace('"seed": 42', f'"seed": {41 + take}').replace("prompt_001", f"prompt_{prompt:03d}")
            for old, new in names.items():
                own = own.replace(old, new)
            manifest.write_text(own.replace("_vid001", f"_vid{take:03d}"))


def test_24_videos_stay_within_one_frame_of_the_clock_200_times_seeking_included(browser, tmp_path):
    batch = Batch.make(tmp_path)
    rates = ((25, 16), (41, 24), (17, 8), (33, 30))
    for prompt in range(1, 5):
        for take in range(1, 7):
            add(batch, prompt, take, rates=rates)
    with served(tmp_path) as address, opened(browser) as page:
        page.set_viewport_size({"width": 1280, "height": 1000})
        open_page(page, address)
        found = page.evaluate("[...attnwatch.library.batches.keys()][0]")
        open_page(page, address, f"batch={found}&size=110")
        until(page, "document.querySelectorAll('video[data-joined]').length === 24")
        settled(page)
        figures = page.evaluate(SAMPLES, [200, 20])
    assert figures["farthest"] <= 1, figures


def test_of_1000_videos_the_first_are_there_in_less_than_1_5_seconds_and_only_visible_ones_exist(browser, tmp_path):
    batch = Batch.make(tmp_path)
    planned(batch, [(prompt, take) for prompt in (1, 2) for take in range(1, 11)])
    copied(batch, add(batch, 1, 1), 100, 10)
    with served(tmp_path) as address, opened(browser) as page:
        open_page(page, address)
        until(page, "[...attnwatch.library.batches.values()][0].counts.finished === 1000")
        found = page.evaluate("[...attnwatch.library.batches.keys()][0]")
        open_page(page, address)
        began = time.monotonic()
        open_page(page, address, f"batch={found}")
        until(page, "document.querySelectorAll('video[data-joined]').length > 0")
        seconds = time.monotonic() - began
        assert page.evaluate("attnwatch.library.rows.size") == 1000
        assert page.locator("video").count() < 64
        longest = page.evaluate(_SCROLL)
        settled(page)
        assert page.locator("video").count() < 64
        assert "prompt_100" in page.evaluate(
            "[...attnwatch.view._tiles.values()].map(({ row }) => row.video_id).join()"
        )
    assert seconds < 1.5, (
        f"{seconds:.2f} s until the first cell; the longest frame while scrolling took {longest:.0f} ms"
    )


_SCROLL = """async () => {
  const { scroller } = attnwatch.view;
  let longest = 0;
  let last = performance.now();
  for (let n = 1; n <= 60; n += 1) {
    scroller.scrollTop = (scroller.scrollHeight * n) / 60;
    await new Promise(requestAnimationFrame);
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  return longest;
}"""
