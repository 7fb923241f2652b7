"""One fold of a leave-one-out evaluation: train without some subjects, spot them, and keep the answers in a folder.

Folds run in parallel processes and are told points alone; the intervals that judge them never leave the parent.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import AnnotationError
from ...files import replacing
from ...processes import process_pool
from ..datasets.prepared import PreparedSet, PreparedVideo
from ..intervals import Interval
from ..learning.recipes import PointRecipe

if TYPE_CHECKING:
    import pandas as pd

    from ...extract.features import FaceFeatures
    from ..learning.training import Trainer
    from ..spotter import Spotter

Found = dict[str, list[Interval]]  # by video
# Intensity (N,), class scores (N, 2) and, as `segments`, the ranges with a face -> intervals.
Decoding = Callable[..., list[Interval]]


@dataclass(frozen=True, eq=False)
class FoldJob:
    """What the process that trains one fold is told; nothing of it is an interval.

    features: digests of all features by video, those to train on too. left_out: subjects to spot. validation: subjects
    neither trained on nor judged, empty when the epoch is fixed. watch: epochs (1-based) after which the videos of both
    are spotted; the last is always among them. trainer: another trainer than `PointTrainer`, for comparisons: a class
    or function, or a `functools.partial` of one, that can be pickled. other_decoding: of the same curves, for
    comparisons, likewise.
    """

    name: str
    folder: Path
    prepared: Path
    features: Mapping[str, str]
    points: "pd.DataFrame"
    left_out: tuple[str, ...]
    validation: tuple[str, ...]
    videos: Mapping[str, Sequence[PreparedVideo]]  # by subject, of both
    recipe: PointRecipe
    seed: int
    watch: tuple[int, ...]
    device: str = "cpu"
    init: Path | None = None
    trainer: "Callable[..., Trainer] | None" = None
    other_decoding: Decoding | None = None


@dataclass(frozen=True)
class FoldOutcome:
    """Intervals found after each watched epoch: {epoch: {video: intervals}}, of left-out and of validation subjects.

    decoded_otherwise: of left-out subjects by the other decoding.
    """

    name: str
    found: dict[int, Found] = field(default_factory=dict)
    validation: dict[int, Found] = field(default_factory=dict)
    decoded_otherwise: dict[int, Found] = field(default_factory=dict)


def run_fold(job: FoldJob) -> FoldOutcome:
    """Train one fold and spot its subjects; what is in its folder already is not done again."""
    from ..learning.from_points import train
    from ..learning.point_videos import pair_points
    from ..learning.training import STATE_NAME, WEIGHTS_NAME

    folder = job.folder
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder / "fold.json", _identity(job))
    decodings: dict[str, Any] = (
        {"": None} if job.other_decoding is None else {"": None, _suffix(job.other_decoding): job.other_decoding}
    )
    wanted = {
        number: {decoding: folder / f"epoch-{number:04d}{suffix}.json" for suffix, decoding in decodings.items()}
        for number in job.watch
    }

    def complete() -> bool:
        return all(path.exists() for paths in wanted.values() for path in paths.values())

    if not complete():
        prepared = PreparedSet(job.prepared)
        everyone = {str(s) for s in job.points["subject"]}
        training, _ = pair_points(prepared, job.points, everyone - set(job.left_out) - set(job.validation))
        aside = {
            name: {video.video: prepared.load(video) for subject in subjects for video in job.videos[subject]}
            for name, subjects in (("found", job.left_out), ("validation", job.validation))
        }

        def watch(training: "Trainer") -> None:
            missing = {d: path for d, path in wanted.get(training.epoch, {}).items() if not path.exists()}
            if not missing:
                return
            spotter = _spotter_of(training, folder / "watched.safetensors", job.device)
            for decoding, path in missing.items():
                answers = {name: _spot_all(spotter, videos, decoding) for name, videos in aside.items()}
                with replacing(path) as temporary:
                    temporary.write_text(json.dumps(answers))

        options = {} if job.trainer is None else {"trainer": job.trainer}
        for _ in range(2):
            train(training, job.recipe, folder, job.seed, device=job.device, init=job.init, watch=watch, **options)
            if complete():
                break
            # It was past an epoch that nobody watched then: once more from the start, which ends alike.
            for name in (STATE_NAME, WEIGHTS_NAME):
                (folder / name).unlink()
    outcome = FoldOutcome(job.name)
    for number, paths in wanted.items():
        outcome.found[number], outcome.validation[number] = _read(paths[None])
        if job.other_decoding is not None:
            outcome.decoded_otherwise[number], _ = _read(paths[job.other_decoding])
    return outcome


def _claim(marker: Path, identity: dict[str, Any]) -> None:
    """Write down what a folder belongs to. Raises AnnotationError if that is something else, and says in what."""
    if marker.exists():
        before = json.loads(marker.read_text())
        changed = sorted(name for name in before.keys() | identity if before.get(name) != identity.get(name))
        if changed:
            raise AnnotationError(
                f"{marker.parent}: belongs to another evaluation (what differs: {', '.join(changed)}); "
                "use another output folder"
            )
    with replacing(marker) as temporary:
        temporary.write_text(json.dumps(identity))


def _spotter_of(training: "Trainer", weights: Path, device: str) -> "Spotter":
    from ..spotter import Spotter

    training.save_weights(weights)
    spotter = Spotter.load(weights, device)
    weights.unlink()
    return spotter


def _spot_all(
    spotter: "Spotter", videos: Mapping[str, "FaceFeatures"], decoding: Decoding | None
) -> dict[str, list[tuple]]:
    return {
        video: [(i.onset, i.apex, i.offset, i.type, i.confidence) for i in spot_features(spotter, features, decoding)]
        for video, features in videos.items()
    }


def spot_features(spotter: "Spotter", features: "FaceFeatures", decoding: Decoding | None = None) -> list[Interval]:
    """The expressions of one video on the clock, by another decoding than the weights' own if one is given."""
    if decoding is None:
        return spotter.intervals(features)[0]
    curves = spotter.curves(features)
    return decoding(curves.intensity, curves.scores, segments=features.segments())


