"""What twenty clicks do for weights that meet a style of motion they have not seen.

    python benchmarks/tuning.py WORK [--points 20 --seeds 0,1,2]

The style: every facial movement of these subjects is turned by a fixed angle and bent sideways, far outside what the
simulator draws for training. The shipped weights are judged on subjects of that style, tuned with as many points as
asked for from other subjects of that style, and judged again on the same recordings.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import click
import numpy as np
import torch
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.metrics import Recording, evaluate
from facespot.spotting.point_videos import PointVideo
from facespot.spotting.points import Point
from facespot.spotting.recipes import PointRecipe
from facespot.spotting.simulation.anatomy import Person, draw_person
from facespot.spotting.simulation.sensor import observe
from facespot.spotting.simulation.timeline import perform
from facespot.spotting.spotter import DEFAULT_WEIGHTS, Spotter
from facespot.spotting.training import train

TICKS = 300


def in_style(person: Person, degrees: float, gain: float) -> Person:
    """The same face with every movement turned in the picture plane, opposite ways on the two sides, and weaker."""
    fields = {}
    for (name, side), field in person.fields.items():
        angle = np.deg2rad(degrees) * (-1 if side == "right" else 1)
        c, s = np.cos(angle), np.sin(angle)
        turned = field.copy()
        turned[:, 0] = c * field[:, 0] - s * field[:, 1]
        turned[:, 1] = s * field[:, 0] + c * field[:, 1]
        fields[name, side] = gain * turned
    return Person(person.shape, fields)


def record(seed: Sequence[int], degrees: float, gain: float) -> tuple[FaceFeatures, list[Interval]]:
    """Features and truth of one clip of a new subject."""
    rng = np.random.default_rng(seed)
    person = in_style(draw_person(rng), degrees, gain)
    performance = perform(person, TICKS, rng, busy=0.35, speech=0.1)
    seen = observe(person, performance, rng, laboratory=True)
    clock = Timebase(np.arange(TICKS) / 30.0)
    truth = [Interval(e.onset, e.apex, e.offset, e.type) for e in performance.events]
    return FaceFeatures(seen.snippets, seen.landmarks, np.zeros(TICKS, np.int32), clock), truth


@click.command(help=__doc__)
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--points", default=20)
@click.option("--clips", default=40, help="To be judged on.")
@click.option("--degrees", default=60.0)
@click.option("--gain", default=0.2, help="Strength of their movements.")
@click.option("--epochs", default=20)
@click.option("--rate", default=2e-4)
@click.option("--durations", type=click.Choice(["landmarks", "intensity"]), help="Instead of the recipe's.")
@click.option("--seeds", default="0,1,2")
def main(
    work: Path,
    points: int,
    clips: int,
    degrees: float,
    gain: float,
    epochs: int,
    rate: float,
    durations: str | None,
    seeds: str,
) -> None:
    torch.set_num_threads(1)
    with as_file(files("facespot.weights") / DEFAULT_WEIGHTS) as shipped:
        for seed in map(int, seeds.split(",")):
            judged = [record((seed, 1, i), degrees, gain) for i in range(clips)]
            videos, left, number = [], points, 0
            while left:
                features, truth = record((seed, 2, number), degrees, gain)
                clicked = tuple(sorted({Point(i.apex, i.type) for i in truth[:left]}))
                videos.append(PointVideo("simulated", str(number), str(number), features, clicked))
                left, number = left - len(clicked), number + 1
            recipe = PointRecipe.preset("own", "context")
            # The network already knows what an expression is: labels start from its own opinion.
            recipe = replace(recipe, epochs=epochs, rate=rate, empty=1.0, batch=4)
            recipe = recipe.with_labels(stage_epochs=(0, 0), threshold_epochs=epochs)
            if durations is not None:
                recipe = recipe.with_labels(durations=durations)
            name = f"{points}-{degrees:g}-{gain:g}-{epochs}-{rate:g}-{recipe.labels.durations}-{seed}"
            tuned = train(videos, recipe, work / name, seed, init=shipped)
            for name, weights in (("shipped", shipped), ("tuned", tuned)):
                spotter = Spotter.load(weights, "cpu")
                found = evaluate(Recording(truth, spotter.intervals(features)[0]) for features, truth in judged)
                f1 = [getattr(found, kind).f1 for kind in ("macro", "micro", "overall")]
                o = found.overall
                click.echo(
                    f"seed {seed}, {name}: F1 MaE {f1[0]:.3f}, ME {f1[1]:.3f}, overall {f1[2]:.3f} "
                    f"(TP {o.tp}, FP {o.fp}, FN {o.fn}; {len(videos)} clips with {points} points)"
                )


if __name__ == "__main__":
    main()
