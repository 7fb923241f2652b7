"""How far do figures on real clips scatter by chance: python benchmarks/scatter.py FOLDER

FOLDER is as of `real_clips.py`. The clips are extracted and scored as they are, and again with every face read in a
square that is 3 % smaller or larger or turned by 2 degrees either way, which is no better and no worse. Prints a row
for each, and the mean and the spread of F1. Differences of that size are chance.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from facespot.extract.face.mesh_reader import MeshReader
from facespot.extract.face.square import TurnedSquare
from facespot.spotting.spotter import Spotter

sys.path.insert(0, str(Path(__file__).parent))
from real_clips import load_clips, report, summary

# Size and turn (in degrees) of the square a face is read in, against the one it is read in otherwise.
READINGS = {
    "as it is": (1.0, 0.0),
    "3 % smaller": (0.97, 0.0),
    "3 % larger": (1.03, 0.0),
    "turned to the left": (1.0, -2.0),
    "turned to the right": (1.0, 2.0),
}


@contextmanager
def read_in(size: float, degrees: float) -> Iterator[None]:
    """Let every face be read in another square."""
    usual = MeshReader.read

    def read(reader: MeshReader, rgb: np.ndarray, square: TurnedSquare) -> np.ndarray | None:
        return usual(reader, rgb, replace(square, side=size * square.side, turn=square.turn + np.deg2rad(degrees)))

    MeshReader.read = read  # type: ignore[method-assign]
    try:
        yield
    finally:
        MeshReader.read = usual  # type: ignore[method-assign]


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--weights", type=click.Path(path_type=Path), help="other weights than the shipped ones")
def main(folder: Path, weights: Path | None) -> None:
    spotter = Spotter.load(weights, "cpu")
    scores = []
    for name, (size, degrees) in READINGS.items():
        with read_in(size, degrees):
            clips = load_clips(folder, None)
        found = {c.name: [] if c.features is None else spotter.intervals(c.features)[0] for c in clips}
        total, alarms = report(clips, found, rows=False)
        click.echo(summary(name, total, alarms))
        scores.append((total.overall.f1, total.macro.f1, total.micro.f1))
    for kind, mean, spread in zip(
        ("overall", "macro", "micro"), np.mean(scores, 0), np.std(scores, 0, ddof=1), strict=True
    ):
        click.echo(f"{kind}: F1 {mean:.3f}, spread {spread:.3f} (standard deviation of {len(scores)} readings)")


if __name__ == "__main__":
    main()
