"""`spot simulate`: a twin of an annotated data set."""

import sys
from pathlib import Path

import click

from .recipe_options import FILE, FOLDER, QUIET, reporting


@click.command()
@click.option(
    "--timeline", required=True, type=FILE, metavar="ANNOTATIONS", help="Coding sheet whose expressions are acted."
)
@click.option("-o", "--output", required=True, type=FOLDER, metavar="FEATURES", help="Folder for the features.")
@click.option("--lengths", type=FILE, metavar="CSV", help="Columns video and duration_s, where lengths are known.")
@click.option(
    "--tail",
    type=click.FloatRange(0.5),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a video of unknown length goes on after its last expression.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@QUIET
@reporting
def simulate(timeline: Path, output: Path, lengths: Path | None, tail: float, seed: int, quiet: bool) -> None:
    """Make a twin of a data set: its subjects, videos and expressions, acted by simulated people.

    The result is like that of `spot prepare`: train and evaluate on it with the same annotations.
    """
    from tqdm import tqdm

    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.simulation.twins import read_lengths, simulate_twins

    records = read_annotations(timeline)
    with tqdm(total=records["video"].nunique(), unit=" videos", disable=quiet or None, file=sys.stderr) as bar:
        made = simulate_twins(
            records,
            output,
            seed=seed,
            lengths=None if lengths is None else read_lengths(lengths),
            tail_s=tail,
            progress=lambda video: bar.update(),
        )
    if not quiet:
        minutes = sum(v.ticks for v in made) / 30 / 60
        click.echo(f"{len(made)} videos, {minutes:.1f} minutes -> {click.format_filename(output)}")
