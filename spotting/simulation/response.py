"""How a face mesh answers when skin moves.

A face mesh is a regressor: whatever the skin does, it answers with one of the shapes it has learnt. Measured on
photographs whose skin was moved in known ways (`benchmarks/mesh_response.py`), twenty shapes hold all of an answer that
follows from the movement. Corners of the mouth are seen to move by half to three quarters, brows by an eighth to two
thirds, raised cheeks hardly, and a good part of an answer is something else. What it is differs from face to face.
What a mesh gets wrong about faces that do not move is of few shapes, too (`benchmarks/mesh_errors.py`).
"""

from functools import cache
from importlib.resources import files

import numpy as np

from .anatomy import mirror_index

# Spread of the gain of each shape (of its logarithm), the most that other shapes take part in it (each of them), and
# gain of the whole. On four other faces the measured answers had to be scaled by 0.6 to 0.9 and lay 45 to 60 degrees
# from what was answered; that is widened, for faces that are filmed show wrinkles and shadows that these do not.
_GAIN, _MIXED, _OVERALL = 0.4, 0.5, (0.4, 1.2)


def draw_response(rng: np.random.Generator) -> "Response":
    """The answers of a mesh to a random face: somewhere between those that were measured, either way round."""
    share = rng.beta(0.6, 0.6)
    parts = []
    for weight, (read, shown) in zip((share, 1 - share), measured(), strict=True):
        if rng.random() < 0.5:
            mirror = mirror_index()
            read, shown = read[:, mirror] * [-1, 1], shown[:, mirror] * [-1, 1, 1]
        mixing = np.diag(rng.lognormal(0, _GAIN, len(read)))
        mixing += rng.normal(0, _MIXED * rng.random(), size=mixing.shape)
        parts.append((read, weight * np.tensordot(mixing.T, shown, axes=1)))
    reads, showns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Response(reads, showns * rng.uniform(*_OVERALL))


class Response:
    """One linear answer: read (m, K, 2), what of a movement makes a shape show, and shown (m, K, 3), the shapes."""

    def __init__(self, read: np.ndarray, shown: np.ndarray) -> None:
        self.read, self.shown = read, shown

    def __call__(self, move: np.ndarray) -> np.ndarray:
        """(n, K, 3) movement of the mesh for a movement (n, K, 3) of the skin, both in IOD in the head's frame."""
        n, k, _ = move.shape
        flat = move[:, :, :2].reshape(n, -1) @ self.read.reshape(len(self.read), -1).T
        return (flat @ self.shown.reshape(len(self.shown), -1)).reshape(n, k, 3)


@cache
def measured() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """(20, K, 2) and (20, K, 3) for each photograph that was measured, see `Response`."""
    from safetensors.numpy import load

    arrays = load(files(__package__).joinpath("mesh_response.safetensors").read_bytes())
    names = sorted({name.split(".")[0] for name in arrays})
    return tuple((arrays[f"{n}.read"].astype(float), arrays[f"{n}.shown"].astype(float)) for n in names)


def draw_errors(rng: np.random.Generator, shapes: np.ndarray, *size: int) -> np.ndarray:
    """(*size, K, 3) random errors of a mesh, which are sums of shapes (m, K, 3)."""
    return np.tensordot(rng.normal(size=(*size, len(shapes))), shapes, axes=1)


@cache
def error_shapes() -> np.ndarray:
    """(m, K, 3) shapes in which a mesh is wrong, each a face that it might have said instead, one beside the other by
    chance; together of unit size in the picture plane (root of the mean square)."""
    from safetensors.numpy import load

    return load(files(__package__).joinpath("mesh_errors.safetensors").read_bytes())["shapes"].astype(float)
