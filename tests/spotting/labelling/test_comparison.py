"""Two coders: what they share, by how much they differ, and what each saw alone."""

import numpy as np
import pytest
from facespot.extract.timebase import Timebase
from facespot.spotting.labelling.comparison import CodedVideo, compare, explain
from facespot.spotting.labelling.events import CodedEvent

TIMES = Timebase(np.arange(500) / 25)


def coded(*events: tuple[int, int, int, str]) -> list[CodedEvent]:
    return [CodedEvent(i, *event, "accepted", machine=False) for i, event in enumerate(events, 1)]


ANNA = coded((10, 20, 30, "macro"), (100, 104, 108, "micro"), (200, 205, 210, "micro"), (300, 310, 320, "macro"))
BEN = coded((12, 22, 35, "macro"), (100, 104, 108, "macro"), (205, 206, 207, "micro"), (400, 402, 404, "micro"))


def test_matched_renamed_and_seen_by_one_only():
    agreement = compare([CodedVideo("clip.mp4", TIMES, ANNA, BEN)])
    assert [(a.onset, b.onset) for _, a, b in agreement.matched] == [(10, 12)]
    assert [(a.onset, b.type) for _, a, b in agreement.renamed] == [(100, "macro")]
    # Three of eleven frames are less than half: for the protocol these are two events.
    assert [e.onset for _, e in agreement.only_first] == [200, 300]
    assert [e.onset for _, e in agreement.only_second] == [205, 400]
    assert agreement.f1 == pytest.approx(2 * 1 / 8)
    assert agreement.timing["onset"].mean_s == pytest.approx(2 / 25)
    assert agreement.timing["offset"].median_s == pytest.approx(5 / 25)


def test_kappa_counts_video_frames():
    first, second = coded((0, 50, 99, "macro")), coded((0, 50, 149, "macro"))
    video = CodedVideo("clip.mp4", TIMES, first, second)
    agreement = compare([video])
    same, chance = 450 / 500, (100 * 150 + 400 * 350) / 500**2
    assert agreement.kappa == pytest.approx((same - chance) / (1 - chance))
    assert agreement.same_frames == same
    assert agreement.empty_frames == 350 / 500


def test_words():
    text = explain(compare([CodedVideo("clip.mp4", TIMES, ANNA, BEN)]), "anna", "ben")
    assert "anna and ben agree on 1 event " in text
    assert "2 were coded by anna only, 2 by ben only" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["onset", "+80", "80", "80"] in rows
    assert ["clip.mp4", "4.00-4.32", "s", "micro", "/", "macro"] in rows
    assert text.index("Only anna:") < text.index("12.00-12.80 s  macro") < text.index("Only ben:")


def test_coders_who_saw_nothing():
    text = explain(compare([CodedVideo("clip.mp4", TIMES, [], [])]), "anna", "ben")
    assert "kappa per frame: undefined" in text
    assert "agree on 0 events" in text
    with pytest.raises(ValueError, match="no video"):
        compare([])
