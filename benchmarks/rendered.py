"""Render videos with known expressions, and score the whole chain from pixels to intervals on them.

    python benchmarks/rendered.py out --seeds 0-9 --seconds 20
    python benchmarks/rendered.py out --faces portraits/ --seeds 0-3 --laboratory --score

Each pair of face and seed gives `<face>_s<seed>.mp4` and `<face>_s<seed>.truth.csv` (see
`spotting.simulation.recording`). Without --faces
the face is the astronaut of scikit-image. A pair that is already there is kept.
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
from facespot.extract.pipeline import extract_features
from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, count, judge
from facespot.spotting.simulation.recording import read_truth, render_recording, write_truth
from facespot.spotting.simulation.still import Still, load_still, load_stills
from facespot.spotting.spotter import Spotter


def parse_seeds(text: str) -> list[int]:
    """'0-3,7' -> [0, 1, 2, 3, 7]. Raises click.BadParameter for anything else."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            seeds.extend(range(int(first), int(last or first) + 1))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list like 0-3,7") from None
    return seeds


def load_faces(folder: Path | None) -> dict[str, Still]:
    """Stills by name; a picture without a face is reported and left out."""
    if folder is None:
        from skimage import data

        return {"astronaut": load_still(data.astronaut())}
    return load_stills(folder, partial(click.echo, err=True))


@click.command(help=__doc__)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--faces", type=click.Path(exists=True, file_okay=False, path_type=Path), help="folder of face pictures")
@click.option("--seeds", default="0-3", show_default=True, help="numbers and ranges, such as 0-3,7")
@click.option("--seconds", default=20.0, show_default=True, help="length of each video")
@click.option("--speech", type=float, help="probability of speech; random by default")
@click.option("--busy", type=float, help="share of the time filled by expressions; random by default")
@click.option("--score", is_flag=True, help="then spot every video in OUT and compare with its truth")
@click.option("--weights", type=click.Path(path_type=Path), help="other weights than the shipped ones")
@click.option("--min-confidence", type=float, help="instead of the weights' own")
@click.option("--laboratory", is_flag=True, help="expressions apart, micro-expressions of 1 to 4 % of IOD")
@click.option("--lively", is_flag=True, help="heads that move as those of people who talk")
def main(
    out: Path,
    faces: Path | None,
    seeds: str,
    seconds: float,
    speech: float | None,
    busy: float | None,
    laboratory: bool,
    lively: bool,
    score: bool,
    weights: Path | None,
    min_confidence: float | None,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    render(out, faces, parse_seeds(seeds), seconds, speech, busy, laboratory, lively)
    if score:
        score_folder(out, weights, min_confidence)


def render(
    out: Path,
    faces: Path | None,
    seeds: list[int],
    seconds: float,
    speech: float | None,
    busy: float | None,
    laboratory: bool,
    lively: bool,
) -> None:
    """Every face with every seed that is not in `out` yet."""
    stills = load_faces(faces)
    if not stills:
        sys.exit("no face to render")
    for name, still in stills.items():
        for seed in seeds:
            truth = out / f"{name}_s{seed}.truth.csv"
            if truth.exists():
                continue
            path = out / f"{name}_s{seed}.mp4"
            recording = render_recording(
                still, path, seed, seconds, busy=busy, speech=speech, laboratory=laboratory, lively=lively
            )
            # Last, so that a truth file always stands for a finished video.
            write_truth(truth, recording.events, recording.timebase)
            click.echo(f"{recording.path.name}: {len(recording.events)} expressions, {recording.scene.fps:g} frames/s")


def judged(out: Path, spotter: Spotter, min_confidence: float | None = None) -> Iterator[tuple[str, Evaluation]]:
    """Name and counts of each video. Features are kept in `out`, so that other weights are scored quickly."""
    for truth in sorted(out.glob("*.truth.csv")):
        video = truth.with_name(truth.name.replace(".truth.csv", ".mp4"))
        features = extract_features(video, cache=out / "features")
        found, _ = spotter.intervals(features, min_confidence)
        yield video.name, count(judge(VideoIntervals(read_truth(truth), found)))


def score_folder(out: Path, weights: Path | None, min_confidence: float | None) -> None:
    """Print a row per video and the totals."""
    total = Evaluation()
    for name, counts in judged(out, Spotter.load(weights, "cpu"), min_confidence):
        click.echo(f"{name}: macro {counts.macro}  micro {counts.micro}")
        total += counts
    for name, c in (("macro", total.macro), ("micro", total.micro), ("overall", total.overall)):
        click.echo(f"{name:8s} F1 {c.f1:.3f}  precision {c.precision:.3f}  recall {c.recall:.3f}  {c}")


if __name__ == "__main__":
    main()
