"""`spot evaluate`: judging intervals, weights, or a training subject by subject."""

import functools
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..models.shipped import DEFAULT_MODEL, MODELS
from .console import Console, reporting
from .options import FILE, FOLDER, shared
from .recipe_options import AUW_GCN, SHIPPED, initial_weights, recipe_of, with_recipe

if TYPE_CHECKING:
    import pandas as pd

    from ..spotting.judging.tables import TableRow

_OPEN_OFFSET = re.compile(r"onset\+(\d{1,6})")


class OpenOffset(click.ParamType):
    """apex, or onset+N: frames after the onset, 0 for the apex."""

    name = "open offset"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if value == "apex":
            return 0
        if match := _OPEN_OFFSET.fullmatch(value):
            return int(match[1])
        self.fail(f"{value!r} is neither apex nor onset+N, such as onset+20", param, ctx)


@dataclass
class Judged:
    """What one of the three ways of judging gives: reports by name, the rows that were judged, and where the authors'
    protocol was asked for, the steps to it, one upon the other and each by itself."""

    reports: dict[str, dict[str, Any]]
    predicted: Sequence["TableRow"]
    steps: list[dict[str, Any]] = field(default_factory=list)
    alone: list[dict[str, Any]] = field(default_factory=list)


@click.command()
@click.argument("tables", nargs=-1, type=FILE, metavar="[PREDICTIONS... [TRUTH]]")
@click.option("--loso", is_flag=True, help="Train without each subject of a data set in turn, and judge on it.")
@click.option("--weights", metavar="FILE|shipped|gim", help="Judge these weights on a data set; nothing is trained.")
@click.option("--dataset", type=FOLDER, metavar="FEATURES", help="With --loso and --weights: made by `spot prepare`.")
@click.option(
    "--annotations",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Coding sheet of the data set, or other truth; may be given several times.",
)
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="Write report.json and report.csv here.")
@click.option(
    "--protocol",
    type=click.Choice(["megc", "authors"]),
    default="megc",
    show_default=True,
    help="authors: also the count of the GIM release, with what each of its departures is worth.",
)
@click.option(
    "--open-offset",
    type=OpenOffset(),
    default="onset+20",
    show_default=True,
    metavar="apex|onset+N",
    help="Where an expression ends that the sheet gives no end (offset 0), N in frames.",
)
@click.option(
    "--absent",
    type=click.Choice(["missed", "left-out"]),
    default="missed",
    show_default=True,
    help="Annotated videos without predictions or features.",
)
@click.option("--strict", is_flag=True, help="Refuse tables with rows that are no intervals, instead of naming those.")
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
    help="Also report the best epoch on the left-out subject by our own metric: how much that choice flatters.",
)
@click.option(
    "--watch-every",
    "--interval",
    "watch_every",
    type=click.IntRange(1),
    metavar="N",
    help="Epochs between those that can be chosen.  [default: 10; 1 with --protocol authors]",
)
@click.option("--processes", type=click.IntRange(1), metavar="N", help="Folds at once.  [default: the cores]")
@click.option("--megc", type=click.Choice(["2022", "2023"]), help="Also write the predictions as a submission.")
@with_recipe
@shared("fps", help="Of tables that count frames.")
@shared("quiet")
@reporting
def evaluate(tables: tuple[Path, ...], loso: bool, output: Path | None, quiet: bool, **options: Any) -> None:
    """Judge intervals by the MEGC metric: F1 at an IoU of 0.5, and more.

    \b
    spot evaluate PREDICTIONS... TRUTH
    spot evaluate PREDICTIONS... --annotations TRUTH [--annotations TRUTH]
        tables of intervals: facespot's files or a folder of them, MEGC submissions, coding sheets, ELAN
    spot evaluate --weights FILE --dataset FEATURES --annotations SHEET
        spots the whole data set by given weights
    spot evaluate --loso --dataset FEATURES --annotations SHEET -o DIR
        trains and judges with one subject left out at a time; goes on where it was stopped
    """
    from ..spotting.judging.report import report_lines, write_report
    from ..spotting.judging.tables import render_megc

    console = Console(quiet)
    if loso or options["weights"]:
        if loso and options["weights"]:
            raise click.UsageError("--loso trains, and --weights are there already: one of the two")
        name = "--loso" if loso else "--weights"
        if tables or not (options["dataset"] and options["annotations"]) or (loso and output is None):
            raise click.UsageError(f"{name} needs --dataset, --annotations{' and -o' if loso else ''}, and no tables")
        judged = _loso(output, console, options) if loso else _weights(console, options)
    else:
        judged = _tables(tables, options)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for name, report in judged.reports.items():
            write_report(report, output / ("report.json" if name == "chosen" else f"{name}.json"))
    if options["megc"]:
        path = (output or Path()) / f"megc{options['megc']}.csv"
        path.write_text(render_megc(judged.predicted, options["megc"]), encoding="utf-8", newline="")
    for note in judged.reports["chosen"]["notes"]:
        console.warn(note)
    for name, report in judged.reports.items():
        if len(judged.reports) > 1:
            console.say(f"{name.replace('_', ' ')}: {report['epoch']}")
        for line in report_lines(report):
            console.say(line)
    if count := judged.reports["chosen"]["open_ended"]:
        console.say(f"expressions without an end in the sheet: {count}, closed at {_closing(options)} (--open-offset)")
    if judged.steps:
        from ..spotting.reference.protocol import steps_lines

        console.say("from our protocol to the authors', departure by departure:")
        for line in steps_lines(judged.steps):
            console.say(line)
        if judged.alone:
            console.say("one departure at a time, each from our protocol:")
            for line in steps_lines(judged.alone):
                console.say(line)


