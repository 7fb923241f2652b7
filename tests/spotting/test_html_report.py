"""The report in a real browser: what is clicked is what is shown, to the frame; and what may not be in the file."""

import base64
import io
import json
import re
import tempfile
from dataclasses import replace
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from browser import chromium, opened
from facespot.extract.features import FaceFeatures
from facespot.extract.reading.video import open_video
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.extract.timebase import Timebase
from facespot.spotting.explanations import explain_interval
from facespot.spotting.html_report import pictures
from facespot.spotting.html_report.contents import frame_runs, frame_times
from facespot.spotting.html_report.options import ReportOptions
from facespot.spotting.html_report.page import IndexRow, write_index, write_report
from facespot.spotting.html_report.pictures import take_pictures
from facespot.spotting.intervals import Interval
from facespot.spotting.output.face_drawing import FACE_LINES
from facespot.spotting.output.overlay import write_overlay
from facespot.spotting.output.privacy import blur_others
from facespot.spotting.result import SpotResult
from facespot.spotting.simulation.anatomy import neutral_face
from media import write_images, write_video

__all__ = ["chromium"]  # a fixture

BITS, SIZE = 12, (320, 240)  # width, height
FACE_COLOUR = (230, 60, 140)
# Reads the burnt-in number of the picture that the player shows.
READ_BARS = """() => {
  const video = document.getElementById("video"), canvas = document.createElement("canvas");
  canvas.width = 320; canvas.height = 240;
  const g = canvas.getContext("2d", { willReadFrequently: true });
  g.drawImage(video, 0, 0, 320, 240);
  let number = 0;
  for (let bit = 0; bit < 12; bit++) if (g.getImageData(20 * bit + 10, 220, 1, 1).data[0] > 128) number += 1 << bit;
  return number;
}"""


def numbered(n):
    """Pictures with their number in bars of black and white, and a face in one colour that nothing else has."""
    for i in range(n):
        picture = np.full((SIZE[1], SIZE[0], 3), (60, 90, 70), np.uint8)
        cv2.ellipse(picture, (160, 100), (50, 65), 0, 0, 360, FACE_COLOUR, -1)
        for bit in range(BITS):
            picture[200:240, 20 * bit : 20 * bit + 20] = 255 * (i >> bit & 1)
        yield picture


def features_at(times):
    """A face in the middle that smiles a little now and then; none between 4 and 5 seconds."""
    timebase = Timebase(np.asarray(times))
    n = timebase.n_ticks
    move = 0.05 * np.sin(np.arange(n) / 6)[:, None]
    landmarks = np.repeat((neutral_face() * 45 + [160, 90, 0])[None], n, axis=0)
    snippets = np.zeros((n, 17, 10, 2), np.float32)
    snippets[:, :, 6, 0] = -move * np.linspace(0, 1, 17)
    snippets[:, :, 8, 0] = move * np.linspace(0, 1, 17)
    segment = np.zeros(n, np.int32)
    segment[120:150], segment[150:] = -1, 1
    landmarks[120:150] = np.nan
    provenance = {"source": {"width": SIZE[0], "height": SIZE[1]}}
    return FaceFeatures(snippets, landmarks.astype(np.float32), segment, timebase, provenance)


def result_of(video, features, intervals, **more):
    n = features.timebase.n_ticks
    intensity = np.zeros(n, np.float32)
    for i in intervals:
        intensity[i.onset : i.offset + 1] = i.confidence
    scores = np.stack([intensity, 0.5 * intensity], axis=1)
    spots = tuple(
        replace(i.on(features.timebase), explanation=explain_interval(features, i, more.get("speaking")))
        for i in intervals
    )
    return SpotResult(
        str(video), spots, intensity, features.segment, features.timebase, features.coverage, scores=scores, **more
    )


EVENTS = [
    Interval(10, 16, 40, "macro", 0.9),
    Interval(61, 65, 70, "micro", 0.55),
    Interval(160, 171, 203, "macro", 0.8),
    Interval(230, 233, 238, "micro", 0.7),
]


