"""Learns what votes of given weights are worth: `python -m facespot.weights.train_confidence FILE [LABORATORY]`.

From fresh simulated clips, each read by the networks that `spot` would give it to; both files are written anew with the
same answer. `make weights` does this last.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import click
import numpy as np

from ..extract.features import FaceFeatures
from ..models.checkpoint import load_checkpoint, save_checkpoint
from ..processes import process_pool, usable_cores
from ..spotting.confidence import LEAST_VOTES, ConfidenceModel, measures
from ..spotting.intervals import Interval
from ..spotting.judging.metrics import VideoIntervals, judge
from ..spotting.learning.confidence import fit_confidence
from ..spotting.simulation.corpus import clip_counts, film_clip
from ..spotting.spotter import Spotter
from ..spotting.voting import VotingSettings, candidates_of, type_of

CLIPS, SEED = 4000, 9550
_PART = 100  # clips that a process reads at a time


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
        rows.append(judged_candidates(spotter, settings, seen.features(), truth))
    return np.concatenate(rows)


def write_confidence(general: Path, laboratory: Path | None, clips: int = CLIPS, seed: int = SEED) -> list[str]:
    """Learn the confidence of one or two files that vote, and write it into them; their new digests.

    The settings of the votes are those of the first file. Raises KeyError for weights that do not vote.
    """
    settings = replace(VotingSettings.from_dict(load_checkpoint(general).config["voting"]), confidence=None)
    model, candidates = learn_confidence(general, laboratory, settings, clips, seed, usable_cores())
    digests = []
    for path in (general, laboratory):
        if path is not None:
            held = load_checkpoint(path)
            config = {**held.config, "voting": {**held.config["voting"], "confidence": asdict(model)}}
            notes = {**held.notes, "confidence": {"clips": clips, "seed": seed, "candidates": candidates}}
            digests.append(save_checkpoint(path, held.kind, config, held.state, notes))
    return digests


@click.command(help=__doc__)
@click.argument("general", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("laboratory", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--clips", default=CLIPS, show_default=True, help="simulated ones to learn from")
@click.option("--seed", default=SEED, show_default=True, help="of the clips")
def main(general: Path, laboratory: Path | None, clips: int, seed: int) -> None:
    for path, digest in zip((general, laboratory), write_confidence(general, laboratory, clips, seed), strict=False):
        click.echo(f"{path}: {digest}")


if __name__ == "__main__":
    main()
