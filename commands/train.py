"""`spot train`: learning from points."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from .console import Console, reporting
from .options import FILE, FOLDER, shared
from .recipe_options import AUW_GCN, initial_weights, recipe_of, with_recipe

_HELD_OUT = 0.2  # of the videos, when weights are tuned


@click.command()
@click.argument("features", type=FOLDER)
@click.argument("annotations", type=FILE)
@click.option("-o", "--output", required=True, type=FOLDER, metavar="RUN", help="Folder for weights and progress.")
@with_recipe
@click.option("--tensorboard", is_flag=True, help="Write event files to RUN; needs facespot[train].")
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 0.9),
    metavar="SHARE",
    help="Of the videos, to be left out, for points that tell whether it helped.  [default: 0.2 with --init, else 0]",
)
@shared("fps", help="Of tables that count frames.")
@shared("quiet")
@reporting
def train(
    features: Path,
    annotations: Path,
    output: Path,
    tensorboard: bool,
    hold_out: float | None,
    fps: float | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Learn from one point per expression (AUW-GCN: from its onset, apex and offset).

    FEATURES was made by `spot prepare`; ANNOTATIONS is a points.csv (video, time_s or frame, type), an ELAN or BORIS
    file, or the coding sheet of a data set, from which points are drawn. Writes RUN/weights.safetensors, for
    `spot VIDEO --weights`. An interrupted training goes on when it is started again, a finished one with more --epochs.
    """
    from ..models.device import resolve_device
    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.datasets.prepared import PreparedSet
    from ..spotting.datasets.sampling import sample_points
    from ..spotting.learning.auw_training import AuwTrainer
    from ..spotting.learning.from_points import train as train_points
    from ..spotting.learning.held_out import LEAST_VIDEOS, comparison, score_weights, split_videos
    from ..spotting.learning.interval_videos import pair_intervals
    from ..spotting.learning.point_videos import counted, pair_points
    from ..spotting.learning.training import EpochReport

    seed = options["seed"]
    prepared, records = PreparedSet(features), read_annotations(annotations, fps)
    told, trainer = "points", {}
    if options["model"] == AUW_GCN:
        told, trainer = "intervals", {"trainer": AuwTrainer}
        videos, pairing = pair_intervals(prepared, records)
    else:
        videos, pairing = pair_points(prepared, sample_points(records, seed))
    share = (_HELD_OUT if options["init"] else 0.0) if hold_out is None else hold_out
    videos, held = split_videos(videos, share, seed)
    recipe = recipe_of(options, [v.features.timebase.n_ticks for v in videos])
    device = resolve_device(options["device"])
    console = Console(quiet)
    console.say(f"{counted(sum(len(getattr(v, told)) for v in videos), told)} in {counted(len(videos), 'videos')}")
    for line in pairing.lines(told):
        console.say(f"  {line}")
    with ExitStack() as stack:
        init = initial_weights(options["init"], stack)
        bars = stack.enter_context(console.bars(recipe.epochs, "epochs"))

        def progress(report: EpochReport) -> None:
            bars.reach(report.epoch + 1, "  ".join(f"{name} {value:.3f}" for name, value in report.terms.items()))

        before = score_weights(init, held, device) if init and held else None
        weights = train_points(
            videos,
            recipe,
            output,
            seed,
            device=device,
            init=init,
            tensorboard=tensorboard,
            progress=progress,
            **trainer,
        )
    if held:
        console.say(comparison(score_weights(weights, held, device), before))
    elif share:
        console.say(f"no video is held out of fewer than {LEAST_VIDEOS}: whether this helped is not known")
    console.say(click.format_filename(weights))
