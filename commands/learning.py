"""`spot train`, `spot evaluate` and `spot simulate`: learning from points and judging."""

import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..errors import FacespotError

if TYPE_CHECKING:
    from ..spotting.learning.auw_training import AuwRecipe
    from ..spotting.learning.recipes import PointRecipe

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
SHIPPED = "shipped"
AUW_GCN = "auw-gcn"
_HELD_OUT = 0.2  # of the videos, when weights are tuned
_OF_POINTS = ("size", "labels", "durations", "overlap", "k_c", "intensity_loss", "without_iac")

_RECIPE_OPTIONS = (
    click.option(
        "--model",
        type=click.Choice(["context", "journal", "iclr2025", AUW_GCN]),
        default="context",
        show_default=True,
        help="Network: facespot's own, one of the two published variants of GIM, or AUW-GCN, the comparison method, "
        "which learns from onset, apex, offset and action units.",
    ),
    click.option(
        "--preset",
        type=click.Choice(["own", "samm-lv", "casme2"]),
        default="own",
        show_default=True,
        help="Whose loss weights.",
    ),
    click.option(
        "--size",
        type=click.Choice(["small", "paper"]),
        default="small",
        show_default=True,
        help="Network and schedule that a CPU can train, or the published ones (needs a GPU).",
    ),
    click.option("--epochs", type=click.IntRange(1), help="Instead of the preset's; with --init, of the tuning's."),
    click.option("--rate", type=click.FloatRange(0, min_open=True), help="Learning rate, likewise."),
    click.option(
        "--labels",
        type=click.Choice(["gim", "hard", "cosine", "class-mean"]),
        default="gim",
        show_default=True,
        help="How a point becomes labels of the frames around it.",
    ),
    click.option(
        "--durations",
        type=click.Choice(["landmarks", "intensity"]),
        help="What tells how long an expression lasts: the landmarks around its point, or the intensity learnt so "
        "far, as in the papers.  [default: landmarks for context, intensity for journal and iclr2025]",
    ),
    click.option(
        "--overlap",
        type=click.Choice(["random", "higher", "lower"]),
        default="random",
        show_default=True,
        help="Which label a frame keeps that two points claim.",
    ),
    click.option("--k-c", type=click.IntRange(8), metavar="FRAMES", help="k_c of macro-expressions.  [default: 32]"),
    click.option("--intensity-loss", type=click.Choice(["mse", "bce"]), default="mse", show_default=True),
    click.option("--without-iac", is_flag=True, help="Leave out the intensity-aware contrastive loss."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of points and training."),
    click.option(
        "--init",
        metavar="FILE|shipped",
        help="Tune these weights instead of starting anew; 'shipped' are those that come with facespot.",
    ),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True),
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
_FPS = click.option(
    "--fps", type=click.FloatRange(0, min_open=True), metavar="RATE", help="Of tables that count frames."
)


def _with_recipe(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_RECIPE_OPTIONS):
        command = option(command)
    return command


def _reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Errors that a user can act on become one line and their exit code."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except FacespotError as error:
            click.echo(f"spot: error: {error}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            click.echo(f"spot: error: {error}", err=True)
            sys.exit(1)

    return run


@click.command()
@click.argument("features", type=_FOLDER)
@click.argument("annotations", type=_FILE)
@click.option("-o", "--output", required=True, type=_FOLDER, metavar="RUN", help="Folder for weights and progress.")
@_with_recipe
@click.option("--tensorboard", is_flag=True, help="Write event files to RUN; needs facespot[train].")
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 0.9),
    metavar="SHARE",
    help="Of the videos, to be left out, for points that tell whether it helped.  [default: 0.2 with --init, else 0]",
)
@_FPS
@_QUIET
@_reporting
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
    from tqdm import tqdm

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
    recipe = _recipe(options, [v.features.timebase.n_ticks for v in videos])
    device = resolve_device(options["device"])
    if not quiet:
        click.echo(f"{counted(sum(len(getattr(v, told)) for v in videos), told)} in {counted(len(videos), 'videos')}")
        for line in pairing.lines(told):
            click.echo(f"  {line}")
    with ExitStack() as stack:
        init = _initial(options["init"], stack)
        bar = stack.enter_context(tqdm(total=recipe.epochs, unit=" epochs", disable=quiet or None, file=sys.stderr))

        def progress(report: EpochReport) -> None:
            bar.update(report.epoch + 1 - bar.n)
            bar.set_postfix({name: f"{value:.3f}" for name, value in report.terms.items()})

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
    if not quiet:
        if held:
            click.echo(comparison(score_weights(weights, held, device), before))
        elif share:
            click.echo(f"no video is held out of fewer than {LEAST_VIDEOS}: whether this helped is not known")
        click.echo(f"{click.format_filename(weights)}")


