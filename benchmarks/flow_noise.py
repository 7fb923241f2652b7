"""How well facial flow measures: noise, head motion left over, response to small expressions, and cost.

A still portrait is animated with known motion, given sensor noise, coded as H.264 and decoded; the face mesh of the
still is moved along exactly and jittered as a detector would. Run as
`python benchmarks/flow_noise.py [--faces FOLDER] [--seconds S]`; scikit-image's astronaut is always measured.
"""

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import click
import cv2
import numpy as np
from facespot.extract.motion.alignment import ALIGNMENTS
from facespot.extract.motion.flow import FLOW_METHODS, N_SAMPLES, sample_points
from facespot.extract.motion.snippets import build_snippets
from facespot.extract.reading.frames import FaceFrame
from facespot.extract.regions import EYE_CORNERS, ROI_MESH_POINTS, ROI_NAMES

FPS = 30
PICTURE = 448  # px, side of the rendered pictures
MARGIN = 5.0  # pictures are this many inter-ocular distances wide
SENSOR_NOISE = 2.0  # gray levels
MESH_JITTER = 0.004  # x inter-ocular distance, per axis: what FaceMesh shows frame to frame on a still person
ONSET_TICK, ONSET_TICKS = 30, 6  # the small expressions: raised cosine, then held
BUMP = 0.25  # x inter-ocular distance: standard deviation of a local warp


@dataclass(frozen=True, eq=False)
class Still:
    """A portrait cut around its face. rgb: (PICTURE, PICTURE, 3) uint8; mesh: (478, 3) px; iod: px."""

    name: str
    rgb: np.ndarray
    mesh: np.ndarray

    @property
    def eyes(self) -> np.ndarray:
        return np.stack([self.mesh[list(EYE_CORNERS[side]), :2].mean(0) for side in ("image_left", "image_right")])

    @property
    def iod(self) -> float:
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


def find_mesh(rgb: np.ndarray) -> np.ndarray:
    """(478, 3) mesh points in pixels of the one face in a still picture; ValueError without one."""
    import mediapipe

    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as face_mesh:
        found = face_mesh.process(rgb).multi_face_landmarks
    if not found:
        raise ValueError("no face in the picture")
    height, width = rgb.shape[:2]
    return np.array([(p.x * width, p.y * height, p.z * width) for p in found[0].landmark], np.float32)


