"""How much of what a face does is in what its mesh says, by how the mesh is read.

    python benchmarks/mesh_readings.py --faces portraits/ --clips 20

Films clips of `filmed.py` (`--clips` of a laboratory and as many of others), follows their mesh in several ways, and
holds the geometry channels against those of the movement itself, which is known. Printed for each way, separately for
the places of the ten regions and for the other channels that go against a running median: their correlation with what
was to be seen (mean over clips and channels), the share of it that is answered (median), and what is left beside that
share, in thousandths of the inter-ocular distance (median).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import cv2
import numpy as np
from facespot.benchmarks.filmed import KINDS, QUIET, faces_option, filmed_clip, first_option, load_close_ups
from facespot.errors import NoFaceError
from facespot.extract.face.mesh_network import N_MESH_POINTS, NETWORK_PIXELS, MeshNetwork
from facespot.extract.face.mesh_reader import MeshReader
from facespot.extract.face.square import TurnedSquare
from facespot.extract.motion.geometry import FIRST_CHANNELS, geometry_channels
from facespot.extract.reading.video import open_video
from facespot.extract.regions import KEPT_MESH_POINTS, RIGID_MESH_POINTS, ROI_NAMES
from facespot.extract.timebase import CLOCK_HZ
from facespot.processes import process_pool, usable_cores
from facespot.spotting.simulation.anatomy import neutral_face
from facespot.spotting.simulation.still import Still

MIDLINE = {*range(20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200} - {3, 7}
IRISES = ((468, 473), (469, 476), (470, 475), (471, 474), (472, 477))
RIGID, TEMPLES = np.array(RIGID_MESH_POINTS), np.array([127, 356, 162, 389])
# Of a square by the rigid points, in their spreads (root mean square): as large as MediaPipe's around a face at rest,
# and how far its middle lies below that of the rigid points.
SIDE, DOWN = 4.47, 0.38
READ_PERIOD_S = 0.06  # at the least between two readings, as in extraction: every second picture of 30 a second
SHOWN_PIXELS = 221  # of a picture across the square, as extraction shows it to the network
LEAST_SPREAD = 0.004  # IOD: channels that move less in a clip have no correlation worth counting
REGIONS = slice(0, 2 * len(ROI_NAMES))
OTHERS = slice(REGIONS.stop, FIRST_CHANNELS.index("mouth_opening_level"))


def _mirror() -> np.ndarray:
    # The mesh counts all points of one side and then, in the same order, those of the other; irises come last.
    mirror = np.arange(N_MESH_POINTS)
    sides = [point for point in range(248) if point not in MIDLINE]
    for one, other in (*zip(sides, range(248, 468), strict=True), *IRISES):
        mirror[one], mirror[other] = other, one
    return mirror


MIRROR = _mirror()  # (478,) whose place each point has in a mirrored picture


def around_rigid(landmarks: np.ndarray) -> TurnedSquare:
    """A square that no expression moves: by the spread of the rigid points in space, level with the eyes, and between
    the temples, whose middle stays the face's as the head turns."""
    right = landmarks[263, :2] - landmarks[33, :2]
    along = right / np.linalg.norm(right)
    down = np.array([-along[1], along[0]])
    middle = landmarks[RIGID].mean(axis=0)
    spread = float(np.sqrt(landmarks[RIGID].var(axis=0).sum()))
    temples = landmarks[TEMPLES, :2].mean(axis=0)
    centre = along * (temples @ along) + down * (middle[:2] @ down + DOWN * spread)
    return TurnedSquare(float(centre[0]), float(centre[1]), SIDE * spread, float(np.arctan2(right[1], right[0])))


@dataclass(frozen=True)
class Way:
    """square: around a mesh. size: of it. turns: in degrees, of the squares that are read. mirrored: each of them also
    in the mirrored picture."""

    square: Callable[[np.ndarray], TurnedSquare]
    size: float = 1.0
    turns: Sequence[float] = (0.0,)
    mirrored: bool = False

    def read(self, network: MeshNetwork, rgb: np.ndarray, around: TurnedSquare) -> np.ndarray:
        """(478, 3) in pixels of the picture, the mean of all readings."""
        readings = []
        for turn in self.turns:
            square = replace(around, side=self.size * around.side, turn=around.turn + np.deg2rad(turn))
            picture = square.cut(rgb)
            readings.append(square.into_picture(network(picture)[0]))
            if self.mirrored:
                points = network(picture[:, ::-1])[0][MIRROR]
                points[:, 0] = NETWORK_PIXELS - points[:, 0]
                readings.append(square.into_picture(points))
        return np.mean(readings, axis=0)