@click.command()
@click.argument("tables", nargs=-1, type=_FILE, metavar="[PREDICTIONS TRUTH]")
@click.option("--loso", is_flag=True, help="Train without each subject of a data set in turn, and judge on it.")
@click.option("--dataset", type=_FOLDER, metavar="FEATURES", help="With --loso: made by `spot prepare`.")
@click.option("--annotations", type=_FILE, metavar="FILE", help="With --loso: coding sheet of the data set.")
@click.option("-o", "--output", type=_FOLDER, metavar="DIR", help="Write report.json and report.csv here.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    metavar="N",
    help="Leave out subjects in N groups; quicker, and not MEGC's protocol.",
)
@click.option(
    "--epoch",
    type=click.Choice(["last", "validation"]),
    default="last",
    show_default=True,
    help="Which epoch counts: fixed in advance, or the best on an inner subject.",
)
@click.option(
    "--oracle-epoch",
    is_flag=True,
    help="Also report the best epoch on the left-out subject, as published code picks it.",
)
@click.option("--processes", type=click.IntRange(1), metavar="N", help="Folds at once.  [default: the cores]")
@click.option("--megc", type=click.Choice(["2022", "2023"]), help="Also write the predictions as a submission.")
@_with_recipe
@_FPS
@_QUIET
@_reporting
def evaluate(tables: tuple[Path, ...], loso: bool, output: Path | None, quiet: bool, **options: Any) -> None:
    """Judge intervals by the MEGC metric: F1 at an IoU of 0.5, and more.

    \b
    spot evaluate PREDICTIONS TRUTH
        any two tables of intervals: facespot's CSV, MEGC submissions, coding sheets
    spot evaluate --loso --dataset FEATURES --annotations SHEET -o DIR
        trains and judges with one subject left out at a time; goes on where it was stopped
    """
    from ..spotting.judging.report import evaluation_report, report_lines, write_report
    from ..spotting.judging.tables import pair_tables, read_table, render_megc

    if loso:
        if tables or not (options["dataset"] and options["annotations"] and output):
            raise click.UsageError("--loso needs --dataset, --annotations and -o, and no tables")
        reports, predicted = _loso(output, quiet, options)
    else:
        if len(tables) != 2:
            raise click.UsageError("needs two tables, PREDICTIONS and TRUTH, or --loso")
        predicted = read_table(tables[0], options["fps"])
        recordings, unit = pair_tables(predicted, read_table(tables[1], options["fps"]))
        if not recordings:
            raise click.UsageError("both tables are empty")
        reports = {"chosen": evaluation_report(recordings, unit)}
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            write_report(reports["chosen"], output / "report.json")
    if options["megc"]:
        folder = output or Path()
        path = folder / f"megc{options['megc']}.csv"
        path.write_text(render_megc(predicted, options["megc"]), encoding="utf-8")
    if not quiet:
        for name, report in reports.items():
            if len(reports) > 1:
                click.echo(f"{name.replace('_', ' ')}: {report['epoch']}")
            for line in report_lines(report):
                click.echo(line)


