"""Simulated recordings for the tests: performances made to measure and clips with their truth."""

from dataclasses import replace

import numpy as np
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.simulation.anatomy import PAIRED_AUS, Person, draw_person, roi_means
from facespot.spotting.simulation.expressions import envelope
from facespot.spotting.simulation.sensor import Observation, observe
from facespot.spotting.simulation.stage import Performance
from facespot.spotting.simulation.timeline import perform


def act(person: Person, n: int, amplitude: float, onset: int, offset: int, au: str = "AU2") -> Performance:
    """n ticks of a face that does nothing but show one unit, its largest ROI motion `amplitude` IOD."""
    assert au in PAIRED_AUS
    field = person.fields[au, "left"] + person.fields[au, "right"]
    field = field * amplitude / np.linalg.norm(roi_means(field)[:, :2], axis=1).max()
    length = offset - onset + 1
    rise = max(length // 4, 2)
    curve = envelope(onset, onset + rise, length - 2 * rise, offset, n, np.random.default_rng(0))
    return Performance(curve[:, None, None] * field, [], curve, np.zeros(n, bool), np.zeros(n))


def film(n: int, seed: int, amplitude: float = 0.0, onset: int = 100, offset: int = 140) -> tuple[Person, Observation]:
    """A steady head with one expression, or none."""
    rng = np.random.default_rng(seed)
    person = draw_person(rng)
    return person, observe(person, act(person, n, amplitude, onset, offset), rng, still=True)


def features_of(seen: Observation, segment: np.ndarray | None = None) -> FaceFeatures:
    """As extraction would have given them, by default in one piece."""
    n = len(seen.snippets)
    segment = np.zeros(n, np.int32) if segment is None else segment
    return FaceFeatures(seen.snippets, seen.landmarks, segment, Timebase(np.arange(n) / 30.0))


def laboratory_clip(seed: int, n: int = 480) -> tuple[FaceFeatures, list[Interval]]:
    """Expressions apart from each other on a silent face, and where they are."""
    rng = np.random.default_rng(seed)
    person = draw_person(rng)
    performance = perform(person, n, rng, busy=0.35, speech=0.0, laboratory=True)
    truth = [Interval(e.onset, e.apex, e.offset, e.type) for e in performance.events]
    return features_of(observe(person, performance, rng, still=True)), truth


def swaying(features: FaceFeatures) -> FaceFeatures:
    """The same face whose head sways in the picture by half an inter-ocular distance."""
    t = np.arange(features.timebase.n_ticks) / 30.0
    landmarks = np.array(features.landmarks)
    landmarks[..., 0] += 20 * np.sin(3 * t)[:, None]
    return replace(features, landmarks=landmarks)
