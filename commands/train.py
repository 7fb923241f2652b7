"""`spot train`: learning from points."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from .recipe_options import (
    AUW_GCN,
    FILE,
    FOLDER,
    FPS,
    QUIET,
    counted,
    initial_weights,
    recipe_of,
    reporting,
    with_recipe,
)


@click.command()
@click.argument("features", type=FOLDER)
@click.argument("annotations", type=FILE)
@click.option("-o", "--output", required=True, type=FOLDER, metavar="RUN", help="Folder for weights and progress.")
@with_recipe
@click.option("--tensorboard", is_flag=True, help="Write event files to RUN; needs facespot[train].")
@FPS
@QUIET
@reporting
def train(
    features: Path, annotations: Path, output: Path, tensorboard: bool, fps: float | None, quiet: bool, **options: Any
) -> None:
    """Learn from one point per expression (AUW-GCN: from its onset, apex and offset).

    FEATURES was made by `spot prepare`; ANNOTATIONS is a points.csv (video, time_s or frame, type), an ELAN or BORIS
    file, or the coding sheet of a data set, from which points are drawn. Writes RUN/weights.safetensors, for
    `spot VIDEO --weights`. An interrupted training goes on when it is started again.
    """
    from tqdm import tqdm

    from ..models.device import resolve_device
    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.datasets.prepared import PreparedSet
    from ..spotting.datasets.sampling import sample_points
    from ..spotting.learning.auw_training import AuwTrainer
    from ..spotting.learning.from_points import train as train_points
    from ..spotting.learning.interval_videos import pair_intervals
    from ..spotting.learning.point_videos import pair_points
    from ..spotting.learning.training import EpochReport

    seed = options["seed"]
    prepared, records = PreparedSet(features), read_annotations(annotations, fps)
    told, trainer = "points", {}
    if options["model"] == AUW_GCN:
        told, trainer = "intervals", {"trainer": AuwTrainer}
        videos, pairing = pair_intervals(prepared, records)
    else:
        videos, pairing = pair_points(prepared, sample_points(records, seed))
    recipe = recipe_of(options, [v.features.timebase.n_ticks for v in videos])
    if not quiet:
        click.echo(f"{counted(sum(len(getattr(v, told)) for v in videos), told)} in {counted(len(videos), 'videos')}")
        for video in pairing.without_features:
            click.echo(f"  without features: {video}")
        for count, what in (
            (pairing.beyond_end, "beyond the end of the video"),
            (pairing.without_face, "without a face"),
        ):
            if count:
                click.echo(f"  left out: {counted(count, told)} {what}")
    with ExitStack() as stack:
        init = initial_weights(options["init"], stack)
        bar = stack.enter_context(tqdm(total=recipe.epochs, unit=" epochs", disable=quiet or None, file=sys.stderr))

        def progress(report: EpochReport) -> None:
            bar.update(report.epoch + 1 - bar.n)
            bar.set_postfix({name: f"{value:.3f}" for name, value in report.terms.items()})

        weights = train_points(
            videos,
            recipe,
            output,
            seed,
            device=resolve_device(options["device"]),
            init=init,
            tensorboard=tensorboard,
            progress=progress,
            **trainer,
        )
    if not quiet:
        click.echo(f"{click.format_filename(weights)}")
