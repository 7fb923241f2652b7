"""The simulator: action units, performances, what is seen of them, and the corpus."""

import itertools

import numpy as np
import pytest
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS, geometry_channels
from facespot.extract.regions import KEPT_INDEX, KEPT_MESH_POINTS, ROI_NAMES
from facespot.spotting.simulation import corpus, timeline
from facespot.spotting.simulation.anatomy import (
    PAIRED_AUS,
    SINGLE_AUS,
    au_field,
    draw_person,
    mirror_index,
    neutral_face,
    random_field,
    roi_means,
)
from facespot.spotting.simulation.behaviour import blink, look_down, swallow
from facespot.spotting.simulation.corpus import CLIP_TICKS, film_clip, simulate_clip, simulate_corpus
from facespot.spotting.simulation.expressions import draw_expression, draw_timing, draw_wink, envelope
from facespot.spotting.simulation.sensor import camera_motion, every_second, exposure, observe
from facespot.spotting.simulation.stage import MICRO_MAX_TICKS, Stage
from facespot.spotting.simulation.timeline import perform
from simulated import film


def mirrored(field):
    return field[mirror_index()] * [-1, 1, 1]


def test_the_neutral_face_is_its_own_mirror_image():
    assert mirrored(neutral_face()) == pytest.approx(neutral_face(), abs=1e-9)
    assert neutral_face().shape == (len(KEPT_MESH_POINTS), 3)


@pytest.mark.parametrize("au", PAIRED_AUS)
def test_the_two_sides_of_a_unit_are_mirror_images(au):
    left, right = au_field(au, "left"), au_field(au, "right")
    assert mirrored(left) == pytest.approx(right, abs=1e-9)
    x = neutral_face()[:, 0]
    assert np.abs(left[x < -0.1]).sum() > 5 * np.abs(left[x > 0.1]).sum()


@pytest.mark.parametrize(
    ("au", "mesh", "axis", "sign"),
    [
        ("AU1", 107, 1, -1),
        ("AU2", 63, 1, -1),
        ("AU4", 107, 1, 1),
        ("AU12", 61, 0, -1),
        ("AU12", 61, 1, -1),
        ("AU15", 61, 1, 1),
        ("AU17", 17, 1, -1),
        ("AU26", 152, 1, 1),
        ("AU43", 159, 1, 1),
    ],
)
def test_units_move_the_face_the_way_they_are_defined(au, mesh, axis, sign):
    assert sign * au_field(au, "left")[KEPT_INDEX[mesh], axis] > 0.03


def test_unknown_units_and_sides_are_refused():
    for name, side in (("AU99", "left"), ("AU12", "both"), (SINGLE_AUS[0], "left")):
        with pytest.raises(KeyError):
            au_field(name, side)


def test_random_motion_has_its_stated_size():
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert np.linalg.norm(roi_means(random_field(rng))[:, :2], axis=1).max() == pytest.approx(0.1)


def test_an_envelope_is_zero_outside_and_may_be_cut_by_either_end():
    rng = np.random.default_rng(0)
    curve = envelope(20, 30, 10, 55, 100, rng)
    assert not curve[:20].any()
    assert not curve[56:].any()
    assert curve[20:56].min() > 0
    assert 0.6 < curve.max() <= 1
    assert 29 <= np.argmax(curve) <= 41
    assert envelope(-10, -2, 5, 20, 30, rng)[0] > 0.5
    assert not envelope(40, 45, 0, 50, 30, rng).any()


@pytest.fixture(scope="module")
def performances():
    clips = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        person = draw_person(rng)
        clips.append(perform(person, 400, rng, busy=0.5))
    return clips


