"""Expressions added to the pixels of a recording, for `sensitivity`: every later stage meets them as real ones.

Skin is moved by a smooth field through the landmarks, fading out beyond them; lips and lids do not part, so this is for
movements of a few hundredths of the inter-ocular distance (IOD). The warped recording is stored without loss: what a
camera's own compression does to small movements it has done before.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from ...extract.features import FaceFeatures
from ...extract.motion.geometry import similarity_to
from ...extract.options import ExtractOptions
from ...extract.pipeline import extract_features
from ...extract.reading.video import open_video
from ...extract.regions import KEPT_INDEX, RIGID_MESH_POINTS
from ...files import temporary_files, temporary_folder
from .anatomy import neutral_face
from .sensitivity import Addition

_TIME_BASE = Fraction(1, 90000)
_GRID_IOD = 0.08  # nodes of the displacement field
_FULL_IOD, _ROOM_IOD = 0.25, 0.6  # from the nearest landmark: where the field is whole, and where it has faded out
_SMOOTHING = 1e-3
_RIGID_ROWS = np.array([KEPT_INDEX[p] for p in RIGID_MESH_POINTS])


def pixel_reader(
    video: Path, fps: float | None, options: ExtractOptions
) -> Callable[[FaceFeatures, Sequence[Addition]], FaceFeatures]:
    """For `measure_sensitivity(read=...)`: adds to the frames of a recording and extracts its features anew.

    fps, options: as the recording was extracted with. Raises what `extract_features` raises.
    """

    def read(features: FaceFeatures, additions: Sequence[Addition]) -> FaceFeatures:
        with temporary_folder() as folder:
            warped = folder / "warped.mkv"
            with temporary_files():
                _write_lossless(warped, warped_frames(video, fps, features, additions))
            return extract_features(warped, options)

    return read


def warped_frames(
    video: Path, fps: float | None, features: FaceFeatures, additions: Sequence[Addition]
) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds, (H, W, 3) uint8) of every frame of the recording, with the additions in those they last for."""
    clock = features.timebase
    with open_video(video, fps) as stream:
        for frame in stream:
            tick = frame.time * clock.rate
            picture = frame.rgb
            for addition in additions:
                at = tick - addition.truth.onset
                if 0 <= at <= len(addition.displacement) - 1:
                    low = int(at)
                    part = at - low
                    after = addition.displacement[min(low + 1, len(addition.displacement) - 1)]
                    move = (1 - part) * addition.displacement[low] + part * after
                    landmarks = np.asarray(features.landmarks[min(round(tick), clock.n_ticks - 1)], np.float64)
                    picture = warp_face(picture, landmarks, move)
            yield frame.time, picture


def warp_face(picture: np.ndarray, landmarks: np.ndarray, move: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3) with its face moved. landmarks: (K, 3) in pixels; move: (K, 2) in IOD of the picture."""
    _, scale, _, _ = similarity_to(neutral_face()[_RIGID_ROWS], landmarks[None, _RIGID_ROWS])
    iod = float(1 / scale[0])
    points = landmarks[:, :2]
    low = np.maximum(np.floor(points.min(axis=0) - _ROOM_IOD * iod), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + _ROOM_IOD * iod), picture.shape[1::-1]).astype(int)
    width, height = high - low
    if width < 2 or height < 2:
        return picture
    step = max(_GRID_IOD * iod, 1.0)
    columns, rows = (max(2, round(length / step)) for length in (width, height))
    x, y = np.meshgrid(np.linspace(low[0], high[0], columns), np.linspace(low[1], high[1], rows))
    nodes = np.column_stack([x.ravel(), y.ravel()])
    field = RBFInterpolator(points / iod, move * iod, smoothing=_SMOOTHING)(nodes / iod)
    nearest = np.min(np.linalg.norm(nodes[:, None] - points[None], axis=2), axis=1) / iod
    field *= np.clip((_ROOM_IOD - nearest) / (_ROOM_IOD - _FULL_IOD), 0, 1)[:, None]
    grid = field.reshape(rows, columns, 2).astype(np.float32)
    dense = cv2.resize(grid, (int(width), int(height)), interpolation=cv2.INTER_CUBIC)
    at_x, at_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    # Where a pixel shows what was a displacement away: exact for the small movements this is for.
    part = picture[low[1] : high[1], low[0] : high[0]]
    moved = cv2.remap(
        part, at_x - dense[..., 0], at_y - dense[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    out = picture.copy()
    out[low[1] : high[1], low[0] : high[0]] = moved
    return out


def _write_lossless(path: Path, frames: Iterator[tuple[float, np.ndarray]]) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = _TIME_BASE
        for number, (seconds, picture) in enumerate(frames):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = round(seconds / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