def _loso(output: Path, quiet: bool, options: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    from tqdm import tqdm

    from ..models.device import resolve_device
    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.datasets.layouts import match_videos
    from ..spotting.datasets.prepared import PreparedSet
    from ..spotting.judging.leave_one_out import evaluate_loso
    from ..spotting.learning.auw_training import auw_trainer

    prepared, trainer = PreparedSet(options["dataset"]), None
    records = read_annotations(options["annotations"], options["fps"])
    if options["model"] == AUW_GCN:
        trainer = functools.partial(auw_trainer, records=match_videos(records, list(prepared)))
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(unit=" folds", disable=quiet or None, file=sys.stderr))
        result = evaluate_loso(
            options["dataset"],
            records,
            _recipe(options, [video.ticks for video in prepared]),
            output,
            seed=options["seed"],
            folds=options["folds"],
            epoch=options["epoch"],
            oracle=options["oracle_epoch"],
            processes=options["processes"],
            device=str(resolve_device(options["device"])),
            init=_initial(options["init"], stack),
            trainer=trainer,
            progress=lambda outcome: bar.update(),
        )
    return result.reports, result.predicted


@click.command()
@click.option(
    "--timeline", required=True, type=_FILE, metavar="ANNOTATIONS", help="Coding sheet whose expressions are acted."
)
@click.option("-o", "--output", required=True, type=_FOLDER, metavar="FEATURES", help="Folder for the features.")
@click.option("--lengths", type=_FILE, metavar="CSV", help="Columns video and duration_s, where lengths are known.")
@click.option(
    "--tail",
    type=click.FloatRange(0.5),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a video of unknown length goes on after its last expression.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@_QUIET
@_reporting
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


def _recipe(options: dict[str, Any], ticks: Sequence[int]) -> "PointRecipe | AuwRecipe":
    """ticks: length of each video to learn from."""
    from dataclasses import replace

    from ..spotting.learning.auw_training import AuwRecipe
    from ..spotting.learning.pseudo_labels import PseudoLabelSettings
    from ..spotting.learning.recipes import PointRecipe

    if options["model"] == AUW_GCN:
        source = click.get_current_context().get_parameter_source
        for name in _OF_POINTS:
            if source(name) is not ParameterSource.DEFAULT:
                raise click.UsageError(f"--{name.replace('_', '-')} is for learning from points, not for {AUW_GCN}")
        recipe = AuwRecipe.preset(options["preset"])
        return replace(recipe, epochs=options["epochs"] or recipe.epochs, rate=options["rate"] or recipe.rate)
    try:
        recipe = PointRecipe.preset(options["preset"], options["model"], options["size"])
        if options["init"] and options["model"] == "context":
            recipe = PointRecipe.tuning(options["preset"], ticks)
        recipe = replace(recipe, epochs=options["epochs"] or recipe.epochs, rate=options["rate"] or recipe.rate)
        labels = {"strategy": options["labels"].replace("-", "_"), "overlap": options["overlap"]}
        if options["durations"] not in (None, recipe.labels.durations):
            rules = PseudoLabelSettings.own() if options["durations"] == "landmarks" else PseudoLabelSettings()
            labels |= {"durations": rules.durations, "certain": rules.certain, "margin": None}
        if options["k_c"]:
            labels["duration"] = (options["k_c"], recipe.labels.duration[1])
        recipe = recipe.with_labels(**labels).with_loss(intensity=options["intensity_loss"])
        return recipe.with_loss(contrastive=0.0) if options["without_iac"] else recipe
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _initial(name: str | None, stack: ExitStack) -> Path | None:
    if name != SHIPPED:
        return None if name is None else Path(name)
    from importlib.resources import as_file, files

    from ..spotting.spotter import DEFAULT_WEIGHTS

    return stack.enter_context(as_file(files("facespot.weights") / DEFAULT_WEIGHTS))
