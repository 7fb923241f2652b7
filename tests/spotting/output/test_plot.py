"""The picture of a result: what is drawn where, and that it becomes a PNG without a screen."""

import dataclasses
import itertools

import av
import numpy as np
import pytest
from facespot.extract.features import SNIPPET_STEPS, FaceFeatures
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.output import plot as plotting
from facespot.spotting.output.stills import STILL_SIZE, face_squares, read_stills
from facespot.spotting.result import SpotResult
from matplotlib.backends.backend_agg import FigureCanvasAgg


def make_result(seconds=10.0, intervals=(), gap=(), video="clip.mp4", fps=30.0) -> SpotResult:
    timebase = Timebase(np.arange(round(seconds * fps)) / fps)
    n = timebase.n_ticks
    segment = np.zeros(n, np.int32)
    segment[slice(*gap) if gap else []] = -1
    spots = tuple(i.on(timebase) for i in intervals)
    return SpotResult(video, spots, np.full(n, 0.25), segment, timebase, float(np.mean(segment >= 0)))


def spans(axes):
    """(start, end, hatch) of the vertical bands."""
    from matplotlib.patches import Rectangle

    return [
        (round(p.get_x(), 2), round(p.get_x() + p.get_width(), 2), p.get_hatch())
        for p in axes.patches
        if isinstance(p, Rectangle)
    ]


def test_bands_lie_where_the_intervals_and_the_gap_are():
    result = make_result(intervals=[Interval(30, 40, 60, "macro"), Interval(90, 93, 96, "micro")], gap=(150, 181))
    (axes,) = plotting.draw(result).axes
    half = 0.5 / 30
    assert spans(axes) == [
        (round(5 - half, 2), round(6 + half, 2), "///"),
        (round(1 - half, 2), round(2 + half, 2), None),
        (round(3 - half, 2), round(3.2 + half, 2), None),
    ]
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    macro, micro = axes.patches[1].get_facecolor(), axes.patches[2].get_facecolor()
    assert macro != micro
    curve = axes.lines[0].get_ydata()
    assert np.isnan(curve[150:181]).all()
    assert np.isfinite(curve[181:]).all()


def test_a_bar_below_the_curve_tells_where_a_voice_is_heard():
    result = make_result(intervals=[Interval(30, 40, 60, "macro")])
    heard = np.zeros(result.timebase.n_ticks)
    heard[90:121], heard[125:151] = 0.9, 0.7  # the pause between is too short to count
    figure = plotting.draw(dataclasses.replace(result, voice=heard))
    (axes,) = figure.axes
    bar, _ = axes.patches
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx((3 - 0.5 / 30, 5 + 0.5 / 30))
    assert axes.transAxes.transform((0, bar.get_height()))[1] < axes.transData.transform((0, 0))[1]
    assert "voice heard" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "voice heard" not in [text.get_text() for text in plotting.draw(result).legends[0].get_texts()]


def test_result_without_anything_is_drawn():
    (axes,) = plotting.draw(make_result(gap=(0, 300))).axes
    assert spans(axes)[0][2] == "///"
    assert np.isnan(axes.lines[0].get_ydata()).all()


@pytest.mark.parametrize(("seconds", "rows"), [(0.6, 1), (60, 1), (61, 2), (300, 5), (3 * 3600, 23)])
def test_long_videos_wrap_into_rows_that_cover_them(seconds, rows):
    axes = plotting.draw(make_result(seconds, fps=5.0)).axes
    assert len(axes) == rows
    limits = [a.get_xlim() for a in axes]
    assert limits[0][0] == 0
    assert all(one[1] == following[0] for one, following in itertools.pairwise(limits))
    assert limits[-1][1] >= seconds > limits[-1][0]


def test_event_shows_in_the_row_of_its_time():
    first, second = plotting.draw(make_result(100, [Interval(2100, 2110, 2130, "macro")], fps=5.0)).axes
    assert not first.texts
    assert [t.get_text() for t in second.texts] == ["1"]


