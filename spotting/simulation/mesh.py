"""How a face mesh sees a performance: a part of every movement, and errors."""

import numpy as np
from scipy.signal import lfilter

from ...extract.regions import EYE_LIDS, KEPT_INDEX, ROI_NAMES
from .anatomy import roi_means
from .response import draw_errors, draw_response, error_shapes

# Share of clips in which the mesh hardly sees lids shut.
_LIDS_MISSED = 0.35
# Share of clips in which the mesh answers as on photographs, and the least part of its answer that does so then.
_ANSWERED, _LEAST_ANSWERED = 0.75, 0.3
# Share of clips in which errors are of single points and of groups of them, not of whole faces. As measured they are
# faces; but networks that have seen nothing else believe too much of a stranger's mesh.
_BY_POINTS = 0.5
# What each point by itself and its group have in such errors, how much more there is of them in depth, and in all.
_ALONE, _TOGETHER, _IN_DEPTH, _LOUDER = 0.6, 0.8, 2.0, 1.7
# Of yaw, pitch and roll of the mesh (radians) and its size (share), from one picture to the next.
_POSE_NOISE = np.array([0.0025, 0.003, 0.001, 0.0012])
_LID_ROWS = np.array([KEPT_INDEX[point] for pairs in EYE_LIDS.values() for pair in pairs for point in pair])
_UPPER_LID_ROWS = np.array([KEPT_INDEX[pair[0]] for pairs in EYE_LIDS.values() for pair in pairs])


