"""From a recording to its features: the one function that runs every stage of extraction.

The recording is read once, streamed: four pictures a second are looked at to see who is there, and the face that seems
to be the one is followed through every picture a little behind (`face.watching`). Where the whole recording says that
it was another's turn, or where that was open all along, it is read a second time. Decoding and looking, face mesh, and
optical flow run in a thread each, so that two cores are busy. Finished rows go to a temporary file: memory does not
grow with the length.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CacheError, NoFaceError, NotAVideoError, TooShortError
from ..version import __version__
from .cache import CacheKey, DamagedEntryError, FeatureCache, cache_key
from .face.following import FaceReport, FollowStats, choose_subject, follow_face
from .face.subjects import Looks, Subject, describe
from .face.watching import SLOWEST_PERIOD_S, Watch
from .features import FaceFeatures
from .motion.snippets import TOGETHER, TickRow, build_snippets
from .options import ExtractOptions
from .reading.frames import FaceFrame, VideoFrame
from .reading.stream import PendingFrame, VideoStream
from .reading.thinning import thin_to_clock
from .reading.video import check_source, open_video
from .spool import RowSpool
from .threads import in_background, single_threaded_opencv
from .timebase import Timebase

Progress = Callable[[int, int | None], None]

# Half a snippet. Shorter, and a tick sees neither a rise nor a fall completed.
MIN_TICKS = 9
_QUEUED_BYTES = 96 << 20  # of pictures that wait between two stages
# Pictures that wait, times as many as are handed on together. What is dear comes in bursts, the looks every quarter
# second and the head's motion of sixteen pictures at once; what waits keeps the other stages busy meanwhile.
_MOST_QUEUED = 8
# Of the frames whose head motion is taken out together, so many are handed from stage to stage together: none waits
# for that where nobody waits for rows, and few where somebody does.
_HANDED_PART = 4


def extract_features(
    path: str | os.PathLike[str],
    options: ExtractOptions | None = None,
    *,
    fps: float | None = None,
    cache: FeatureCache | str | os.PathLike[str] | None = None,
    must_store: bool = False,
    progress: Progress | None = None,
) -> FaceFeatures:
    """Features of one recording, from `cache` if it holds them; otherwise extracted, and stored there if one is given.

    fps: pictures a second of a folder of images; says nothing about a file. must_store: features that cannot be stored
    are an error, where they are a warning otherwise. progress: called as (frames done, frames in all as far as known)
    from the calling thread; where the recording is read twice, it repeats a number until that is passed.
    snippets are float16, landmarks float32, memory-mapped. `provenance` holds source, options, library_version,
    coverage, face_report and warnings (sentences for the user).
    Raises VideoNotFoundError, NotAVideoError, NoFaceError (with what was seen), TooShortError, with `must_store`
    CacheError; ValueError for options that do not exist.
    """
    options = options or ExtractOptions()
    path = Path(path)
    check_source(path)
    if cache is None:
        return _extract(path, options, fps, progress)
    if not isinstance(cache, FeatureCache):
        cache = FeatureCache(cache)
    try:
        key = features_key(path, options, fps=fps)
    except OSError as error:
        named = error.filename or path  # of a folder, which image
        raise NotAVideoError(f"{named}: cannot be read ({error.strerror}); check its permissions") from error
    late_warnings = []
    try:
        features = cache.load(key)
    except DamagedEntryError as error:
        features = None
        late_warnings.append(f"the cached features were damaged and have been made anew ({error})")
    if features is None:
        features = _extract(path, options, fps, progress)
        try:
            cache.store(key, features)
        except OSError as error:
            if must_store:
                raise CacheError(f"{path}: the features could not be stored in {cache.folder} ({error})") from error
            late_warnings.append(f"the features could not be cached ({error})")
    # These belong to this run and this name of the recording, not to what is stored.
    provenance = dict(features.provenance)
    provenance["source"] = {**provenance["source"], "path": str(path)}
    provenance["warnings"] = [*provenance["warnings"], *late_warnings]
    return replace(features, provenance=provenance)


def features_key(path: Path, options: ExtractOptions, *, fps: float | None = None) -> CacheKey:
    """The cache key `extract_features` uses. The rate counts for folders only."""
    return cache_key(path, {**options.to_dict(), "fps": float(fps) if fps and path.is_dir() else None})


def _extract(path: Path, options: ExtractOptions, fps: float | None, progress: Progress | None) -> FaceFeatures:
    headway = _Headway(progress)
    with open_video(path, fps) as stream, Watch(options.face) as watch, RowSpool() as spool, single_threaded_opencv():
        headway.total = stream.n_frames_hint
        stats = FollowStats()
        if not watch.gave_up:
            frames = watch.frames(stream.pending())
            spool.fill(read_rows(frames, stream, watch.guess, stats, options, watch.frame_times, headway))
        if watch.gave_up:
            rest = in_background(watch.look_on(stream.pending()), _queue_depth(stream))
            with closing(rest):
                for _ in rest:
                    headway(0)
        subjects = watch.subjects()
        _refuse_slides(path, watch.frame_times)
        try:
            subject = choose_subject(subjects, options.face)
        except NoFaceError as error:
            raise NoFaceError(f"{path}: {error}") from error
        headway.total = len(watch.frame_times)
        features = None
        if not watch.gave_up and watch.guess.is_of(subject):
            features = FaceFeatures(*spool.arrays(), timebase=Timebase(np.array(watch.frame_times)))
    if features is None:
        stats, frame_times = FollowStats(), list[float]()
        with open_video(path, fps) as stream, RowSpool() as spool, single_threaded_opencv():
            frames = _needed_frames(stream, frame_times)
            spool.fill(read_rows(frames, stream, subject, stats, options, frame_times, headway))
            features = FaceFeatures(*spool.arrays(), timebase=Timebase(np.array(frame_times)))
    timebase = features.timebase
    headway.end(timebase.n_frames)
    return described(features, stream, subjects, subject, stats, options)


def read_rows(
    pictures: Iterator[VideoFrame],
    stream: VideoStream,
    subject: Looks,
    stats: FollowStats,
    options: ExtractOptions,
    frame_times: list[float],
    headway: Callable[[int], None],
    together: int = TOGETHER,
) -> Generator[TickRow, None, None]:
    """Follow a face through the pictures: a row for every tick. frame_times: grows as the pictures are read; in the end
    it tells how many ticks there are. headway: called with the frames done. together: as of `build_snippets`. To be
    closed where it is not read to its end."""
    handed = max(together // _HANDED_PART, 1)
    depth = _queue_depth(stream, handed)
    ready = in_background(pictures, depth, handed)
    faces = in_background(follow_face(ready, subject, stats), depth, handed)
    try:
        yield from build_snippets(
            _watched(faces, headway),
            flow=options.flow,
            alignment=options.alignment,
            n_ticks=lambda: Timebase(np.array(frame_times)).n_ticks,
            together=together,
        )
    finally:
        # Also when a stage after it failed: the decoder must be at rest before it is closed.
        faces.close()
        ready.close()


def described(
    features: FaceFeatures,
    stream: VideoStream,
    subjects: list[Subject],
    subject: Subject,
    stats: FollowStats,
    options: ExtractOptions,
) -> FaceFeatures:
    """The features with their provenance. Raises NoFaceError or TooShortError for those that are of no use."""
    timebase = features.timebase
    report = FaceReport.of(subjects, subject, stats)
    _refuse_useless(stream.path, features, report, describe(subjects))
    provenance: dict[str, Any] = {
        "source": {
            "path": str(stream.path),
            "width": stream.width,
            "height": stream.height,
            "nominal_fps": stream.fps,
            "frames": timebase.n_frames,
            "duration_s": round(timebase.duration_s, 6),
            "decode_failures": stream.decode_failures,
            "time_repairs": stream.time_repairs,
            "damage": stream.damage,
        },
        "options": options.to_dict(),
        "library_version": __version__,
        "coverage": round(features.coverage, 6),
        "face_report": report.to_dict(),
        "warnings": [*stream.warnings, *_face_warnings(subjects, report, features.coverage)],
    }
    return replace(features, provenance=provenance)


class _Headway:
    """Tells the caller how many frames are done; a second reading tells nothing until it has come further."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0
        self.total: int | None = None

    def __call__(self, done: int) -> None:
        self._done = max(self._done, done)
        if self._progress is not None:
            self._progress(self._done, self.total)

    def end(self, n_frames: int) -> None:
        if self._progress is not None:
            self._progress(n_frames, n_frames)