def test_events_lie_in_their_clip_and_are_named_for_their_length(performances):
    events = [event for clip in performances for event in clip.events]
    assert len(events) > 30
    assert {event.type for event in events} == {"macro", "micro"}
    for event in events:
        assert 0 <= event.onset <= event.apex <= event.offset < 400
        assert event.offset - event.onset >= 2
        assert (event.type == "micro") == (event.offset - event.onset + 1 <= MICRO_MAX_TICKS)
        assert 0.01 <= event.amplitude <= 0.8
    for clip in performances:
        assert clip.events == sorted(clip.events)
        assert clip.displacement.shape == (400, len(KEPT_MESH_POINTS), 3)
        assert 0 <= clip.intensity.min() <= clip.intensity.max() <= 1 + 1e-9
        for event in clip.events:
            assert clip.intensity[event.apex] >= 0.3


def test_faces_that_are_not_busy_have_no_events():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        clip = perform(draw_person(rng), 200, rng, busy=0)
        assert clip.events == []
        assert not clip.intensity.any()
        assert np.abs(clip.displacement).max() > 0.01


def test_expressions_may_be_held_for_seconds():
    lengths = []
    for seed in range(40, 60):
        rng = np.random.default_rng(seed)
        clip = perform(draw_person(rng), 720, rng, busy=0.6, speech=0.0)
        lengths += [event.offset - event.onset + 1 for event in clip.events]
    assert 150 < max(lengths) <= 320
    assert 0.01 < np.mean(np.array(lengths) > 120) < 0.2


def test_a_face_that_is_held_throughout_has_no_event():
    rng = np.random.default_rng(0)
    stage = Stage(60)
    shape = draw_expression(draw_person(rng), 0.2, rng)
    stage.express(shape, envelope(-30, -20, 120, 130, 60, rng), 0.2)
    assert stage.events == []
    assert np.abs(stage.performance(len(shape)).displacement).max() > 0.1
    stage.express(shape, envelope(-30, -20, 50, 40, 60, rng), 0.2)
    assert [(e.onset, e.type) for e in stage.events] == [(0, "macro")]


def test_an_expression_is_marked_where_people_see_it():
    rng = np.random.default_rng(0)
    shape = draw_expression(draw_person(rng), 0.2, rng)
    curve = envelope(20, 40, 10, 90, 120, rng)
    marks = {}
    for laboratory in (False, True):
        stage = Stage(120, laboratory)
        stage.express(shape, curve, 0.2)
        (event,) = stage.events
        marks[laboratory] = (event.onset, event.offset)
        least = 0.08 if laboratory else 0.2
        assert curve[event.onset] > least >= curve[event.onset - 1]
        assert curve[event.offset] > least >= curve[event.offset + 1]
    assert 20 < marks[True][0] < marks[False][0] < 40
    assert 50 < marks[False][1] < marks[True][1] < 90
    # What moves little is seen later still.
    weak = Stage(120)
    weak.express(shape, curve, 0.008)
    assert weak.events[0].onset > marks[False][0]


def test_a_face_that_gives_way_ends_where_the_next_begins():
    rng = np.random.default_rng(0)
    shape = draw_expression(draw_person(rng), 0.2, rng)
    for second, end in ((60, True), (30, False), (110, False)):
        stage = Stage(200)
        stage.express(shape, envelope(10, 30, 20, 90, 200, rng), 0.2)
        alone = stage.events[0]
        stage.express(shape, envelope(second, second + 10, 20, second + 50, 200, rng), 0.2)
        stage.give_way(0)
        first, later = stage.events
        # Neither what is not at its apex yet nor what is over gives way.
        assert (first.offset == later.onset - 1) == end
        assert (first == alone) == (not end)
    stage = Stage(200)
    stage.express(shape, envelope(10, 16, 0, 50, 200, rng), 0.2)
    stage.express(shape, envelope(20, 26, 0, 60, 200, rng), 0.2)
    stage.give_way(0)
    assert stage.events[0].type == "micro"
    assert stage.events[0].offset - stage.events[0].onset < MICRO_MAX_TICKS


def test_busy_faces_turn_into_each_other():
    touching = pairs = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        events = perform(draw_person(rng), 720, rng, busy=0.7, speech=0.0).events
        pairs += len(events) - 1
        touching += sum(b.onset == a.offset + 1 for a, b in itertools.pairwise(events))
    assert 0.1 < touching / pairs < 0.6


