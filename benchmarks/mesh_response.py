"""How the face mesh answers when skin moves: remakes `spotting/simulation/mesh_response.safetensors`.

    python benchmarks/mesh_response.py OUT.safetensors [--faces FOLDER]

Two photographs that come with Python packages (scikit-image's astronaut, Matplotlib's sample of Grace Hopper) are moved
by random expressions and random smooth motions, and their mesh is read as in a recording. A linear map from movement to
answer is fitted and reduced to the shapes that matter. Faces of a folder are measured but not written: they tell how
far the answers of the two say what the mesh answers to others.

Printed for each face: the share of its answers that the map explains (fitted on four fifths, judged on the last), how
much of some action units is answered, and how well the movement itself and the maps of the two say its answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import matplotlib
import numpy as np
from facespot.benchmarks.rendered import load_faces
from facespot.extract.face.mesh_reader import MeshReader
from facespot.extract.face.square import TurnedSquare
from facespot.extract.motion.geometry import similarity_to
from facespot.extract.regions import KEPT_INDEX, KEPT_MESH_POINTS, RIGID_MESH_POINTS
from facespot.spotting.simulation.anatomy import au_field, draw_person, neutral_face, random_field, roi_means
from facespot.spotting.simulation.camera import SceneOptions
from facespot.spotting.simulation.expressions import draw_expression
from facespot.spotting.simulation.recording import fit_to_still
from facespot.spotting.simulation.render import Camera
from facespot.spotting.simulation.response import Response
from facespot.spotting.simulation.still import Still, load_still
from facespot.spotting.simulation.warp import FaceWarp, HeadPose
from safetensors.numpy import save_file
from skimage import data

SIDE, FACE_WIDTH = 304, 0.34  # pictures in pixels, and the inter-ocular distance as a part of their width
AT_REST, MOVED = 40, 2600  # pictures
SHAPES = 20  # with 12 or 16 a percent or two less of the answers is explained, with 24 no more
RIDGE = 0.03  # of the mean variance of a movement
NOISE = 1.5  # of the pictures, in 8-bit steps
UNITS = ("AU1", "AU2", "AU6", "AU12")  # whose answers are printed, both sides together
_ROWS = list(KEPT_MESH_POINTS)
_RIGID = [KEPT_INDEX[p] for p in RIGID_MESH_POINTS]
_TRUST = 0.03  # IOD: movements count by 1 / (their size + this)


@dataclass(frozen=True, eq=False)
class Answers:
    """move (N, K, 3): what skin did, against the upright mean face. answer (N, K, 3): what the mesh did, upright. In
    IOD."""

    move: np.ndarray
    answer: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        return 1 / (np.abs(self.move).max(axis=(1, 2)) + _TRUST)


def draw_moves(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """(K, 3) movements: none, then expressions and smooth motions that are nobody's, by turns, of 1 to 30 % of IOD."""
    yield from np.zeros((AT_REST, len(_ROWS), 3))
    for i in range(AT_REST, AT_REST + MOVED):
        if i % 2:
            size = np.exp(rng.uniform(np.log(0.01), np.log(0.3)))
            yield draw_expression(draw_person(rng), size, rng)
            continue
        size = np.exp(rng.uniform(np.log(0.01), np.log(0.15)))
        move = random_field(rng)
        move = np.clip(move * size / max(np.linalg.norm(roi_means(move)[:, :2], axis=1).max(), 0.02), -0.3, 0.3)
        yield move + draw_expression(draw_person(rng), size, rng) if i % 4 == 0 else move


def measure(name: str, still: Still) -> Answers:
    """Move a face and read its mesh, in squares around what was read before, as following does."""
    rng = np.random.default_rng(sum(name.encode()))
    scene = SceneOptions.steady(face_width=FACE_WIDTH, size=(SIDE, SIDE))
    camera, reader = Camera(still, scene), MeshReader()
    warp = FaceWarp(camera.still)
    nothing = warp.render(np.zeros((len(_ROWS), 2)), HeadPose(), camera.view(0, 0, 0, 1), scene.size)
    square = reader.find(nothing)
    resting = None if square is None else reader.read(nothing, square)
    if resting is None:
        raise click.ClickException(f"{name}: no face")
    noise = rng.normal(0, NOISE, (40, SIDE, SIDE, 3)).round().astype(np.int16)
    moves, meshes = [], []
    for move in draw_moves(rng):
        fitted = fit_to_still(still, move[None])[0]
        shift, roll, scale = rng.normal(0, 0.03, 2), rng.normal(0, 0.02), np.exp(rng.normal(0, 0.03))
        picture = warp.render(fitted, HeadPose(), camera.view(*shift, roll, scale), scene.size)
        picture = cv2.add(picture.astype(np.int16), noise[rng.integers(40)], dtype=cv2.CV_8U)
        mesh = reader.read(picture, TurnedSquare.around_mesh(resting))
        mesh = None if mesh is None else reader.read(picture, TurnedSquare.around_mesh(mesh))
        if mesh is not None:
            moves.append(move.astype(np.float32))
            meshes.append(mesh[_ROWS].astype(np.float32))
    return _upright(np.array(moves, float), np.array(meshes, float))