def autoregressive(n: int, tau: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """(n, *shape) unit-variance first-order noise of correlation time tau ticks."""
    a = np.exp(-1.0 / tau)
    noise = rng.normal(size=(n, *shape))
    noise[0] /= np.sqrt(1 - a * a)
    return lfilter([np.sqrt(1 - a * a)], [1, -a], noise, axis=0)


def mesh_answer(move: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a face mesh reports of a movement (n, K, 3) of the skin, in IOD and in the head's frame, but for its errors:
    a part of it, where it is and elsewhere."""
    k = move.shape[1]
    length = np.linalg.norm(move, axis=2, keepdims=True)
    # A regressor trained on whole faces under-reports small motions and pulls large ones towards the mean face.
    dead = rng.uniform(0.0, 0.02)
    gain = rng.uniform(0.55, 1.1) * rng.normal(1.0, 0.15, size=(1, k, 1))
    (eyes,) = rng.spawn(1)
    if eyes.random() < _LIDS_MISSED:
        # Glasses, lashes, narrow or shaded eyes: lids that shut are seen to move half the way, or hardly.
        gain[:, _LID_ROWS] *= eyes.uniform(0.05, 1.0)
    pointwise = move * gain * length / (length + dead)
    (whole,) = rng.spawn(1)
    if whole.random() >= _ANSWERED:
        return pointwise
    # With one of the faces it knows, not point by point.
    share = whole.uniform(_LEAST_ANSWERED, 1.0)
    return (1 - share) * pointwise + share * draw_response(whole)(move)


def _point_shapes(rng: np.random.Generator) -> np.ndarray:
    """(m, K, 3) errors of single points, and of six groups of them by chance; together of unit size in the picture
    plane, as those of `error_shapes` are."""
    k = len(KEPT_INDEX)
    group = np.eye(6)[:, rng.integers(0, 6, size=k)]
    each = np.concatenate([_ALONE * np.eye(k), _TOGETHER * group])
    return np.concatenate([each[:, :, None] * axis for axis in np.diag([1, 1, _IN_DEPTH])])


def mesh_landmarks(
    true: np.ndarray,
    rest: np.ndarray,
    head: tuple[np.ndarray, np.ndarray, np.ndarray],
    sharp: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """What a face mesh reports, still in IOD and in the head's frame: damped, leaky and noisy.

    true, rest: (n, K, 3) moving and resting face. head: its angles, shift and log scale. sharp: (n,) noise multiplier.
    Sizes follow measurements on rendered portraits (`benchmarks/`) and on videos of people, widened on both sides.
    """
    angles, shift, log_scale = head
    n, k, _ = true.shape
    move = true - rest
    (kind,) = rng.spawn(1)
    by_points = kind.random() < _BY_POINTS
    shapes = _point_shapes(kind) if by_points else error_shapes()
    seen = rest + mesh_answer(move, rng)
    # Motion of one part drags its neighbours along (a wide open mouth lowers the cheeks and even the eyes).
    drag = 0.045 * rng.random() * draw_errors(rng, shapes)
    opening = np.linalg.norm(move[:, [KEPT_INDEX[17]], :2], axis=2)[:, :, None]
    seen = seen + drag * opening
    # Mouth and brows talk across: a raised brow shows as a tenth of its height at the lips, the chin and the irises.
    zones = np.clip(((rest[0, :, 1] + 0.9) / 0.5).astype(int), 0, 5)
    parts = roi_means(move).reshape(n, -1)
    cross = 0.05 * rng.random() * rng.normal(size=(parts.shape[1], 6, 3))[:, zones] / np.sqrt(len(ROI_NAMES) / 4)
    seen = seen + np.tensordot(parts, cross, axes=1)
    # So do closing lids: the mesh reads a blink partly as a movement of brows and mouth.
    closing = np.maximum(move[:, _UPPER_LID_ROWS, 1].mean(axis=1) / 0.085, 0)
    pull = rng.normal(0, 0.015 * rng.random(), size=(6, 3))[zones] + 0.006 * draw_errors(rng, shapes)
    seen = seen + closing[:, None, None] * pull * [0.6, 1, 1]
    turn = angles - np.median(angles, axis=0)
    place = shift - np.median(shift, axis=0)
    basis = np.concatenate(
        [turn, turn**2 * np.sign(turn), turn[:, :1] * turn[:, 1:2], 0.7 * place, 2.0 * log_scale[:, None]], axis=1
    )
    size = rng.uniform(0.15, 1.2)
    leak = 0.07 * size * draw_errors(rng, shapes, basis.shape[1])
    # Depth errors turn into sideways errors as the head turns: proportional to height above the rigid plane.
    depth = rng.normal(0, 0.12 * size) * rest[:, :, 2:3]
    seen = seen + np.tensordot(basis, leak, axes=1)
    seen[:, :, 2:3] += depth
    # The mesh crops by its own last answer, so its errors flip between two states from frame to frame, and wander.
    level = rng.lognormal(-0.45, 0.6) * (_LOUDER if by_points else 1.0)
    flip = 0.0025 * rng.random() * rng.normal(size=len(shapes)) * ((-1.0) ** np.arange(n))[:, None]
    wandering = (
        0.0018 * rng.normal(size=(n, len(shapes)))
        + flip * autoregressive(n, 20, (1,), rng)
        + 0.0020 * autoregressive(n, rng.uniform(2, 8), (len(shapes),), rng)
        + 0.0014 * autoregressive(n, rng.uniform(6, 25), (len(shapes),), rng)
    )
    unsure = level * sharp[:, None, None]
    seen = seen + (np.tensordot(wandering, shapes, axes=1) + 0.0010 * rng.normal(size=(n, k, 3))) * unsure
    # All of it turns and grows a little from picture to picture.
    tumble = _POSE_NOISE * (rng.normal(size=(n, 4)) + autoregressive(n, 3, (4,), rng))
    yaw, pitch, roll, growth = np.moveaxis(tumble[:, None] * unsure, 2, 0)
    x, y, z = np.moveaxis(seen, 2, 0)
    turned = (yaw * z - roll * y + growth * x, roll * x - pitch * z + growth * y, pitch * y - yaw * x + growth * z)
    return seen + np.stack(turned, axis=2)
