"""How far each part of the face moved between two moments, head motion taken out.

Brows and mouth are read from the optical flow, which sees a hundredth of the inter-ocular distance (IOD); lids, cheeks,
nose wings and chin from the pose-normalised mesh, which is about three times as coarse.

Left and right are the person's own, as FACS has them: in an unmirrored picture the person's left is on the viewer's
right, which is `image_right` of `extract.regions`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..extract.features import SNIPPET_REACH, SNIPPET_STEPS, FaceFeatures
from ..extract.motion.geometry import similarity_to
from ..extract.regions import EYE_CORNERS, EYE_LIDS, KEPT_INDEX, RIGID_MESH_POINTS, ROI_NAMES

Side = Literal["left", "right", "middle"]
_SIDES: dict[Side, str] = {"left": "image_right", "right": "image_left"}
_REST_TICKS = 2  # before the onset, averaged with it as the face at rest


@dataclass(frozen=True)
class Region:
    """A part of the face. rois: rows of the snippets it is read from; mesh: points it is read from where there are
    none."""

    name: str
    side: Side
    rois: tuple[int, ...] = ()
    mesh: tuple[int, ...] = ()


def _regions() -> tuple[Region, ...]:
    found = []
    cheeks = {"image_left": (50, 205), "image_right": (280, 425)}
    wings = {"image_left": (98, 64), "image_right": (327, 294)}
    for side, image in _SIDES.items():
        for part in ("inner", "mid", "outer"):
            found.append(Region(f"{part} brow", side, (ROI_NAMES.index(f"{image}_brow_{part}"),)))
        found += [
            Region("mouth corner", side, (ROI_NAMES.index(f"{image}_mouth_corner"),)),
            Region("upper lid", side, mesh=tuple(up for up, _ in EYE_LIDS[image])),
            Region("lower lid", side, mesh=tuple(low for _, low in EYE_LIDS[image])),
            Region("cheek", side, mesh=cheeks[image]),
            Region("nose wing", side, mesh=wings[image]),
        ]
    for lip in ("upper", "lower"):
        found.append(Region(f"{lip} lip", "middle", (ROI_NAMES.index(f"{lip}_lip"),)))
    return (*found, Region("chin", "middle", mesh=(152, 199, 175)))


REGIONS: tuple[Region, ...] = _regions()
_RIGID = np.array([KEPT_INDEX[p] for p in RIGID_MESH_POINTS])
_EYES = [[KEPT_INDEX[p] for p in EYE_CORNERS[image]] for image in ("image_left", "image_right")]


@dataclass(frozen=True, eq=False)
class FacialMotion:
    """What moved from the first tick of an interval on, over its n ticks.

    paths: (n, R, 2) of `REGIONS` in IOD, x to the viewer's right and y down the upright face, head motion removed.
    rotation: (n,) degrees the head has turned since then, about whatever axis. shift: (n,) IOD it has moved.
    """

    paths: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray


def facial_motion(features: FaceFeatures, onset: int, offset: int) -> FacialMotion:
    """The motion over the ticks onset .. offset, which lie in one segment. Raises ValueError if they do not."""
    segment = features.segment
    low, high = max(onset - SNIPPET_STEPS, 0), min(offset + SNIPPET_STEPS, len(segment) - 1)
    same = np.asarray(segment[low : high + 1]) == segment[onset]
    if segment[onset] < 0 or not same[onset - low : offset - low + 1].all():
        raise ValueError(f"ticks {onset} to {offset} are not in one stretch with a usable face")
    while not same[0]:
        low, same = low + 1, same[1:]
    same = np.logical_and.accumulate(same)
    high = low + int(same.sum()) - 1
    points, rotation, centre = _upright(np.asarray(features.landmarks[low : high + 1], np.float64))
    eyes = np.asarray(features.landmarks[onset], np.float64)
    across = eyes[_EYES[1], :2].mean(axis=0) - eyes[_EYES[0], :2].mean(axis=0)
    c, s = across / np.linalg.norm(across)
    flow = _flow_path(features.snippets, low, high, onset, offset) @ np.array([[c, -s], [s, c]])
    at, rest = slice(onset - low, offset - low + 1), slice(max(onset - low - _REST_TICKS, 0), onset - low + 1)
    paths = np.empty((offset - onset + 1, len(REGIONS), 2))
    for i, region in enumerate(REGIONS):
        if region.rois:
            paths[:, i] = flow[:, list(region.rois)].mean(axis=1)
        else:
            mesh = points[:, [KEPT_INDEX[p] for p in region.mesh]].mean(axis=1)
            paths[:, i] = mesh[at] - mesh[rest].mean(axis=0)
    turned = np.einsum("nij,ik->njk", rotation[at], rotation[onset - low])
    angle = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    return FacialMotion(paths, angle, np.linalg.norm(centre[at] - centre[onset - low], axis=1))


def _flow_path(snippets: np.ndarray, low: int, high: int, onset: int, offset: int) -> np.ndarray:
    """(n, 10, 2) where the ROIs are at each tick against where they were at the onset, in IOD of the picture.

    A snippet holds the way from its first tick to sixteen later ones; longer ways are put together from several.
    low, high: first and last tick of the segment that can matter.
    """
    path = np.zeros((offset - onset + 1, len(ROI_NAMES), 2))
    start = onset
    while start < offset:
        centre = min(start + SNIPPET_REACH, high)
        first = start - centre + SNIPPET_REACH  # the snippet's step that is at `start`
        n = min(offset - start, SNIPPET_STEPS - 1 - first)
        steps = np.asarray(snippets[centre, first : first + n + 1], np.float64)
        path[start - onset + 1 : start - onset + n + 1] = path[start - onset] + steps[1:] - steps[0]
        start += n
    return path


def _upright(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of (n, K, 3) pixels: places (n, K, 2) in IOD on the upright, still head; its rotation (n, 3, 3); where it is,
    (n, 2) IOD."""
    rigid = landmarks[:, _RIGID]
    shape = rigid[len(rigid) // 2]
    for _ in range(2):
        rotation, scale, centre, shape_centre = similarity_to(shape, rigid)
        aligned = scale[:, None, None] * np.einsum("nri,nij->nrj", rigid - centre[:, None], rotation) + shape_centre
        shape = np.median(aligned, axis=0)
    rotation, scale, centre, shape_centre = similarity_to(shape, rigid)
    points = scale[:, None, None] * np.einsum("nki,nij->nkj", landmarks - centre[:, None], rotation)
    left, right = (points[:, rows].mean(axis=(0, 1)) for rows in _EYES)
    iod = np.linalg.norm(right - left)
    x = (right - left) / iod
    y = np.array([0.0, 1.0, 0.0]) - x * x[1]
    points = points @ np.stack([x, y / np.linalg.norm(y)], axis=1) / iod
    # The mesh's errors flip between two states from one frame to the next; a binomial filter removes just that.
    padded = np.pad(points, ((1, 1), (0, 0), (0, 0)), mode="edge")
    points = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return points, rotation, centre[:, :2] / iod
