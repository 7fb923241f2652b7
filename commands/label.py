"""`spot label`: a local page for correcting, coding blindly and auditing."""

import webbrowser
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import AnnotationError, FacespotError
from .caching import open_cache
from .console import Console, reporting
from .naming import output_names
from .options import FOLDER, VIDEOS, shared

if TYPE_CHECKING:
    from ..extract.timebase import Timebase
    from ..spotting.labelling.desk import Desk
    from ..spotting.labelling.events import CodedEvent
    from ..spotting.labelling.recording import Task

_FOUND = (".spots.json", ".spots.csv")


@click.command()
@VIDEOS
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="Keep the labels here instead of beside the video.")
@click.option("--coder", default="", metavar="NAME", help="Whose labels these are, where several people label.")
@click.option("--blind", is_flag=True, help="Hide what facespot found, for a coder of their own; needs --coder.")
@click.option(
    "--audit",
    type=click.IntRange(2),
    metavar="N",
    help="Watch N random stretches with the predictions hidden, and learn how good facespot is on these videos.",
)
@click.option(
    "--compare",
    nargs=2,
    metavar="NAME NAME",
    help="Open no page: explain how far two coders of these videos agree; '-' is who labelled without --coder.",
)
@shared("seed", help="Of the sample of --audit.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the page.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Print the address instead of opening it.")
@shared("fps")
@shared("cache")
@shared("model")
@shared("weights", help="To spot with, where nothing was yet.")
@shared("device")
@shared("quiet")
@reporting
def label(
    videos: tuple[Path, ...],
    output: Path | None,
    coder: str,
    blind: bool,
    audit: int | None,
    compare: tuple[str, str] | None,
    seed: int,
    port: int,
    no_browser: bool,
    fps: float | None,
    quiet: bool,
    **spotting: Any,
) -> None:
    """Correct by hand what was found in every VIDEO, on a page in your browser.

    Shows the events of VIDEO.spots.json or .csv; where there are none yet, spots the video first. Every act is saved
    at once, to VIDEO.labels.jsonl; beside it lie VIDEO.labels.csv, .eaf (ELAN) and .boris.tsv, and points.csv for
    `spot train`. The page is served to this computer only. Stop with its button or Ctrl-C; the same command goes on
    later.
    """
    from ..spotting.labelling.recording import Task

    if blind and audit:
        raise click.UsageError("an audit hides the predictions anyway; leave --blind out")
    if blind and not coder:
        raise click.UsageError("--blind needs --coder NAME, so that two coders' labels stay apart")
    videos = tuple(dict.fromkeys(videos))
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    bases = output_names(list(videos), output)
    if compare is not None:
        click.echo(_compared(videos, bases, compare, fps))
        return
    missing = [module for module in ("starlette", "uvicorn") if find_spec(module) is None]
    if missing:
        raise FacespotError(f"spot label needs {' and '.join(missing)}: pip install 'facespot[label]'")
    from ..spotting.labelling.recording import read_times

    task = Task("audit" if audit else "blind" if blind else "open", coder)
    console = Console(quiet)
    found = []
    for video in videos:
        timebase = read_times(video, fps)
        found.append((timebase, _machine_events(video, bases[video], task, timebase, console, fps, spotting)))
    _serve(videos, bases, task, found, audit, seed, port, no_browser, fps, console)


def _serve(
    videos: Sequence[Path],
    bases: dict[Path, Path],
    task: "Task",
    found: Sequence[tuple["Timebase", Sequence["CodedEvent"]]],
    audit: int | None,
    seed: int,
    port: int,
    no_browser: bool,
    fps: float | None,
    console: Console,
) -> None:
    from ..spotting.labelling.desk import Desk
    from ..spotting.labelling.recording import LabelledRecording, PointsTable
    from ..spotting.labelling.server import serve

    plan = _plan(videos, bases, task, found, audit, seed) if audit else None
    folder = bases[videos[0]].parent
    if not audit:
        PointsTable.refuse_foreign(folder, task)
    recordings = []
    try:
        for video, (timebase, events) in zip(videos, found, strict=True):
            recordings.append(LabelledRecording.open(video, bases[video], task, timebase, events, plan))
        desk = Desk(recordings, task, None if audit else PointsTable(folder, task, recordings), plan)
        desk.write()

        def opened(address: str) -> None:
            # Flushed, since whoever started this may be waiting for the address.
            click.echo(f"{address}\nStop with Ctrl-C; everything is saved as you go.")
            if not no_browser:
                webbrowser.open(address)

        serve(desk, port=port, fps=fps, opened=opened)
        _goodbye(desk, console)
    finally:
        for recording in recordings:
            recording.close()