WAYS = {
    "MediaPipe's square, as it is read": Way(TurnedSquare.around_mesh),
    "MediaPipe's square, a tenth smaller": Way(TurnedSquare.around_mesh, 0.9),
    "square by the rigid points": Way(around_rigid),
    "square by the rigid points, a tenth smaller": Way(around_rigid, 0.9),
    "- turned by 8 degrees either way": Way(around_rigid, 0.9, turns=(-8.0, 8.0)),
    "- and mirrored": Way(around_rigid, 0.9, mirrored=True),
    "- turned and mirrored": Way(around_rigid, 0.9, turns=(-8.0, 0.0, 8.0), mirrored=True),
}


def follow(way: Way, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 478, 3) landmarks of a face that is there in every picture. Raises NoFaceError if it is not found in the
    first."""
    reader, network = MeshReader(), MeshNetwork()
    square = reader.find(pictures[0])
    if square is None:
        raise NoFaceError("no face in the first picture")
    for _ in range(3):
        square = way.square(way.read(network, pictures[0], square))
    found = []
    for picture in pictures:
        found.append(way.read(network, picture, square))
        square = way.square(found[-1])
    return np.array(found)


def channels(points: np.ndarray) -> np.ndarray:
    """(N, C) deviations from their running median, of mesh points (N, K, 3) tick by tick."""
    return geometry_channels(points.astype(np.float32), [(0, len(points))])[:, : OTHERS.stop].astype(float)


def read_pictures(path: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Times and the pictures in which a mesh is read, no larger than extraction shows them to the network."""
    times, pictures = list[float](), list[np.ndarray]()
    with open_video(path) as stream:
        for frame in stream:
            if not times or frame.time - times[-1] >= READ_PERIOD_S:
                times.append(frame.time)
                pictures.append(frame.rgb)
    square = MeshReader().find(pictures[0])
    shrink = 1.0 if square is None else min(SHOWN_PIXELS / square.side, 1.0)
    return np.array(times), [cv2.resize(p, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) for p in pictures]


def compare(still: Still, number: int, kind: int) -> np.ndarray:
    """(ways, channels, 3) correlation, share answered and what is left, of one clip; NaN where a channel hardly moves,
    and everywhere in a clip whose face is not found in its first picture."""
    with filmed_clip(still, number, kind) as (performance, path):
        times, pictures = read_pictures(path)
    true = channels((neutral_face() + performance.displacement) * 100)
    clock = np.arange(len(true)) / CLOCK_HZ
    said = np.full((len(WAYS), true.shape[1], 3), np.nan)
    shown = np.flatnonzero(true.std(axis=0) >= LEAST_SPREAD)
    try:
        landmarks = [follow(way, pictures)[:, list(KEPT_MESH_POINTS)] for way in WAYS.values()]
    except NoFaceError:
        return said
    for row, read in enumerate(landmarks):
        flat = read.reshape(len(read), -1)
        ticks = np.stack([np.interp(clock, times, column) for column in flat.T], axis=1)
        seen = channels(ticks.reshape(len(clock), -1, 3))
        for channel in shown:
            one, other = seen[:, channel], true[:, channel]
            share = (one @ other) / (other @ other)
            said[row, channel] = np.corrcoef(one, other)[0, 1], share, (one - share * other).std()
    return said


@click.command(help=__doc__)
@faces_option
@click.option("--clips", type=click.IntRange(1), default=20, show_default=True, help="of each of the two kinds")
@first_option
def main(folder: Path | None, clips: int, first: int) -> None:
    faces = load_close_ups(folder)
    numbers, kinds = range(first, first + clips), range(KINDS.index(QUIET))
    jobs = [(faces[number % len(faces)], number, kind) for kind in kinds for number in numbers]
    with process_pool(usable_cores()) as pool:
        said = np.array(list(pool.map(compare, *zip(*jobs, strict=True))))
    read = int((~np.isnan(said).all(axis=(1, 2, 3))).sum())
    click.echo(f"{read} of {len(said)} clips")
    for row, name in enumerate(WAYS):
        click.echo(name)
        for part, of in ((REGIONS, "regions"), (OTHERS, "others")):
            correlation, share, left = said[:, row, part].reshape(-1, 3).T
            figures = f"{np.nanmean(correlation):.3f}, {np.nanmedian(share):.3f}, {1000 * np.nanmedian(left):.2f}"
            click.echo(f"  {of}: {figures}")


if __name__ == "__main__":
    main()
