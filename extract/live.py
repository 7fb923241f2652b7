"""Features of a recording while it is read: windows of the latest ticks, and in the end all of them."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from .face.following import FollowStats
from .face.subjects import choose_subject
from .face.watching import Watch
from .features import FaceFeatures
from .options import ExtractOptions
from .pipeline import described, read_rows
from .reading.stream import VideoStream
from .spool import RowSpool
from .threads import single_threaded_opencv
from .timebase import CLOCK_HZ, Timebase

_TOGETHER = 4  # frames taken together, a delay of an eighth of a second


@dataclass(frozen=True, eq=False)
class Window:
    """The latest ticks of a recording. first: the number of its first one. features: on a clock of their own, without
    provenance. timebase: of the recording as far as it has been decoded."""

    first: int
    features: FaceFeatures
    timebase: Timebase


@dataclass(frozen=True, eq=False)
class WholeRecording:
    """features: as of `extract_features`. as_chosen: whether the face followed is the one that the whole recording
    would have chosen, so that every byte is what `extract_features` gives."""

    features: FaceFeatures
    as_chosen: bool


def live_features(
    stream: VideoStream,
    options: ExtractOptions,
    *,
    window_s: float,
    every_s: float,
    progress: Callable[[int, int | None], None] | None = None,
) -> Generator[Window | WholeRecording, None, None]:
    """A window of up to `window_s` seconds every `every_s` seconds of the recording, and at its end the whole.

    The face is chosen within the first second that shows one and kept, since nothing is read twice. Rows come behind
    the pictures by half a second, more while nobody is seen. Raises as `extract_features`; the stream stays open.
    """
    stats, length, every = FollowStats(), round(window_s * CLOCK_HZ), round(every_s * CLOCK_HZ)

    def headway(done: int) -> None:
        if progress is not None:
            progress(done, stream.n_frames_hint)

    with Watch(options.face, once=True) as watch, RowSpool() as spool, single_threaded_opencv():
        frames = watch.frames(stream.pending())
        rows = read_rows(frames, stream, watch.guess, stats, options, watch.frame_times, headway, together=_TOGETHER)
        with closing(rows):
            for row in rows:
                spool.append(row)
                if spool.n_rows % every == 0:
                    first = max(spool.n_rows - length, 0)
                    clock = Timebase(np.arange(spool.n_rows - first) / CLOCK_HZ)
                    features = FaceFeatures(*spool.arrays(first), timebase=clock)
                    yield Window(first, features, Timebase(np.array(watch.frame_times)))
        subjects = watch.subjects()
        subject = choose_subject(subjects, options.face)
        as_chosen = watch.guess.is_of(subject)
        if not as_chosen:
            subject = max(subjects, key=lambda subject: len(np.intersect1d(subject.times, watch.guess.times)))
        features = FaceFeatures(*spool.arrays(), timebase=Timebase(np.array(watch.frame_times)))
        yield WholeRecording(described(features, stream, subjects, subject, stats, options), as_chosen)