def test_calm_faces_show_little_and_take_their_time():
    calm, others = [], []
    for seed in range(12):
        for kind, found in ((True, calm), (False, others)):
            rng = np.random.default_rng(seed)
            clip = perform(draw_person(rng), 720, rng, busy=0.4, speech=0.0, calm=kind)
            assert not (kind and clip.speaking.any())
            found += [event for event in clip.events if event.type == "macro" and event.onset > 0]
    assert max(e.amplitude for e in calm) <= 0.08
    assert np.median([e.amplitude for e in calm]) < 0.5 * np.median([e.amplitude for e in others])


def test_blinks_take_as_long_as_measured_and_open_slower_than_they_close():
    """VanderWerf et al. 2003: 100 to 400 ms for most; double and half ones are few."""
    rng = np.random.default_rng(0)
    person = draw_person(rng)
    lengths, closing, twice, half = [], [], 0, 0
    for _ in range(400):
        stage = Stage(200)
        blink(stage, person, 40, rng)
        assert not stage.events
        shut = stage.blink > 0
        starts = np.flatnonzero(np.diff(np.r_[False, shut].astype(int)) == 1)
        twice += len(starts) > 1
        half += stage.blink.max() < 0.76
        lengths.append(shut.sum() / len(starts) / 30)
        closing.append(np.flatnonzero(stage.blink >= 0.95 * stage.blink.max())[0] - 39)
        assert np.abs(stage.performance(len(person.shape)).displacement).max() < 0.3
    assert 0.15 < np.median(lengths) < 0.35
    assert np.percentile(lengths, 5) >= 0.1
    assert np.mean(np.array(lengths) > 0.45) < 0.3
    assert 30 * np.median(lengths) > 2.5 * np.median(closing)
    assert 10 < twice < 60
    assert 10 < half < 60


def test_a_swallow_is_no_expression_and_returns_to_rest():
    rng = np.random.default_rng(0)
    person = draw_person(rng)
    for _ in range(20):
        stage = Stage(240)
        swallow(stage, person, 20, rng)
        moved = np.abs(stage.performance(len(person.shape)).displacement).max(axis=(1, 2))
        assert not stage.events
        assert moved[:20].max() == moved[-20:].max() == 0
        assert 0.002 < moved.max() < 0.1


def test_eyes_that_look_down_are_no_expression_and_come_up_again():
    rng = np.random.default_rng(0)
    person = draw_person(rng)
    lids = KEPT_INDEX[159]
    lengths = []
    for _ in range(40):
        stage = Stage(300)
        look_down(stage, person, 40, rng)
        moved = stage.performance(len(person.shape)).displacement
        assert not stage.events
        assert np.abs(moved[:40]).max() == np.abs(moved[-20:]).max() == 0
        assert 0.02 < moved[:, lids, 1].max() < 0.15
        lengths.append((stage.blink > 0).sum() / 30)
    assert min(lengths) < 1 < 3 < max(lengths) < 6.5


def test_looking_down_leaves_the_rest_of_a_clip_as_it_was(monkeypatch):
    def played():
        rng = np.random.default_rng(9)
        return perform(draw_person(rng), 900, rng, busy=0.4)

    looking = played()
    monkeypatch.setattr(timeline, "look_down", lambda *_: None)
    assert played().events == looking.events
    assert not np.array_equal(played().displacement, looking.displacement)


def test_every_second_row_is_halfway_between_its_neighbours():
    values = np.random.default_rng(0).normal(size=(7, 3))
    for first, filled, kept in ((0, [1, 3, 5], [0, 2, 4, 6]), (1, [2, 4], [0, 1, 3, 5, 6])):
        seen = every_second(values, first)
        assert np.array_equal(seen[kept], values[kept])
        for row in filled:
            assert seen[row] == pytest.approx((values[row - 1] + values[row + 1]) / 2)
    assert np.array_equal(every_second(values[:2], 0), values[:2])