def load_still(name: str, rgb: np.ndarray) -> Still:
    """The face of a picture, centred and brought to a common size."""
    rough = Still(name, rgb, find_mesh(rgb))
    centre = rough.mesh[:, :2].mean(0)
    scale = PICTURE / (MARGIN * rough.iod)
    shift = PICTURE / 2 - scale * centre
    warp = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    cut = cv2.warpAffine(rgb, warp, (PICTURE, PICTURE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return Still(name, cut, (rough.mesh * scale + [*shift, 0.0]).astype(np.float32))


# From positions (..., 3) around the face's middle (z away from the camera) and seconds to shifts (..., 2), all in IOD.
Motion = Callable[[np.ndarray, float], np.ndarray]


def still(points: np.ndarray, seconds: float) -> np.ndarray:
    return np.zeros_like(points[..., :2])


def sway(points: np.ndarray, seconds: float) -> np.ndarray:
    """A tenth of the inter-ocular distance sideways and half that up and down."""
    shift = np.array([0.1 * np.sin(2 * np.pi * 0.5 * seconds), 0.05 * np.sin(2 * np.pi * 0.7 * seconds)])
    return np.broadcast_to(shift, points[..., :2].shape)


def roll_and_scale(points: np.ndarray, seconds: float) -> np.ndarray:
    """4 degrees of roll, 3 % nearer and farther, on top of the sway."""
    turn = (1 + 0.03 * np.sin(2 * np.pi * 0.4 * seconds)) * np.exp(1j * np.radians(4) * np.sin(np.pi * seconds))
    moved = (points[..., 0] + 1j * points[..., 1]) * (turn - 1)
    return np.stack([moved.real, moved.imag], -1) + sway(points, seconds)


def turn(points: np.ndarray, seconds: float) -> np.ndarray:
    """6 degrees of yaw and 3 of pitch about a centre one inter-ocular distance behind the face's middle."""
    yaw, pitch = np.radians(6) * np.sin(np.pi * seconds), np.radians(3) * np.sin(1.4 * np.pi * seconds)
    x, y, z = points[..., 0], points[..., 1], points[..., 2] - 1.0
    x1, z1 = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    return np.stack([x1 - x, y * np.cos(pitch) - z1 * np.sin(pitch) - y], -1)


SMALL_EXPRESSIONS = {"image_left_brow_inner": (0.0, -1.0), "image_right_mouth_corner": (1.0, -0.5)}
HEAD_MOTIONS: dict[str, Motion] = {"still": still, "sway": sway, "roll+scale": roll_and_scale, "turn": turn}


def bump(face: Still, roi: int, towards: tuple[float, float]) -> Motion:
    """A local warp around an ROI that rises at ONSET_TICK and is held; `towards` is its shift in IOD."""
    mesh = (face.mesh[:, :2] - face.mesh[:, :2].mean(0)) / face.iod
    centre = mesh[list(ROI_MESH_POINTS[ROI_NAMES[roi]])].mean(0)

    def motion(points: np.ndarray, seconds: float) -> np.ndarray:
        rise = np.clip((seconds * FPS - ONSET_TICK) / ONSET_TICKS, 0.0, 1.0)
        near = np.exp(-((points[..., :2] - centre) ** 2).sum(-1) / (2 * BUMP**2))
        return (0.5 - 0.5 * np.cos(np.pi * rise)) * near[..., None] * np.array(towards)

    return motion


def render(face: Still, motion: Motion, n_frames: int, seed: int, crf: int | None) -> list[FaceFrame]:
    """The portrait under a motion, as the tracker would see it. crf: x264 quality, None leaves the coding out."""
    rng = np.random.default_rng(seed)
    centre = face.mesh[:, :2].mean(0)
    rows, columns = np.mgrid[0:PICTURE, 0:PICTURE]
    grid = (np.stack([columns, rows], -1) - centre) / face.iod
    depth = _depth(face, grid)
    hull = cv2.convexHull(np.rint(face.mesh[:, :2]).astype(np.int32))
    inside = cv2.fillConvexPoly(np.zeros((PICTURE, PICTURE), np.uint8), hull, 1)
    inside = cv2.dilate(inside, np.ones((3, 3), np.uint8), iterations=int(0.15 * face.iod))
    # The background rests: motion fades out beyond the face.
    mask = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.25 * face.iod)[..., None]
    mesh = np.concatenate([(face.mesh[:, :2] - centre) / face.iod, face.mesh[:, 2:] / face.iod], 1)
    pictures, meshes = [], []
    for index in range(n_frames):
        seconds = index / FPS
        source = grid
        for _ in range(4):  # which point of the still arrives here
            source = grid - mask * motion(np.concatenate([source, depth], -1), seconds)
        at = (source * face.iod + centre).astype(np.float32)
        picture = cv2.remap(face.rgb, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        noisy = picture + rng.normal(0, SENSOR_NOISE, picture.shape)
        pictures.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
        moved = face.mesh.copy()
        moved[:, :2] += motion(mesh, seconds) * face.iod
        meshes.append(moved + rng.normal(0, MESH_JITTER * face.iod, moved.shape).astype(np.float32))
    grays = _through_h264(pictures, crf) if crf is not None else [_gray(p) for p in pictures]
    return [FaceFrame(i, i / FPS, g, m, 0) for i, (g, m) in enumerate(zip(grays, meshes, strict=True))]


def _depth(face: Still, grid: np.ndarray) -> np.ndarray:
    """(H, W, 1) depth of the face at every pixel in IOD, that of the nearest mesh point outside the face."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

    mesh = (face.mesh[:, :2] - face.mesh[:, :2].mean(0)) / face.iod
    inner, outer = (kind(mesh, face.mesh[:, 2] / face.iod) for kind in (LinearNDInterpolator, NearestNDInterpolator))
    depth = inner(grid)
    return np.where(np.isnan(depth), outer(grid), depth)[..., None]


def _gray(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _through_h264(pictures: list[np.ndarray], crf: int) -> list[np.ndarray]:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast"})
        stream.width = stream.height = PICTURE
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [_gray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def timed_snippets(frames: list[FaceFrame], flow: str, alignment: str) -> tuple[np.ndarray, float]:
    """(N, 17, 10, 2) snippets and the milliseconds of processor time a frame took."""
    begin = time.process_time()
    snippets = np.stack([row.snippet for row in build_snippets(frames, flow=flow, alignment=alignment)])
    return snippets, 1e3 * (time.process_time() - begin) / len(frames)


def residue(snippets: np.ndarray, step: int) -> tuple[float, float]:
    """Root mean square displacement at a step that nobody's muscles made, (brows, mouth), in IOD; edges left out."""
    inner = snippets[9:-9, step]
    return tuple(float(np.sqrt((rois**2).sum(-1).mean())) for rois in (inner[:, :6], inner[:, 6:]))


def gain(snippets: np.ndarray, roi: int, towards: np.ndarray) -> float:
    """Measured share of a small expression's size, from snippets that begin before its onset and end after it."""
    held = snippets[ONSET_TICK + 7 : ONSET_TICK + 9, -1, roi]
    return float((held @ towards).mean() / (towards @ towards))


def bumped_shift(face: Still, roi: int, towards: np.ndarray) -> np.ndarray:
    """(2,) what the ROI's sample points truly move by when the bump is held, in IOD."""
    samples = sample_points(face.mesh, face.iod)[roi * N_SAMPLES : (roi + 1) * N_SAMPLES]
    around = (samples - [*face.mesh[:, :2].mean(0), 0.0]) / face.iod
    return np.median(bump(face, roi, tuple(towards))(around, 1e3), axis=0)


def tables(face: Still, seconds: float, crf: int) -> Iterator[str]:
    """The lines of one face's report."""
    n_frames = max(round(seconds * FPS), 2 * ONSET_TICK)
    yield f"{face.name}: residue in IOD (brows mouth) at step 8 and 16, ms of processor time a frame"
    for name, motion in HEAD_MOTIONS.items():
        frames = render(face, motion, n_frames, seed=1, crf=crf)
        for flow in FLOW_METHODS:
            for alignment in ALIGNMENTS:
                snippets, cost = timed_snippets(frames, flow, alignment)
                cells = "  ".join("{:.4f} {:.4f}".format(*residue(snippets, step)) for step in (8, 16))
                yield f"  {name:<10} {flow:<4} {alignment:<11} {cells}  {cost:5.1f}"
    yield f"{face.name}: response to small expressions (1 = all of it), without coding / coded at crf {crf}"
    for roi, direction in SMALL_EXPRESSIONS.items():
        for size in (0.01, 0.02, 0.04):
            towards = size * np.array(direction) / np.linalg.norm(direction)
            true = bumped_shift(face, ROI_NAMES.index(roi), towards)
            motion = bump(face, ROI_NAMES.index(roi), tuple(towards))
            takes = [render(face, motion, 2 * ONSET_TICK, seed=2, crf=c) for c in (None, crf)]
            for flow in FLOW_METHODS:
                gains = [gain(timed_snippets(t, flow, "pose")[0], ROI_NAMES.index(roi), true) for t in takes]
                yield f"  {roi:<24} {size:.2f} {flow:<4} " + " / ".join(f"{g:.2f}" for g in gains)


@click.command(help=__doc__)
@click.option("--faces", type=click.Path(exists=True, file_okay=False, path_type=Path), help="folder of more portraits")
@click.option("--seconds", default=2.0, show_default=True, help="length of each rendered recording")
@click.option("--crf", default=23, show_default=True, help="x264 quality of the rendered recordings")
def main(faces: Path | None, seconds: float, crf: int) -> None:
    from skimage import data

    cv2.setNumThreads(1)
    pictures = {"astronaut": data.astronaut()}
    for path in sorted(faces.glob("*.jpg")) if faces is not None else []:
        pictures[path.stem] = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    for name, rgb in pictures.items():
        for line in tables(load_still(name, rgb), seconds, crf):
            click.echo(line)


if __name__ == "__main__":
    main()
