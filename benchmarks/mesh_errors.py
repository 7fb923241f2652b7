"""In which shapes a face mesh is wrong: remakes `spotting/simulation/mesh_errors.safetensors`.

    python benchmarks/mesh_errors.py OUT.safetensors --faces FOLDER

FOLDER holds pictures of faces, as `benchmarks/public_faces.py` fetches them. Each is filmed three times without moving
while the head and the camera do; whatever its mesh says to have moved is an error. What goes with the pose of the head
is told from what does not by regression, and the principal shapes of both, and of their mirror images, are written.
Printed: their share of all errors, and how large errors are.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from facespot.errors import NoFaceError
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS, geometry_channels, similarity_to
from facespot.extract.pipeline import extract_features
from facespot.extract.regions import KEPT_INDEX, KEPT_MESH_POINTS, RIGID_MESH_POINTS
from facespot.processes import process_pool, usable_cores
from facespot.spotting.simulation.anatomy import mirror_index, neutral_face
from facespot.spotting.simulation.films import CRF, FACE_WIDTH, LABORATORY_IOD, SIDE, another_look, draw_close_scene
from facespot.spotting.simulation.recording import film
from facespot.spotting.simulation.stage import Performance
from facespot.spotting.simulation.still import Still
from facespot.weights.film import load_actors
from safetensors.numpy import save_file

TICKS, FILMS = 240, 3  # of each film, and films of each face, the first as of a laboratory
SHAPES = 28  # they hold 93 % of the errors
POSE_WEIGHT = 0.05  # of an error that goes with one measure of the pose, beside those of a film that do not
RIDGE = 2e-3  # of pose: what varies less says nothing
_RIGID = [KEPT_INDEX[p] for p in RIGID_MESH_POINTS]
_ANGLES = [GEOMETRY_CHANNELS.index(name) for name in ("yaw", "pitch", "roll")]


def film_still(still: Still, number: int, film_number: int) -> np.ndarray | None:
    """Landmarks (N, K, 3) of a face that does not move while its head does; None where it is lost."""
    rng = np.random.default_rng((77, number, film_number))
    laboratory = film_number == 0
    iod = LABORATORY_IOD if laboratory else (40.0, 90.0)
    scene = replace(draw_close_scene(rng, iod, FACE_WIDTH, SIDE, lively=not laboratory), fps=30.0)
    nothing = np.zeros((TICKS, len(KEPT_MESH_POINTS), 3))
    performance = Performance(nothing, [], np.zeros(TICKS), np.zeros(TICKS, bool))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "still.mp4"
        try:
            film(another_look(still, rng), performance, path, scene, rng, float(rng.uniform(*CRF)), preset="veryfast")
            features = extract_features(path)
        except NoFaceError:
            return None
    return features.landmarks if features.coverage == 1 else None


def split_errors(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a face that does not move, (N, K, 3) in pixels: errors (N, K, 3) that do not go with the pose of the head, and
    those (10, K, 3) that go with a unit of each measure of it, both in IOD and in the frame of the mean face."""
    mean = landmarks.mean(axis=0)
    rotation, scale, centre, origin = similarity_to(neutral_face()[_RIGID], mean[None, _RIGID])
    rest = scale[0] * (mean - centre[0]) @ rotation[0] + origin
    rotation, scale, centre, origin = similarity_to(rest[_RIGID], landmarks[:, _RIGID])
    placed = scale[:, None, None] * ((landmarks - centre[:, None]) @ rotation) + origin
    moved = (placed - np.median(placed, axis=0)).reshape(len(placed), -1)
    turn = geometry_channels(landmarks, [(0, len(landmarks))])[:, _ANGLES].astype(float)
    place, size = centre[:, :2] * scale.mean(), np.log(scale)[:, None]
    pose = np.concatenate([turn, turn**2 * np.sign(turn), turn[:, :1] * turn[:, 1:2], place, size], axis=1)
    pose = pose - np.median(pose, axis=0)
    known = np.concatenate([pose, np.ones((len(pose), 1))], axis=1)
    ridge = RIDGE**2 * len(pose) * np.diag([1.0] * pose.shape[1] + [0.0])
    leak = np.linalg.solve(known.T @ known + ridge, known.T @ moved)
    shape = (-1, *landmarks.shape[1:])
    return (moved - known @ leak).reshape(shape), leak[:-1].reshape(shape)


def principal_shapes(films: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, float]:
    """(SHAPES, K, 3) shapes of errors as of `split_errors`, each as large as it is common and all together of unit size
    in the picture plane, and their share of the errors."""
    mirror, spread = mirror_index(), 0.0
    for errors, leak in films:
        parts = [(errors / np.sqrt((errors**2).mean()), 1 / len(errors))]
        parts += [(one[None] / np.sqrt((one**2).mean()), POSE_WEIGHT) for one in leak]
        for part, weight in parts:
            for side in (part, part[:, mirror] * [-1, 1, 1]):
                flat = side.reshape(len(side), -1)
                spread = spread + weight * flat.T @ flat
    values, vectors = np.linalg.eigh(spread)
    shapes = (vectors[:, -SHAPES:] * np.sqrt(values[-SHAPES:])).T[::-1].reshape(SHAPES, len(mirror), 3)
    return shapes / np.sqrt((shapes[:, :, :2] ** 2).sum(axis=0).mean()), values[-SHAPES:].sum() / values.sum()


@click.command(help=__doc__)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--faces", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(out: Path, faces: Path) -> None:
    actors = load_actors(faces)
    jobs = [(still, number, k) for k in range(FILMS) for number, still in enumerate(actors)]
    with process_pool(usable_cores()) as pool:
        films = [split_errors(seen) for seen in pool.map(film_still, *zip(*jobs, strict=True)) if seen is not None]
    shapes, share = principal_shapes(films)
    save_file({"shapes": np.ascontiguousarray(shapes, np.float16)}, out)
    plane = [np.sqrt((errors[:, :, :2] ** 2).mean()) for errors, _ in films]
    low, middle, high = np.quantile(plane, [0.1, 0.5, 0.9])
    click.echo(f"{len(films)} films; {SHAPES} shapes hold {share:.3f}; errors {low:.4f}, {middle:.4f}, {high:.4f} IOD")


if __name__ == "__main__":
    main()
