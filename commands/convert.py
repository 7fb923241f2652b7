"""`spot convert`: files of the authors' release, for facespot."""

from pathlib import Path

import click

from ..errors import FacespotError
from .console import Console, reporting
from .options import FILE, shared


@click.command()
@click.argument("source", type=FILE)
@click.option("-o", "--output", required=True, type=FILE, metavar="PATH", help="Weights file, or folder of features.")
@click.option(
    "--annotations",
    type=FILE,
    metavar="DIR",
    help="With a feature file: the folder NAME-Annotations that belongs to it.",
)
@click.option(
    "--trust-pickle",
    is_flag=True,
    help="Read the release's arrays although they are pickled: such a file can run any code. Only for files that you "
    "have from the authors themselves.",
)
@click.option("--heads", type=click.IntRange(1), default=4, show_default=True, help="Of attention, in a checkpoint.")
@shared("quiet")
@reporting
def convert(source: Path, output: Path, annotations: Path | None, trust_pickle: bool, heads: int, quiet: bool) -> None:
    """Take over a file of the authors' release of GIM.

    \b
    spot convert CHECKPOINT.pth -o weights.safetensors
        for `spot --weights`; only tensors are read, nothing in the file is run
    spot convert NAME-SLopticalflow.npy --annotations NAME-Annotations -o FEATURES --trust-pickle
        a prepared data set, for `spot train` and `spot evaluate --loso` with --model journal or iclr2025, and
        FEATURES/annotations.csv, its intervals
    """
    console = Console(quiet)
    if annotations is None:
        if source.suffix == ".npy":
            raise FacespotError(f"{source}: features need --annotations, which names the videos")
        from ..models.authors import read_authors_checkpoint
        from ..models.checkpoint import save_checkpoint

        config, state = read_authors_checkpoint(source, heads)
        digest = save_checkpoint(output, "gim", config, state, {"converted": source.name})
        console.say(f"-> {click.format_filename(output)} ({digest[:12]})")
        return
    from ..extract.timebase import CLOCK_HZ
    from ..spotting.datasets.adopt import adopt_published
    from ..spotting.simulation.anatomy import neutral_face

    lines, told = adopt_published(source, annotations, output, neutral_face(), trust_pickle=trust_pickle)
    for mismatch in told.mismatches:
        console.warn(str(mismatch))
    table = output / "annotations.csv"
    at = {f"{moment}_s": told.records[moment] / CLOCK_HZ for moment in ("onset", "apex", "offset")}
    told.records.assign(**at)[["subject", "video", "type", *at]].to_csv(table, index=False)
    minutes = sum(line.ticks for line in lines) / CLOCK_HZ / 60
    console.say(f"{len(lines)} videos, {minutes:.1f} minutes -> {click.format_filename(output)}")
