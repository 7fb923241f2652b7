"""`spot evaluate`: judging intervals, and training and judging subject by subject."""

import functools
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from .recipe_options import AUW_GCN, FILE, FOLDER, FPS, QUIET, initial_weights, recipe_of, reporting, with_recipe


@click.command()
@click.argument("tables", nargs=-1, type=FILE, metavar="[PREDICTIONS TRUTH]")
@click.option("--loso", is_flag=True, help="Train without each subject of a data set in turn, and judge on it.")
@click.option("--dataset", type=FOLDER, metavar="FEATURES", help="With --loso: made by `spot prepare`.")
@click.option("--annotations", type=FILE, metavar="FILE", help="With --loso: coding sheet of the data set.")
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="Write report.json and report.csv here.")
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
@with_recipe
@FPS
@QUIET
@reporting
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
            recipe_of(options, [video.ticks for video in prepared]),
            output,
            seed=options["seed"],
            folds=options["folds"],
            epoch=options["epoch"],
            oracle=options["oracle_epoch"],
            processes=options["processes"],
            device=str(resolve_device(options["device"])),
            init=initial_weights(options["init"], stack),
            trainer=trainer,
            progress=lambda outcome: bar.update(),
        )
    return result.reports, result.predicted
