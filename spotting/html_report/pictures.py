"""The moving and the still pictures of a report, in one pass over the video."""

import base64
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ...extract.features import FaceFeatures
from ...extract.pipeline import Progress
from ...extract.reading.video import open_video
from ..facial_motion import REGIONS, facial_motion
from ..intervals import Spot
from ..output.encoding import video_writer
from ..output.face_drawing import LINES, face_at, in_picture, region_centres, square_around
from ..output.privacy import blur_others
from .options import ReportOptions

STILL_SIZE = 176  # pixels a side
_JPEG_QUALITY = 80
COPY_HEIGHT = 360  # pixels at most
COPY_BYTES = 13_000_000  # of a copy at most, so that a report of ten minutes stays under 25 MB
_COPY_BIT_RATE = 500_000
_ARROW_LENGTH = 0.17  # of a still's side, for the longest arrow
_LEAST_ARROW = 0.25  # of the longest one
_LARGEST_FACTOR = 12  # times that a movement is drawn too large


@dataclass(frozen=True)
class Arrow:
    """From where a region was to where it went, in pixels of a still."""

    x: float
    y: float
    to_x: float
    to_y: float


@dataclass(frozen=True)
class Moment:
    """Onset, apex or offset of an event. picture: data URI of a JPEG, None in an anonymous report or where there is no
    picture. lines: the drawn face as SVG points, one string a line; only where there is no picture."""

    name: str
    frame: int
    seconds: float
    picture: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Filmstrip:
    """Three moments of an event in the same cut-out, and how its regions moved, `factor` times as far as they did."""

    moments: tuple[Moment, ...]
    arrows: tuple[Arrow, ...]
    factor: float


@dataclass(frozen=True)
class Pictures:
    """filmstrips: one for every event. copy: bytes of an MP4 file, None where the report has none."""

    filmstrips: tuple[Filmstrip, ...]
    copy: bytes | None


def take_pictures(
    spots: Iterable[Spot],
    features: FaceFeatures,
    video: str | os.PathLike[str],
    options: ReportOptions,
    *,
    fps: float | None = None,
    progress: Progress | None = None,
) -> Pictures:
    """The pictures of a report. An anonymous one is made of the features alone; the video is not opened.

    progress: called as (frames done, frames in all). Raises VideoNotFoundError, NotAVideoError, OSError.
    """
    spots = tuple(spots)
    squares = [_square(spot, features) for spot in spots]
    wanted: dict[int, list[int]] = {}
    for number, (spot, square) in enumerate(zip(spots, squares, strict=True)):
        for frame in {spot.onset_frame, spot.apex_frame, spot.offset_frame} if square is not None else ():
            wanted.setdefault(frame, []).append(number)
    stills: dict[tuple[int, int], str] = {}
    copy = None
    if not options.anonymous and (wanted or options.copies):
        if options.copies:
            # In memory: a temporary file with faces in it would stay where this process was killed.
            file = io.BytesIO()
            stills = _read(video, fps, features, squares, wanted, options, file, progress)
            copy = file.getvalue()
        else:
            stills = _read(video, fps, features, squares, wanted, options, None, progress)
    strips = [
        _filmstrip(spot, square, features, {f: stills.get((number, f)) for f in wanted})
        for number, (spot, square) in enumerate(zip(spots, squares, strict=True))
    ]
    return Pictures(tuple(strips), copy)


def _square(spot: Spot, features: FaceFeatures) -> tuple[float, float, float] | None:
    """One cut-out for all three moments: only in that does a movement show."""
    faces = [face_at(features, f) for f in (spot.onset_frame, spot.apex_frame, spot.offset_frame)]
    seen = [points for points in faces if points is not None]
    return square_around(np.concatenate(seen)) if seen else None


