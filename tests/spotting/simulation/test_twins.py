"""Twins: the coded timeline and nothing else, acted reproducibly."""

import numpy as np
import pytest
from facespot.errors import AnnotationError
from facespot.extract.cache import FeatureCache
from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.datasets.aus import parse_aus
from facespot.spotting.datasets.prepared import PreparedSet
from facespot.spotting.datasets.records import close_open_offsets, intervals_by_video, make_records
from facespot.spotting.simulation.anatomy import draw_person, roi_means
from facespot.spotting.simulation.twins import (
    TwinEvent,
    act,
    au_shape,
    draw_amplitude,
    read_lengths,
    simulate_twins,
)
from places import SHARED
from small_set import store_features

ANNOTATIONS = SHARED / "annotations"
KEYS = ("dataset", "subject", "video", "onset", "apex", "offset", "type", "aus", "fps")


def records(*rows):
    return make_records(dict(zip(KEYS, row, strict=True)) for row in rows)


@pytest.fixture
def timeline():
    return records(
        ("CAS(ME)^2", "s15", "15_0101", 60, 75, 100, "macro", parse_aus("12E"), 30.0),
        ("CAS(ME)^2", "s15", "15_0102", 40, 44, None, "micro", parse_aus("4"), 30.0),
        ("SAMM-LV", "006", "006_1", 400, 440, 500, "micro", parse_aus("L12B"), 200.0),
    )


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_twin_has_the_sheets_subjects_videos_rates_and_room(timeline, tmp_path):
    made = simulate_twins(timeline, tmp_path, lengths={"15_0102": 7.0, "006_1": 0.1}, tail_s=2.0)
    assert [(v.dataset, v.subject, v.video) for v in made] == [
        ("CAS(ME)^2", "s15", "15_0101"),
        ("CAS(ME)^2", "s15", "15_0102"),
        ("SAMM-LV", "006", "006_1"),
    ]
    clocks = [made.load(v).timebase for v in made]
    assert [round(c.fps) for c in clocks] == [30, 30, 200]
    assert [c.n_ticks for c in clocks] == [160 + 1, 210 + 1, 90 + 1]  # a length that ends too early is no length
    for video in made:
        assert np.isfinite(made.load(video).snippets).all()
        assert np.isfinite(made.load(video).landmarks).all()


def test_the_same_again_gives_the_same_bytes_and_does_nothing_twice(timeline, tmp_path, monkeypatch):
    simulate_twins(timeline, tmp_path / "a", tail_s=1.0)
    # Another order and another table around it: each video depends on its own rows only.
    simulate_twins(timeline.iloc[[2, 0]], tmp_path / "b", tail_s=1.0)
    simulate_twins(timeline.iloc[[1, 2, 0]], tmp_path / "b", tail_s=1.0)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    monkeypatch.setattr(FeatureCache, "store", lambda *_: pytest.fail("made again"))
    simulate_twins(timeline, tmp_path / "a", tail_s=1.0)


def test_another_seed_is_another_twin(timeline, tmp_path):
    one, two = (
        PreparedSet.load(made, made.videos[0]).snippets
        for made in (simulate_twins(timeline.iloc[[0]], tmp_path / str(seed), seed=seed) for seed in (0, 1))
    )
    assert not np.array_equal(one, two)


def test_only_the_coded_expressions_are_acted():
    person = draw_person(np.random.default_rng(0))
    event = TwinEvent(60, 70, 90, "macro", parse_aus("12E"))
    acted = act(person, [event], 240, np.random.default_rng(1))
    quiet = act(person, [], 240, np.random.default_rng(1))
    assert quiet.events == []
    assert quiet.intensity.max() == 0
    assert [(e.onset, e.apex, e.offset, e.type) for e in acted.events] == [(60, 70, 90, "macro")]
    moved = np.abs(acted.displacement - quiet.displacement).max(axis=(1, 2))
    inside = np.zeros(240, bool)
    inside[60:91] = True
    assert np.array_equal(moved > 1e-9, inside)
    # What is held wavers between 0.64 and 1.
    assert acted.intensity[70] > 0.6
    assert not acted.intensity[~inside].any()


