"""Why a moment is not in the result: what the curves were there, and what kept it from being reported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..extract.features import FaceFeatures
from .explanations import explain_interval
from .intervals import EXPRESSION_TYPES, ExpressionType, Interval, Spot
from .readers.base import Curves
from .spotter import Spotter
from .thresholds import Confidence

Verdict = Literal["reported", "other type", "no face", "low confidence", "part of another", "too short", "nothing"]
FAINT = 0.1  # a candidate of less confidence is nothing that looks like an expression
_NEAR_S = 1.0  # how far the strongest moment nearby is looked for


@dataclass(frozen=True)
class Account:
    """What is known of one moment.

    intensity, macro, micro, speech: the curves there, speech None where the weights do not tell. peak, peak_s: highest
    intensity within a second and when. verdict: what became of it; text: the same in a sentence. spot: the expression
    reported there, or the strongest candidate, with its explanation; None without one. needed: the confidence that
    would have been enough for its type.
    """

    seconds: float
    frame: int
    intensity: float
    macro: float
    micro: float
    speech: float | None
    peak: float
    peak_s: float
    verdict: Verdict
    text: str
    spot: Spot | None = None
    needed: float | None = None


def why_not(
    spotter: Spotter,
    features: FaceFeatures,
    seconds: float,
    *,
    min_confidence: Confidence | None = None,
    types: Sequence[ExpressionType] | None = None,
) -> Account:
    """What became of a moment, in seconds since the first frame; min_confidence and types as in `Spotter.spot`.

    Raises ValueError for a moment outside the video.
    """
    timebase = features.timebase
    if not 0 <= seconds <= timebase.duration_s:
        raise ValueError(f"{seconds:g} s is outside the video, which lasts {timebase.duration_s:.2f} s")
    tick = timebase.tick_of_seconds(seconds)
    found, curves = spotter.intervals(features, min_confidence)
    account = _curves_at(features, curves, tick, seconds)
    if features.segment[tick] < 0:
        return replace(account, verdict="no face", text=_no_face(features, tick))
    here = _strongest(found, tick)
    if here is not None:
        spot = _spot(features, here, curves)
        if types is not None and here.type not in types:
            text = f"it lies in a {_told(spot)}, and only {' and '.join(types)} is asked for"
            return replace(account, verdict="other type", text=text, spot=spot)
        return replace(account, verdict="reported", text=f"it is reported: it lies in a {_told(spot)}", spot=spot)
    least = spotter.least_confidence(min_confidence, curves)
    weak = _strongest(spotter.intervals(features, 0.0)[0], tick)
    proposal = _proposal(features, curves, tick)
    taken = max((i for i in found if _shares(i, proposal)), key=lambda i: i.iou(proposal), default=None)
    if weak is not None and weak.confidence >= FAINT:
        needed = least[EXPRESSION_TYPES.index(weak.type)]
        if weak.confidence < needed:
            spot = _spot(features, weak, curves)
            text = f"it lies in a {_told(spot)}, which is too uncertain: {needed:.2f} is asked for"
            return replace(account, verdict="low confidence", text=text, spot=spot, needed=needed)
        taken = taken or max(found, key=lambda i: i.iou(weak), default=None)
    if taken is not None and max(account.macro, account.micro, account.intensity) >= FAINT:
        spot = _spot(features, taken, curves)
        text = f"what moves there was counted to the {_told(spot)}"
        return replace(account, verdict="part of another", text=text, spot=spot)
    if account.intensity >= FAINT and proposal.n_ticks < spotter.reader.min_ticks:
        shortest = spotter.reader.min_ticks / timebase.rate
        text = f"it lasts {proposal.n_ticks / timebase.rate:.2f} s, and nothing under {shortest:.2f} s is reported"
        return replace(account, verdict="too short", text=text)
    strongest = "no candidate" if weak is None else f"the strongest candidate has confidence {weak.confidence:.2f}"
    text = f"the network saw no expression there ({strongest})"
    return replace(account, verdict="nothing", text=text)


def _curves_at(features: FaceFeatures, curves: Curves, tick: int, seconds: float) -> Account:
    """The account without a verdict yet."""
    reach = round(_NEAR_S * features.timebase.rate)
    low = max(tick - reach, 0)
    near = curves.intensity[low : tick + reach + 1]
    peak = low + int(np.argmax(near))
    return Account(
        seconds=seconds,
        frame=features.timebase.frame_of_seconds(seconds),
        intensity=float(curves.intensity[tick]),
        macro=float(curves.scores[tick, 0]),
        micro=float(curves.scores[tick, 1]),
        speech=None if curves.speaking is None else float(curves.speaking[tick]),
        peak=float(curves.intensity[peak]),
        peak_s=features.timebase.seconds_of_tick(peak),
        verdict="nothing",
        text="",
    )


def _no_face(features: FaceFeatures, tick: int) -> str:
    """When the face was not usable around a tick, and what was counted against it in the recording."""
    missing = np.asarray(features.segment) < 0
    seen = np.flatnonzero(~missing)
    first = int(seen[seen < tick][-1]) + 1 if (seen < tick).any() else 0
    last = int(seen[seen > tick][0]) - 1 if (seen > tick).any() else len(missing) - 1
    rate = features.timebase.rate
    lost = features.provenance.get("face_report", {}).get("lost", {})
    causes = ", ".join(f"{count} frames {cause}" for cause, count in sorted(lost.items()))
    return f"there is no usable face from {first / rate:.2f} to {(last + 1) / rate:.2f} s" + (
        f" (in the whole recording: {causes})" if causes else ""
    )


def _strongest(intervals: Sequence[Interval], tick: int) -> Interval | None:
    return max((i for i in intervals if i.onset <= tick <= i.offset), key=lambda i: i.confidence, default=None)


def _proposal(features: FaceFeatures, curves: Curves, tick: int) -> Interval:
    """What the tick itself takes for its expression: by its distances to onset and offset, or where the weights tell
    none, the run around it with at least half its intensity. Inside its segment."""
    start, stop = next(s for s in features.segments() if s[0] <= tick < s[1])
    if curves.reach is not None:
        back, on = np.round(curves.reach[tick]).astype(int)
        return Interval(max(tick - int(back), start), tick, min(tick + int(on), stop - 1), "macro")
    low = np.flatnonzero(curves.intensity[start:stop] < 0.5 * curves.intensity[tick]) + start
    first, last = low[low < tick], low[low > tick]
    onset = int(first[-1]) + 1 if len(first) else start
    return Interval(onset, tick, int(last[0]) - 1 if len(last) else stop - 1, "macro")


def _shares(interval: Interval, proposal: Interval) -> bool:
    """Whether most of the shorter of the two lies in the other."""
    shared = min(interval.offset, proposal.offset) - max(interval.onset, proposal.onset) + 1
    return 2 * shared > min(interval.n_ticks, proposal.n_ticks)


def _spot(features: FaceFeatures, interval: Interval, curves: Curves) -> Spot:
    return replace(interval.on(features.timebase), explanation=explain_interval(features, interval, curves.speaking))


def _told(spot: Spot) -> str:
    return (
        f"{spot.type}-expression from {spot.onset_s:.2f} to {spot.offset_s:.2f} s of confidence {spot.confidence:.2f}"
    )
