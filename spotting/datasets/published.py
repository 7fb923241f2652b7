"""The authors' released feature files and annotation arrays (GIM, SpotFormer): pickled NumPy object arrays.

`<NAME>-SLopticalflow.npy` holds one (T, 17, 13, 2) array per video, a `<NAME>-Annotations/` folder the arrays
`videoname`, `labels` (class names), `segments` (onset, offset and, for CAS(ME)^2, apex; frames of the 30 Hz clock) and
`labels_gau_frame` (the sampled points). Unpickling runs whatever code a file carries, so nothing is read without
`trust_pickle=True`.

The SAMM-LV release has fewer points than labels in 23 of its 147 videos, and its loader pairs them by position, which
gives points the wrong class. Points are therefore assigned to segments by where they lie and in which order, and what
cannot be decided is reported and left out.
"""

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import AnnotationError
from ..intervals import ExpressionType
from . import casme2, samm_lv
from .records import make_records, type_of_name

if TYPE_CHECKING:
    import pandas as pd

# Of the 13 points a frame holds, the model reads these ten (golden README, section 1).
MODEL_POINTS = (1, 2, 3, 5, 6, 7, 9, 10, 11, 12)
_SHAPE = (17, 13, 2)
# The released features: every 7th frame of SAMM-LV, every frame of CAS(ME)^2.
RATES = {samm_lv.DATASET: samm_lv.FPS / 7, casme2.DATASET: casme2.FPS}

_ARRAYS = ("videoname", "labels", "segments", "labels_gau_frame")


@dataclass(frozen=True)
class PointMismatch:
    """A video whose points and labels do not correspond.

    wrong_by_position: points that pairing by position would put on a segment that does not contain them. wrong_class:
    points that it would give a class they cannot have. undecided: points that could be of either class, or of none.
    """

    video: str
    n_labels: int
    n_points: int
    wrong_by_position: int
    wrong_class: int
    undecided: tuple[int, ...]

    def __str__(self) -> str:
        text = (
            f"{self.video}: {self.n_points} points for {self.n_labels} labels; pairing by position would put "
            f"{self.wrong_by_position} outside their expression and give {self.wrong_class} the wrong class"
        )
        return text + (
            f"; left out, as their class is not clear: {', '.join(map(str, self.undecided))}" if self.undecided else ""
        )


@dataclass(frozen=True)
class PublishedAnnotations:
    """records: the segments as a table (onset, apex, offset in frames of `fps`). points: the released point labels with
    the class of the segment that contains them, columns video, frame, type. mismatches: what does not correspond."""

    records: "pd.DataFrame"
    points: "pd.DataFrame"
    mismatches: tuple[PointMismatch, ...]


def read_published_annotations(folder: str | Path, *, trust_pickle: bool = False) -> PublishedAnnotations:
    """Read one `*-Annotations` folder.

    Raises AnnotationError without trust, for a missing array or one of another form.
    """
    import pandas as pd

    folder = Path(folder)
    names, labels, segments, points = (_load(folder / f"{name}.npy", trust_pickle) for name in _ARRAYS)
    if not len(names) == len(labels) == len(segments) == len(points):
        raise AnnotationError(
            f"{folder}: the arrays tell of different numbers of videos: "
            f"{len(names)}, {len(labels)}, {len(segments)}, {len(points)}"
        )
    rows, placed, mismatches = [], [], []
    for index, name in enumerate(names):
        dataset, subject, video = _identify(str(name), folder)
        kinds = [_kind(label, folder, index) for label in labels[index]]
        spans = [tuple(int(v) for v in segment) for segment in segments[index]]
        if len(kinds) != len(spans):
            raise AnnotationError(f"{folder}, video {index} ({name}): {len(kinds)} labels for {len(spans)} segments")
        for kind, span in zip(kinds, spans, strict=True):
            if len(span) not in (2, 3) or not 0 <= span[0] <= span[1]:
                raise AnnotationError(f"{folder}, video {index} ({name}): {span} is no segment")
            apex = span[2] if len(span) == 3 else None
            values = (dataset, subject, video, span[0], apex, span[1], kind, (), RATES[dataset])
            keys = ("dataset", "subject", "video", "onset", "apex", "offset", "type", "aus", "fps")
            rows.append(dict(zip(keys, values, strict=True)))
        marks = [int(p) for p in points[index]]
        classes = [{kinds[i] for i in possible} for possible in _possible_segments(marks, spans)]
        placed += [(video, mark, min(c)) for mark, c in zip(marks, classes, strict=True) if len(c) == 1]
        undecided = tuple(mark for mark, c in zip(marks, classes, strict=True) if len(c) != 1)
        pairs = list(zip(marks, spans, kinds, classes, strict=False))
        wrong = sum(not span[0] <= mark <= span[1] for mark, span, _, _ in pairs)
        wrong_class = sum(kind not in c for _, _, kind, c in pairs)
        if len(marks) != len(spans) or wrong or undecided:
            mismatches.append(PointMismatch(video, len(kinds), len(marks), wrong, wrong_class, undecided))
    table = pd.DataFrame(placed, columns=["video", "frame", "type"])
    return PublishedAnnotations(make_records(rows), table, tuple(mismatches))