def _tables(paths: tuple[Path, ...], options: dict[str, Any]) -> Judged:
    from ..errors import AnnotationError
    from ..spotting.judging.pairing import pair_tables
    from ..spotting.judging.report import evaluation_report
    from ..spotting.judging.tables import read_tables
    from ..spotting.reference.protocol import evaluator_steps, steps_report

    truth_paths = options["annotations"]
    if not truth_paths:
        paths, truth_paths = paths[:-1], paths[-1:]
    if not paths:
        raise click.UsageError("needs tables, PREDICTIONS and TRUTH, or --weights, or --loso")
    predicted, truth = (read_tables(group, options["fps"], options["open_offset"]) for group in (paths, truth_paths))
    if options["strict"] and (left_out := (*predicted.left_out, *truth.left_out)):
        raise AnnotationError(left_out[0] + (f" (and {len(left_out) - 1} more rows)" if len(left_out) > 1 else ""))
    pairing = pair_tables(predicted, truth, options["absent"])
    steps = steps_report(evaluator_steps(pairing.videos)) if options["protocol"] == "authors" else []
    report = {
        "absent_videos": options["absent"],
        **_open_ended(predicted.open_ended + truth.open_ended, options),
        **pairing.facts(),
        **evaluation_report(pairing.videos, pairing.unit),
    }
    return _judged({"chosen": report}, predicted.rows, steps)


def _weights(console: Console, options: dict[str, Any]) -> Judged:
    from ..spotting.judging.annotated_set import AnnotatedSet
    from ..spotting.judging.given_weights import spot_set
    from ..spotting.judging.metrics import evaluate as count
    from ..spotting.judging.report import evaluation_report
    from ..spotting.reference.protocol import steps_report, weights_alone, weights_steps
    from ..spotting.spotter import Spotter

    records = _records(options)
    data = AnnotatedSet(options["dataset"], records, options["absent"], options["open_offset"])
    asked = options["weights"]
    model = DEFAULT_MODEL if asked == SHIPPED else asked if asked in MODELS else None
    spotter = Spotter.load(None if model else asked, options["device"], model=model)
    with console.bars(len(data.videos), "videos") as bars:
        spotted = spot_set(spotter, data, _other_decoding(records, options), progress=lambda video: bars.advance())
    pairing = data.pair(spotted.found)
    steps, alone = [], []
    if options["protocol"] == "authors":
        steps = steps_report(weights_steps(data, count(pairing.videos), spotted.found, spotted.decoded_otherwise))
        alone = steps_report(weights_alone(data, spotted.found, spotted.decoded_otherwise), alone=True)
    report = {
        "protocol": "given weights",
        "weights": spotter.origin,
        **({"laboratory_weights": spotter.laboratory_origin} if spotter.laboratory_origin else {}),
        "absent_videos": options["absent"],
        **_open_ended(data.open_ended, options),
        **pairing.facts(),
        **evaluation_report(pairing.videos, pairing.unit),
    }
    return _judged({"chosen": report}, data.rows(spotted.found), steps, alone)


