"""Faces to film: photographs that come with Python packages, and nobody's faces between and around them."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from ...errors import NoFaceError
from ...extract.regions import KEPT_MESH_POINTS
from .anatomy import draw_person, neutral_face
from .expressions import draw_expression
from .still import Still, load_still

_KEPT = list(KEPT_MESH_POINTS)
_AROUND = 3.6  # IOD kept around a face
_RESTING_FACE = (0.01, 0.05)  # IOD: what a resting face may have of an expression, or of its opposite
_TRIES = 4


def photographs() -> dict[str, Still]:
    """The astronaut of scikit-image (public domain) and Matplotlib's sample of Grace Hopper (public domain).

    Raises ImportError where one of the two packages is missing.
    """
    import matplotlib
    from skimage import data

    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return {"astronaut": load_still(data.astronaut()), "hopper": load_still(hopper)}


def close_up(still: Still) -> Still:
    """The same face with little around it."""
    centre, reach = still.landmarks[:468, :2].mean(axis=0), _AROUND * still.iod
    x0, y0 = np.maximum((centre - reach).astype(int), 0)
    x1, y1 = np.minimum((centre + reach).astype(int) + 1, still.image.shape[1::-1])
    return load_still(np.ascontiguousarray(still.image[y0:y1, x0:x1]))


def draw_face(stills: Mapping[str, Still], rng: np.random.Generator) -> Still:
    """Somebody new: one of the faces or a mixture of two, of other proportions, with another resting face, in other
    light, maybe in a mirror or without colour.

    stills: two or more close faces (`close_up`). Raises NoFaceError if no face is seen in four pictures drawn like
    this.
    """
    for _ in range(_TRIES - 1):
        with suppress(NoFaceError):
            return load_still(draw_picture(stills, rng))
    return load_still(draw_picture(stills, rng))


def draw_picture(stills: Mapping[str, Still], rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 RGB picture of one such face."""
    names = list(stills)
    rng.shuffle(names)
    one, other = stills[names[0]], stills[names[1]]
    share = float(rng.choice([0.0, rng.random()], p=[0.4, 0.6]))
    points = one.landmarks[_KEPT, :2]
    brought = _similarity(other.landmarks[_KEPT, :2], points)
    theirs = other.landmarks[_KEPT, :2] @ brought[:, :2].T + brought[:, 2]
    target = (1 - share) * points + share * theirs + _own_shape(one, rng)
    picture = _moved(one.image, points, target, one.iod)
    if share > 0:
        affine = cv2.warpAffine(
            other.image, brought, one.image.shape[1::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101
        )
        second = _moved(affine, theirs, target, one.iod)
        mask = np.zeros(picture.shape[:2], np.float32)
        cv2.fillConvexPoly(mask, cv2.convexHull(target.astype(np.float32)).astype(np.int32), 1.0)
        mask = cv2.GaussianBlur(mask, (0, 0), 0.12 * one.iod)[..., None]
        tone = (picture * mask).sum((0, 1)) / (second * mask).sum((0, 1))
        picture = picture * (1 - mask * share) + second * np.clip(tone, 0.5, 2) * mask * share
    picture = _in_other_light(picture, rng)
    return np.ascontiguousarray(picture[:, ::-1] if rng.random() < 0.5 else picture)


def _own_shape(still: Still, rng: np.random.Generator) -> np.ndarray:
    """(K, 2) pixels by which a stranger's kept points, with a stranger's resting face, lie elsewhere."""
    person = draw_person(rng)
    moved = (person.shape - neutral_face())[:, :2] * rng.uniform(0, 0.8)
    if rng.random() < 0.6:
        size = float(np.exp(rng.uniform(*np.log(_RESTING_FACE))))
        moved = moved + draw_expression(person, size, rng)[:, :2] * rng.choice([-1, 1])
    moved = moved * [np.exp(rng.normal(0, 0.05)), 1]
    left, right = still.eyes
    x, y = right - left
    return moved @ np.array([[x, y], [-y, x]])


def _in_other_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: light from one side, of another colour and strength."""
    height, width = picture.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    ramp = 1 + rng.uniform(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y)
    lit = picture * ramp[..., None] * np.exp(rng.normal(0, 0.12, 3))
    lit = 255 * (np.clip(lit, 0, 255) / 255) ** np.exp(rng.normal(0, 0.3))
    if rng.random() < 0.15:
        lit = np.repeat(lit.mean(-1, keepdims=True), 3, -1)
    return np.clip(lit, 0, 255).astype(np.uint8)


def _similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(2, 3) affine that brings points (K, 2) closest to others by turning, scaling and shifting."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    size = (a**2).sum()
    along, across = (a * b).sum() / size, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / size
    turn = np.array([[along, -across], [across, along]])
    return np.column_stack([turn, target.mean(axis=0) - turn @ source.mean(axis=0)])


def _moved(picture: np.ndarray, source: np.ndarray, target: np.ndarray, iod: float) -> np.ndarray:
    """(H, W, 3) float32 of a picture in which points (K, 2) went elsewhere, and what is far from them stayed."""
    step = max(2, int(iod / 10))
    height, width = picture.shape[:2]
    xs, ys = np.arange(0, width + step, step), np.arange(0, height + step, step)
    nodes = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).astype(float)
    centre = target.mean(axis=0)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angles), 1.2 * np.sin(angles)], axis=1)
    rim = np.concatenate([centre + radius * iod * circle for radius in (2.8, 3.4)])
    smooth = RBFInterpolator(
        np.concatenate([target, rim]) / iod,
        np.concatenate([source - target, np.zeros_like(rim)]),
        kernel="thin_plate_spline",
        smoothing=1e-3,
        degree=1,
    )
    away = np.linalg.norm(nodes - centre, axis=1) / iod
    shift = smooth(nodes / iod) * np.clip((3.6 - away) / 0.8, 0, 1)[:, None]
    coarse = shift.reshape(len(ys), len(xs), 2).astype(np.float32)
    full = cv2.resize(coarse, (len(xs) * step, len(ys) * step), interpolation=cv2.INTER_LINEAR)
    # A node lies in the middle of its block.
    corner = (step - 1) // 2
    full = full[corner : corner + height, corner : corner + width]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    at = np.stack([x + full[..., 0], y + full[..., 1]], axis=-1)
    return cv2.remap(picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
