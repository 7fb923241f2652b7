"""The MEGC protocol: train without a subject, spot that subject, and count over all of them.

Folds are trained from points alone. Which epoch counts is fixed in advance (the last), or chosen on an inner subject
that the fold does not train on. The best epoch on the left-out subject itself can be had beside that, as
"oracle_epoch": how much such a choice flatters, by our metric and our decoding. It is not the number of published
tables; for that see `reference.protocol`, which goes through the same folds.

Annotated videos without features are judged like any other: nothing was found in them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import AnnotationError
from ...files import replacing
from ...processes import usable_cores
from ..datasets.sampling import sample_points
from ..learning.recipes import PointRecipe
from .annotated_set import AnnotatedSet
from .folds import Decoding, FoldJob, FoldOutcome, Found, run_folds
from .metrics import evaluate
from .pairing import Absent
from .report import evaluation_report, write_report
from .tables import TableRow, render_rows

if TYPE_CHECKING:
    import pandas as pd

    from ..datasets.prepared import PreparedVideo
    from ..learning.training import Trainer

EpochChoice = Literal["last", "validation"]


@dataclass(frozen=True)
class LosoResult:
    """What `evaluate_loso` found.

    reports: `evaluation_report` of the chosen epoch ("chosen") and, if asked for, of "oracle_epoch". epochs: what was
    chosen, by report and fold. predicted: rows of the chosen epoch, for `spot evaluate` and submissions. data: what was
    judged on. found: intervals of the chosen epoch. outcomes: those of all watched epochs, fold by fold.
    """

    reports: dict[str, dict[str, Any]]
    epochs: dict[str, dict[str, int]]
    predicted: list[TableRow]
    data: AnnotatedSet
    found: Found
    outcomes: list[FoldOutcome]


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
    trainer: "Callable[..., Trainer] | None" = None,
    other_decoding: Decoding | None = None,
    absent: Absent = "missed",
    open_frames: int | None = None,
    progress: Callable[[FoldOutcome], None] | None = None,
) -> LosoResult:
    """Judge a recipe on a prepared data set, leaving out one subject after the other.

    records: the annotations; points are sampled from them with `seed`, and the ends of the expressions are kept for
    judging. folds: fewer folds than subjects, each leaving out a group of them (not the MEGC protocol, and said so in
    the report). epoch: "last", or "validation" for the best on an inner subject. oracle: also report the best epoch
    on the left-out subjects themselves. watch_every: epochs between those that can be chosen. processes: at most the
    cores, the default on a CPU; folds on a GPU run one at a time unless told otherwise. other_decoding: also decode
    every watched epoch by it. absent: whether annotated videos without features count as missed or are left out.
    open_frames: as of `close_open_offsets`.

    Whatever is finished in `output` is kept, so a run that was killed goes on; a fold resumes at its last epoch, and is
    refused if its features are others by now. Writes `report.json` and `report.csv` (and `oracle_epoch.json`, `.csv`),
    and `predictions.csv`. Raises AnnotationError without at least two subjects (three with validation), or for records
    that are points.
    """
    data, output = AnnotatedSet(prepared, records, absent, open_frames), Path(output).absolute()
    subjects = data.subjects
    if len(subjects) < (3 if epoch == "validation" else 2):
        raise AnnotationError(
            f"{prepared}: features of {len(subjects)} annotated subjects are too few to leave one out"
        )
    watched = range(watch_every, recipe.epochs, watch_every) if oracle or other_decoding or epoch != "last" else ()
    common = {
        "prepared": data.prepared.folder,
        "features": data.digests(),
        "points": sample_points(data.records, seed),
        "recipe": recipe,
        "seed": seed,
        "watch": (*watched, recipe.epochs),
        "device": device,
        "init": None if init is None else Path(init).absolute(),
        "trainer": trainer,
        "other_decoding": other_decoding,
    }
    jobs = []
    for number, group in enumerate(_groups(subjects, folds)):
        inner = _inner(subjects, group, number) if epoch == "validation" else ()
        jobs.append(
            FoldJob(
                name=group[0] if len(group) == 1 else f"fold{number}",
                folder=output / "folds" / f"{number:03d}",
                left_out=tuple(group),
                validation=inner,
                videos=_videos_of(data, (*group, *inner)),
                **common,
            )
        )
    width = processes or (usable_cores() if device == "cpu" else 1)
    outcomes = run_folds(jobs, min(width, usable_cores(), len(jobs)), progress)

    choices = {"chosen": [_best(o.validation, data) if epoch == "validation" else recipe.epochs for o in outcomes]}
    rules = {"chosen": "last, fixed in advance"}
    if epoch == "validation":
        rules["chosen"] = f"best on the inner subject, of every {watch_every}"
    if oracle:
        choices["oracle_epoch"] = [_best(o.found, data) for o in outcomes]
        rules["oracle_epoch"] = (
            f"best on the left-out subject, of every {watch_every}, by our metric and decoding (selected on the test "
            "data; not the number of published tables, which --protocol authors gives)"
        )
    protocol = {
        "protocol": "leave one subject out" if len(jobs) == len(subjects) else f"{len(jobs)} folds of subjects",
        "seed": seed,
        "recipe": recipe.to_dict(),
        "open_ended": data.open_ended,
        "absent_videos": absent,
    }
    reports, epochs, predicted = {}, {}, {}
    for name, chosen in choices.items():
        predicted[name] = {
            video: intervals
            for outcome, number in zip(outcomes, chosen, strict=True)
            for video, intervals in outcome.found[number].items()
        }
        pairing = data.pair(predicted[name])
        epochs[name] = {o.name: number for o, number in zip(outcomes, chosen, strict=True)}
        reports[name] = {
            **protocol,
            "epoch": rules[name],
            "epochs": epochs[name],
            **pairing.facts(),
            **evaluation_report(pairing.videos, pairing.unit),
        }
        write_report(reports[name], output / ("report.json" if name == "chosen" else f"{name}.json"))
    rows = data.rows(predicted["chosen"])
    with replacing(output / "predictions.csv") as temporary:
        temporary.write_text(render_rows(rows), encoding="utf-8", newline="")
    return LosoResult(reports, epochs, rows, data, predicted["chosen"], outcomes)


def _videos_of(data: AnnotatedSet, subjects: Iterable[str]) -> dict[str, list["PreparedVideo"]]:
    return {s: [v for name, v in sorted(data.videos.items()) if data.subject_of[name] == s] for s in subjects}


def _groups(subjects: Sequence[str], folds: int | None) -> list[list[str]]:
    if folds is None or folds >= len(subjects):
        return [[subject] for subject in subjects]
    return [list(subjects[number::folds]) for number in range(folds)]


def _inner(subjects: Sequence[str], left_out: Iterable[str], number: int) -> tuple[str, ...]:
    rest = [s for s in subjects if s not in set(left_out)]
    return (rest[number % len(rest)],)


def _best(found: Mapping[int, Found], data: AnnotatedSet) -> int:
    """The epoch of highest overall F1 on these videos, the earliest of equals."""

    def score(number: int) -> float:
        return evaluate(data.pair(found[number], "left-out").videos).overall.f1

    return max(sorted(found), key=score)
