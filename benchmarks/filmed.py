"""Score weights on short clips of other faces, filmed as those that the weights learn from are.

    python benchmarks/filmed.py --faces portraits/ --clips 40 [--weights FILE]...

The faces of the folder take turns: so many clips of a laboratory, and as many of calm, lively and talking people
(`spotting.simulation.filmed`), 12 seconds each. A row for each file of weights and kind of clip.
"""

from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
from facespot.benchmarks.rendered import load_faces
from facespot.extract.features import FaceFeatures
from facespot.processes import process_pool, usable_cores
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, count, judge
from facespot.spotting.simulation.corpus import QUIET_SHARE, draw_performance
from facespot.spotting.simulation.faces import close_up
from facespot.spotting.simulation.filmed import film_closely
from facespot.spotting.simulation.still import Still
from facespot.spotting.spotter import Spotter

KINDS = ("laboratory", "anywhere")
TICKS = 360
_SEED = 777


def film_one(still: Still, number: int, kind: int) -> tuple[str, FaceFeatures, list[Interval]]:
    """Kind, features and truth of one clip; of a laboratory's, one with an expression."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng((_SEED, number, kind))
    shares = (1.0, 0.0) if kind == 0 else (0.0, QUIET_SHARE)
    while True:
        _, performance, laboratory, calm = draw_performance(TICKS, rng, *shares)
        if performance.events or not laboratory:
            break
    features = film_closely(still, performance, laboratory, calm, rng)
    return KINDS[kind], features, [Interval(e.onset, e.apex, e.offset, e.type) for e in performance.events]


def film_all(faces: list[Still], clips: int) -> Iterator[tuple[str, FaceFeatures, list[Interval]]]:
    """As `film_one`, on all cores."""
    jobs = [(faces[number % len(faces)], number, kind) for kind in range(len(KINDS)) for number in range(clips)]
    with process_pool(usable_cores()) as pool:
        yield from pool.map(film_one, *zip(*jobs, strict=True))


@click.command(help=__doc__)
@click.option(
    "--faces",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder of face pictures",
)
@click.option("--clips", default=40, show_default=True, help="of each kind")
@click.option("--weights", multiple=True, type=click.Path(path_type=Path), help="other weights than the shipped ones")
def main(folder: Path, clips: int, weights: tuple[Path, ...]) -> None:
    faces = [close_up(still) for still in load_faces(folder).values()]
    if not faces:
        raise click.ClickException(f"{folder}: no face")
    spotters = {str(path or "shipped"): Spotter.load(path, "cpu") for path in weights or (None,)}
    totals = {(name, kind): Evaluation() for name in spotters for kind in KINDS}
    for kind, features, truth in film_all(faces, clips):
        for name, spotter in spotters.items():
            found, _ = spotter.intervals(features)
            totals[name, kind] += count(judge(VideoIntervals(truth, found)))
    for (name, kind), total in totals.items():
        figures = (f"{word} {c.f1:.3f} {c}" for word, c in (("macro", total.macro), ("micro", total.micro)))
        click.echo(f"{name}, {kind}: {total.overall.f1:.3f} {total.overall}; {'; '.join(figures)}")


if __name__ == "__main__":
    main()