def _read(
    video: str | os.PathLike[str],
    fps: float | None,
    features: FaceFeatures,
    squares: list[tuple[float, float, float] | None],
    wanted: dict[int, list[int]],
    options: ReportOptions,
    copy: io.BytesIO | None,
    progress: Progress | None,
) -> dict[tuple[int, int], str]:
    """(event, frame) -> still. Reads from the beginning: only counting decoded frames is sure to hit the right one."""
    stills = {}
    last = features.timebase.n_frames - 1 if copy is not None else max(wanted, default=-1)

    def through(write: Callable[[np.ndarray, float], None] | None) -> None:
        shown = None
        with open_video(video, fps) as stream:
            for frame in stream.pending():
                if frame.index > last:
                    break
                if progress is not None:
                    progress(frame.index + 1, last + 1)
                if write is None and frame.index not in wanted:
                    continue
                developed = frame.develop()
                if developed is not None:
                    shown = developed.rgb
                    if options.blur_others:
                        shown = blur_others(shown, face_at(features, frame.index))
                    for event in wanted.get(frame.index, ()):
                        stills[event, frame.index] = _jpeg(_cut(shown, *squares[event]))
                if write is not None and shown is not None:
                    write(_shrunk(shown), frame.time)

    if copy is None:
        through(None)
        return stills
    bit_rate = min(_COPY_BIT_RATE, int(8 * COPY_BYTES / max(features.timebase.duration_s, 1.0)))
    with video_writer(copy, features.timebase.fps, crf=29.0, bit_rate=bit_rate) as writer:
        through(writer.write)
    return stills


def _filmstrip(
    spot: Spot, square: tuple[float, float, float] | None, features: FaceFeatures, pictures: dict[int, str | None]
) -> Filmstrip:
    moments = []
    times = (("onset", spot.onset_frame, spot.onset_s), ("apex", spot.apex_frame, spot.apex_s),
             ("offset", spot.offset_frame, spot.offset_s))  # fmt: skip
    for name, frame, seconds in times:
        points = face_at(features, frame)
        picture = pictures.get(frame)
        lines: tuple[str, ...] = ()
        if picture is None and points is not None and square is not None:
            at = _in_still(points, square)
            lines = tuple(" ".join(f"{x:.1f},{y:.1f}" for x, y in at[list(line)]) for line in LINES)
        moments.append(Moment(name, frame, seconds, picture, lines))
    arrows, factor = _arrows(spot, square, features)
    return Filmstrip(tuple(moments), arrows, factor)


def _arrows(
    spot: Spot, square: tuple[float, float, float] | None, features: FaceFeatures
) -> tuple[tuple[Arrow, ...], float]:
    """The way of every region from onset to apex, drawn where it is at the apex, and how many times too long."""
    explanation, points = spot.explanation, face_at(features, spot.apex_frame)
    if explanation is None or not explanation.moved or square is None or points is None:
        return (), 1.0
    timebase = features.timebase
    onset, apex = (timebase.tick_of_seconds(s) for s in (spot.onset_s, spot.apex_s))
    way = facial_motion(features, onset, apex).paths[-1]
    moved = {(m.region, m.side) for m in explanation.moved}
    rows = [i for i, region in enumerate(REGIONS) if (region.name, region.side) in moved]
    way = in_picture(way[rows], points) * STILL_SIZE / square[2]
    longest = float(np.linalg.norm(way, axis=1).max())
    factor = min(max(round(_ARROW_LENGTH * STILL_SIZE / max(longest, 1e-6)), 1), _LARGEST_FACTOR)
    starts = _in_still(region_centres(points)[rows], square)
    ends = starts + factor * way
    arrows = (
        Arrow(*(round(float(v), 1) for v in (*a, *b)))
        for a, b, w in zip(starts, ends, way, strict=True)
        if np.linalg.norm(w) >= _LEAST_ARROW * longest
    )
    return tuple(arrows), float(factor)


def _in_still(points: np.ndarray, square: tuple[float, float, float]) -> np.ndarray:
    x, y, side = square
    return (points - [x - side / 2, y - side / 2]) * (STILL_SIZE / side)


def _cut(rgb: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    """(STILL_SIZE, STILL_SIZE, 3), black beyond the picture's edge."""
    import cv2

    low_x, low_y, size = round(x - side / 2), round(y - side / 2), max(round(side), 1)
    cut = np.zeros((size, size, 3), np.uint8)
    height, width = rgb.shape[:2]
    part = rgb[max(low_y, 0) : min(low_y + size, height), max(low_x, 0) : min(low_x + size, width)]
    cut[max(-low_y, 0) : max(-low_y, 0) + part.shape[0], max(-low_x, 0) : max(-low_x, 0) + part.shape[1]] = part
    shrinking = size > STILL_SIZE
    return cv2.resize(cut, (STILL_SIZE, STILL_SIZE), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)


def _shrunk(rgb: np.ndarray) -> np.ndarray:
    import cv2

    height, width = rgb.shape[:2]
    if height <= COPY_HEIGHT:
        return rgb
    size = (max(round(width * COPY_HEIGHT / height / 2) * 2, 2), COPY_HEIGHT)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def _jpeg(rgb: np.ndarray) -> str:
    import cv2

    done, data = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise OSError("a still could not be encoded as JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