def variable_times(n, seed=1):
    """Between 15 and 120 frames a second, with a pause."""
    steps = np.random.default_rng(seed).uniform(1 / 120, 1 / 15, n - 1)
    steps[n // 3] = 0.6
    return np.round(np.concatenate([[0.0], np.cumsum(steps)]) * 12800) / 12800


@pytest.fixture(scope="module", params=["constant", "NTSC", "variable", "late"])
def made(request, tmp_path_factory):
    """(folder, result, features) of a clip with burnt-in frame numbers."""
    folder = tmp_path_factory.mktemp(request.param)
    path, n = folder / "a clip 100%.mp4", 260
    if request.param == "constant":
        write_video(path, numbered(n), 25)
    elif request.param == "NTSC":
        write_video(path, numbered(n), 30000 / 1001)
    else:
        times = variable_times(n) + (0.37 if request.param == "late" else 0)
        write_video(path, numbered(n), 30, times=times)
    with open_video(path) as stream:
        times = [frame.time for frame in stream.pending()]
    assert len(times) == n
    features = features_at(times)
    intervals = [i for i in EVENTS if i.offset < features.timebase.n_ticks]
    return folder, result_of(path, features, intervals), features


def write(made, name, **options):
    folder, result, features = made
    path = folder / f"{name}.html"
    write_report(result, features, path, ReportOptions(**options))
    return path


def settled(page, frame):
    page.wait_for_function("f => document.getElementById('where').dataset.frame == f", arg=str(frame), timeout=15000)
    return page.evaluate(READ_BARS)


@pytest.mark.parametrize("embed", [False, True], ids=["linked", "embedded"])
def test_the_frame_shown_is_the_frame_coded(made, chromium, embed):
    _, result, _ = made
    with opened(chromium, write(made, "report", embed=embed)) as page:
        for i, spot in enumerate(result.spots):
            page.click(f"tr[data-event='{i}'] .choose")
            assert settled(page, spot.onset_frame) == spot.onset_frame
            for moment, frame in (("2", spot.apex_frame), ("3", spot.offset_frame)):
                page.keyboard.press(moment)
                assert settled(page, frame) == frame
        bar = page.locator(".bar[data-event='1']")
        bar.click()
        assert settled(page, result.spots[1].onset_frame) == result.spots[1].onset_frame
        assert bar.get_attribute("aria-pressed") == "true"
        # Frame by frame, and every frame of a stretch, both ways.
        page.focus("#stage")
        frame = result.spots[1].onset_frame
        for key, by in (("ArrowRight", 1), ("ArrowRight", 1), ("ArrowLeft", -1), ("Shift+ArrowRight", 5)):
            page.keyboard.press(key)
            frame += by
            assert settled(page, frame) == frame
        shown = page.evaluate(
            "async frames => { const out = []; for (const f of frames) { out.push([f, await facespot.player.seek(f), ("
            + READ_BARS
            + ")()]); } return out; }",
            [0, 1, 2, 57, 58, 59, 86, 87, 88, 258, 259, 3],
        )
        assert [(f, bars) for f, _, bars in shown] == [(f, f) for f, _, _ in shown]
        assert all(exact for _, exact, _ in shown)


def test_browsers_that_do_not_tell_what_they_present_show_the_frame_too(steady, chromium):
    forget = "delete HTMLVideoElement.prototype.requestVideoFrameCallback"
    with opened(chromium, write(steady, "report"), forget) as page:
        assert page.evaluate("facespot.player.exact") is False
        for i, moment, frame in ((0, "1", 10), (1, "2", 65), (2, "3", 203), (3, "1", 230)):
            page.click(f"tr[data-event='{i}'] .choose")
            page.keyboard.press(moment)
            assert settled(page, frame) == frame


def test_an_event_is_played_from_its_first_to_its_last_frame(made, chromium):
    _, result, _ = made
    spot = result.spots[1]
    with opened(chromium, write(made, "report")) as page:
        page.click("tr[data-event='1'] .choose")
        settled(page, spot.onset_frame)
        page.evaluate(
            "() => { window.seen = []; const p = facespot.player, was = p.onframe;"
            "p.onframe = f => { seen.push(f); was(f); }; }"
        )
        page.click("#play-event")
        page.wait_for_function("() => facespot.player.playing", timeout=10000)
        page.wait_for_function("() => !facespot.player.playing", timeout=15000)
        assert settled(page, spot.offset_frame) == spot.offset_frame
        seen = page.evaluate("seen")
        assert min(seen) == spot.onset_frame
        assert max(seen) <= spot.offset_frame + 3  # a frame may be on its way when the end is noticed


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steady")
    path = folder / "clip.mp4"
    write_video(path, numbered(260), 30)
    features = features_at(np.arange(260) / 30)
    speaking = np.zeros(features.timebase.n_ticks, np.float32)
    speaking[55:80] = 1.0
    return folder, result_of(path, features, EVENTS, speaking=speaking), features


def test_keys_filters_and_neighbours(steady, chromium):
    with opened(chromium, write(steady, "report")) as page:
        where = page.locator("#where")
        assert page.inner_text("#shown") == "4 of 4 events shown"
        page.focus("#stage")
        for expected in (10, 61, 160):
            page.keyboard.press("n")
            settled(page, expected)
        assert page.evaluate("window.scrollY") == 0  # the player has not been scrolled away
        page.keyboard.press("p")
        settled(page, 61)
        assert "2 micro" in page.inner_text("#chosen")
        page.fill("input[name='speech']", "0.5")
        assert page.inner_text("#shown") == "3 of 4 events shown"
        assert page.locator("tr[data-event='1']").is_hidden()
        assert page.locator(".bar[data-event='1']").is_hidden()
        page.uncheck("input[name='macro']")
        assert page.inner_text("#shown") == "1 of 4 events shown"
        page.check("input[name='macro']")
        page.fill("input[name='confidence']", "0.75")
        assert page.inner_text("#shown") == "2 of 4 events shown"
        page.focus("#stage")
        page.keyboard.press("n")
        settled(page, 160)
        assert where.get_attribute("data-frame") == "160"


def test_where_a_voice_is_heard_is_shown_and_told(steady, tmp_path):
    _, result, features = steady
    voice = np.zeros(features.timebase.n_ticks, np.float32)
    voice[60:90] = 0.9
    spots = tuple(replace(s, explanation=replace(s.explanation, voiced=0.25)) for s in result.spots)
    path = tmp_path / "voice.html"
    write_report(replace(result, voice=voice, spots=spots), features, path, ReportOptions(anonymous=True))
    page = path.read_text()
    assert json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])["voice"] == [[2.0, 3.0]]
    assert page.count("with a voice 25 %") == sum(s.explanation is not None for s in result.spots)
    assert '<span class="key voice">' in page
    assert "speech and voice</th>" in page
    write_report(result, features, path, ReportOptions(anonymous=True))
    plain = path.read_text()
    assert json.loads(re.search(r'id="data">(.*?)</script>', plain, re.S)[1])["voice"] == []
    assert '<span class="key voice">' not in plain
    assert "speech and voice</th>" not in plain


