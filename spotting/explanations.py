"""Why an interval may be believed: what moved, how far and how fast, and what else went on meanwhile.

All of it is measured from the features, none of it asked of a network, so that it is a second opinion on the interval
and not the first one again. Left and right are the person's own (see `facial_motion`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..extract.features import FaceFeatures
from .action_units import ActionUnit, action_units
from .facial_motion import REGIONS, FacialMotion, Side, facial_motion
from .intervals import Interval

# What is measured at rest stays below this in nine cases of ten, measured on rendered portraits outside expressions:
# IOD, and IOD for each degree that the head has turned since the onset.
NOISE = 0.010
NOISE_PER_DEGREE = 0.010
_LEAST_PART = 0.3  # of the largest movement; less is not worth a word
_TELLS = 0.4  # part of a movement's size from which its sideways or upward share is told
_STRONGER = 1.35  # times the other side
_MOST_WORDS = 4


@dataclass(frozen=True)
class RegionMotion:
    """How one region moved from onset to apex, in percent of the inter-ocular distance (IOD).

    side: the person's own left or right, or middle. out: away from the midline, for the middle to the person's left.
    up: towards the forehead. size: length of the way.
    """

    region: str
    side: Side
    out: float
    up: float
    size: float

    @property
    def directions(self) -> tuple[str, ...]:
        """Words: up or down, and out or in, of the middle to its left or to its right."""
        sideways = ("out", "in") if self.side != "middle" else ("to its left", "to its right")
        words = []
        if abs(self.up) >= _TELLS * self.size:
            words.append("up" if self.up > 0 else "down")
        if abs(self.out) >= _TELLS * self.size:
            words.append(sideways[0] if self.out > 0 else sideways[1])
        return tuple(words)


@dataclass(frozen=True)
class Explanation:
    """What was measured between onset and offset.

    moved: regions that moved more than noise and head motion account for, the strongest first. regions: those in plain
    words; empty where none did. peak_motion: the largest movement from onset to apex of any region but the lids, in %
    of the IOD, whether or not it stands out. noise: what it would have to exceed. rise_speed, fall_speed: of that
    region, in % of the IOD a second; None where the apex is the onset or the offset. head_rotation: degrees the head
    turned at most away from where it was at the onset; head_shift: the same of its place, in % of the IOD. speech:
    share of the interval spent speaking, None where the weights do not tell. action_units: candidates, a hint only.
    voiced: share of the interval in which the face talks and a voice is heard at once, None where nobody listened.
    """

    moved: tuple[RegionMotion, ...]
    regions: str
    peak_motion: float
    noise: float
    rise_speed: float | None
    fall_speed: float | None
    head_rotation: float
    head_shift: float
    speech: float | None
    action_units: tuple[ActionUnit, ...]
    voiced: float | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Explanation":
        """From `to_dict` or `dataclasses.asdict`, also by way of JSON. Raises KeyError or TypeError for others."""
        named = ("region", "side", "out", "up", "size")
        moved = tuple(RegionMotion(**{name: m[name] for name in named}) for m in values["moved"])
        units = tuple(ActionUnit(**unit) for unit in values["action_units"])
        return cls(**{**values, "moved": moved, "action_units": units})

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable; the directions of each region in words beside its numbers."""
        values = asdict(self)
        values["moved"] = [{**asdict(m), "directions": list(m.directions)} for m in self.moved]
        values["action_units"] = [asdict(u) for u in self.action_units]
        return values


