"""Score weights on many short videos: performances as the simulator draws them today, by other faces, through pixels.

    python benchmarks/filmed.py --faces portraits/ --clips 40 [--first 16] [--weights FILE]...

The faces of the folder take turns: so many clips of a laboratory, and as many of calm, lively and talking people, 12
seconds each; and as many of 20 seconds in which nobody shows an expression, six in ten of them of people who talk.
Clips are numbered, and those of another `--first` are others. `rendered.py` has fewer and longer ones, kept as files.
Each file of weights has a row for each kind.
From run to run a row of 16 clips differs by an expression or two, since x264 does not always make the same file of the
same pictures (`simulation.render.write_video`); compare files of weights within one run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np
from facespot.benchmarks.rendered import load_faces
from facespot.extract.features import FaceFeatures
from facespot.extract.pipeline import extract_features
from facespot.processes import process_pool, usable_cores
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, count, judge
from facespot.spotting.simulation.camera import SceneOptions
from facespot.spotting.simulation.corpus import draw_performance, draw_quiet_performance
from facespot.spotting.simulation.films import close_up, draw_close_scene
from facespot.spotting.simulation.recording import film
from facespot.spotting.simulation.stage import Performance
from facespot.spotting.simulation.still import Still
from facespot.spotting.spotter import Spotter
from facespot.weights.film import load_actors

QUIET = "without expressions"
KINDS = ("laboratory", "anywhere", QUIET)
TICKS, QUIET_TICKS = 360, 600
LIVELY = 0.5  # of those who are neither calm nor in a laboratory
IOD, LABORATORY_IOD = (45.0, 115.0), (70.0, 120.0)  # pixels
FACE_WIDTH = (0.26, 0.36)  # IOD as a share of the picture: little around the face means little to render
BLOCK = 64  # pixels of which both sides are multiples
FRAME_RATES = (25.0, 30.0, 30.0, 30.0, 30.0, 60.0)
CRF = (14.0, 28.0)  # of H.264, from next to lossless to visibly coarse
SEED, QUIET_SEED = 777, 779


def load_close_ups(folder: Path | None) -> list[Still]:
    """Of every face of a folder, or of the astronaut. Raises ClickException if there is none."""
    return [close_up(still) for still in load_faces(None).values()] if folder is None else load_actors(folder)


def draw_benchmark_scene(rng: np.random.Generator, laboratory: bool, lively: bool) -> SceneOptions:
    """How a clip is filmed."""
    scene = draw_close_scene(rng, LABORATORY_IOD if laboratory else IOD, FACE_WIDTH, BLOCK, lively)
    return replace(scene, fps=float(rng.choice(FRAME_RATES)))


def draw_clip(number: int, kind: int) -> tuple[Performance, SceneOptions, np.random.Generator]:
    """What happens in one clip, how it is filmed, and what else about it is drawn from; of a laboratory's, one with an
    expression."""
    if KINDS[kind] == QUIET:
        rng = np.random.default_rng((QUIET_SEED, number))
        _, performance = draw_quiet_performance(QUIET_TICKS, rng)
        return performance, draw_benchmark_scene(rng, False, bool(rng.random() < LIVELY)), rng
    rng = np.random.default_rng((SEED, number, kind))
    while True:
        _, performance, laboratory, calm = draw_performance(TICKS, rng, laboratory_share=float(kind == 0))
        if performance.events or not laboratory:
            break
    lively = not laboratory and not calm and bool(rng.random() < LIVELY)
    return performance, draw_benchmark_scene(rng, laboratory, lively), rng


@contextmanager
def filmed_clip(still: Still, number: int, kind: int) -> Iterator[tuple[Performance, Path]]:
    """What happens in one clip, and its file for the time being. Meant for a process of its own: OpenCV keeps to one
    thread."""
    cv2.setNumThreads(1)
    performance, scene, rng = draw_clip(number, kind)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        film(still, performance, path, scene, rng, crf=float(rng.uniform(*CRF)))
        yield performance, path


def film_one(still: Still, number: int, kind: int) -> tuple[str, FaceFeatures, list[Interval]]:
    """Kind, features and truth of one clip."""
    with filmed_clip(still, number, kind) as (performance, path):
        features = extract_features(path)
    return KINDS[kind], features, [Interval(e.onset, e.apex, e.offset, e.type) for e in performance.events]


def film_all(faces: list[Still], numbers: range) -> Iterator[tuple[str, FaceFeatures, list[Interval]]]:
    """As `film_one`, on all cores."""
    jobs = [(faces[number % len(faces)], number, kind) for kind in range(len(KINDS)) for number in numbers]
    with process_pool(usable_cores()) as pool:
        yield from pool.map(film_one, *zip(*jobs, strict=True))


faces_option = click.option(
    "--faces",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder of face pictures  [default: the astronaut of scikit-image]",
)
first_option = click.option(
    "--first", type=click.IntRange(0), default=0, show_default=True, help="number of the first of them"
)


@click.command(help=__doc__)
@faces_option
@click.option("--clips", type=click.IntRange(1), default=40, show_default=True, help="of each kind")
@first_option
@click.option("--weights", multiple=True, type=click.Path(path_type=Path), help="other weights than the shipped ones")
def main(folder: Path | None, clips: int, first: int, weights: tuple[Path, ...]) -> None:
    faces = load_close_ups(folder)
    spotters = {str(path or "shipped"): Spotter.load(path, "cpu") for path in weights or (None,)}
    totals = {(name, kind): Evaluation() for name in spotters for kind in KINDS}
    minutes = dict.fromkeys(KINDS, 0.0)
    for kind, features, truth in film_all(faces, range(first, first + clips)):
        minutes[kind] += features.timebase.duration_s / 60
        for name, spotter in spotters.items():
            found, _ = spotter.intervals(features)
            totals[name, kind] += count(judge(VideoIntervals(truth, found)))
    for (name, kind), total in totals.items():
        if kind == QUIET:
            click.echo(f"{name}, {kind}: {total.overall.fp} false alarms in {minutes[kind]:.1f} minutes")
            continue
        types = "; ".join(f"{word} {c.f1:.3f} {c}" for word, c in (("macro", total.macro), ("micro", total.micro)))
        click.echo(f"{name}, {kind}: {total.overall.f1:.3f} {total.overall}; {types}")


if __name__ == "__main__":
    main()
