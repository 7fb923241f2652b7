"""The MEGC protocol: train without a subject, spot that subject, and count over all of them.

Folds are trained in parallel processes from points alone; the intervals that judge them never leave the parent. Which
epoch counts is fixed in advance (the last), or chosen on an inner subject that the fold does not train on. The authors'
release instead takes, for each left-out subject, the epoch that scores best on that very subject; that number can be
had beside ours, as "oracle_epoch", to compare with published tables. It uses our metric, not their evaluator.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import AnnotationError
from ...files import replacing
from ...processes import process_pool, usable_cores
from ..datasets.layouts import match_videos
from ..datasets.prepared import PreparedSet
from ..datasets.records import close_open_offsets, intervals_by_video
from ..datasets.sampling import sample_points
from ..intervals import Interval
from ..learning.recipes import PointRecipe
from .metrics import Evaluation, VideoIntervals, evaluate
from .report import evaluation_report, write_report
from .tables import TableRow

if TYPE_CHECKING:
    import pandas as pd

    from ...extract.timebase import Timebase
    from ..learning.from_points import PointTrainer

EpochChoice = Literal["last", "validation"]
Spotted = dict[str, list[Interval]]  # by video


@dataclass(frozen=True, eq=False)
class FoldJob:
    """What the process that trains one fold is told; nothing of it is an interval.

    left_out: subjects to spot. validation: subjects neither trained on nor judged, empty when the epoch is fixed.
    watch: epochs (1-based) after which both are spotted; the last is always among them. trainer: another trainer than
    `PointTrainer`, for comparisons: a class or function, or a `functools.partial` of one, that can be pickled.
    """

    name: str
    folder: Path
    prepared: Path
    points: "pd.DataFrame"
    left_out: tuple[str, ...]
    validation: tuple[str, ...]
    recipe: PointRecipe
    seed: int
    watch: tuple[int, ...]
    device: str = "cpu"
    init: Path | None = None
    trainer: "Callable[..., PointTrainer] | None" = None


@dataclass(frozen=True)
class FoldOutcome:
    """Intervals found after each watched epoch: {epoch: {video: intervals}}, of left-out and of validation subjects."""

    name: str
    found: dict[int, Spotted] = field(default_factory=dict)
    validation: dict[int, Spotted] = field(default_factory=dict)


@dataclass(frozen=True)
class LosoResult:
    """What `evaluate_loso` found.

    reports: `evaluation_report` of the chosen epoch ("chosen") and, if asked for, of "oracle_epoch". epochs: what was
    chosen, by report and fold. predicted: rows of the chosen epoch, for `spot evaluate` and submissions.
    """

    reports: dict[str, dict[str, Any]]
    epochs: dict[str, dict[str, int]]
    predicted: list[TableRow]


def evaluate_loso(
    prepared: str | Path,
    records: "pd.DataFrame",
    recipe: PointRecipe,
    output: str | Path,
    *,
    seed: int = 0,
    folds: int | None = None,
    epoch: EpochChoice = "last",
    oracle: bool = False,
    watch_every: int = 10,
    processes: int | None = None,
    device: str = "cpu",
    init: str | Path | None = None,
    trainer: "Callable[..., PointTrainer] | None" = None,
    progress: Callable[[FoldOutcome], None] | None = None,
) -> LosoResult:
    """Judge a recipe on a prepared data set, leaving out one subject after the other.

    records: the annotations; points are sampled from them with `seed`, and the ends of the expressions are kept for
    judging. folds: fewer folds than subjects, each leaving out a group of them (not the MEGC protocol, and said so in
    the report). epoch: "last", or "validation" for the best on an inner subject. oracle: also report the best epoch
    on the left-out subjects themselves. watch_every: epochs between those that can be chosen. processes: at most the
    cores, the default on a CPU; folds on a GPU run one at a time unless told otherwise.

    Whatever is finished in `output` is kept, so a run that was killed goes on; a fold resumes at its last epoch.
    Writes `report.json` and `report.csv` (and `oracle_epoch.json`, `.csv`), and `predictions.csv`.
    Raises AnnotationError without at least two subjects (three with validation), or for records that are points.
    """
    # Other processes start in the same folder, but who resumes may not.
    prepared_set, output = PreparedSet(Path(prepared).absolute()), Path(output).absolute()
    records = match_videos(records, list(prepared_set))
    subject_of = _subjects(prepared_set, records)
    subjects = sorted(set(subject_of.values()))
    if len(subjects) < (3 if epoch == "validation" else 2):
        raise AnnotationError(
            f"{prepared}: features of {len(subjects)} annotated subjects are too few to leave one out"
        )
    timebases = {v.video: prepared_set.load(v).timebase for v in prepared_set if v.video in subject_of}
    truth = _truth(records[records["video"].isin(list(subject_of))], timebases)
    points = sample_points(records, seed)
    watched = range(watch_every, recipe.epochs, watch_every) if oracle or epoch == "validation" else ()
    jobs = [
        FoldJob(
            name=group[0] if len(group) == 1 else f"fold{number}",
            folder=output / "folds" / f"{number:03d}",
            prepared=prepared_set.folder,
            points=points,
            left_out=tuple(group),
            validation=_inner(subjects, group, number) if epoch == "validation" else (),
            recipe=recipe,
            seed=seed,
            watch=(*watched, recipe.epochs),
            device=device,
            init=None if init is None else Path(init).absolute(),
            trainer=trainer,
        )
        for number, group in enumerate(_groups(subjects, folds))
    ]
    width = processes or (usable_cores() if device == "cpu" else 1)
    outcomes = _run_folds(jobs, min(width, usable_cores(), len(jobs)), progress)

    choices = {"chosen": [_best(o.validation, truth) if epoch == "validation" else recipe.epochs for o in outcomes]}
    if oracle:
        choices["oracle_epoch"] = [_best(o.found, truth) for o in outcomes]
    protocol = {
        "protocol": "leave one subject out" if len(jobs) == len(subjects) else f"{len(jobs)} folds of subjects",
        "seed": seed,
        "recipe": recipe.to_dict(),
    }
    reports, epochs, predicted = {}, {}, []
    for name, chosen in choices.items():
        found = {v: i for o, number in zip(outcomes, chosen, strict=True) for v, i in o.found[number].items()}
        recordings = [
            VideoIntervals(truth.get(v, []), found.get(v, []), (), subject, timebases[v].n_ticks)
            for v, subject in sorted(subject_of.items())
        ]
        epochs[name] = {o.name: number for o, number in zip(outcomes, chosen, strict=True)}
        rule = (
            f"best on the inner subject, of every {watch_every}" if epoch == "validation" else "last, fixed in advance"
        )
        if name == "oracle_epoch":
            rule = f"best on the left-out subject, of every {watch_every} (selected on the test data)"
        reports[name] = {**protocol, "epoch": rule, "epochs": epochs[name], **evaluation_report(recordings)}
        write_report(reports[name], output / ("report.json" if name == "chosen" else f"{name}.json"))
        if name == "chosen":
            predicted = [
                _row(v, subject_of[v], i, timebases[v]) for v, intervals in sorted(found.items()) for i in intervals
            ]
    _write_predictions(predicted, output / "predictions.csv")
    return LosoResult(reports, epochs, predicted)


def run_fold(job: FoldJob) -> FoldOutcome:
    """Train one fold and spot its subjects; what is in its folder already is not done again."""
    from ..learning.from_points import PointTrainer, train
    from ..learning.point_videos import pair_points
    from ..learning.training import STATE_NAME, WEIGHTS_NAME

    folder = job.folder
    folder.mkdir(parents=True, exist_ok=True)
    identity = _identity(job)
    marker = folder / "fold.json"
    if marker.exists() and json.loads(marker.read_text()) != identity:
        raise AnnotationError(f"{folder}: belongs to another evaluation; use another output folder")
    with replacing(marker) as temporary:
        temporary.write_text(json.dumps(identity))
    wanted = {number: folder / f"epoch-{number:04d}.json" for number in job.watch}
    if not all(path.exists() for path in wanted.values()):
        prepared = PreparedSet(job.prepared)
        everyone = {str(s) for s in job.points["subject"]}
        training, _ = pair_points(prepared, job.points, everyone - set(job.left_out) - set(job.validation))
        aside = {
            name: pair_points(prepared, job.points, subjects)[0] if subjects else []
            for name, subjects in (("found", job.left_out), ("validation", job.validation))
        }

        def watch(training: PointTrainer) -> None:
            if training.epoch not in wanted or wanted[training.epoch].exists():
                return
            answers = _spot_all(training, folder / "watched.safetensors", aside, job.device)
            with replacing(wanted[training.epoch]) as temporary:
                temporary.write_text(json.dumps(answers))

        options = {} if job.trainer is None else {"trainer": job.trainer}
        for _ in range(2):
            train(training, job.recipe, folder, job.seed, device=job.device, init=job.init, watch=watch, **options)
            if all(path.exists() for path in wanted.values()):
                break
            # It was past an epoch that nobody watched then: once more from the start, which ends alike.
            for name in (STATE_NAME, WEIGHTS_NAME):
                (folder / name).unlink()
    outcome = FoldOutcome(job.name)
    for number, path in wanted.items():
        answers = json.loads(path.read_text())
        for name, target in (("found", outcome.found), ("validation", outcome.validation)):
            target[number] = {v: [Interval(*values) for values in rows] for v, rows in answers[name].items()}
    return outcome


def _spot_all(
    training: "PointTrainer", weights: Path, aside: Mapping[str, Sequence[Any]], device: str
) -> dict[str, Any]:
    from ..spotter import Spotter

    training.save_weights(weights)
    spotter = Spotter.load(weights, device)
    weights.unlink()

    def found(features: Any) -> list[tuple]:
        return [(i.onset, i.apex, i.offset, i.type, i.confidence) for i in spotter.intervals(features)[0]]

    return {name: {v.video: found(v.features) for v in videos} for name, videos in aside.items()}


def _identity(job: FoldJob) -> dict[str, Any]:
    """What a fold's folder may be resumed for."""
    init = None if job.init is None else hashlib.sha256(job.init.read_bytes()).hexdigest()
    identity = {
        "left_out": job.left_out,
        "validation": job.validation,
        "recipe": job.recipe.to_dict(),
        "seed": job.seed,
        "points": _digest(job.points),
        "init": init,
    }
    if job.trainer is not None:
        identity["trainer"] = _trainer_identity(job.trainer)
    # Through JSON, as it will be read back.
    return json.loads(json.dumps(identity))


