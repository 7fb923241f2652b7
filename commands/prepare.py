"""`spot prepare`: features of a whole data set."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import FacespotError

if TYPE_CHECKING:
    from ..spotting.datasets.layouts import LayoutReport
    from ..spotting.datasets.prepare import Outcome, PrepareSummary

_MOST_LINES = 20  # of the layout report, without --verbose


@click.command()
@click.argument("dataset_root", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FEATURES",
    help="Folder for the features; what is there already is kept.",
)
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Coding sheet, points.csv, ELAN or BORIS file to compare the folder with.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    metavar="N",
    help="Recordings at work at once, never more than the cores.  [default: the cores]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Let the workers of a running Dask scheduler do the work (tcp://host:8786); see docs/cluster.md.",
)
@click.option("--face", default="longest", show_default=True, metavar="N|longest|largest", help="Whom to follow.")
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    metavar="RATE",
    help="Images a second of folders whose layout does not tell it.",
)
@click.option("-v", "--verbose", is_flag=True, help="Name every video as it is done, and the whole layout report.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def prepare(
    dataset_root: Path,
    output: Path,
    annotations: Path | None,
    processes: int | None,
    scheduler: str | None,
    face: str,
    fps: float | None,
    verbose: bool,
    quiet: bool,
) -> None:
    """Extract the features of every recording below DATASET_ROOT.

    Finds the layouts of SAMM-LV, CAS(ME)^2 and CAS(ME)^3, and any other video files and folders of numbered images.
    It can be stopped at any moment and started again. One bad recording is reported and the others go on; the exit
    code is that of the first one that failed.
    """
    # The cluster's libraries report lost connections at length; the summary says what became of the recordings.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        summary = _prepare(dataset_root, output, annotations, processes, scheduler, face, fps, verbose, quiet)
    except FacespotError as error:
        click.echo(f"spot: error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"spot: error: {error}", err=True)
        sys.exit(1)
    for outcome in summary.failures:
        click.echo(f"spot: error: {outcome.message}", err=True)
    if not quiet:
        click.echo(
            f"{len(summary.outcomes)} recordings: {summary.count('made')} prepared, {summary.count('kept')} were there "
            f"already, {len(summary.failures)} failed -> {click.format_filename(output)}"
        )
    sys.exit(summary.exit_code)


def _prepare(
    root: Path,
    output: Path,
    annotations: Path | None,
    processes: int | None,
    scheduler: str | None,
    face: str,
    fps: float | None,
    verbose: bool,
    quiet: bool,
) -> "PrepareSummary":
    from tqdm import tqdm

    from ..extract.options import ExtractOptions
    from ..spotting.datasets.annotations import read_annotations
    from ..spotting.datasets.layouts import check_layout, scan_dataset
    from ..spotting.datasets.prepare import prepare as prepare_recordings

    try:
        options = ExtractOptions(face=face)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--face") from None
    records = None if annotations is None else read_annotations(annotations, fps)
    report = check_layout(scan_dataset(root), records)
    if not quiet:
        _show(report, verbose)
    with tqdm(total=len(report.recordings), unit=" videos", disable=quiet or None, file=sys.stderr) as bar:

        def done(outcome: "Outcome") -> None:
            bar.update()
            if verbose:
                bar.write(f"{outcome.recording.video}: {outcome.status}", file=sys.stderr)

        return prepare_recordings(
            report.recordings,
            root,
            output,
            options=options,
            fps=fps,
            processes=processes,
            scheduler=scheduler,
            progress=done,
        )


def _show(report: "LayoutReport", verbose: bool) -> None:
    per_dataset: dict[str, int] = {}
    for recording in report.recordings:
        per_dataset[recording.dataset] = per_dataset.get(recording.dataset, 0) + 1
    for dataset, count in per_dataset.items():
        click.echo(f"{dataset}: {count} recordings")
    lines = report.lines()
    shown = lines if verbose else lines[:_MOST_LINES]
    for line in shown:
        click.echo(f"  {line}")
    if len(lines) > len(shown):
        click.echo(f"  and {len(lines) - len(shown)} more lines like these, with --verbose")
