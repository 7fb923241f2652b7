"""From a recording to its features: the one function that runs every stage of extraction.

Two passes over the recording, both streamed. The first looks at four pictures a second to see who is there; the
second follows the chosen face through every picture. Decoding, face mesh and optical flow run in a thread each, so
that two cores are busy. Finished rows go to a temporary file: memory does not grow with the length.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NoFaceError, NotAVideoError, TooShortError, VideoNotFoundError
from ..version import __version__
from .cache import CacheKey, DamagedEntryError, FeatureCache, cache_key
from .face.following import FaceReport, FollowStats, choose_subject, follow_face, scan_subjects
from .face.subjects import SCAN_PERIOD_S, Subject, describe
from .features import SNIPPET_STEPS, FaceFeatures
from .motion.snippets import TickRow, build_snippets
from .options import ExtractOptions
from .reading.frames import FaceFrame, VideoFrame
from .reading.thinning import thin_to_clock
from .reading.video import PendingFrame, VideoStream, open_video
from .regions import KEPT_MESH_POINTS, ROI_NAMES
from .threads import in_background, single_threaded_opencv
from .timebase import Timebase

Progress = Callable[[int, int | None], None]

# Half a snippet. Shorter, and a tick sees neither a rise nor a fall completed.
MIN_TICKS = 9


def extract_features(
    path: str | os.PathLike[str],
    options: ExtractOptions | None = None,
    *,
    fps: float | None = None,
    cache: FeatureCache | str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> FaceFeatures:
    """Features of one recording, from `cache` if it holds them; otherwise extracted, and stored there if one is given.

    fps: pictures a second of a folder of images; says nothing about a file. progress: called as (frames done, frames in
    all or None) from the calling thread; the first pass keeps calling with 0 done, since only it finds out how many
    frames there are.
    snippets are float16, landmarks float32, memory-mapped. `provenance` holds source, options, library_version,
    coverage, face_report and warnings (sentences for the user).
    Raises VideoNotFoundError, NotAVideoError, NoFaceError (with what was seen), TooShortError; ValueError for options
    that do not exist.
    """
    options = options or ExtractOptions()
    path = Path(path)
    if not path.exists():
        raise VideoNotFoundError(f"{path}: no such file or folder; check the name")
    if cache is None:
        return _extract(path, options, fps, progress)
    if not isinstance(cache, FeatureCache):
        cache = FeatureCache(cache)
    try:
        key = features_key(path, options, fps=fps)
    except OSError as error:
        raise NotAVideoError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
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
    subjects, n_frames = _scan(path, fps, progress)
    try:
        subject = choose_subject(subjects, options.face)
    except NoFaceError as error:
        raise NoFaceError(f"{path}: {error}") from error
    stats = FollowStats()
    frame_times: list[float] = []
    with open_video(path, fps) as stream, _RowSpool() as spool, single_threaded_opencv():
        pictures = in_background(_needed_frames(stream, frame_times))
        faces = in_background(follow_face(pictures, subject, stats))
        try:
            rows = build_snippets(
                _watched(faces, n_frames, progress),
                flow=options.flow,
                alignment=options.alignment,
                n_ticks=lambda: Timebase(np.array(frame_times)).n_ticks,
            )
            for row in rows:
                spool.append(row)
        finally:
            # Also when a stage after it failed: the decoder must be at rest before it is closed.
            faces.close()
            pictures.close()
        timebase = Timebase(np.array(frame_times))
        features = FaceFeatures(*spool.arrays(), timebase=timebase)
        if progress is not None:
            progress(timebase.n_frames, timebase.n_frames)
    report = FaceReport.of(subjects, subject, stats)
    _refuse_useless(path, features, report, describe(subjects))
    provenance: dict[str, Any] = {
        "source": {
            "path": str(path),
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


def _scan(path: Path, fps: float | None, progress: Progress | None) -> tuple[list[Subject], int]:
    """Who is in the recording, and how many frames it really has."""
    with open_video(path, fps) as stream:

        def sampled() -> Iterator[VideoFrame]:
            due = 0.0
            for frame in stream.pending():
                if frame.time >= due and (developed := frame.develop()) is not None:
                    due = frame.time + SCAN_PERIOD_S - 1e-3
                    yield developed

        looks = in_background(sampled())
        try:
            subjects = scan_subjects(_watched_scan(looks, stream.n_frames_hint, progress))
        finally:
            looks.close()
        return subjects, stream.n_frames


def _watched_scan(
    frames: Iterable[VideoFrame], n_frames_hint: int | None, progress: Progress | None
) -> Iterator[VideoFrame]:
    for frame in frames:
        if progress is not None:
            progress(0, n_frames_hint)
        yield frame


def _watched(frames: Iterable[FaceFrame], n_frames: int, progress: Progress | None) -> Iterator[FaceFrame]:
    for frame in frames:
        yield frame
        if progress is not None:
            progress(frame.index + 1, n_frames)


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


class _RowSpool:
    """Collects rows in temporary files and gives them back as memory-mapped arrays that outlive it."""

    def __init__(self) -> None:
        self._layout = {
            "snippets": (np.float16, (SNIPPET_STEPS, len(ROI_NAMES), 2)),
            "landmarks": (np.float32, (len(KEPT_MESH_POINTS), 3)),
            "segment": (np.int32, ()),
        }
        self._files = [tempfile.TemporaryFile() for _ in self._layout]  # noqa: SIM115 - closed by __exit__
        self._n_rows = 0

    def __enter__(self) -> "_RowSpool":
        return self

    def __exit__(self, *exc_info: object) -> None:
        for file in self._files:
            file.close()

    def append(self, row: TickRow) -> None:
        for file, value, (dtype, _) in zip(
            self._files, (row.snippet, row.landmarks, row.segment), self._layout.values(), strict=True
        ):
            file.write(np.asarray(value, dtype).tobytes())
        self._n_rows += 1

    def arrays(self) -> list[np.ndarray]:
        """[(N, 17, 10, 2) float16, (N, K, 3) float32, (N,) int32] of the rows so far, read-only."""
        for file in self._files:
            file.flush()
        return [
            np.memmap(file, dtype, mode="r", shape=(self._n_rows, *shape))
            for file, (dtype, shape) in zip(self._files, self._layout.values(), strict=True)
        ]


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
