"""Simulated clips as learning from points sees them: features, and one point per expression."""

from collections.abc import Sequence

from ...extract.features import FaceFeatures
from ...extract.timebase import CLOCK_HZ
from ..datasets.records import make_records
from ..datasets.sampling import sample_points
from ..intervals import Point
from ..simulation.corpus import LABORATORY_SHARE, clip_counts, film_clip
from ..simulation.stage import Event
from .point_videos import PointVideo


def annotated_clips(
    clips: int, seed: int, laboratory_share: float = LABORATORY_SHARE
) -> list[tuple[FaceFeatures, list[Event]]]:
    """The clips of `simulation.corpus.simulate_corpus` as features, and what happens in each. Same seed, same clips."""
    made = []
    for ticks, count in clip_counts(clips).items():
        for number in range(count):
            performance, seen = film_clip(ticks, (seed, ticks, number), laboratory_share)
            made.append((seen.features(), performance.events))
    return made


def point_clips(clips: int, seed: int, laboratory_share: float = LABORATORY_SHARE) -> list[PointVideo]:
    """`annotated_clips` with one point per expression, drawn around its apex as the paper does, and nothing else of it.

    Same seed, same clips and points.
    """
    videos = []
    for number, (features, events) in enumerate(annotated_clips(clips, seed, laboratory_share)):
        name = f"{features.timebase.n_ticks}_{number}"
        videos.append(PointVideo("simulated", name, name, features, points_of(name, events, seed)))
    return videos


def points_of(video: str, events: Sequence[Event], seed: int) -> tuple[Point, ...]:
    """One point per expression of a clip, in order of time."""
    names = {"dataset": "simulated", "subject": video, "video": video, "aus": (), "fps": CLOCK_HZ}
    rows = [{**names, "onset": e.onset, "apex": e.apex, "offset": e.offset, "type": e.type} for e in events]
    if not rows:
        return ()
    drawn = sample_points(make_records(rows), seed)
    return tuple(sorted({Point(int(row.frame), row.type) for row in drawn.itertuples()}))