def test_stills_are_those_of_the_most_confident_events_in_order_of_time():
    intervals = [Interval(30 * i, 30 * i + 5, 30 * i + 9, "macro", c) for i, c in enumerate([0.5, 0.9, 0.1, 0.8, 0.7])]
    result = make_result(intervals=intervals)
    assert plotting.events_with_stills(result, 4) == [0, 1, 3, 4]
    frames = plotting.frames_of_stills(result, 4)
    assert frames == [f for i in (0, 1, 3, 4) for f in (30 * i, 30 * i + 5, 30 * i + 9)]
    stills = {f: np.full((8, 8, 3), 200, np.uint8) for f in frames[1:]}
    figure = plotting.draw(result, stills)
    pictures = [a for a in figure.axes if a.images]
    assert len(pictures) == len(stills)
    assert [a.get_xlabel() for a in figure.axes[:3]] == ["onset 0", "apex 5", "offset 9"]


def test_stills_are_large_enough_to_see_a_face():
    intervals = [Interval(20 * i, 20 * i + 5, 20 * i + 9, "macro") for i in range(9)]
    result = make_result(intervals=intervals)
    stills = {f: np.full((8, 8, 3), 200, np.uint8) for f in plotting.frames_of_stills(result)}
    figure = plotting.draw(result, stills)
    FigureCanvasAgg(figure).draw()
    pictures = [a for a in figure.axes if a.images]
    assert len(pictures) == 27
    assert min(min(a.get_window_extent().width, a.get_window_extent().height) for a in pictures) > 150


def test_confidences_stand_above_the_line_they_are_reported_from():
    intervals = [Interval(30, 40, 60, "macro", 0.9), Interval(90, 93, 96, "micro", 0.8)]
    result = dataclasses.replace(make_result(intervals=intervals), min_confidence=(0.78, 0.74))
    (axes,) = plotting.draw(result).axes
    levels = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert levels == [0.78, 0.74]
    bars = [collection.get_segments()[0] for collection in axes.collections if hasattr(collection, "get_segments")]
    assert [bar[0][1] for bar in bars] == [0.9, 0.8]
    assert bars[0][1][0] - bars[0][0][0] == pytest.approx(31 / 30)
    assert not [line for line in plotting.draw(make_result()).axes[0].lines if line.get_linestyle() == ":"]


@pytest.mark.parametrize("name", ["clip.mp4", "costs $5 or $x_1$.mp4", "x" * 200 + ".mp4"])
def test_png_of_any_file_name(tmp_path, name):
    path = tmp_path / "out.png"
    plotting.plot(make_result(intervals=[Interval(30, 40, 60, "macro")], video=name), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def counting_video(tmp_path):
    """24 frames of 160 x 120; frame i has gray level 10 i around (100, 40) and is black elsewhere."""
    path = tmp_path / "count.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 160, 120, "yuv420p", 4_000_000
        for i in range(24):
            picture = np.zeros((120, 160, 3), np.uint8)
            picture[20:60, 80:120] = 10 * i
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_stills_show_the_right_frame_and_place(counting_video):
    squares = {4: (100.0, 40.0, 20.0), 20: (100.0, 40.0, 20.0), 21: (0.0, 0.0, 20.0)}
    stills = read_stills(counting_video, squares)
    assert set(stills) == set(squares)
    assert all(s.shape == (STILL_SIZE, STILL_SIZE, 3) and s.dtype == np.uint8 for s in stills.values())
    assert stills[4].mean() == pytest.approx(40, abs=5)
    assert stills[20].mean() == pytest.approx(200, abs=5)
    assert stills[21].mean() < 10
    assert read_stills(counting_video, {}) == {}


def test_squares_follow_the_landmarks_and_skip_what_has_none():
    timebase = Timebase(np.arange(60) / 60)
    n = timebase.n_ticks
    landmarks = np.full((n, len(KEPT_MESH_POINTS), 3), np.nan, np.float32)
    landmarks[5] = np.linspace([10, 20, 0], [30, 60, 0], len(KEPT_MESH_POINTS))
    segment = np.where(np.arange(n) == 5, 0, -1).astype(np.int32)
    features = FaceFeatures(np.zeros((n, SNIPPET_STEPS, 10, 2), np.float32), landmarks, segment, timebase)
    squares = face_squares(features, [10, 40])
    assert list(squares) == [10]
    x, y, side = squares[10]
    assert (x, y) == pytest.approx((20, 40))
    assert side > 40