def _trainer_identity(trainer: "Callable[..., PointTrainer]") -> list[str]:
    """The name of a trainer, and digests of whatever is bound to it, such as the annotations it learns from."""
    bound = []
    while isinstance(trainer, partial):
        bound += [_digest(value) for value in trainer.args]
        bound += [f"{name}={_digest(value)}" for name, value in sorted(trainer.keywords.items())]
        trainer = trainer.func
    return [f"{trainer.__module__}.{trainer.__qualname__}", *bound]


def _digest(value: Any) -> str:
    """Of a table, a mapping in any order, or what a repr tells apart."""
    if isinstance(value, Mapping):
        value = sorted(value.items())
    # The repr of a table leaves out its middle.
    text = value.to_csv(index=False) if hasattr(value, "to_csv") else repr(value)
    return hashlib.sha256(text.encode()).hexdigest()


def _run_folds(
    jobs: Sequence[FoldJob], width: int, progress: Callable[[FoldOutcome], None] | None
) -> list[FoldOutcome]:
    """In the order of the jobs. One at a time needs no other process."""
    outcomes: dict[str, FoldOutcome] = {}

    def done(outcome: FoldOutcome) -> None:
        outcomes[outcome.name] = outcome
        if progress is not None:
            progress(outcome)

    if width == 1:
        for job in jobs:
            done(run_fold(job))
    else:
        with process_pool(width) as executor:
            running: set[Future] = {executor.submit(run_fold, job) for job in jobs}
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    done(future.result())
    return [outcomes[job.name] for job in jobs]