def test_everything_has_a_name_for_a_screen_reader_and_can_be_reached_by_tab(steady, chromium):
    with opened(chromium, write(steady, "report")) as page:
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, [role=img], video:not([hidden])")]
            .filter(e => e.id !== "video" && !e.getAttribute("aria-label") && !e.title && !e.textContent.trim()
            && !e.closest("label")).map(e => e.outerHTML)"""
        )
        assert nameless == []
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("() => document.activeElement.className + ' ' + document.activeElement.id"))
        for needed in ("stage stage", " play-event", "bar macro ", "choose ", "moment "):
            assert needed in reached


def test_it_prints_table_and_filmstrips_without_the_controls(steady, chromium):
    with opened(chromium, write(steady, "report")) as page:
        page.emulate_media(media="print")
        assert page.locator(".controls").is_hidden()
        assert page.locator("#events").is_visible()
        assert page.locator(".card").first.is_visible()
        assert len(page.pdf()) > 10_000


def test_an_anonymous_report_holds_no_picture_and_no_way_to_one(steady, chromium):
    path = write(steady, "anonymous", anonymous=True)
    text = path.read_text()
    assert "<image" not in text
    assert "data:image/" not in text
    assert "data:video" not in text
    assert '"copy"' not in text
    assert "clip.mp4" not in re.sub(r"<(h1|title)>.*?</\1>", "", text)
    with opened(chromium, path) as page:
        page.click("tr[data-event='2'] .choose")
        page.wait_for_function("() => document.getElementById('where').dataset.frame == '160'")
        assert page.locator("#video").is_hidden()
        drawn = page.evaluate(
            "() => { const c = document.getElementById('canvas');"
            "return [...new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)]"
            ".filter(v => v !== 0xff1c1814).length; }"
        )
        assert drawn > 500
        page.evaluate("() => facespot.goTo(135)")
        assert page.evaluate("facespot.player.frame") == 135
        page.focus("#stage")
        page.keyboard.press(" ")
        page.wait_for_function("() => facespot.player.frame > 140", timeout=10000)
        assert page.locator("polyline.face").count() > 20


def stills_in(text):
    for data in re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", text):
        yield cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_stills_show_the_face_at_their_frame(steady):
    stills = list(stills_in(write(steady, "report").read_text()))
    assert len(stills) == 3 * len(EVENTS)
    for still in stills:
        middle = still[60:110, 70:105].reshape(-1, 3).mean(axis=0)
        assert middle == pytest.approx(FACE_COLOUR, abs=30)


def test_what_is_copied_can_be_blurred_around_the_followed_face(steady, tmp_path):
    _, result, features = steady
    text = write(steady, "blurred", blur_others=True).read_text()
    assert '"link"' not in text
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(base64.b64decode(re.search(r'"copy": "([^"]+)"', text)[1]))
    with open_video(copy) as stream:
        frames = list(stream)
    assert len(frames) == 260
    assert [f.time for f in frames] == pytest.approx(list(features.timebase.frame_times), abs=1e-3)
    # The bars at the bottom are unreadable, the face is there; without a usable face nothing is.
    bars = frames[90].rgb[205:235, 20 * np.arange(5) + 10].mean(axis=(0, 2))
    assert np.ptp(bars) < 30
    assert frames[90].rgb[100, 160] == pytest.approx(np.array(FACE_COLOUR), abs=30)
    edges = [np.abs(np.diff(frames[i].rgb[100].astype(int), axis=0)).max() for i in (90, 135)]
    assert edges[0] > 2 * edges[1]
    assert result.segment[135] == -1


def test_blurring_leaves_the_followed_head_untouched():
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    points = (neutral_face() * 30 + [100, 100, 0])[:, :2]
    blurred = blur_others(picture, points)
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    assert (blurred[low[1] : high[1], low[0] : high[0]] == picture[low[1] : high[1], low[0] : high[0]]).all()
    assert blurred[:, 220:].std() < 0.2 * picture[:, 220:].std()
    assert blur_others(picture, None).std() < 0.2 * picture.std()


def test_anonymous_excludes_pictures():
    for other in ("embed", "blur_others"):
        with pytest.raises(ValueError, match="anonymous"):
            ReportOptions(anonymous=True, **{other: True})


def test_a_folder_of_images_has_stills_and_plays_when_embedded(tmp_path, chromium):
    folder = write_images(tmp_path / "images", numbered(120))
    features = features_at(np.arange(120) / 25)
    result = result_of(folder, features, [Interval(20, 25, 33, "micro", 0.8)])
    for embed in (False, True):
        path = tmp_path / "report.html"
        write_report(result, features, path, ReportOptions(embed=embed), fps=25)
        frame = result.spots[0].onset_frame
        with opened(chromium, path) as page:
            page.click("tr[data-event='0'] .choose")
            if embed:
                assert settled(page, frame) == frame
            else:
                assert "--embed" in page.inner_text("#no-picture")


def test_a_video_that_has_gone_leaves_stills_and_table(steady, tmp_path, chromium):
    path = tmp_path / "elsewhere" / "report.html"
    path.parent.mkdir()
    path.write_bytes(write(steady, "report").read_bytes())
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#no-picture:not([hidden])")
    page.click("tr[data-event='2'] .choose")
    page.wait_for_function("() => document.getElementById('where').dataset.frame == '160'")
    page.close()


def test_a_copy_keeps_to_its_size_however_restless_the_video(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    video = write_video(tmp_path / "noise.mp4", rng.integers(0, 256, (150, 240, 320, 3), dtype=np.uint8), 30)
    features = features_at(np.arange(150) / 30)
    sizes = []
    for most in (100_000, 200_000):
        monkeypatch.setattr(pictures, "COPY_BYTES", most)
        sizes.append(len(take_pictures((), features, video, ReportOptions(embed=True)).copy))
        assert sizes[-1] < 1.3 * most
    assert sizes[1] > 1.3 * sizes[0]


def test_a_copy_is_made_without_temporary_files(tmp_path, monkeypatch):
    """In which faces would stay when the process is killed."""
    video = write_video(tmp_path / "a.mp4", numbered(20), 30)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    copy = take_pictures((), features_at(np.arange(20) / 30), video, ReportOptions(embed=True)).copy
    with av.open(io.BytesIO(copy)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20


def test_names_and_words_cannot_inject_markup(steady, tmp_path, chromium):
    _, result, features = steady
    name = "<script>window.bad=1</script>.mp4"
    (tmp_path / "in").mkdir()
    hostile = replace(result, video=str(tmp_path / "in" / "x").replace("x", "") + name.replace("/", "_"))
    write_video(tmp_path / "in" / name.replace("/", "_"), numbered(260), 30)
    hostile = replace(hostile, warnings=("</script><img src=x onerror=window.bad=1>",))
    path = tmp_path / "report.html"
    write_report(hostile, features, path)
    with opened(chromium, path) as page:
        page.click("tr[data-event='0'] .choose")
        assert settled(page, 10) == 10
        assert page.evaluate("window.bad") is None


def test_the_index_links_every_report_and_tells_failures(steady, chromium):
    folder, result, _ = steady
    report = write(steady, "report #1")
    write_index([IndexRow("clip.mp4", report, result), IndexRow("bad.mp4", None, None, "no video")], folder / "i.html")
    with opened(chromium, folder / "i.html") as page:
        assert "no video" in page.inner_text("tbody")
        assert page.locator("rect.macro-bar").count() == 2
        page.click("text=clip.mp4")
        page.wait_for_selector("#stage")


def test_ten_minutes_stay_small_and_open_quickly(tmp_path, chromium):
    """Linked, with a hundred events; anonymous, with the mesh of every tick. Opened: the scripts are through."""
    n = 18000
    video = tmp_path / "long.mp4"
    write_video(video, (p for p in numbered(60)), 30)
    features = features_at(np.arange(n) / 30)
    events = [Interval(t, t + 6, t + 30, "macro", 0.8) for t in range(200, n - 200, 175)]
    result = result_of(video, features, events)
    for options in (ReportOptions(), ReportOptions(anonymous=True)):
        path = tmp_path / "report.html"
        write_report(result, features, path, options)
        assert path.stat().st_size < (25_000_000 if options.anonymous else 1_500_000)
        took = [float("inf")]
        while min(took) >= 2000 and len(took) < 10:  # a busy machine delays; the quickest tells what the page needs
            with opened(chromium, path) as page:
                page.wait_for_selector("#shown:has-text('events shown')")
                took.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
        assert min(took) < 2000, took


def test_without_events_and_pictures_a_report_is_under_400_kilobytes(steady):
    _, result, features = steady
    folder = steady[0]
    write_report(replace(result, spots=()), features, folder / "none.html")
    assert (folder / "none.html").stat().st_size < 150_000
    assert "No expressions." in (folder / "none.html").read_text()
    assert write(steady, "report").stat().st_size < 400_000


@pytest.mark.parametrize("rate", [25, 30000 / 1001, 200])
def test_frame_times_of_a_constant_rate_are_one_run(rate):
    times = np.round(np.arange(5000) / rate, 4)
    assert len(frame_runs(times)) == 1
    count, start, step = frame_runs(times)[0]
    assert np.abs(start + np.arange(count) * step - times).max() < 3e-4


def test_frame_times_of_any_rate_come_back():
    for times in (variable_times(700), np.concatenate([np.arange(100) / 30, 5 + np.arange(50) / 60]), np.zeros(1)):
        runs = frame_runs(times)
        back = np.concatenate([start + np.arange(count) * step for count, start, step in runs])
        assert np.abs(back - times).max() < 3e-4
        assert all(b[1] > a[1] for a, b in pairwise(runs))
    packed = frame_times(variable_times(700))["microseconds"]
    assert np.frombuffer(base64.b64decode(packed), "<u4") / 1e6 == pytest.approx(variable_times(700), abs=1e-6)
    assert len(frame_runs(np.concatenate([np.arange(100) / 30, 5 + np.arange(50) / 60]))) == 2


def test_the_drawn_face_joins_points_that_are_kept():
    assert {p for line in FACE_LINES for p in line} <= set(KEPT_MESH_POINTS)


def test_the_overlay_has_every_frame_at_its_time_with_lines_and_curve(steady, tmp_path):
    _, result, features = steady
    write_overlay(result, features, tmp_path / "overlay.mp4")
    with open_video(tmp_path / "overlay.mp4") as stream:
        frames = list(stream)
    assert [f.time for f in frames] == pytest.approx(list(features.timebase.frame_times), abs=1e-3)
    with_face, without = frames[100].rgb, frames[135].rgb
    assert with_face.shape[0] == 240 + 60
    original = next(numbered(1))
    for picture, changed in ((with_face, True), (without, False)):
        difference = np.abs(picture[40:180, 60:260].astype(int) - original[40:180, 60:260]).max(axis=2) > 60
        assert (difference.mean() > 0.01) == changed
    # Inside an event the strip under the picture is tinted at its middle.
    assert frames[20].rgb[280, 158].mean() < frames[100].rgb[280, 158].mean()
