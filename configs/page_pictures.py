"""Take pictures of the page about a batch: its grid, one video, and a comparison of two.

Usage: `python configs/page_pictures.py outputs/shapes_20260102_030405 .`; needs Chromium and the extra `dev`.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

WIDTH, HEIGHT = 1120, 640
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def take(batch: Path, folder: Path) -> None:
    """Write `page-grid.png`, `page-video.png` and `page-compare.png`."""
    command = [sys.executable, "-m", "attnwatch", "view", str(batch), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own program
        try:
            address = server.stdout.readline().strip() if server.stdout else ""
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
                _pictures(browser, address, folder)
                browser.close()
        finally:
            server.terminate()


def _pictures(browser: Browser, address: str, folder: Path) -> None:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
    _open(page, address, {})
    batch, words = page.evaluate("(([batch]) => [batch.id, batch.words])([...attnwatch.library.batches.values()])")
    slugs = [word["slug"] for word in words]
    shown = {"batch": batch, "t": "1"}
    _open(page, address, shown)
    videos = page.evaluate("[...attnwatch.library.rows.keys()]")
    page.screenshot(path=folder / "page-grid.png")
    _open(page, address, {**shown, "video": videos[0], "words": " ".join(slugs)})
    page.screenshot(path=folder / "page-video.png")
    _open(page, address, {**shown, "compare": [videos[0], videos[4 % len(videos)]], "words": slugs[0]})
    page.screenshot(path=folder / "page-compare.png")


def _open(page: Page, address: str, state: dict[str, str | list[str]]) -> None:
    """Open the page in a state, and wait until everything that moves has come to rest."""
    page.goto("about:blank")
    page.goto(f"{address}#{urlencode(state, doseq=True)}")
    page.wait_for_selector("body[data-view]")
    if state:
        page.wait_for_selector("video[data-joined]")
        limit = time.monotonic() + 60
        while not page.evaluate("attnwatch.clock.settled") and time.monotonic() < limit:
            page.wait_for_timeout(50)
        page.wait_for_load_state("load")
        page.wait_for_timeout(3000)  # maps are drawn as they come


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
