"""A real browser for the tests: the system's Chromium without a window, and pages that must not complain."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The last one lets a test read the pixels of a video beside the page; nothing in a report does.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--mute-audio",
    "--allow-file-access-from-files",
)


@pytest.fixture(scope="module")
def chromium():
    """The browser, one for a test module; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(browser, path: Path, script: str = "") -> Iterator:
    """A page of a file, from `file://`, ready for use. What it logs or throws fails the test. script: run before it."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(script)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: complaints.append(r.url) if r.url.startswith(("http:", "https:")) else None)
    page.goto(path.resolve().as_uri())
    try:
        yield page
        if complaints:
            pytest.fail(f"the page complained: {complaints}")
    finally:
        page.close()