def explain_interval(
    features: FaceFeatures,
    interval: Interval,
    speaking: np.ndarray | None = None,
    voiced: np.ndarray | None = None,
) -> Explanation | None:
    """What the features say of one interval; None if it is not in one stretch with a usable face.

    speaking: (N,) share of speech at each tick, 0..1. voiced: (N,) bool, as `voice.agreement`.
    """
    try:
        motion = facial_motion(features, interval.onset, interval.offset)
    except ValueError:
        return None
    apex = interval.apex - interval.onset
    way = motion.paths[apex]
    noise = NOISE + NOISE_PER_DEGREE * float(motion.rotation[apex])
    size = np.linalg.norm(way, axis=1)
    counts = np.array(["lid" not in region.name for region in REGIONS])
    strongest = int(np.argmax(np.where(counts, size, 0.0)))
    peak = float(size[strongest])
    least = max(noise, _LEAST_PART * peak)
    moved = tuple(sorted((_moved(i, way[i]) for i in np.flatnonzero(size >= least)), key=lambda motion: -motion.size))
    standing_out = way * (size >= noise)[:, None]
    rise, fall = _speeds(motion, strongest, apex, features.timebase.rate)
    inside = slice(interval.onset, interval.offset + 1)
    return Explanation(
        moved=moved,
        regions=in_words(moved),
        peak_motion=round(100 * peak, 3),
        noise=round(100 * noise, 3),
        rise_speed=rise,
        fall_speed=fall,
        head_rotation=round(float(motion.rotation.max()), 2),
        head_shift=round(100 * float(motion.shift.max()), 2),
        speech=None if speaking is None else round(float(np.mean(speaking[inside])), 3),
        action_units=action_units(standing_out) if moved else (),
        voiced=None if voiced is None else round(float(np.mean(voiced[inside])), 3),
    )


def _moved(index: int, way: np.ndarray) -> RegionMotion:
    region = REGIONS[index]
    x, y = 100 * way
    # To the viewer's right is outward for the person's left side, and to the left for the person.
    out = -x if region.side == "right" else x
    return RegionMotion(region.name, region.side, *(round(float(v), 3) for v in (out, -y, np.hypot(x, y))))


def _speeds(motion: FacialMotion, region: int, apex: int, rate: float) -> tuple[float | None, float | None]:
    """Of one region from onset to apex and from apex to offset, % of the IOD a second."""
    path, n = motion.paths[:, region], len(motion.paths)

    def speed(way: np.ndarray, ticks: int) -> float | None:
        return round(100 * float(np.linalg.norm(way)) * rate / ticks, 2) if ticks else None

    return speed(path[apex], apex), speed(path[-1] - path[apex], n - 1 - apex)


def in_words(moved: Sequence[RegionMotion]) -> str:
    """`mouth corners up and out, right stronger; left brow up`: the strongest first, both sides told as one where they
    do the same."""
    told, words = set(), []
    motions = _whole_brows(moved)
    for motion in motions:
        if (motion.region, motion.side) in told:
            continue
        other = next((m for m in motions if m.region == motion.region and m.side != motion.side), None)
        told.add((motion.region, motion.side))
        name = motion.region if motion.side == "middle" else f"{motion.side} {motion.region}"
        more = ""
        if other is not None and other.directions == motion.directions:
            told.add((other.region, other.side))
            name = f"{motion.region}s"
            more = f", {motion.side} stronger" if motion.size >= _STRONGER * other.size else ""
        words.append(f"{name} {' and '.join(motion.directions)}{more}")
    return "; ".join(words[:_MOST_WORDS])


def _whole_brows(moved: Sequence[RegionMotion]) -> list[RegionMotion]:
    """Parts of a brow that do the same, told as one: the brow where all three do, or the stronger neighbour alone."""
    result = []
    for motion in moved:
        if not motion.region.endswith("brow"):
            result.append(motion)
            continue
        same = [
            m
            for m in moved
            if m.side == motion.side and m.region.endswith("brow") and m.directions[:1] == motion.directions[:1]
        ]
        if len(same) == 3:
            if motion is same[0]:
                mean = [float(np.mean([getattr(m, name) for m in same])) for name in ("out", "up", "size")]
                result.append(RegionMotion("brow", motion.side, *mean))
        elif motion.region != "mid brow" or len(same) == 1:
            result.append(motion)
    return result