def _subjects(prepared: PreparedSet, records: "pd.DataFrame") -> dict[str, str]:
    """Video -> subject, of the prepared videos that are annotated; the table knows subjects better than file names."""
    named = {
        (dataset, video): str(subject)
        for dataset, video, subject in zip(records["dataset"], records["video"], records["subject"], strict=True)
    }
    return {v.video: named[v.dataset, v.video] for v in prepared if (v.dataset, v.video) in named}


def _truth(records: "pd.DataFrame", timebases: Mapping[str, "Timebase"]) -> Spotted:
    try:
        return intervals_by_video(close_open_offsets(records), timebases)
    except ValueError as error:
        raise AnnotationError(f"judging needs the ends of every expression: {error}") from error


def _groups(subjects: Sequence[str], folds: int | None) -> list[list[str]]:
    if folds is None or folds >= len(subjects):
        return [[subject] for subject in subjects]
    return [list(subjects[number::folds]) for number in range(folds)]


def _inner(subjects: Sequence[str], left_out: Iterable[str], number: int) -> tuple[str, ...]:
    rest = [s for s in subjects if s not in set(left_out)]
    return (rest[number % len(rest)],)


def _best(found: Mapping[int, Spotted], truth: Spotted) -> int:
    """The epoch of highest overall F1 on these videos, the earliest of equals."""

    def score(number: int) -> float:
        pairs = (VideoIntervals(truth.get(v, []), intervals) for v, intervals in found[number].items())
        return evaluate(pairs).overall.f1 if found[number] else Evaluation().overall.f1

    return max(sorted(found), key=score)


def _row(video: str, subject: str, interval: Interval, timebase: "Timebase") -> TableRow:
    s = interval.on(timebase)
    seconds, frames = (s.onset_s, s.apex_s, s.offset_s), (s.onset_frame, s.apex_frame, s.offset_frame)
    return TableRow(video, subject, s.type, seconds, frames, s.confidence, timebase.fps, timebase.n_frames)


def _write_predictions(rows: Sequence[TableRow], path: Path) -> None:
    """The columns of `spots.csv`, and the subject."""
    lines = ["video,subject,type,onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,confidence"]
    for row in rows:
        seconds = ",".join(f"{s:.3f}" for s in row.seconds)
        frames = ",".join(map(str, row.frames))
        lines.append(f"{row.video},{row.subject},{row.type},{seconds},{frames},{row.confidence:.3f}")
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
