"""Simulated clips for learning from points: the clips of the corpus, one point per expression, nothing else."""

import numpy as np
import pytest
from facespot.spotting.learning import simulated_points
from facespot.spotting.learning.simulated_points import annotated_clips, point_clips, points_of
from facespot.spotting.simulation.corpus import simulate_clip
from facespot.spotting.simulation.stage import Event


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):
    monkeypatch.setattr(simulated_points, "clip_counts", lambda clips: {120: clips})


def test_clips_are_those_of_the_corpus_with_a_point_in_each_expression():
    videos, annotated = point_clips(4, 8, 1.0), annotated_clips(4, 8, 1.0)
    assert sum(len(video.points) for video in videos) >= 3
    for number, (video, (features, events)) in enumerate(zip(videos, annotated, strict=True)):
        snippets, *_ = simulate_clip(120, (8, 120, number), 1.0)
        assert np.array_equal(video.features.snippets, snippets.astype(np.float16))
        assert np.array_equal(video.features.snippets, features.snippets)
        assert len(video.points) == len(events)
        for event in events:
            assert any(event.onset <= p.tick <= event.offset and p.type == event.type for p in video.points)


def test_points_are_drawn_by_the_seed_around_the_apex():
    events = [Event(10, 40, 70, "macro", 0.1), Event(80, 84, 88, "micro", 0.02)]
    drawn = [points_of("clip", events, seed) for seed in range(60)]
    assert drawn[3] == points_of("clip", events, 3)
    ticks = np.array([[point.tick for point in points] for points in drawn])
    assert ticks[:, 0].std() == pytest.approx(0.18 * 61, rel=0.3)
    assert abs(ticks[:, 0].mean() - 40) < 5
    assert [point.type for point in drawn[0]] == ["macro", "micro"]
    assert points_of("clip", [], 1) == ()