def _upright(moves: np.ndarray, meshes: np.ndarray) -> Answers:
    """Without the pose of the head, and against the mean of the pictures at rest."""
    moved = moves.any(axis=(1, 2))
    mean = meshes[~moved].mean(axis=0)
    rotation, scale, centre, origin = similarity_to(neutral_face()[_RIGID], mean[None, _RIGID])
    rest = (mean - centre[0]) @ rotation[0] * scale[0] + origin
    rotation, scale, centre, origin = similarity_to(rest[_RIGID], meshes[:, _RIGID])
    upright = scale[:, None, None] * ((meshes - centre[:, None]) @ rotation) + origin
    return Answers(moves[moved], (upright - rest)[moved])


def fit(answers: Answers) -> Response:
    """Ridge regression, reduced to `SHAPES` shapes (Izenman 1975)."""
    weights = answers.weights[:, None]
    moves = answers.move[:, :, :2].reshape(len(weights), -1) * weights
    seen = answers.answer.reshape(len(weights), -1) * weights
    spread = moves.T @ moves
    mean, unit = np.trace(spread) / len(spread), np.eye(len(spread))
    linear = np.linalg.solve(spread + RIDGE * mean * unit, moves.T @ seen).T
    usual = np.linalg.cholesky(spread + 1e-6 * mean * unit)
    shapes = np.linalg.svd(linear @ usual, full_matrices=False)[0][:, :SHAPES].T
    k = len(_ROWS)
    return Response((shapes @ linear).reshape(SHAPES, k, 2), shapes.reshape(SHAPES, k, 3))


def explained(answers: Answers) -> float:
    """Share of the variance of every fifth answer, in the picture plane, that a map of the others explains."""
    kept = np.arange(len(answers.move)) % 5 == 0
    response = fit(Answers(answers.move[~kept], answers.answer[~kept]))
    others = Answers(answers.move[kept], answers.answer[kept])
    left, seen = (
        (part[:, :, :2] * others.weights[:, None, None]) ** 2
        for part in (others.answer - response(others.move), others.answer)
    )
    return 1 - left.sum() / seen.sum()


def gain(response: Response, unit: str) -> float:
    """How much of an action unit is in the answer to it, in the picture plane."""
    move = au_field(unit, "left") + au_field(unit, "right")
    return float((response(move[None])[0] * move)[:, :2].sum() / (move[:, :2] ** 2).sum())


def agreement(said: np.ndarray, answers: Answers) -> tuple[float, float]:
    """Factor that makes what was said (N, K, 3) the answers, in the picture plane, and the cosine between the two."""
    said, seen = (part[:, :, :2] * answers.weights[:, None, None] for part in (said, answers.answer))
    both = (said * seen).sum()
    return both / (said**2).sum(), both / np.sqrt((said**2).sum() * (seen**2).sum())


@click.command(help=__doc__)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--faces", type=click.Path(exists=True, file_okay=False, path_type=Path), help="folder of face pictures")
def main(out: Path, faces: Path | None) -> None:
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    stills = {"astronaut": load_still(data.astronaut()), "hopper": load_still(hopper)}
    arrays, responses = {}, {}
    others = {} if faces is None else load_faces(faces)
    for name, still in (stills | others).items():
        answers = measure(name, still)
        own = fit(answers)
        if name in stills:
            responses[name] = own
            # In rows: safetensors writes the memory as it lies.
            arrays[f"{name}.read"] = np.ascontiguousarray(own.read, np.float16)
            arrays[f"{name}.shown"] = np.ascontiguousarray(own.shown, np.float16)
        said = {"skin itself": answers.move} | {by: response(answers.move) for by, response in responses.items()}
        figures = (f"{by} {gain:.2f}, {cosine:.2f}" for by in said for gain, cosine in [agreement(said[by], answers)])
        units = ", ".join(f"{unit} {gain(own, unit):.2f}" for unit in UNITS)
        click.echo(f"{name}: {len(answers.move)} answers, explained {explained(answers):.2f}; {units}")
        click.echo(f"  gain and cosine of {'; '.join(figures)}")
    save_file(arrays, out)


if __name__ == "__main__":
    main()
