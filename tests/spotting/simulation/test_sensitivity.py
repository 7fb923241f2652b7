"""Expressions added to a recording: where they are, what they do to features and pixels, and how hits are counted."""

import csv
import io

import numpy as np
import pytest
from facespot.errors import TooShortError
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.output.sensitivity import COLUMNS, plot_sensitivity, render_sensitivity
from facespot.spotting.simulation import sensitivity as module
from facespot.spotting.simulation.anatomy import au_field, draw_person, neutral_face, roi_means
from facespot.spotting.simulation.pixel_additions import warp_face
from facespot.spotting.simulation.sensitivity import (
    Addition,
    Cell,
    add_to_features,
    measure_sensitivity,
    smallest_found,
)
from facespot.spotting.simulation.sensor import observe
from facespot.spotting.simulation.timeline import perform
from facespot.spotting.spotter import Spotter

IOD_PX = 80.0


def resting(ticks=240, iod_px=IOD_PX):
    """A face that does not move at all, seen from the front."""
    landmarks = np.tile((neutral_face() + np.array([3, 3, 0])) * iod_px, (ticks, 1, 1)).astype(np.float32)
    return FaceFeatures(
        np.zeros((ticks, 17, 10, 2), np.float16), landmarks, np.zeros(ticks, np.int32), Timebase(np.arange(ticks) / 30)
    )


def addition(onset, ticks, field):
    curve = np.sin(np.linspace(0, np.pi, ticks))
    truth = Interval(onset, onset + ticks // 2, onset + ticks - 1, "micro")
    moved = (curve[:, None, None] * field[:, :2]).astype(np.float32)
    return Addition(truth, 0.05, moved, 0.4 * moved)


def test_an_addition_is_in_snippets_and_landmarks_and_nowhere_else():
    smile = au_field("AU12", "left") + au_field("AU12", "right")
    before = resting()
    after = add_to_features(before, [addition(100, 13, smile)])
    changed = np.flatnonzero(np.abs(after.snippets).max(axis=(1, 2, 3)) > 1e-6)
    assert changed.min() > 91  # a snippet looks eight ticks ahead
    assert changed.max() < 121
    moved = after.landmarks - before.landmarks
    assert not moved[:100].any()
    assert not moved[113:].any()
    true = roi_means(smile)[:, :2]
    # The step from eight ticks before the apex to the apex itself: what moved, in the right direction, damped.
    seen = after.snippets[106, 8]
    for roi in range(10):
        if np.linalg.norm(true[roi]) > 0.03:
            gain = seen[roi] @ true[roi] / (true[roi] @ true[roi])
            assert 0.5 < gain < 1.1
    # The mesh says what it reports, no more.
    assert np.abs(moved[106, :, :2]).max() == pytest.approx(0.4 * np.abs(smile[:, :2]).max() * IOD_PX, rel=1e-3)


def test_a_turned_head_shows_the_movement_turned(one_thread):
    rolled = resting(60)
    c, s = np.cos(0.5), np.sin(0.5)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
    rolled = FaceFeatures(rolled.snippets, (rolled.landmarks - 240) @ turn + 240, rolled.segment, rolled.timebase)
    axes = module._head_axes(rolled)
    np.testing.assert_allclose(axes[30] @ [0, 1, 0], [-s, c, 0], atol=1e-3)


def quiet_clip(seed=6, ticks=480):
    rng = np.random.default_rng(seed)
    person = draw_person(rng)
    performance = perform(person, ticks, rng, busy=0.0, speech=0.0, laboratory=True)
    seen = observe(person, performance, rng, still=True, laboratory=True)
    return FaceFeatures(
        seen.snippets.astype(np.float16), seen.landmarks, np.zeros(ticks, np.int32), Timebase(np.arange(ticks) / 30)
    )


def test_large_expressions_are_found_and_invisible_ones_are_not(one_thread):
    calls = []
    cells = measure_sensitivity(
        quiet_clip(),
        Spotter.load(device="cpu"),
        amplitudes=(0.0005, 0.15),
        durations_s=(1.0,),
        trials=6,
        progress=lambda done, in_all: calls.append((done, in_all)),
    )
    invisible, large = cells
    assert invisible.found == 0
    assert large.found >= 5
    assert large.type == "macro"
    assert large.trials >= 6
    assert calls[-1][1] == 12
    again = measure_sensitivity(
        quiet_clip(), Spotter.load(device="cpu"), amplitudes=(0.0005, 0.15), durations_s=(1.0,), trials=6
    )
    assert again == cells


def test_no_room_and_wrong_sizes_are_refused(one_thread):
    spotter = Spotter.load(device="cpu")
    with pytest.raises(TooShortError, match="no stretch of a neutral face"):
        measure_sensitivity(resting(30), spotter, durations_s=(2.0,), trials=1)
    with pytest.raises(ValueError, match="positive"):
        measure_sensitivity(resting(30), spotter, amplitudes=(0.0,), trials=1)


def cell(amplitude, found, duration_s=0.3):
    return Cell(amplitude, duration_s, "micro", 10, found)


def test_the_smallest_size_has_nothing_missed_above_it():
    cells = [cell(0.01, 9), cell(0.02, 5), cell(0.03, 8), cell(0.05, 10)]
    assert smallest_found(cells, 0.3) == 0.03
    assert smallest_found([cell(0.01, 9), cell(0.05, 7)], 0.3) is None
    low, high = cell(0.01, 8).bounds
    assert low == pytest.approx(0.490, abs=1e-3)  # Wilson's interval for 8 of 10
    assert high == pytest.approx(0.943, abs=1e-3)


def test_table_and_picture(tmp_path):
    cells = [cell(0.01, 2), cell(0.05, 9), cell(0.05, 10, 1.0)]
    rows = list(csv.DictReader(io.StringIO(render_sensitivity(cells))))
    assert tuple(rows[0]) == COLUMNS
    assert [r["share"] for r in rows] == ["0.200", "0.900", "1.000"]
    plot_sensitivity(cells, tmp_path / "s.png", "a title")
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_warping_moves_the_pixels_by_the_displacement():
    side = 480
    picture = np.zeros((side, side, 3), np.uint8)
    landmarks = ((neutral_face() + np.array([3, 2.5, 0])) * IOD_PX).astype(np.float64)
    corner = landmarks[np.argmin(neutral_face()[:, 0] + 0.5 * np.abs(neutral_face()[:, 1] - 1.1)), :2]
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    picture[...] = (255 * np.exp(-((x - corner[0]) ** 2 + (y - corner[1]) ** 2) / 50))[..., None].astype(np.uint8)
    move = np.zeros((len(landmarks), 2))
    move[:, 1] = 0.05  # the whole face goes down by 4 pixels
    warped = warp_face(picture, landmarks, move)[..., 0].astype(float)
    centre = np.array([(warped * x).sum(), (warped * y).sum()]) / warped.sum()
    np.testing.assert_allclose(centre - corner, [0, 4], atol=0.35)
    assert np.array_equal(warp_face(picture, landmarks, 0 * move), picture)