def _goodbye(desk: "Desk", console: Console) -> None:
    if not desk.stretches:
        console.say("".join(f"-> {click.format_filename(path)}\n" for path in desk.files()))
    elif left := desk.unwatched():
        console.say(f"{left} of {len(desk.stretches)} stretches are still to be watched; the same command goes on.")
    else:
        click.echo(desk.audit()[1])


def _machine_events(
    video: Path,
    base: Path,
    task: "Task",
    timebase: "Timebase",
    console: Console,
    fps: float | None,
    spotting: dict[str, Any],
) -> Sequence["CodedEvent"]:
    """What facespot found: from the journal begun earlier, from the newest output beside it, or by spotting now."""
    from ..spotting.labelling.events import events_of_header, machine_events, read_machine_events
    from ..spotting.labelling.journal import read_journal

    journal = task.file(base, ".jsonl")
    if task.mode == "blind":
        return ()
    if journal.exists():
        return events_of_header(journal, read_journal(journal)[0])
    outputs = [p for ending in _FOUND if (p := base.with_name(base.name + ending)).exists()]
    if outputs:
        newest = max(outputs, key=lambda p: p.stat().st_mtime_ns)
        console.say(f"{click.format_filename(video)}: events of {click.format_filename(newest)}")
        return read_machine_events(newest, timebase.n_frames)
    from ..spotting.spotter import spot

    cache = open_cache(spotting["cache"], console)
    with console.bars() as bars:

        def progress(done: int, total: int | None) -> None:
            bars.show(0, click.format_filename(video.name), done, total, "frames")

        result = spot(video, fps=fps, progress=progress, **{**spotting, "cache": cache})
    return machine_events(result.spots)


def _plan(
    videos: Sequence[Path],
    bases: dict[Path, Path],
    task: "Task",
    found: Sequence[tuple["Timebase", Sequence["CodedEvent"]]],
    n: int,
    seed: int,
) -> dict[str, Any]:
    """The sample that an earlier call has drawn, or a new one."""
    from ..spotting.labelling.desk import draw_plan
    from ..spotting.labelling.journal import read_journal

    names = [video.name for video in videos]
    for journal in (task.file(bases[video], ".jsonl") for video in videos):
        if journal.exists():
            plan = read_journal(journal)[0]["plan"]
            if (plan["videos"], plan["asked"], plan["seed"]) != (names, n, seed):
                raise AnnotationError(
                    f"{journal}: an audit of {plan['asked']} stretches of {', '.join(plan['videos'])} with seed "
                    f"{plan['seed']} is under way; go on with that, or move it away"
                )
            return plan
    try:
        return draw_plan(names, [(t.n_ticks, events, t) for t, events in found], n, seed)
    except ValueError as error:
        raise FacespotError(f"--audit: {error}") from error


def _compared(videos: Sequence[Path], bases: dict[Path, Path], coders: tuple[str, str], fps: float | None) -> str:
    from ..spotting.labelling.comparison import CodedVideo, compare, explain
    from ..spotting.labelling.recording import Task, coded_by, read_times

    tasks = [Task(coder="" if name == "-" else name) for name in coders]
    coded = []
    for video in videos:
        histories = [coded_by(task.file(bases[video], ".jsonl"))[1] for task in tasks]
        coded.append(CodedVideo(video.name, read_times(video, fps), *(h.accepted for h in histories)))
    return explain(compare(coded), *("the first coder" if name == "-" else name for name in coders))
