"""From curves to intervals (paper section 3.6.3, eq. 15-16): thresholds, contrast, class-wise suppression, durations.

Every run of ticks above one of several thresholds is a proposal. Its apex is its highest tick; it takes every class
whose score there exceeds the gate; its confidence is the outer-inner contrast, the mean intensity inside less that of
the flanks. Overlapping proposals of one class compete by confidence; macro and micro never suppress each other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from .intervals import EXPRESSION_TYPES, Interval

Suppression = Literal["share", "iou"]


@dataclass(frozen=True)
class DecodingSettings:
    """How curves become intervals; pairs are (macro, micro), durations are in ticks, both ends allowed.

    The defaults depart from the paper (`paper()`) in three ways. Overlap is measured as the share of the shorter
    interval, so that one movement never leaves an interval inside another of its class: their IoU can be small, yet
    at most one of them can be right. A run with a deep trough is two expressions, and no proposal of its own beside
    them. And durations are limited to those of the two classes, with room for error: macro 0.5 to 8 s (held
    expressions outlast the textbook's 4 s), micro up to 17 ticks (annotated ones reach that).

    Four more serve networks that see the movements of 17 ticks and nothing of what is held between them; none of them
    is in the paper, and they are off by default. smoothing: standard deviation in ticks of a Gaussian on the intensity.
    bridge: troughs of the intensity shorter than so many ticks are filled before it is cut, so that onset and offset of
    one expression make one run; its contrast is that of the curve as it was. around: the class score of an apex is the
    mean over so many ticks on either side of it. exclusive: only the class with the higher score at the apex.

    thresholds: on the intensity, strict. class_gate: on the class score at the apex, strict. flank: length of each
    flank as a part of the interval's. class_weight: share of the class score in the confidence. max_overlap: more
    suppresses the weaker. trough: a run that falls below this part of the peaks on both sides is dropped; 0 keeps all.
    durations: shortest and longest of each class. min_confidence: of each class.
    Raises ValueError for an unknown measure of overlap or thresholds outside 0..1.
    """

    thresholds: tuple[float, ...] = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    class_gate: float = 0.5
    flank: float = 0.25
    class_weight: float = 0.0
    suppression: Suppression = "share"
    max_overlap: float = 0.5
    trough: float = 0.5
    durations: tuple[tuple[int, int], tuple[int, int]] = ((15, 240), (3, 17))
    min_confidence: tuple[float, float] = (0.0, 0.0)
    smoothing: float = 0.0
    bridge: tuple[int, int] = (0, 0)
    around: int = 0
    exclusive: bool = False

    def __post_init__(self) -> None:
        if self.suppression not in get_args(Suppression):
            raise ValueError(f"suppression must be one of {get_args(Suppression)}, got {self.suppression!r}")
        if not self.thresholds or not all(0.0 <= t < 1.0 for t in self.thresholds):
            raise ValueError(f"thresholds must lie in 0..1, got {self.thresholds}")
        if min(self.smoothing, *self.bridge, self.around) < 0:
            raise ValueError("smoothing, bridge and around count ticks, none of them negative")

    @classmethod
    def paper(cls) -> "DecodingSettings":
        """Plain NMS by IoU, no limits of duration. The paper does not give its IoU; 0.5 is the authors'."""
        return cls(suppression="iou", trough=0.0, durations=((1, 10**9), (1, 10**9)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "DecodingSettings":
        """From what a checkpoint says. Raises TypeError for a setting that does not exist, ValueError as the class."""
        return cls(**{name: _as_tuple(value) for name, value in values.items()})


def decode(
    intensity: np.ndarray,
    class_scores: np.ndarray,
    settings: DecodingSettings | None = None,
    segments: Sequence[tuple[int, int]] | None = None,
) -> list[Interval]:
    """The expressions in one video, in order of time.

    intensity: (N,) in 0..1. class_scores: (N, 2), macro and micro. segments: half-open, separate tick ranges with a
    usable face (`FaceFeatures.segments()`, default all of it): no interval and no flank leaves its own.
    Raises ValueError for curves of other shapes or with values that are not finite.
    """
    settings = settings or DecodingSettings()
    return by_segment(intensity, class_scores, segments, lambda a, s: _decode_segment(a, s, settings))


def by_segment(
    intensity: np.ndarray,
    class_scores: np.ndarray,
    segments: Sequence[tuple[int, int]] | None,
    decode_one: Callable[[np.ndarray, np.ndarray], list[Interval]],
) -> list[Interval]:
    """The intervals that `decode_one` finds in each segment by itself, in order of time; arguments as of `decode`."""
    intensity, class_scores = np.asarray(intensity), np.asarray(class_scores)
    if intensity.ndim != 1 or class_scores.shape != (len(intensity), 2):
        raise ValueError(f"need curves of shape (N,) and (N, 2), got {intensity.shape} and {class_scores.shape}")
    if not (np.isfinite(intensity).all() and np.isfinite(class_scores).all()):
        raise ValueError("the curves hold values that are not finite")
    found = []
    for start, stop in segments if segments is not None else [(0, len(intensity))]:
        local = decode_one(intensity[start:stop], class_scores[start:stop])
        found += [Interval(start + i.onset, start + i.apex, start + i.offset, i.type, i.confidence) for i in local]
    return sorted(found)


def _decode_segment(intensity: np.ndarray, class_scores: np.ndarray, settings: DecodingSettings) -> list[Interval]:
    found = []
    if settings.smoothing:
        from scipy.ndimage import gaussian_filter1d  # votes do without, and SciPy takes long to load

        intensity = gaussian_filter1d(intensity, settings.smoothing)
    class_scores = _mean_around(class_scores, settings.around)
    for kind, name in enumerate(EXPRESSION_TYPES):
        shortest, longest = settings.durations[kind]
        mine = []
        for onset, apex, offset, contrast in _proposals(intensity, settings, settings.bridge[kind]):
            score = float(class_scores[apex, kind])
            if settings.exclusive and score < class_scores[apex].max():
                continue
            confidence = contrast + settings.class_weight * score
            if (
                score > settings.class_gate
                and shortest <= offset - onset + 1 <= longest
                and confidence >= settings.min_confidence[kind]
            ):
                mine.append((confidence, Interval(onset, apex, offset, name, float(np.clip(confidence, 0.0, 1.0)))))
        found += _suppress(mine, settings)
    return found


def _bridged(intensity: np.ndarray, ticks: int) -> np.ndarray:
    """A morphological closing: (N,) whose troughs shorter than `ticks` are as high as the lower of their sides."""
    if ticks < 2:
        return intensity
    from scipy.ndimage import grey_closing

    # Nothing lies beyond the ends, so that what touches one of them is no trough.
    padded = np.pad(intensity, ticks, constant_values=0.0)
    return grey_closing(padded, size=ticks)[ticks:-ticks]


def _mean_around(scores: np.ndarray, ticks: int) -> np.ndarray:
    """(N, 2) means over the ticks up to `ticks` away, the outermost repeated beyond the ends."""
    if not ticks:
        return scores
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(scores, 2 * ticks + 1, axis=0, mode="nearest")


def _proposals(intensity: np.ndarray, settings: DecodingSettings, bridge: int) -> list[tuple[int, int, int, float]]:
    """Onset, apex, offset and contrast (eq. 15) of every different run above a threshold.

    Runs are those of the bridged intensity; their apex and contrast are of what is there without the bridge.
    """
    bridged = _bridged(intensity, bridge)
    sums = np.concatenate([[0.0], np.cumsum(intensity, dtype=np.float64)])
    runs = {run for threshold in sorted(settings.thresholds) for run in _runs(bridged > threshold)}
    return [
        (start, start + int(np.argmax(intensity[start:stop])), stop - 1, _contrast(sums, start, stop, settings.flank))
        for start, stop in sorted(runs)
        if not _has_trough(bridged[start:stop], settings.trough)
    ]


def _has_trough(run: np.ndarray, trough: float) -> bool:
    before, after = np.maximum.accumulate(run), np.maximum.accumulate(run[::-1])[::-1]
    return bool(np.any(run < trough * np.minimum(before, after)))


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open ranges of consecutive true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _contrast(sums: np.ndarray, start: int, stop: int, flank: float) -> float:
    """Mean inside less mean of both flanks, from cumulative sums; flanks end with the segment, and may be missing."""
    reach = max(1, round(flank * (stop - start)))
    low, high = max(0, start - reach), min(len(sums) - 1, stop + reach)
    outside = (start - low) + (high - stop)
    inside_sum = sums[stop] - sums[start]
    flank_sum = sums[high] - sums[low] - inside_sum
    return float(inside_sum / (stop - start) - (flank_sum / outside if outside else 0.0))


def _suppress(mine: list[tuple[float, Interval]], settings: DecodingSettings) -> list[Interval]:
    """The most confident first, then every other that does not overlap one already kept too much."""
    kept: list[Interval] = []
    for _, interval in sorted(mine, key=lambda pair: (-pair[0], pair[1])):
        if all(_overlap(interval, other, settings.suppression) <= settings.max_overlap for other in kept):
            kept.append(interval)
    return kept


def _as_tuple(value: Any) -> Any:
    """Lists, as JSON has them, as tuples throughout."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value


def _overlap(a: Interval, b: Interval, measure: Suppression) -> float:
    if measure == "iou":
        return a.iou(b)
    return a.shared_ticks(b) / min(a.n_ticks, b.n_ticks)
