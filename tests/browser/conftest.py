"""A real browser, and a server of the page in a thread of this process."""

import contextlib
import shutil
import threading

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("playwright")

from playwright.sync_api import sync_playwright

from attnwatch.report.found_outputs import Surveyed
from attnwatch.web.serve import Address, server_of

_ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="module")
def browser():
    """Return a browser without a screen; WebGL 2 is computed by the processor.

    Its driver occupies the event loop of this thread, so that other tests that need one fail as long as it is there.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("found no Chromium; install it to test the page (Debian: apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser):
    """Open an empty page, and close it; what fails in its scripts is an error."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert errors == []


@pytest.fixture
def page(browser):
    """Return an empty page."""
    with opened(browser) as page:
        yield page


@contextlib.contextmanager
def served(root):
    """Serve the page about a folder, and return its address."""
    address = Address("127.0.0.1", 0)
    listening = address.listen()
    port = listening.getsockname()[1]
    server = server_of(Surveyed.of(root), address.access(port))
    server.capture_signals = contextlib.nullcontext  # only the main thread may handle signals
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