def _loso(output: Path, console: Console, options: dict[str, Any]) -> Judged:
    from ..models.device import resolve_device
    from ..spotting.datasets.layouts import match_videos
    from ..spotting.datasets.prepared import PreparedSet
    from ..spotting.judging.leave_one_out import evaluate_loso
    from ..spotting.judging.metrics import evaluate as count
    from ..spotting.learning.auw_training import auw_trainer
    from ..spotting.reference.protocol import loso_alone, loso_steps, steps_report

    prepared, trainer = PreparedSet(options["dataset"]), None
    records = _records(options)
    if options["model"] == AUW_GCN:
        trainer = functools.partial(auw_trainer, records=match_videos(records, list(prepared)))
    authors = options["protocol"] == "authors"
    with ExitStack() as stack:
        bars = stack.enter_context(console.bars(None, "folds"))
        result = evaluate_loso(
            options["dataset"],
            records,
            recipe_of(options, [video.ticks for video in prepared]),
            output,
            seed=options["seed"],
            folds=options["folds"],
            epoch=options["epoch"],
            oracle=options["oracle_epoch"],
            watch_every=options["watch_every"] or (1 if authors else 10),
            processes=options["processes"],
            device=str(resolve_device(options["device"])),
            init=initial_weights(options["init"], stack),
            trainer=trainer,
            other_decoding=_other_decoding(records, options),
            absent=options["absent"],
            open_frames=options["open_offset"],
            progress=lambda outcome: bars.advance(),
        )
    steps, alone = [], []
    if authors:
        steps = steps_report(loso_steps(result, count(result.data.pair(result.found).videos)))
        alone = steps_report(loso_alone(result), alone=True)
    reports = {
        name: {**report, **_open_ended(result.data.open_ended, options)} for name, report in result.reports.items()
    }
    return _judged(reports, result.predicted, steps, alone)


def _judged(
    reports: dict[str, dict[str, Any]],
    predicted: Sequence["TableRow"],
    steps: list[dict[str, Any]],
    alone: Sequence[dict[str, Any]] = (),
) -> Judged:
    if steps:
        reports["chosen"]["authors"] = steps
    if alone:
        reports["chosen"]["authors_alone"] = list(alone)
    return Judged(reports, predicted, steps, list(alone))


def _records(options: dict[str, Any]) -> "pd.DataFrame":
    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.datasets.records import concat_records

    return concat_records([read_annotations(path, options["fps"]) for path in options["annotations"]])


def _other_decoding(records: "pd.DataFrame", options: dict[str, Any]) -> Any:
    """The authors' decoder for these annotations, where their protocol is asked for."""
    if options["protocol"] != "authors":
        return None
    if options["model"] == AUW_GCN:
        raise click.UsageError(f"--protocol authors is that of GIM, which does not decode {AUW_GCN}")
    from ..spotting.reference.protocol import reference_decoding

    return reference_decoding(records["dataset"].mode()[0])


def _open_ended(count: int, options: dict[str, Any]) -> dict[str, Any]:
    """How many expressions were closed, and where, for the report."""
    return {"open_ended": count, "open_offset": _closing(options)}


def _closing(options: dict[str, Any]) -> str:
    return f"onset+{options['open_offset']}" if options["open_offset"] else "apex"
