"""Two coders of the same recordings: where they agree, by how much they differ, and what each saw alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...extract.timebase import Timebase
from ..intervals import EXPRESSION_TYPES, Interval
from ..judging.agreement import cohen_kappa
from ..judging.metrics import HIT_IOU, VideoIntervals, match
from .events import CodedEvent

_MOMENTS = ("onset", "apex", "offset")


@dataclass(frozen=True)
class CodedVideo:
    """What two coders accepted in one video."""

    name: str
    timebase: Timebase
    first: Sequence[CodedEvent]
    second: Sequence[CodedEvent]


@dataclass(frozen=True)
class Timing:
    """Second minus first over the matched events, seconds: the mean, and the median and 90th percentile of its size."""

    mean_s: float
    median_s: float
    p90_s: float


@dataclass(frozen=True)
class Agreement:
    """matched, renamed, only_first, only_second: (video, events) each. renamed: the same moment under the other type.

    kappa: Cohen's, per video frame, over none, macro, micro and both; NaN where it is undefined. same_frames: share of
    frames on which the two say the same. empty_frames: share in which neither coded anything. timing: of onset, apex
    and offset; empty without matches.
    """

    matched: list[tuple[CodedVideo, CodedEvent, CodedEvent]]
    renamed: list[tuple[CodedVideo, CodedEvent, CodedEvent]]
    only_first: list[tuple[CodedVideo, CodedEvent]]
    only_second: list[tuple[CodedVideo, CodedEvent]]
    kappa: float
    same_frames: float
    empty_frames: float
    timing: dict[str, Timing]

    @property
    def f1(self) -> float:
        """Twice the matched events over all events of both; NaN without any."""
        events = 2 * len(self.matched) + 2 * len(self.renamed) + len(self.only_first) + len(self.only_second)
        return 2 * len(self.matched) / events if events else float("nan")


def compare(videos: Sequence[CodedVideo]) -> Agreement:
    """Events match one to one within a type, at an IoU of at least 0.5 counted in frames. Raises ValueError without a
    video."""
    if not videos:
        raise ValueError("no video that both have coded")
    agreement = Agreement([], [], [], [], *_per_frame(videos), {})
    for video in videos:
        first, second = list(video.first), list(video.second)
        sides = _frames(first), _frames(second)
        pairs = match(*sides)
        agreement.matched.extend((video, first[i], second[j]) for i, j in pairs)
        left = [i for i in range(len(first)) if i not in {i for i, _ in pairs}]
        right = [j for j in range(len(second)) if j not in {j for _, j in pairs}]
        # What is left matches across types when all have one.
        across = match([_typed(sides[0][i]) for i in left], [_typed(sides[1][j]) for j in right])
        agreement.renamed.extend((video, first[left[a]], second[right[b]]) for a, b in across)
        agreement.only_first.extend((video, first[i]) for a, i in enumerate(left) if a not in {a for a, _ in across})
        agreement.only_second.extend((video, second[j]) for b, j in enumerate(right) if b not in {b for _, b in across})
    agreement.timing.update(_timing(agreement.matched))
    return agreement


def explain(agreement: Agreement, first: str, second: str) -> str:
    """The agreement in plain words. first, second: names of the coders."""
    n = len(agreement.matched)
    lines = [
        f"{first} and {second} agree on {n} event{'s' * (n != 1)} (same type, overlapping by at least half: IoU "
        f"{HIT_IOU:g}).",
        f"{len(agreement.renamed)} more lie at the same moment but differ in type; {len(agreement.only_first)} were "
        f"coded by {first} only, {len(agreement.only_second)} by {second} only.",
        f"Agreement on events (F1, the same whoever is taken for the truth): {_number(agreement.f1)}.",
        f"Cohen's kappa per frame: {_number(agreement.kappa)} - the two say the same of "
        f"{100 * agreement.same_frames:.1f} % of the frames, and kappa takes off what would be expected by chance: in "
        f"{100 * agreement.empty_frames:.1f} % of the frames neither saw anything.",
    ]
    if agreement.timing:
        lines += ["", f"Where they agree on the event, {second}'s moments lie after {first}'s by (in milliseconds)"]
        lines.append(f"  {'':8}{'mean':>8}{'median size':>14}{'9 in 10 within':>16}")
        for name, t in agreement.timing.items():
            lines.append(f"  {name:8}{1000 * t.mean_s:>+8.0f}{1000 * t.median_s:>14.0f}{1000 * t.p90_s:>16.0f}")
    for title, rows in (
        ("Same moment, other type", [f"{_said(v, a)} / {b.type}" for v, a, b in agreement.renamed]),
        (f"Only {first}", [_said(v, e) for v, e in agreement.only_first]),
        (f"Only {second}", [_said(v, e) for v, e in agreement.only_second]),
    ):
        if rows:
            lines += ["", f"{title}:", *(f"  {row}" for row in rows)]
    return "\n".join(lines)


def _per_frame(videos: Sequence[CodedVideo]) -> tuple[float, float, float]:
    """kappa, share of frames with the same code, share of frames without any code."""
    same = empty = frames = 0
    judged = []
    for video in videos:
        n = video.timebase.n_frames
        sides = _frames(video.first), _frames(video.second)
        judged.append(VideoIntervals(*sides, n_ticks=n))
        codes = np.zeros((2, n), np.int64)
        for code, intervals in zip(codes, sides, strict=True):
            for i in intervals:
                code[i.onset : i.offset + 1] |= 1 + EXPRESSION_TYPES.index(i.type)
        same += int((codes[0] == codes[1]).sum())
        empty += int((codes == 0).all(axis=0).sum())
        frames += n
    return cohen_kappa(judged), same / frames, empty / frames


def _timing(matched: Sequence[tuple[CodedVideo, CodedEvent, CodedEvent]]) -> dict[str, Timing]:
    table = {}
    for name in _MOMENTS if matched else ():
        times = [(v.timebase.frame_times, getattr(a, name), getattr(b, name)) for v, a, b in matched]
        late = np.array([t[b] - t[a] for t, a, b in times])
        table[name] = Timing(float(late.mean()), float(np.median(np.abs(late))), float(np.quantile(np.abs(late), 0.9)))
    return table


def _frames(events: Sequence[CodedEvent]) -> list[Interval]:
    """Intervals whose unit is the frame: agreement asks nothing of the clock."""
    return [Interval(e.onset, e.apex, e.offset, e.type) for e in events]


def _typed(interval: Interval) -> Interval:
    return Interval(interval.onset, interval.apex, interval.offset, EXPRESSION_TYPES[0])


def _said(video: CodedVideo, event: CodedEvent) -> str:
    times = video.timebase.frame_times
    return f"{video.name}  {times[event.onset]:.2f}-{times[event.offset]:.2f} s  {event.type}"


def _number(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.2f}"