def test_pictures_as_fast_as_the_clock_are_tracked_to_every_second_one():
    rng = np.random.default_rng(2)
    person = draw_person(rng)
    seen = observe(person, perform(person, 120, rng, laboratory=True), rng, laboratory=True)
    odd = (seen.snippets[:, :-1:2] + seen.snippets[:, 2::2]) / 2
    assert seen.snippets[:, 1::2] == pytest.approx(odd, abs=1e-6)
    assert seen.snippets.any()


def test_a_camera_that_pans_moves_the_picture_and_not_the_face():
    moves = [camera_motion(300, np.random.default_rng(seed)) for seed in range(60)]
    still = [not any(part.any() for part in parts) for parts in moves]
    assert 0.3 < np.mean(still) < 0.7
    assert max(np.ptp(shift, axis=0).max() for shift, _, _ in moves) > 1.0
    assert 0.1 < max(np.abs(roll).max() for _, roll, _ in moves) <= 0.4
    assert all(np.abs(zoom).max() <= 0.6 for _, _, zoom in moves)
    # Per tick it goes no faster than a hand can sweep it.
    assert max(np.abs(np.diff(shift, axis=0)).max() for shift, _, _ in moves) < 0.5


def test_brightness_is_settled_most_of_the_time():
    unsettled = np.concatenate([exposure(300, np.random.default_rng(seed)) for seed in range(60)])
    assert unsettled.min() >= 0
    assert np.mean(unsettled < 0.05) > 0.7
    assert 0.3 < unsettled.max() < 3


def test_some_clips_outside_the_laboratory_are_meant_to_be_empty(monkeypatch):
    monkeypatch.setattr(corpus, "observe", lambda *_, **__: None)
    quiet = 0
    for seed in range(100):
        performance, _ = film_clip(72, (3, seed), laboratory_share=0.0)
        quiet += not performance.intensity.any()
    # Beside those that are empty by chance.
    assert 22 < quiet < 60


def test_rise_and_fall_take_as_long_as_annotators_measured():
    """Medians of the sheets of CAS(ME)^2 and SAMM-LV: 0.4 to 0.45 s up, 0.6 to 0.7 s down, between what is drawn and
    what is marked of it; a calm face is slower."""
    rng = np.random.default_rng(0)
    shape = draw_expression(draw_person(rng), 0.2, rng)
    rises = {}
    for setting in ("anywhere", "calm"):
        drawn, marked = [], []
        for rise, hold, fall in (draw_timing("macro", setting, rng) for _ in range(1000)):
            stage = Stage(400)
            drawn.append((rise, fall))
            stage.express(shape, envelope(20, 20 + rise, hold, 19 + rise + hold + fall, 400, rng), 0.2)
            marked.append((20 + rise - stage.events[0].onset, stage.events[0].offset - 19 - rise - hold))
        rises[setting], falls = np.median(marked, axis=0) / 30
        if setting == "anywhere":
            most_rise, most_fall = np.median(drawn, axis=0) / 30
            assert 0.25 < rises["anywhere"] < 0.4 <= most_rise < 0.5
            assert 0.35 < falls < 0.6 <= most_fall < 0.8
    assert rises["calm"] > 1.15 * rises["anywhere"]
    totals = np.array([draw_timing("macro", "anywhere", rng) for _ in range(2000)]).sum(axis=1)
    assert 16 <= totals.min() <= totals.max() <= 300
    micro = {
        s: np.array([draw_timing("micro", s, rng) for _ in range(500)]).sum(axis=1) for s in ("anywhere", "laboratory")
    }
    assert min(m.min() for m in micro.values()) >= 5
    assert micro["laboratory"].max() == MICRO_MAX_TICKS < micro["anywhere"].max()


def test_releases_may_fade():
    curves = [envelope(10, 20, 5, 90, 100, np.random.default_rng(0), decay) for decay in (0.0, 4.0)]
    assert all(not curve[91:].any() for curve in curves)
    eased, fading = (np.flatnonzero(curve > 0.5)[-1] for curve in curves)
    assert fading < eased - 10
    assert (np.diff(curves[1][30:90]) < 0).all()


