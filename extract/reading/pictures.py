"""From a decoded frame to the picture as it is meant to be seen: RGB, upright, of a size that fits into memory."""

import io
import math

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

# UHD and cinema 4K pass as they are. Extraction holds about a second of pictures, which at 8K were 2.5 GB.
MOST_PIXELS = 4096 * 2304
# Formats whose first plane is the brightness of each pixel, a byte; in the latter always over the full range.
_FULL_RANGE = frozenset({"yuvj420p", "yuvj422p", "yuvj444p"})
_BRIGHTNESS_FIRST = _FULL_RANGE | {"yuv420p", "yuv422p", "yuv444p", "nv12", "nv21"}
# Black is stored as 16 and white as 235: a factor and what is added. No level comes so near to a half that it mattered
# how this is rounded.
_TO_FULL_RANGE = np.array([[255 / 219, -16 * 255 / 219]])
_EXIF_ORIENTATION = 0x0112
# EXIF orientations 2 to 8 as in `display_matrix`.
_EXIF_MATRICES = {
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}


def fitting_size(width: int, height: int) -> tuple[int, int]:
    """The (width, height) a picture of that size is read at: its own up to `MOST_PIXELS`, else as many in its shape."""
    shrink = math.sqrt(MOST_PIXELS / (width * height))
    return (width, height) if shrink >= 1 else (math.floor(width * shrink), math.floor(height * shrink))


def to_rgb(frame: av.VideoFrame, size: tuple[int, int], reformatter: VideoReformatter | None = None) -> np.ndarray:
    """(H, W, 3) uint8 of size (width, height), as coded; a reformatter that is used again saves its preparations."""
    width, height = size
    how = Interpolation.AREA if frame.width * frame.height > MOST_PIXELS else None
    reformat = (reformatter or VideoReformatter()).reformat
    return reformat(frame, width=width, height=height, format="rgb24", interpolation=how).to_ndarray()


def stores_brightness(frame: av.VideoFrame, size: tuple[int, int]) -> bool:
    """Whether `brightness` can be read off a frame that is wanted at a size (width, height)."""
    whole = size == (frame.width, frame.height)
    return whole and frame.format.name in _BRIGHTNESS_FIRST and frame.planes[0].line_size >= frame.width


def brightness(frame: av.VideoFrame) -> np.ndarray:
    """(H, W) uint8, as coded, from black 0 to white 255. In a fifth of the time that it takes by way of RGB."""
    import cv2

    plane = frame.planes[0]
    stored = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    if frame.format.name in _FULL_RANGE or frame.color_range == ColorRange.JPEG:
        return stored.copy()
    return cv2.transform(stored, _TO_FULL_RANGE)


def display_matrix(frame: av.VideoFrame, image: bytes | None = None) -> np.ndarray | None:
    """The (2, 2) part that turns coded into shown coordinates (x right, y down; point = x, y), in any scale.

    image: the file the frame is the whole of.
    """
    # Not `frame.side_data`: the frame keeps that, and it the frame, so that both stay in memory until Python looks for
    # such circles, which it does ever more rarely the more a process holds.
    try:
        side_data = SideDataContainer(frame).get("DISPLAYMATRIX")
    except ValueError:
        # PyAV has no name for some kinds of side data that FFmpeg attaches, EXIF among them, and then gives out none.
        matrix = None if image is None else _exif_matrix(image)
        return _turn(frame.rotation) if matrix is None else matrix
    if side_data is None:
        return None
    matrix = np.frombuffer(bytes(side_data), dtype=np.int32)[:9].reshape(3, 3)
    return matrix[:2, :2].T.astype(np.float64)


def _exif_matrix(image: bytes) -> np.ndarray | None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image)) as opened:
            orientation = opened.getexif().get(_EXIF_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError):
        return None
    return np.array(_EXIF_MATRICES.get(orientation, ((1, 0), (0, 1))), np.float64)


def _turn(degrees: int) -> np.ndarray:
    """The matrix of a turn counterclockwise."""
    sine, cosine = round(math.sin(math.radians(degrees))), round(math.cos(math.radians(degrees)))
    return np.array([[cosine, sine], [-sine, cosine]], np.float64)


def orient(rgb: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Apply the nearest of the eight turns and flips, which is all phones and EXIF know; contiguous."""
    if matrix is None:
        return np.ascontiguousarray(rgb)
    if abs(matrix[0, 1]) + abs(matrix[1, 0]) > abs(matrix[0, 0]) + abs(matrix[1, 1]):
        rgb = rgb.swapaxes(0, 1)
        to_x, to_y = matrix[0, 1], matrix[1, 0]
    else:
        to_x, to_y = matrix[0, 0], matrix[1, 1]
    return np.ascontiguousarray(rgb[:: -1 if to_y < 0 else 1, :: -1 if to_x < 0 else 1])