def _refuse_slides(path: Path, frame_times: list[float]) -> None:
    period_s = float(np.median(np.diff(frame_times))) if len(frame_times) > 1 else 0.0
    if period_s > SLOWEST_PERIOD_S:
        raise NotAVideoError(
            f"{path}: its pictures are {period_s:.3g} s apart, too far to see an expression; "
            "the frame rate is damaged, or this is a slide show"
        )


def _queue_depth(stream: VideoStream, handed: int = 1) -> int:
    """How many pictures may wait between two stages that hand on so many together."""
    return int(np.clip(_QUEUED_BYTES // (3 * stream.width * stream.height), 1, _MOST_QUEUED * handed))


def _watched(frames: Iterable[FaceFrame], headway: Callable[[int], None]) -> Iterator[FaceFrame]:
    for frame in frames:
        yield frame
        headway(frame.index + 1)


def _needed_frames(stream: VideoStream, frame_times: list[float]) -> Iterator[VideoFrame]:
    """The frames some tick needs, with their pictures; `frame_times` receives the time of every frame."""

    def noted() -> Iterator[PendingFrame]:
        for frame in stream.pending():
            frame_times.append(frame.time)
            yield frame

    for frame in thin_to_clock(noted()):
        developed = frame.develop()
        if developed is not None:
            yield developed


def _refuse_useless(path: Path, features: FaceFeatures, report: FaceReport, seen: str) -> None:
    timebase = features.timebase
    if timebase.n_ticks < MIN_TICKS:
        raise TooShortError(
            f"{path}: lasts {timebase.duration_s:.2f} s ({timebase.n_frames} frames); "
            f"give a recording of at least {MIN_TICKS / timebase.rate:.1f} s"
        )
    lost = ", ".join(f"{count} {cause}" for cause, count in sorted(report.lost.items()))
    segments = features.segments()
    if not segments:
        raise NoFaceError(f"{path}: the face could not be followed in any frame ({lost}); seen: {seen}")
    longest = max(end - start for start, end in segments)
    if longest < MIN_TICKS:
        raise TooShortError(
            f"{path}: the longest stretch with the face lasts {longest / timebase.rate:.2f} s, at least "
            f"{MIN_TICKS / timebase.rate:.1f} s are needed ({lost}); seen: {seen}"
        )


def _face_warnings(subjects: list[Subject], report: FaceReport, coverage: float) -> list[str]:
    warnings = []
    if len(subjects) > 1:
        warnings.append(
            f"{len(subjects)} faces seen ({describe(subjects)}); face {report.chosen} was followed, "
            "--face chooses another"
        )
    if coverage < 1.0:
        causes = ", ".join(f"{count} frames {cause}" for cause, count in sorted(report.lost.items()))
        warnings.append(
            f"no usable face in {100 * (1 - coverage):.1f} % of the recording" + (f" ({causes})" if causes else "")
        )
    return warnings