def test_a_wink_shuts_one_eye():
    lids = [KEPT_INDEX[p] for p in (159, 386)]
    for seed in range(6):
        rng = np.random.default_rng(seed)
        shape, amplitude = draw_wink(draw_person(rng), rng)
        shut, open_eye = sorted(shape[lids, 1], reverse=True)
        assert shut > 0.04 > 4 * abs(open_eye)
        assert amplitude == pytest.approx(np.linalg.norm(roi_means(shape)[:, :2], axis=1).max())


def test_laboratory_expressions_are_apart_and_have_their_sizes():
    events = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        clip = perform(draw_person(rng), 900, rng, busy=0.4, speech=0.0, laboratory=True)
        assert not clip.speaking.any()
        for one, next_one in zip(clip.events, clip.events[1:], strict=False):
            assert next_one.onset > one.offset
        events += clip.events
    macro = [e.amplitude for e in events if e.type == "macro"]
    micro = [e.amplitude for e in events if e.type == "micro"]
    assert 0.05 <= min(macro) <= max(macro) <= 0.35
    assert min(micro) >= 0.01
    # The rest are macro-expressions of which only half a second shows.
    assert np.mean(np.array(micro) <= 0.04) > 0.8
    assert 0.2 < len(micro) / len(events) < 0.8


def test_a_still_face_gives_almost_no_flow():
    for seed in range(3):
        _, seen = film(120, seed)
        assert not seen.snippets[:, 0].any()
        assert np.percentile(np.linalg.norm(seen.snippets, axis=-1), 90) < 0.02
        assert np.isfinite(seen.landmarks).all()


def test_a_visible_expression_shows_in_flow_and_geometry():
    brows = [i for i, name in enumerate(ROI_NAMES) if "brow" in name]
    mouth = [i for i, name in enumerate(ROI_NAMES) if "brow" not in name]
    height = [GEOMETRY_CHANNELS.index(f"{ROI_NAMES[i]}_y") for i in brows]
    for seed in range(4):
        _, seen = film(240, seed, amplitude=0.1)
        # Up is negative; the snippet around the onset sees the whole rise, the one around the offset the fall.
        rise = seen.snippets[100:112, 16][:, brows, 1].min()
        fall = seen.snippets[128:144, 16][:, brows, 1].max()
        assert -0.15 < rise < -0.05
        assert 0.05 < fall < 0.15
        assert np.abs(seen.snippets[100:112, 16][:, mouth]).max() < 0.5 * -rise
        assert np.abs(seen.snippets[30:80, :, brows]).max() < 0.5 * -rise
        lifted = geometry_channels(seen.landmarks, [(0, 240)])[:, height].min(axis=1)
        assert lifted[115:125].mean() < -0.03
        assert lifted[115:125].mean() < 2 * lifted[30:80].mean()


def test_clips_depend_on_their_seed_alone():
    one, again, other = (simulate_clip(72, seed) for seed in ((4, 2), (4, 2), (4, 3)))
    for a, b, c in zip(one[:3], again[:3], other[:3], strict=True):
        assert np.array_equal(a, b)
        assert a.shape == c.shape
        assert np.isfinite(a).all()
    assert one[3] == again[3]
    assert not np.array_equal(one[0], other[0])
    assert one[0].shape == (72, 17, 10, 2)
    assert one[1].shape == (72, len(GEOMETRY_CHANNELS))


def test_the_corpus_is_the_same_whatever_the_workers():
    one, two = simulate_corpus(4, seed=9, workers=1), simulate_corpus(4, seed=9, workers=2)
    assert set(one) == set(two) == set(CLIP_TICKS)
    for ticks, batch in one.items():
        assert batch.ticks == ticks
        assert len(batch) == 1
        assert np.array_equal(batch.snippets, two[ticks].snippets)
        assert np.array_equal(batch.geometry, two[ticks].geometry)
        assert np.array_equal(batch.intensity, two[ticks].intensity)
        assert batch.events == two[ticks].events
    alone = simulate_clip(72, (9, 72, 0))
    assert np.array_equal(one[72].snippets[0], alone[0].astype(np.float16))
    assert one[72].events[0] == alone[3]