def read_published_features(
    path: str | Path, videos: list[str] | None = None, *, trust_pickle: bool = False
) -> dict[str, np.ndarray]:
    """Snippets of the ten points the model reads, (T, 17, 10, 2) float32, by video.

    videos: their names in the file's order (`videoname.npy` of the annotations); numbers without it. Raises
    AnnotationError without trust, for another form, or if there are not as many arrays as names.
    """
    path = Path(path)
    arrays = _load(path, trust_pickle)
    names = [str(i) for i in range(len(arrays))] if videos is None else videos
    if len(names) != len(arrays):
        raise AnnotationError(f"{path}: {len(arrays)} videos, but {len(names)} names")
    features = {}
    for index, (name, array) in enumerate(zip(names, arrays, strict=True)):
        array = np.asarray(array)
        if array.ndim != 4 or array.shape[1:] != _SHAPE or array.dtype.kind != "f":
            raise AnnotationError(f"{path}, video {index} ({name}): {array.dtype} {array.shape} is not (T, 17, 13, 2)")
        features[name] = np.ascontiguousarray(array[:, :, MODEL_POINTS], dtype=np.float32)
    return features


def _load(path: Path, trust_pickle: bool) -> np.ndarray:
    """An array with one entry per video."""
    if not trust_pickle:
        raise AnnotationError(
            f"{path}: is pickled, and opening it runs whatever code it carries; say that you trust its source "
            "(trust_pickle=True) if you do"
        )
    try:
        array = np.load(path, allow_pickle=True)
    except FileNotFoundError:
        raise AnnotationError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise AnnotationError(f"{path}: not a NumPy file ({error})") from error
    if array.ndim == 0:
        raise AnnotationError(f"{path}: holds no list of videos")
    return array


def _identify(name: str, folder: Path) -> tuple[str, str, str]:
    """Data set, subject and video, as the sheets' readers name them, from `samm_006_1`, `casme_15_0401girl...`."""
    if match := re.fullmatch(r"samm_(\d{3})_(\d)", name):
        return samm_lv.DATASET, match[1], f"{match[1]}_{match[2]}"
    if match := re.match(r"casme_0?(\d{2})_(\d{4})", name):
        return casme2.DATASET, f"s{match[1]}", f"{match[1]}_{match[2]}"
    raise AnnotationError(f"{folder}: {name!r} is no video of SAMM-LV or CAS(ME)^2")


def _kind(label: object, folder: Path, index: int) -> ExpressionType:
    kind = type_of_name(str(label))
    if kind is None:
        raise AnnotationError(f"{folder}, video {index}: {label!r} is neither macro nor micro")
    return kind


def _possible_segments(marks: list[int], spans: list[tuple[int, ...]]) -> list[set[int]]:
    """For each point the segments it can belong to, if points keep the order of their segments and some are absent.

    A point's segments are those through which some increasing, containing assignment of all points passes; without any
    such assignment, simply those that contain it.
    """
    inside = [{i for i, s in enumerate(spans) if s[0] <= mark <= s[1]} for mark in marks]
    forward: list[set[int]] = []
    for at in inside:
        earliest = -1 if not forward else min(forward[-1], default=len(spans))
        forward.append({i for i in at if i > earliest})
    backward: list[set[int]] = []
    for at in reversed(inside):
        latest = len(spans) if not backward else max(backward[-1], default=-1)
        backward.append({i for i in at if i < latest})
    possible = [f & b for f, b in zip(forward, reversed(backward), strict=True)]
    return possible if all(possible) else inside
