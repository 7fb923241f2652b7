"""Learning how sure to be of an interval (`spotting.confidence`) from simulated clips, whose truth is known."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ...extract.features import FaceFeatures
from ...extract.timebase import CLOCK_HZ, Timebase
from ...processes import process_pool
from ..confidence import LEAST_VOTES, N_MEASURES, ConfidenceModel, measures, products
from ..intervals import Interval
from ..judging.metrics import VideoIntervals, judge
from ..simulation.corpus import clip_counts, film_clip
from ..simulation.sensor import Observation
from ..spotter import Spotter
from ..voting import VotingSettings, candidates_of, type_of

_PENALTY = 0.5  # on the squares of the weights, which are of standardised measures
_PART = 100  # clips that a process reads at a time


def observed(seen: Observation) -> FaceFeatures:
    """What the pipeline would have made of a simulated clip."""
    ticks = len(seen.snippets)
    clock = Timebase(np.arange(ticks) / CLOCK_HZ)
    return FaceFeatures(seen.snippets.astype(np.float16), seen.landmarks, np.zeros(ticks, np.int32), clock)


def judged_candidates(
    spotter: Spotter, settings: VotingSettings, features: FaceFeatures, truth: Sequence[Interval]
) -> np.ndarray:
    """(n, 4) of every candidate in one unbroken recording: its `measures`, 1 for a micro-expression, 1 for a hit."""
    curves = spotter.curves(features)
    scores = np.clip(curves.scores.sum(axis=1), 0, 1)
    candidates = candidates_of(scores, curves.reach, settings)
    found = [Interval(c.onset, c.onset, c.offset, type_of(c), c.votes) for c in candidates]
    false = set(judge(VideoIntervals(truth, found)).false_alarms)
    told = [(i.type == "micro", i not in false) for i in found]
    return np.column_stack([measures(candidates), np.array(told, float).reshape(-1, 2)])


def fit_confidence(rows: np.ndarray) -> ConfidenceModel:
    """The most likely model of rows as of `judged_candidates`. Raises ValueError without rows of either type."""
    values, micro, hit = rows[:, :N_MEASURES], rows[:, N_MEASURES].astype(bool), rows[:, N_MEASURES + 1]
    if micro.all() or not micro.any():
        raise ValueError("confidence is learnt from candidates of both types")
    centre, spread = values.mean(axis=0), values.std(axis=0)
    terms = products((values - centre) / spread)
    weights = [_logistic(terms[kind], hit[kind]) for kind in (~micro, micro)]
    numbers = [tuple(np.round(part, 6).tolist()) for part in (centre, spread, *weights)]
    return ConfidenceModel(numbers[0], numbers[1], (numbers[2], numbers[3]))


def _logistic(terms: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Weights of a ridge logistic regression of 0 or 1 (n,) on terms (n, k), the first of which is the intercept."""
    penalty = np.r_[0.0, np.full(terms.shape[1] - 1, _PENALTY)]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = terms @ weights
        likely = 1 / (1 + np.exp(-margin))
        value = np.logaddexp(0, margin).sum() - margin @ hit + penalty @ weights**2
        return float(value), terms.T @ (likely - hit) + 2 * penalty * weights

    return minimize(loss, np.zeros(terms.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x


def learn_confidence(
    general: Path, laboratory: Path | None, settings: VotingSettings, clips: int, seed: int, workers: int
) -> tuple[ConfidenceModel, int]:
    """What votes of the networks of one or two files are worth, and from how many candidates that was learnt.

    Each simulated clip is read by the networks that `Spotter` gives it to. clips: about how many. workers: processes;
    the same seed gives the same model whatever their number.
    """
    loose = replace(settings, confidence=None, min_confidence=(LEAST_VOTES, LEAST_VOTES))
    seeds = [(seed, ticks, i) for ticks, number in clip_counts(clips).items() for i in range(number)]
    parts = [seeds[start : start + _PART] for start in range(0, len(seeds), _PART)]
    with process_pool(workers) as pool:
        rows = list(pool.map(partial(_judged_clips, general, laboratory, loose), parts))
    together = np.concatenate(rows)
    return fit_confidence(together), len(together)


def _judged_clips(
    general: Path, laboratory: Path | None, settings: VotingSettings, seeds: list[tuple[int, int, int]]
) -> np.ndarray:
    spotter = Spotter.load(general, "cpu")
    if laboratory is not None:
        spotter = Spotter(spotter.reader, spotter.origin, partial(Spotter.load, laboratory, "cpu"))
    rows = []
    for seed in seeds:
        performance, seen = film_clip(seed[1], seed)
        truth = [Interval(e.onset, e.apex, e.offset, e.type) for e in performance.events]
        rows.append(judged_candidates(spotter, settings, observed(seen), truth))
    return np.concatenate(rows)
