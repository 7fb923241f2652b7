"""`spot simulate`: a twin of an annotated data set."""

from pathlib import Path

import click

from .console import Console, reporting
from .options import FILE, FOLDER, shared


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
@shared("seed")
@shared("quiet")
@reporting
def simulate(timeline: Path, output: Path, lengths: Path | None, tail: float, seed: int, quiet: bool) -> None:
    """Make a twin of a data set: its subjects, videos and expressions, acted by simulated people.

    The result is like that of `spot prepare`: train and evaluate on it with the same annotations.
    """
    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.simulation.twins import read_lengths, simulate_twins

    records = read_annotations(timeline)
    console = Console(quiet)
    with console.bars(records["video"].nunique(), "videos") as bars:
        made = simulate_twins(
            records,
            output,
            seed=seed,
            lengths=None if lengths is None else read_lengths(lengths),
            tail_s=tail,
            progress=lambda video: bars.advance(),
        )
    minutes = sum(v.ticks for v in made) / 30 / 60
    console.say(f"{len(made)} videos, {minutes:.1f} minutes -> {click.format_filename(output)}")
