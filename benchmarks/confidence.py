"""What confidence is worth: whether 0.9 is right nine times in ten, and from where to report.

    python benchmarks/confidence.py RENDERED... [--weights FILE] [--clips 400]

Spots fresh simulated clips and the rendered videos of the folders (of `rendered.py`) with everything reported that
amounts to anything. Prints, of macro- and of micro-expressions apart,

- the spread of `VotingSettings.type_spread` that fits best how often an interval of so many ticks, at an IoU of 0.5 or
  more with an expression, is micro in truth;
- a reliability table: confidence, and how many of the intervals were hits, for clips and for videos;
- for `MIN_CONFIDENCE`, of recordings that are read as of a laboratory and of others apart: for each type half of its
  best F1, averaged over clips and each folder: if confidences are right, F1 is best there (Lipton et al. 2014), and the
  maximum of a curve as flat as these says less. Simulated faces show about as many micro- as macro-expressions,
  annotated recordings a third as many (`MICRO_A_MACRO`): for this, hits and misses of micro-expressions count so much
  less than false alarms, but in a laboratory, where they are what one looks for. Or a higher one, in steps of 0.02,
  where only that keeps the false alarms on simulated clips without expressions, half of them of people who talk, at
  half of one a minute and type.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from facespot.benchmarks.simulated_clips import TICKS, fresh_clips, quiet_clips, staged_clips
from facespot.extract.features import FaceFeatures
from facespot.extract.pipeline import extract_features
from facespot.extract.timebase import CLOCK_HZ
from facespot.spotting.intervals import EXPRESSION_TYPES, ExpressionType, Interval, iou_matrix
from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, count, judge
from facespot.spotting.settings import Setting
from facespot.spotting.simulation.recording import read_truth
from facespot.spotting.spotter import Spotter
from facespot.spotting.voting import MICRO_TICKS
from scipy.optimize import minimize_scalar

QUIET_ALARMS = 0.5  # a minute and type
# Of SAMM-LV (159 to 343) and CAS(ME)^2 (57 to 300), the two with long recordings annotated for both.
MICRO_A_MACRO = (159 + 57) / (343 + 300)
SEED = 7000  # of the clips; no training takes its own from there
EDGES = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


def rendered_videos(folders: Sequence[Path]) -> list[tuple[FaceFeatures, list[Interval]]]:
    """Videos of `rendered.py` with their truth; features are kept in the folders."""
    found = []
    for folder in folders:
        for truth in sorted(folder.glob("*.truth.csv")):
            video = truth.with_name(truth.name.replace(".truth.csv", ".mp4"))
            found.append((extract_features(video, cache=folder / "features"), read_truth(truth)))
    return found


# In which setting a recording is read, and what was found in it.
Spotted = tuple[Setting | None, VideoIntervals]


def recordings(spotted: Sequence[Spotted], setting: Setting | None = None) -> list[VideoIntervals]:
    """Those of one setting, or all."""
    return [found for its, found in spotted if setting is None or its == setting]


def confidence_and_hits(recordings: Sequence[VideoIntervals], kind: ExpressionType) -> np.ndarray:
    """(n, 2) confidence of each interval of a type, and 1 for a hit."""
    rows = []
    for recording in recordings:
        false = set(judge(recording).false_alarms)
        rows += [(i.confidence, float(i not in false)) for i in recording.predicted if i.type == kind]
    return np.array(rows).reshape(-1, 2)


def lengths_and_types(recordings: Sequence[VideoIntervals]) -> np.ndarray:
    """(n, 2) ticks of each interval at an IoU of 0.5 or more with an expression of either type, and 1 where that is
    micro."""
    rows = []
    for recording in recordings:
        if not recording.truth or not recording.predicted:
            continue
        iou = iou_matrix(recording.predicted, recording.truth)
        for interval, row in zip(recording.predicted, iou, strict=True):
            if row.max() >= 0.5:
                rows.append((interval.n_ticks, float(recording.truth[int(row.argmax())].type == "micro")))
    return np.array(rows, float).reshape(-1, 2)


def fit_spread(rows: np.ndarray) -> float:
    """Ticks, the most likely `VotingSettings.type_spread` given lengths and types (n, 2)."""

    def surprise(spread: float) -> float:
        margin = (MICRO_TICKS + 0.5 - rows[:, 0]) / spread * np.where(rows[:, 1], 1, -1)
        return float(np.logaddexp(0, -margin).mean())

    return round(float(minimize_scalar(surprise, bounds=(0.1, 10.0), method="bounded").x), 2)


def reliability(rows: np.ndarray) -> list[tuple[str, int, float, float]]:
    """Range of confidence, intervals in it, their mean confidence and share of hits. rows: (n, 2) of intervals, as of
    `confidence_and_hits`."""
    table = []
    for low, high in pairwise(EDGES):
        here = rows[(rows[:, 0] >= low) & (rows[:, 0] < high)]
        if len(here):
            table.append((f"{low:.2f}-{high:.2f}", len(here), float(here[:, 0].mean()), float(here[:, 1].mean())))
    return table


def micro_a_macro(sources: Sequence[Sequence[VideoIntervals]]) -> float:
    """How many micro-expressions there are for a macro-expression, the sources counting as much as each other."""
    shares = [np.mean([t.type == "micro" for recording in source for t in recording.truth]) for source in sources]
    return float(np.mean(shares) / (1 - np.mean(shares)))


def least_confidence(
    sources: Sequence[Sequence[VideoIntervals]],
    kind: ExpressionType,
    quiet: Sequence[VideoIntervals],
    minutes: float,
    rarity: float = 1.0,
) -> tuple[float, float, float, float]:
    """The confidence that stands for half of the best F1 of the type, the mean of the sources', or the lowest above it
    that keeps the false alarms of `quiet`, `minutes` long in all, at QUIET_ALARMS a minute, in steps of 0.02; its mean
    F1, the best, and those false alarms a minute. rarity: how many of its expressions there are in life for each in the
    sources."""
    alarms = np.array([i.confidence for r in quiet for i in r.predicted if i.type == kind])
    scores, quiet_rate = {}, {}
    for least in np.arange(0.1, 0.97, 0.02).round(2):
        quiet_rate[float(least)] = float(np.sum(alarms >= least)) / minutes
        scores[float(least)] = float(np.mean([_f1(s, kind, least, rarity) for s in sources]))
    best = max(scores.values())
    # Confidence c in the sources is r c / (r c + 1 - c) where expressions are r times as common.
    half = best / (best + rarity * (2 - best))
    still = (least for least, rate in quiet_rate.items() if least >= half - 1e-9 and rate <= QUIET_ALARMS)
    chosen = min(still, default=max(scores))
    return chosen, scores[chosen], best, quiet_rate[chosen]


def _f1(recordings: Sequence[VideoIntervals], kind: ExpressionType, least: float, rarity: float) -> float:
    total = Evaluation()
    for r in recordings:
        kept = [i for i in r.predicted if i.confidence >= least]
        total += count(judge(VideoIntervals(r.truth, kept)))
    counts = getattr(total, kind)
    found = 2 * rarity * counts.tp
    return found / max(found + rarity * counts.fn + counts.fp, 1e-9)


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), help="other weights than the shipped ones")
@click.option("--clips", default=400, show_default=True, help="fresh simulated clips")
def main(folders: tuple[Path, ...], weights: Path | None, clips: int) -> None:
    spotter = Spotter.load(weights, "cpu")

    def spot(items: list[tuple[FaceFeatures, list[Interval]]]) -> list[Spotted]:
        both = [(spotter.intervals(features, 0.0), truth) for features, truth in items]
        return [(curves.setting, VideoIntervals(truth, found)) for (found, curves), truth in both]

    clip_spots, folder_spots = spot(fresh_clips(clips, SEED)), [spot(rendered_videos([folder])) for folder in folders]
    sources = {"clips": clip_spots, "videos": [video for spots in folder_spots for video in spots]}
    in_laboratories = staged_clips(clips // 2, SEED, laboratory=True, busy=0.0, speech=0.5)
    quiet = {"anywhere": spot(quiet_clips(clips // 2, SEED)), "laboratory": spot(in_laboratories)}
    lengths = np.concatenate([lengths_and_types(recordings(source)) for source in sources.values()])
    click.echo(f"type: spread {fit_spread(lengths)} ticks, from {len(lengths)} intervals")
    for kind in EXPRESSION_TYPES:
        for name, source in sources.items():
            for span, n, mean, hits in reliability(confidence_and_hits(recordings(source), kind)):
                click.echo(f"{kind}, {name} {span}: {n:4d} intervals, confidence {mean:.2f}, hits {hits:.2f}")
    for setting in sorted({setting for setting, _ in clip_spots}, key=str):
        parts = [part for source in (clip_spots, *folder_spots) if (part := recordings(source, setting))]
        # Of how they were filmed; what the networks for another setting report there is not up to this limit.
        filmed = quiet[setting or "anywhere"]
        still, minutes = recordings(filmed, setting), len(filmed) * TICKS / CLOCK_HZ / 60
        for kind in EXPRESSION_TYPES:
            rarity = MICRO_A_MACRO / micro_a_macro(parts) if kind == "micro" and setting != "laboratory" else 1.0
            chosen, f1, best, rate = least_confidence(parts, kind, still, minutes, rarity)
            click.echo(
                f"{setting or 'all recordings'}, {kind}: least confidence {chosen:.2f}: mean F1 {f1:.3f}, best "
                f"{best:.3f}; {rate:.2f} false alarms a minute in {minutes:.0f} minutes without expressions"
            )


if __name__ == "__main__":
    main()
