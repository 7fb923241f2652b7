"""Features of a whole data set: every recording through extraction, in several processes or on a Dask cluster.

Each finished video is an entry of the output folder, written under a temporary name and renamed, so the work can be
killed at any moment and taken up again: what is there stays, the rest is made. Equal recordings and options give equal
bytes, wherever and in which order they were made: nothing stored tells time, machine or absolute path.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ...errors import FacespotError, VideoNotFoundError
from ...extract.cache import DamagedEntryError, FeatureCache
from ...extract.features import FaceFeatures
from ...extract.options import ExtractOptions
from ...processes import Headway, pool_width, run_jobs
from .layouts import Recording
from .prepared import PreparedVideo, update_index

Extract = Callable[..., FaceFeatures]


@dataclass(frozen=True)
class Outcome:
    """What became of one recording: made now, kept from an earlier run, or failed with a message and an exit code."""

    recording: Recording
    status: Literal["made", "kept", "failed"]
    prepared: PreparedVideo | None = None
    message: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class PrepareSummary:
    """All outcomes, in the order of the recordings."""

    outcomes: tuple[Outcome, ...]

    def count(self, status: str) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def exit_code(self) -> int:
        """That of the first failure, 0 without any."""
        return next((outcome.exit_code for outcome in self.failures), 0)


def prepare(
    recordings: Sequence[Recording],
    root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    options: ExtractOptions | None = None,
    fps: float | None = None,
    processes: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[Outcome], None] | None = None,
    extract: Extract | None = None,
) -> PrepareSummary:
    """Bring every recording's features into `output` and write its index.

    root: folder the recordings were found in; stored paths are relative to it. fps: rate of image folders whose layout
    does not tell it. processes: at most the cores, which is the default. scheduler: address of a running Dask scheduler
    ("tcp://host:8786") whose workers see the same paths; `processes` then says nothing. progress: called with each
    outcome as it arrives. extract: in place of `extract_features`; must be importable in other processes.

    A recording that fails, or kills its process, is reported in the summary and the others go on. Raises
    VideoNotFoundError without recordings, FacespotError if the scheduler cannot be reached, OSError if `output` cannot
    be written.
    """
    if not recordings:
        raise VideoNotFoundError(f"{root}: no video and no folder of numbered images below it")
    root, output = Path(root).absolute(), Path(output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    task = partial(prepare_one, root=root, output=output, options=options or ExtractOptions(), fps=fps, extract=extract)
    found: dict[Recording, Outcome] = {}
    jobs = [replace(recording, path=recording.path.absolute()) for recording in recordings]
    if scheduler is None:
        outcomes = _on_this_machine(jobs, task, pool_width(processes, len(jobs)))
    else:
        outcomes = _on_a_cluster(jobs, task, scheduler)
    for outcome in outcomes:
        found[outcome.recording] = outcome
        if progress is not None:
            progress(outcome)
    summary = PrepareSummary(tuple(found[job] for job in jobs))
    names = [(recording.dataset, recording.video) for recording in jobs]
    update_index(output, names, [outcome.prepared for outcome in summary.outcomes if outcome.prepared])
    FeatureCache(output).remove_abandoned()
    return summary


def prepare_one(
    recording: Recording,
    headway: Headway | None = None,
    *,
    root: Path,
    output: Path,
    options: ExtractOptions,
    fps: float | None = None,
    extract: Extract | None = None,
) -> Outcome:
    """One recording's features, from `output` if they are there and whole. Whatever goes wrong is in the outcome."""
    from ...extract.pipeline import extract_features, features_key

    cache = FeatureCache(output)
    fps = recording.fps or fps
    try:
        key = features_key(recording.path, options, fps=fps)
        try:
            features = cache.load(key)
        except DamagedEntryError:
            features = None
        status: Literal["made", "kept"] = "made" if features is None else "kept"
        if features is None:
            extract = extract or partial(extract_features, progress=headway)
            features = extract(recording.path, options, fps=fps)
            cache.store(key, replace(features, provenance=_portable(features.provenance, recording.path, root)))
        prepared = PreparedVideo(
            recording.dataset,
            recording.subject,
            recording.video,
            key.entry_name,
            features.timebase.n_ticks,
            round(features.coverage, 6),
        )
        return Outcome(recording, status, prepared)
    except FacespotError as error:
        return Outcome(recording, "failed", message=str(error), exit_code=error.exit_code)
    except Exception as error:  # one recording must not stop hundreds of others
        return Outcome(recording, "failed", message=f"{recording.path}: {error!r}", exit_code=1)


def _portable(provenance: dict[str, Any], path: Path, root: Path) -> dict[str, Any]:
    """The same without the place of the data set on this machine, in the source's path and in every warning."""
    relative = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name

    def shorten(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(str(path), relative)
        if isinstance(value, dict):
            return {name: shorten(inner) for name, inner in value.items()}
        return [shorten(inner) for inner in value] if isinstance(value, list | tuple) else value

    return shorten(provenance)


def _on_this_machine(jobs: Sequence[Recording], task: Callable[..., Outcome], width: int) -> Iterator[Outcome]:
    """Outcomes as they come, also of recordings that end the processes at work on them."""
    for finished in run_jobs(task, jobs, width):
        job = jobs[finished.number]
        if finished.error is None:
            yield replace(finished.value, recording=job)
        else:
            yield Outcome(job, "failed", message=f"{job.path}: {finished.error}", exit_code=1)


def _on_a_cluster(jobs: Sequence[Recording], task: Callable[..., Outcome], scheduler: str) -> Iterator[Outcome]:
    """Outcomes as they come. The scheduler gives the work of a dead worker to another one, a few times."""
    try:
        from distributed import Client
    except ImportError:
        raise FacespotError("a Dask scheduler needs distributed, install facespot[cluster]") from None
    try:
        client = Client(scheduler, set_as_default=False)
    except (OSError, ValueError) as error:
        raise FacespotError(f"{scheduler}: no Dask scheduler can be reached there ({error})") from error
    try:
        # Not pure: a second run of the same task must look at the disk again.
        with client.get_executor(pure=False) as executor:
            running = {executor.submit(task, job): job for job in jobs}
            for future in as_completed(running):
                job = running[future]
                try:
                    yield replace(future.result(), recording=job)
                except Exception as error:  # what a cluster says when its workers die under a task again and again
                    yield Outcome(job, "failed", message=f"{job.path}: {error}", exit_code=1)
    finally:
        client.close()