def _read(path: Path) -> tuple[Found, Found]:
    answers = json.loads(path.read_text())
    found, validation = (
        {video: [Interval(*values) for values in rows] for video, rows in answers[name].items()}
        for name in ("found", "validation")
    )
    return found, validation


def _suffix(decoding: Decoding) -> str:
    """Of the files of another decoding: its name and settings, so that one is never read for the other."""
    return "-" + hashlib.sha256(repr(_bound_identity(decoding)).encode()).hexdigest()[:8]


def _identity(job: FoldJob) -> dict[str, Any]:
    """What a fold's folder may be resumed for."""
    init = None if job.init is None else hashlib.sha256(job.init.read_bytes()).hexdigest()
    identity = {
        "left_out": job.left_out,
        "validation": job.validation,
        "recipe": job.recipe.to_dict(),
        "seed": job.seed,
        "points": _digest(job.points),
        "features": _digest(job.features),
        "init": init,
    }
    if job.trainer is not None:
        identity["trainer"] = _bound_identity(job.trainer)
    # Through JSON, as it will be read back.
    return json.loads(json.dumps(identity))


def _bound_identity(function: Callable[..., Any]) -> list[str]:
    """The name of a trainer or decoding, and digests of whatever is bound to it, such as the annotations it learns
    from."""
    bound = []
    while isinstance(function, partial):
        bound += [_digest(value) for value in function.args]
        bound += [f"{name}={_digest(value)}" for name, value in sorted(function.keywords.items())]
        function = function.func
    return [f"{function.__module__}.{function.__qualname__}", *bound]


def _digest(value: Any) -> str:
    """Of a table, a mapping in any order, or what a repr tells apart."""
    if isinstance(value, Mapping):
        value = sorted(value.items())
    # The repr of a table leaves out its middle.
    text = value.to_csv(index=False) if hasattr(value, "to_csv") else repr(value)
    return hashlib.sha256(text.encode()).hexdigest()


def run_folds(jobs: Sequence[FoldJob], width: int, progress: Callable[[FoldOutcome], None] | None) -> list[FoldOutcome]:
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