def test_codes_move_the_parts_they_name_on_the_side_they_name():
    person, rng = draw_person(np.random.default_rng(0)), np.random.default_rng(0)

    def motion(code):
        return np.linalg.norm(roi_means(au_shape(person, parse_aus(code), rng))[:, :2], axis=1)

    smile, frown = motion("12"), motion("4")
    assert smile[6:].max() > 5 * smile[:6].max()
    assert frown[:6].max() > 5 * frown[6:].max()
    # The subject's left is the viewer's right.
    one_sided = motion("L12")
    assert one_sided[8] > 3 * one_sided[6]
    sure, unsure = motion("4"), motion("4 (or 12)")
    assert unsure == pytest.approx(sure)
    assert motion("99").max() > 0.05


def test_intensities_grow_with_the_letter_and_micro_is_small():
    def mean(kind, code):
        rng = np.random.default_rng(0)
        return np.mean([draw_amplitude(TwinEvent(0, 1, 2, kind, parse_aus(code)), rng) for _ in range(200)])

    for kind in ("macro", "micro"):
        sizes = [mean(kind, f"12{letter}") for letter in "ABCDE"]
        assert sizes == sorted(sizes)
        assert mean(kind, "12B+4D") == pytest.approx(mean(kind, "4D"))
    assert mean("micro", "4") < 0.05 < mean("macro", "4")


def test_points_and_nothing_have_no_twin(tmp_path):
    point = records(("own", "a", "a", None, 50, None, "macro", (), 30.0))
    with pytest.raises(AnnotationError, match="are points"):
        simulate_twins(point, tmp_path)
    with pytest.raises(AnnotationError, match="no expression"):
        simulate_twins(point.iloc[:0], tmp_path)


def test_lengths_are_read_or_the_table_is_named(tmp_path):
    table = tmp_path / "lengths.csv"
    table.write_text("video,duration_s\na,3.5\n")
    assert read_lengths(table) == {"a": 3.5}
    table.write_text("video,seconds\na,3.5\n")
    with pytest.raises(AnnotationError, match=r"lengths\.csv: needs columns"):
        read_lengths(table)
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_lengths(tmp_path / "none.csv")


@pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason="the annotation sheets are not beside this repository")
def test_the_real_timelines_fit_on_their_twins_clocks(tmp_path):
    pytest.importorskip("openpyxl")
    sheet = close_open_offsets(read_annotations(ANNOTATIONS / "CASME_sq_gt.xlsx"))
    shortest = sheet.groupby("video")["offset"].max().nsmallest(2).index
    chosen = sheet[sheet["video"].isin(shortest)]
    made = simulate_twins(chosen, tmp_path)
    clocks = {v.video: made.load(v).timebase for v in made}
    assert set(clocks) == set(shortest)
    for video, intervals in intervals_by_video(chosen, clocks).items():
        assert [i.onset for i in intervals] == sorted(chosen.loc[chosen["video"] == video, "onset"])
        assert max(i.offset for i in intervals) < clocks[video].n_ticks


def test_twins_join_other_twins_and_leave_recordings_alone(timeline, tmp_path):
    first = simulate_twins(timeline.iloc[:1], tmp_path / "twins")
    both = simulate_twins(timeline.iloc[1:], tmp_path / "twins")
    assert [v.video for v in both] == ["15_0101", "15_0102", "006_1"]
    assert first.videos[0] == both.videos[0]
    assert len(simulate_twins(timeline, tmp_path / "twins")) == 3
    prepared = store_features(tmp_path / "real")
    before = tree(tmp_path / "real")
    with pytest.raises(AnnotationError, match="holds features of recordings"):
        simulate_twins(timeline, prepared.folder)
    assert tree(tmp_path / "real") == before
