"""Animates a still photograph of a face into a video whose movements are known.

The chain is the one of a real recording: skin moves, the head moves, the camera looks, the sensor adds noise, the
encoder loses
detail. What is not modelled: wrinkles and bulges (shading that changes with the muscles), teeth that were not in the
still, shadows, motion blur.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ...extract.regions import KEPT_MESH_POINTS
from .camera import SceneOptions, SceneTracks, Sensor, draw_tracks
from .still import Still
from .warp import FaceWarp


class Camera:
    """The still at output scale, and the affine views of it."""

    def __init__(self, still: Still, options: SceneOptions) -> None:
        self.size = options.size
        zoom = options.face_width * options.size[0] / still.iod
        image = still.image
        if zoom != 1.0:
            # Shrinking must average, or fine texture would flicker as the face moves.
            image = cv2.resize(
                image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
            )
        zoom_x, zoom_y = image.shape[1] / still.image.shape[1], image.shape[0] / still.image.shape[0]
        if options.blur > 0:
            image = cv2.GaussianBlur(image, (0, 0), options.blur)
        # Pixel centres: position p of the still is at zoom * (p + 1/2) - 1/2.
        scaled = still.landmarks * (zoom_x, zoom_y, zoom_x)
        scaled[:, :2] += (zoom_x / 2 - 0.5, zoom_y / 2 - 0.5)
        self.still = Still(image, scaled)
        self._centre = scaled[:468, :2].mean(axis=0)
        low = np.minimum(self._centre - np.array(self.size) / 2, np.array(image.shape[1::-1]) - self.size)
        self._corner = np.maximum(low, np.minimum(0, (np.array(image.shape[1::-1]) - self.size) / 2))

    def view(self, x: float, y: float, roll: float, scale: float) -> np.ndarray:
        """(2, 3) affine from output to canvas pixels, when the camera moves the picture by a similarity about the
        face.
        """
        shift = np.array([x, y]) * self.still.iod
        turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]) / scale
        # output o shows canvas c = centre + turn (o + corner - centre - shift)
        return np.column_stack([turn, self._centre + turn @ (self._corner - self._centre - shift)])

    def to_output(self, points: np.ndarray) -> np.ndarray:
        """Canvas pixels (..., 2) to output pixels of the unmoved camera."""
        return points - self._corner


def render_frames(
    still: Still,
    displacement: np.ndarray,
    scene: SceneOptions,
    rng: np.random.Generator,
    tracks: SceneTracks | None = None,
) -> Iterator[np.ndarray]:
    """Frames (height, width, 3) uint8 RGB of the still's face, one per row of `displacement`.

    displacement: (T, K, 2) of `regions.KEPT_MESH_POINTS` at the frames' times, in IOD, x right and y down, against
    the still. tracks: what head,
    camera and light do; drawn from `scene` when None. The same arguments and generator state give the same frames.
    Raises ValueError for a displacement of another shape or tracks of another length.
    """
    displacement = np.asarray(displacement, dtype=np.float64)
    if displacement.ndim != 3 or displacement.shape[1:] != (len(KEPT_MESH_POINTS), 2):
        raise ValueError(f"displacement must be (T, {len(KEPT_MESH_POINTS)}, 2), got {displacement.shape}")
    if tracks is None:
        tracks = draw_tracks(scene, len(displacement), rng)
    if len(tracks.head) != len(displacement):
        raise ValueError(f"tracks of {len(tracks.head)} frames do not fit {len(displacement)} frames of displacement")
    camera = Camera(still, scene)
    warp = FaceWarp(camera.still)
    sensor = Sensor(scene, rng)
    for frame, moves in enumerate(displacement):
        picture = warp.render(moves, tracks.pose(frame), camera.view(*tracks.camera[frame]), scene.size)
        yield sensor.record(picture, float(tracks.gain[frame]), float(tracks.gamma[frame]))


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    crf: float | None = 20.0,
    bit_rate: int | None = None,
    preset: str = "medium",
) -> int:
    """Write RGB frames (H, W, 3) uint8 of even size as H.264 and return their number.

    fps: frames per second, exact for whole and NTSC rates. crf: constant quality, lower is better; ignored when
    bit_rate (bits per second) is given. The same frames mostly give the same file; x264 gives another one now and
    then (four of nine times for one clip, none of twelve without its macroblock tree, `mbtree=0`).
    Raises ValueError for no frames or an odd size.
    """
    import av

    rate = Fraction(fps).limit_denominator(1001)
    count = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"
        # One thread: x264's rate control depends on their number, and a file should be the same on every machine.
        stream.codec_context.thread_count = 1
        stream.options = {"preset": preset} | ({} if bit_rate is not None else {"crf": str(crf)})
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for picture in frames:
            if count == 0:
                stream.height, stream.width = picture.shape[:2]
                if stream.height % 2 or stream.width % 2:
                    raise ValueError(f"H.264 needs an even size, got {stream.width}x{stream.height}")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            count += 1
        if count == 0:
            raise ValueError("a video needs at least one frame")
        container.mux(stream.encode())
    return count
