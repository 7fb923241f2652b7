"""The page of `spot label` in a real browser: what is shown is what is coded, and every act outlives a reload."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs facespot[label]")
pytest.importorskip("uvicorn", reason="needs facespot[label]")
pytest.importorskip("playwright.sync_api", reason="needs playwright, of facespot[dev]")

from facespot.spotting.intervals import Interval
from labelling import LabelServer, label_server, number_of, numbered, write_spots
from media import write_images, write_video
from playwright.sync_api import sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM}: apt install chromium")
FOUND = [Interval(20, 24, 30, "macro", 0.9), Interval(60, 63, 66, "micro", 0.6), Interval(90, 95, 99, "macro", 0.4)]
N = 120
CONSTANT = [i / 30 for i in range(N)]
# A phone's: now and then a frame comes late, or two in quick succession.
VARIABLE = list(np.cumsum([0.0] + [(1 / 30, 1 / 30, 0.1, 1 / 60, 1 / 24)[i % 5] for i in range(N - 1)]))

# Some recorders' first frame comes half a second after the beginning of the file.
LATE = [0.5 + t for t in CONSTANT]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


class Page:
    """One tab and what went wrong in it. tab: playwright's page."""

    def __init__(self, browser, address: str) -> None:
        self.faults: list[str] = []
        self.tab = browser.new_page(viewport={"width": 1280, "height": 800})
        self.tab.set_default_timeout(30_000)
        self.tab.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        self.tab.on("pageerror", lambda error: self.faults.append(str(error)))
        self.tab.goto(address)
        self.ready()

    def ready(self) -> None:
        self.tab.wait_for_function("() => player.readyState >= 2 && origin !== null && target === null && state")

    def settle(self) -> int:
        """Waits for the jump to end and all acts to be saved; the frame that the page names."""
        self.tab.wait_for_function("() => target === null && !waiting && !player.seeking && !queue.length && !sending")
        return int(self.tab.inner_text("#frame").split()[1])

    def seen(self) -> int:
        """The number in the picture that is on the screen."""
        self.tab.wait_for_timeout(60)
        picture = cv2.imdecode(np.frombuffer(self.tab.locator("#player").screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
        box = self.tab.evaluate(
            "() => { const [w, h] = [player.videoWidth, player.videoHeight];"
            " const s = Math.min(player.clientWidth / w, player.clientHeight / h); return [w * s, h * s]; }"
        )
        height, width = picture.shape
        left, top = round((width - box[0]) / 2), round((height - box[1]) / 2)
        return number_of(picture[top : height - top, left : width - left])

    def press(self, *keys: str) -> int:
        for key in keys:
            self.tab.keyboard.press(key)
        return self.settle()

    def bar(self, number: int) -> dict[str, float]:
        return self.tab.locator(f'.bar[data-id="{number}"]').bounding_box()

    def drag(self, start: tuple[float, float], dx: float) -> int:
        mouse = self.tab.mouse
        mouse.move(*start)
        mouse.down()
        for part in range(1, 6):
            mouse.move(start[0] + dx * part / 5, start[1])
        during = self.settle()
        mouse.up()
        self.settle()
        return during


def opened(browser, folder: Path, times: list[float], *arguments: str) -> Iterator[tuple[LabelServer, Page]]:
    write_video(folder / "clip.mp4", numbered(N, 320, 192), times=times, options={"g": "40"})
    write_spots(folder / "clip.spots.csv", FOUND)
    with label_server(folder, "clip.mp4", *arguments) as server:
        page = Page(browser, server.address)
        yield server, page
        assert page.faults == []
        page.tab.close()


@pytest.fixture(params=[CONSTANT, VARIABLE, LATE], ids=["constant", "variable", "late"])
def any_rate(request, browser, tmp_path):
    yield from opened(browser, tmp_path, request.param)


@pytest.fixture
def desk(browser, tmp_path):
    yield from opened(browser, tmp_path, CONSTANT)


def test_the_frame_shown_is_the_frame_named(any_rate):
    _, page = any_rate
    assert (page.settle(), page.seen()) == (0, 0)
    visited = []
    for keys in (
        ["n"],
        ["ArrowRight"],
        ["ArrowRight"],
        ["Shift+ArrowRight"],
        ["ArrowLeft"],
        ["n"],
        ["n"],
        ["b"],
        ["b"],
    ):
        named = page.press(*keys)
        assert page.seen() == named, keys
        visited.append(named)
    assert visited == [20, 21, 22, 32, 31, 60, 90, 60, 20]
    for target in (119, 1, 77, 40, 39, 118, 0):
        page.tab.evaluate(f"seek({target})")
        assert (page.settle(), page.seen()) == (target, target)


def test_what_is_marked_at_a_frame_is_that_frame(any_rate):
    server, page = any_rate
    page.press("n")
    page.press("ArrowLeft", "ArrowLeft", "i")
    shown = page.seen()
    page.tab.evaluate("seek(26)")
    page.settle()
    page.press("p")
    apex = page.seen()
    event = server.events()[0]
    assert (event["onset"], event["apex"]) == (shown, apex) == (18, 26)


def test_a_morning_of_coding_outlives_reload_and_kill(desk, tmp_path, browser):
    server, page = desk
    page.press("n", "a")
    assert page.tab.inner_text("#tally") == "1 accepted, 2 to be judged"
    assert page.settle() == 60  # the next one to be judged
    page.press("x")

    box = page.bar(3)
    during = page.drag((box["x"] + box["width"] - 1, box["y"] + 18), 30.0)
    offset = server.events()[2]["offset"]
    assert offset == during > 99

    page.tab.evaluate("seek(40)")
    page.settle()
    page.tab.keyboard.down("2")
    for _ in range(6):
        page.tab.keyboard.press("ArrowRight")
    page.settle()
    page.tab.keyboard.up("2")
    page.settle()
    added = server.events()[1]
    assert (added["onset"], added["apex"], added["offset"], added["type"]) == (40, 43, 46, "micro")

    page.press("t", "z", "z", "y")
    before = server.events()
    told = page.tab.inner_text("#rows")
    page.tab.reload()
    page.ready()
    assert page.tab.inner_text("#rows") == told
    assert server.events() == before
    assert [(e["id"], e["status"], e["type"]) for e in before] == [
        (1, "accepted", "macro"),
        (4, "accepted", "micro"),
        (2, "rejected", "micro"),
        (3, "accepted", "macro"),
    ]
    assert (before[3]["offset"], before[1]["onset"]) == (offset, 40)
    server.kill()
    with label_server(tmp_path, "clip.mp4") as again:
        assert again.events() == before
        other = Page(browser, again.address)
        assert other.tab.inner_text("#rows") == told
        assert other.faults == []
        other.tab.close()


def test_added_while_it_plays_from_key_down_to_key_up(desk):
    server, page = desk
    page.tab.select_option("#speed", "0.5")
    page.tab.keyboard.press("Space")
    page.tab.wait_for_function("() => frame >= 10")
    page.tab.keyboard.down("1")
    page.tab.wait_for_function("() => frame >= held.onset + 8")
    assert page.tab.locator(".bar.growing").count() == 1
    page.tab.keyboard.up("1")
    page.tab.keyboard.press("Space")
    page.settle()
    (added,) = [e for e in server.events() if not e["machine"]]
    assert added["type"] == "macro"
    assert 10 <= added["onset"] <= added["offset"] - 8


def test_looping_stays_with_the_event(desk):
    _, page = desk
    page.press("n", "n")
    page.tab.keyboard.press("l")
    page.tab.evaluate("() => { window.met = []; setInterval(() => met.push(frame), 30); }")
    page.tab.wait_for_function("() => met.some((f, i) => i && f < met[i - 1])")  # came round
    met = page.tab.evaluate("met")
    assert min(met) >= 47
    assert max(met) <= 79
    page.tab.keyboard.press("l")
    assert page.tab.evaluate("player.paused")


def test_mouse_keyboard_and_numbers_do_the_same(desk):
    server, page = desk
    page.tab.locator("#rows tr").nth(1).click()
    assert page.settle() == 60
    page.tab.fill("#offset", "70")
    page.tab.keyboard.press("Tab")
    page.settle()
    page.tab.select_option("#type", "macro")
    page.settle()
    page.tab.click('[data-set="apex"]')
    page.settle()
    event = server.events()[1]
    assert (event["apex"], event["offset"], event["type"], event["moved"]) == (60, 70, "macro", True)
    page.tab.click("#reject")
    page.tab.click("#undo")
    page.settle()
    assert server.events()[1] == event
    page.press("ArrowRight")
    assert page.tab.inner_text("#frame") == "frame 61"  # fields do not keep the keys


def test_a_dead_server_is_told_at_once_and_nothing_pretends_to_be_saved(desk):
    server, page = desk
    server.kill()
    page.tab.keyboard.press("n")
    page.tab.keyboard.press("a")
    page.tab.wait_for_selector("#saved.lost")
    assert "NOT SAVED" in page.tab.inner_text("#saved")
    page.faults[:] = [fault for fault in page.faults if "ERR_CONNECTION_REFUSED" not in fault]


@pytest.mark.parametrize("arguments", [("clip.avi",), ("clip", "--fps", "25")], ids=["avi", "images"])
def test_what_no_browser_plays_is_shown_as_a_copy(browser, tmp_path, arguments):
    if arguments[0] == "clip":
        write_images(tmp_path / "clip", numbered(30, 320, 192))
    else:
        write_video(tmp_path / "clip.avi", numbered(30, 320, 192), codec="mjpeg", pixel_format="yuvj420p")
    write_spots(tmp_path / "clip.spots.csv", [Interval(5, 6, 9, "micro", 0.5)])
    with label_server(tmp_path, *arguments) as server:
        page = Page(browser, server.address)
        assert page.tab.evaluate("player.currentSrc").endswith("/copy")
        assert (page.press("n"), page.seen()) == (5, 5)
        page.tab.close()


def test_an_audit_hides_the_machine_and_tells_at_the_end(browser, tmp_path):
    for server, page in opened(browser, tmp_path, CONSTANT, "--audit", "2"):
        assert page.tab.locator(".bar").count() == 0
        assert page.tab.is_visible("#audit-bar")
        page.tab.evaluate("seek(20)")
        page.settle()
        page.tab.keyboard.down("1")
        for _ in range(10):
            page.tab.keyboard.press("ArrowRight")
        page.settle()
        page.tab.keyboard.up("1")
        page.settle()
        page.press("Enter")
        page.tab.on("dialog", lambda dialog: dialog.accept())
        page.tab.wait_for_selector("#result:visible")
        page.tab.click("#result")
        page.tab.wait_for_selector("#report[open]")
        told = page.tab.inner_text("#report-text")
        assert "0.33 (0.33-0.33)" in told  # one of three
        assert "1.00 (1.00-1.00)" in told
        assert server.get("session").json["closed"]


def test_screens_fit_and_labels_are_readable(desk, tmp_path):
    _, page = desk
    page.press("n")
    for width, height in ((1280, 800), (1920, 1080), (700, 900)):
        page.tab.set_viewport_size({"width": width, "height": height})
        wide = page.tab.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
    unnamed = page.tab.evaluate(
        "() => [...document.querySelectorAll('button, select, input')].filter((e) => "
        "!(e.innerText || e.ariaLabel || e.title || (e.labels && e.labels.length))).map((e) => e.id)"
    )
    assert unnamed == []
