"""What twenty clicks do for weights that meet a style of motion they have not seen.

    python benchmarks/tuning.py WORK [--styles synkinesis,tremor,turned --points 20 --seeds 0,1,2]

The shipped weights are judged on simulated subjects of a style, tuned by the recipe of `spot train --init shipped` with
as many points as asked for from other subjects of that style, and judged again on the same recordings. The styles, none
of which the simulator draws for training:

synkinesis: after a palsy of the facial nerve, every blink pulls a corner of the mouth along, by 0.15 IOD.
tremor: the jaw trembles at 3.5 to 6 Hz, by 0.04 IOD at its height, on and off.
turned: every facial movement goes 120 degrees off its usual direction, opposite ways on the two sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import click
import numpy as np
import torch
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import CLOCK_HZ, Timebase
from facespot.spotting.intervals import Interval, Point
from facespot.spotting.judging.metrics import VideoIntervals, evaluate
from facespot.spotting.learning.from_points import train
from facespot.spotting.learning.point_videos import PointVideo
from facespot.spotting.learning.recipes import PointRecipe
from facespot.spotting.simulation.anatomy import Person, draw_person, roi_means
from facespot.spotting.simulation.sensor import observe
from facespot.spotting.simulation.stage import Performance
from facespot.spotting.simulation.timeline import perform
from facespot.spotting.spotter import DEFAULT_WEIGHTS, Spotter
from scipy.ndimage import gaussian_filter1d

TICKS = 300
_SPREAD = 0.25  # of the logarithm of a movement's size, between subjects


def synkinesis(person: Person, performance: Performance, rng: np.random.Generator) -> None:
    """Add the pull of every blink on one corner of the mouth."""
    side = rng.choice(["left", "right"])
    pull = _sized(person.fields["AU12", side] + 0.4 * person.fields["AU14", side], 0.15, rng)
    performance.displacement += gaussian_filter1d(performance.blink, 1.0)[:, None, None] * pull


def tremor(person: Person, performance: Performance, rng: np.random.Generator) -> None:
    """Add a rhythmic movement of the jaw that swells and ebbs over seconds."""
    ticks = len(performance.displacement)
    frequency, phase = rng.uniform(3.5, 6.0), rng.uniform(0, 2 * np.pi)
    swell = gaussian_filter1d(rng.normal(size=ticks + 400), 20)[200:-200]
    swing = np.sin(2 * np.pi * frequency * np.arange(ticks) / CLOCK_HZ + phase) * np.clip(8 * swell + 0.5, 0, 1)
    jaw = _sized(person.fields["AU26", "left"] + person.fields["AU26", "right"], 0.04, rng)
    performance.displacement += swing[:, None, None] * jaw


def _sized(shape: np.ndarray, reach: float, rng: np.random.Generator) -> np.ndarray:
    """The movement (K, 3) with its largest region moving about `reach` IOD."""
    largest = np.linalg.norm(roi_means(shape)[:, :2], axis=1).max()
    return shape * reach * rng.lognormal(0, _SPREAD) / largest


def turned(person: Person, degrees: float = 120.0) -> Person:
    """The same face with every movement turned in the picture plane, opposite ways on the two sides."""
    fields = {}
    for (name, side), field in person.fields.items():
        angle = np.deg2rad(degrees) * (-1 if side == "right" else 1)
        c, s = np.cos(angle), np.sin(angle)
        fields[name, side] = field.copy()
        fields[name, side][:, 0] = c * field[:, 0] - s * field[:, 1]
        fields[name, side][:, 1] = s * field[:, 0] + c * field[:, 1]
    return Person(person.shape, fields)


_ADDED: dict[str, Callable[[Person, Performance, np.random.Generator], None]] = {
    "synkinesis": synkinesis,
    "tremor": tremor,
}
STYLES = (*_ADDED, "turned")


def record(seed: Sequence[int], style: str) -> tuple[FaceFeatures, list[Interval]]:
    """Features and truth of one clip of a new subject."""
    rng = np.random.default_rng(seed)
    person = draw_person(rng)
    if style == "turned":
        person = turned(person)
    performance = perform(person, TICKS, rng, busy=0.35, speech=0.1)
    if style in _ADDED:
        _ADDED[style](person, performance, rng)
    seen = observe(person, performance, rng, laboratory=True)
    clock = Timebase(np.arange(TICKS) / CLOCK_HZ)
    truth = [Interval(e.onset, e.apex, e.offset, e.type) for e in performance.events]
    return FaceFeatures(seen.snippets, seen.landmarks, np.zeros(TICKS, np.int32), clock), truth


def click_apexes(seed: int, style: str, count: int) -> list[PointVideo]:
    """Clips with `count` points in all, one for each of their expressions: the last clips end before one too many."""
    videos: list[PointVideo] = []
    while count:
        features, truth = record((seed, 2, len(videos)), style)
        n_clicked = min(count, len(truth))
        # One that begins before the last click would be seen without a click: then that one is left out too.
        while 0 < n_clicked < len(truth) and truth[n_clicked].onset <= max(i.apex for i in truth[:n_clicked]):
            n_clicked -= 1
        clicked, beyond = truth[:n_clicked], truth[n_clicked:]
        if beyond:
            stop = max(beyond[0].onset, 1)
            features = replace(
                features,
                snippets=features.snippets[:stop],
                landmarks=features.landmarks[:stop],
                segment=features.segment[:stop],
                timebase=Timebase(np.arange(stop) / CLOCK_HZ),
            )
        name = str(len(videos))
        points = tuple(sorted(Point(i.apex, i.type) for i in clicked))
        videos.append(PointVideo("simulated", name, name, features, points))
        count -= len(clicked)
    return videos


@click.command(help=__doc__)
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--styles", default=",".join(STYLES), show_default=True)
@click.option("--points", default=20, show_default=True)
@click.option("--clips", default=30, show_default=True, help="To be judged on.")
@click.option("--seeds", default="0,1,2,3", show_default=True)
def main(work: Path, styles: str, points: int, clips: int, seeds: str) -> None:
    torch.set_num_threads(1)
    with as_file(files("facespot.weights") / DEFAULT_WEIGHTS) as shipped:
        for style in styles.split(","):
            rows = [_compare(work, style, seed, points, clips, shipped) for seed in map(int, seeds.split(","))]
            before, after = np.mean(rows, axis=0)
            click.echo(f"{style}, mean of {len(rows)}: {before:.3f} to {after:.3f} ({after - before:+.3f})")


def _compare(work: Path, style: str, seed: int, points: int, clips: int, shipped: Path) -> list[float]:
    """F1 before and after."""
    judged = [record((seed, 1, i), style) for i in range(clips)]
    videos = click_apexes(seed, style, points)
    recipe = PointRecipe.tuning(ticks=[v.features.timebase.n_ticks for v in videos])
    tuned = train(videos, recipe, work / f"{style}-{points}-{seed}", seed, init=shipped)
    overall = []
    for name, weights in (("shipped", shipped), ("tuned", tuned)):
        spotter = Spotter.load(weights, "cpu")
        found = evaluate(VideoIntervals(truth, spotter.intervals(features)[0]) for features, truth in judged)
        counts = found.overall
        overall.append(counts.f1)
        click.echo(
            f"{style}, seed {seed}, {name}: F1 MaE {found.macro.f1:.3f}, ME {found.micro.f1:.3f}, "
            f"overall {counts.f1:.3f} (TP {counts.tp}, FP {counts.fp}, FN {counts.fn}; {len(videos)} clips clicked)"
        )
    return overall


if __name__ == "__main__":
    main()
