"""`spot prepare`: features of a whole data set."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import Console, reporting
from .options import FILE, FOLDER, shared

if TYPE_CHECKING:
    from ..spotting.datasets.layouts import LayoutReport
    from ..spotting.datasets.prepare import Outcome

_MOST_LINES = 20  # of the layout report, without --verbose


@click.command()
@click.argument("dataset_root", type=FILE)
@click.option(
    "-o",
    "--output",
    required=True,
    type=FOLDER,
    metavar="FEATURES",
    help="Folder for the features; what is there already is kept.",
)
@click.option(
    "--annotations",
    type=FILE,
    metavar="FILE",
    help="Coding sheet, points.csv, ELAN or BORIS file to compare the folder with.",
)
@shared("jobs", "--processes")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Let the workers of a running Dask scheduler do the work (tcp://host:8786); see docs/cluster.md.",
)
@shared("face")
@shared("fps", help="Images a second of folders whose layout does not tell it.")
@click.option("-v", "--verbose", is_flag=True, help="Name every video as it is done, and the whole layout report.")
@shared("quiet")
@reporting
def prepare(
    dataset_root: Path,
    output: Path,
    annotations: Path | None,
    jobs: int | None,
    scheduler: str | None,
    face: str | int,
    fps: float | None,
    verbose: bool,
    quiet: bool,
) -> None:
    """Extract the features of every recording below DATASET_ROOT.

    Finds the layouts of SAMM-LV, CAS(ME)^2 and CAS(ME)^3, and any other video files and folders of numbered images.
    It can be stopped at any moment and started again. One bad recording is reported and the others go on; the exit
    code is that of the first one that failed.
    """
    from ..extract.options import ExtractOptions
    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.datasets.layouts import check_layout, scan_dataset
    from ..spotting.datasets.prepare import prepare as prepare_recordings

    # The cluster's libraries report lost connections at length; the summary says what became of the recordings.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    console = Console(quiet)
    records = None if annotations is None else read_annotations(annotations, fps)
    report = check_layout(scan_dataset(dataset_root), records)
    _show(console, report, verbose)
    with console.bars(len(report.recordings), "videos") as bars:

        def done(outcome: "Outcome") -> None:
            bars.advance()
            if verbose:
                console.note(f"{outcome.recording.video}: {outcome.status}")

        summary = prepare_recordings(
            report.recordings,
            dataset_root,
            output,
            options=ExtractOptions(face=face),
            fps=fps,
            processes=jobs,
            scheduler=scheduler,
            progress=done,
        )
    for outcome in summary.failures:
        console.error(outcome.message)
    console.say(
        f"{len(summary.outcomes)} recordings: {summary.count('made')} prepared, {summary.count('kept')} were there "
        f"already, {len(summary.failures)} failed -> {click.format_filename(output)}"
    )
    sys.exit(summary.exit_code)


def _show(console: Console, report: "LayoutReport", verbose: bool) -> None:
    per_dataset: dict[str, int] = {}
    for recording in report.recordings:
        per_dataset[recording.dataset] = per_dataset.get(recording.dataset, 0) + 1
    for dataset, count in per_dataset.items():
        console.say(f"{dataset}: {count} recordings")
    lines = report.lines()
    shown = lines if verbose else lines[:_MOST_LINES]
    for line in shown:
        console.say(f"  {line}")
    if len(lines) > len(shown):
        console.say(f"  and {len(lines) - len(shown)} more lines like these, with --verbose")
