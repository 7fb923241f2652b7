"""Score weights on simulated clips of each kind: no rendering, so that many clips take a minute.

    python benchmarks/simulated_clips.py [--weights FILE]... [--min-confidence MACRO,MICRO] [--share 1]

Fresh clips in the mixture the networks learnt from; ten seconds each of busy faces, of people who talk, of calm faces
and of a laboratory; faces that are seldom at rest; two minutes each with few expressions, of a laboratory and of
people who talk now and then; and clips without expressions. Seeds are none that anything was trained with. Each file of
weights has a row for each kind: F1 with hits, false alarms and misses, both types together and apart, or false alarms a
minute; and how many of the clips were read by the networks for laboratories.
"""

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from facespot.commands.options import LeastConfidence
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import CLOCK_HZ
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, count, judge
from facespot.spotting.simulation.anatomy import draw_person
from facespot.spotting.simulation.corpus import clip_counts, film_clip
from facespot.spotting.simulation.sensor import observe
from facespot.spotting.simulation.stage import Performance
from facespot.spotting.simulation.timeline import perform
from facespot.spotting.spotter import Spotter

Clips = list[tuple[FaceFeatures, list[Interval]]]

TICKS, LONGER_TICKS, LONG_TICKS = 300, 720, 3600


def truth_of(performance: Performance) -> list[Interval]:
    """Its expressions as intervals."""
    return [Interval(e.onset, e.apex, e.offset, e.type) for e in performance.events]


def fresh_clips(clips: int, seed: int) -> Clips:
    """About as many clips with their truth, in the mixture the networks learnt from."""
    found = []
    for ticks, number in clip_counts(clips).items():
        for i in range(number):
            performance, seen = film_clip(ticks, (seed, ticks, i))
            found.append((seen.features(), truth_of(performance)))
    return found


def staged_clips(
    clips: int, seed: int, *, ticks: int = TICKS, laboratory: bool = False, **staging: float | bool
) -> Clips:
    """As many clips of so many ticks with their truth. staging: of `perform`."""
    found = []
    for i in range(clips):
        rng = np.random.default_rng((seed, ticks, i))
        person = draw_person(rng)
        performance = perform(person, ticks, rng, laboratory=laboratory, **staging)
        seen = observe(person, performance, rng, laboratory=laboratory)
        found.append((seen.features(), truth_of(performance)))
    return found


def quiet_clips(clips: int, seed: int) -> Clips:
    """As many clips of ten seconds in which nobody shows an expression, half of them of people who talk."""
    return staged_clips(clips, seed, busy=0.0, speech=0.5)


# Kind, how many clips, and what makes so many.
KINDS: tuple[tuple[str, int, Callable[[int], Clips]], ...] = (
    ("fresh", 200, lambda clips: fresh_clips(clips, 9001)),
    ("busy", 60, lambda clips: staged_clips(clips, 9002, busy=0.6, speech=0.0)),
    ("talking", 80, lambda clips: staged_clips(clips, 9003, busy=0.4, speech=1.0)),
    ("calm", 60, lambda clips: staged_clips(clips, 9004, busy=0.4, calm=True)),
    ("laboratory", 60, lambda clips: staged_clips(clips, 9006, laboratory=True, busy=0.4, speech=0.0)),
    (
        "laboratory, two minutes",
        25,
        lambda clips: staged_clips(clips, 9100, ticks=LONG_TICKS, laboratory=True, busy=0.04, speech=0.0),
    ),
    (
        "anywhere, two minutes",
        25,
        lambda clips: staged_clips(clips, 9100, ticks=LONG_TICKS, busy=0.1, speech=0.7),
    ),
    (
        "seldom at rest, 24 seconds",
        60,
        lambda clips: staged_clips(clips, 9007, ticks=LONGER_TICKS, busy=0.6, speech=0.5, restless=1.0),
    ),
    ("without expressions", 150, lambda clips: quiet_clips(clips, 9005)),
)


def row(spotter: Spotter, clips: Clips, least: tuple[float, float] | None) -> str:
    """What became of some clips."""
    total, alarms, of_laboratory = Evaluation(), 0, 0
    for features, truth in clips:
        found, curves = spotter.intervals(features, least)
        total += count(judge(VideoIntervals(truth, found)))
        alarms += len(found)
        of_laboratory += curves.setting == "laboratory"
    read = f"{of_laboratory} of {len(clips)} read as of a laboratory"
    if not any(truth for _, truth in clips):
        minutes = sum(features.timebase.n_ticks for features, _ in clips) / CLOCK_HZ / 60
        return f"{alarms / minutes:.2f} false alarms a minute ({alarms}); {read}"
    both = total.overall
    types = f"macro {total.macro.f1:.3f}; micro {total.micro.f1:.3f}"
    return f"{both.f1:.3f} ({both.tp}, {both.fp}, {both.fn}); {types}; {read}"


@click.command(help=__doc__)
@click.option("--weights", multiple=True, type=click.Path(path_type=Path), help="other weights than the shipped ones")
@click.option("--min-confidence", "least", type=LeastConfidence(), help="instead of the weights' own")
@click.option("--share", default=1.0, show_default=True, help="of the clips, for a try")
def main(weights: tuple[Path, ...], least: tuple[float, float] | None, share: float) -> None:
    spotters = {str(path or "shipped"): Spotter.load(path, "cpu") for path in weights or (None,)}
    for kind, clips, simulate in KINDS:
        made = simulate(max(1, round(share * clips)))
        for name, spotter in spotters.items():
            click.echo(f"{name}, {kind}: {row(spotter, made, least)}")


if __name__ == "__main__":
    main()
