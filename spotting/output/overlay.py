"""The video with what was measured drawn into it: the face's lines, how its regions move, and the running curve."""

import os
from pathlib import Path

import cv2
import numpy as np

from ...extract.features import SNIPPET_REACH, FaceFeatures
from ...extract.pipeline import Progress
from ...extract.reading.video import open_video
from ...files import replacing
from ..result import SpotResult
from .encoding import video_writer
from .face_drawing import LINES, ROI_ROWS, face_at, in_picture
from .plot import COLOURS
from .privacy import blur_others as blurred

MAX_HEIGHT = 720  # pixels of the picture, without the strip of curves
_STRIP = 0.16  # its height, as a part of the picture's
_AROUND_S = 3.0  # of the curve before and after the moment shown
ARROW_FACTOR = 6.0  # times that movements are drawn too large
_LINE, _ARROW, _PAPER, _INK = (150, 205, 245), (255, 212, 0), (245, 247, 249), (40, 48, 56)
_RGB = {kind: tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for kind, colour in COLOURS.items()}


def write_overlay(
    result: SpotResult,
    features: FaceFeatures,
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    blur_others: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write an MP4 of every frame of `result.video` at its own time, without sound.

    Arrows show each region's movement over the last quarter second (eight ticks), `ARROW_FACTOR` times too large.
    progress: called as (frames done, frames in all).
    Raises VideoNotFoundError, NotAVideoError, and OSError where it cannot be written.
    """
    timebase = result.timebase
    with (
        replacing(path) as temporary,
        open_video(result.video, fps) as stream,
        video_writer(Path(temporary), timebase.fps, crf=24.0) as writer,
    ):
        for frame in stream.pending():
            developed = frame.develop()
            if developed is None or frame.index >= timebase.n_frames:
                continue
            points = face_at(features, frame.index)
            picture = blurred(developed.rgb, points) if blur_others else developed.rgb
            if progress is not None:
                progress(frame.index + 1, timebase.n_frames)
            writer.write(_drawn(picture, points, result, features, frame.index), frame.time)


def _drawn(
    rgb: np.ndarray, points: np.ndarray | None, result: SpotResult, features: FaceFeatures, frame: int
) -> np.ndarray:
    scale = min(1.0, MAX_HEIGHT / rgb.shape[0])
    width, height = (round(v * scale) // 2 * 2 for v in rgb.shape[1::-1])
    picture = (
        cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else rgb[:height, :width].copy()
    )
    tick = result.timebase.tick_of_frame(frame)
    if points is not None:
        points = points * scale
        thick = max(round(height / 500), 1)
        for line in LINES:
            cv2.polylines(picture, [np.round(points[list(line)]).astype(np.int32)], False, _LINE, thick, cv2.LINE_AA)
        ways = in_picture(np.asarray(features.snippets[tick, SNIPPET_REACH], np.float64), points)
        for rows, way in zip(ROI_ROWS, ARROW_FACTOR * ways, strict=True):
            centre = points[list(rows)].mean(axis=0)
            ends = [tuple(int(v) for v in np.round(p)) for p in (centre, centre + way)]
            cv2.circle(picture, ends[0], 2 * thick, _ARROW, -1, cv2.LINE_AA)
            cv2.arrowedLine(picture, *ends, _ARROW, thick + 1, cv2.LINE_AA, tipLength=0.25)
    return np.vstack([picture, _strip(result, frame, tick, width, max(round(height * _STRIP / 2) * 2, 60))])


def _strip(result: SpotResult, frame: int, tick: int, width: int, height: int) -> np.ndarray:
    """(height, width, 3) the intensity around a tick, the events in it, and which frame this is."""
    strip = np.full((height, width, 3), _PAPER, np.uint8)
    rate = result.timebase.rate
    reach = _AROUND_S * rate
    top, floor = 18, height - 6

    def x_of(ticks: np.ndarray | float) -> np.ndarray:
        return (np.asarray(ticks) - tick + reach) / (2 * reach) * width

    now = ""
    for spot in result.spots:
        a, b = (int(np.clip(x_of(s * rate), 0, width)) for s in (spot.onset_s, spot.offset_s))
        if b > a:
            strip[top:floor, a:b] = (0.65 * np.array(_PAPER) + 0.35 * np.array(_RGB[spot.type])).astype(np.uint8)
        if spot.onset_frame <= frame <= spot.offset_frame:
            now = f"  {spot.type} {spot.confidence:.2f}"
    first, last = max(int(tick - reach), 0), min(int(tick + reach) + 1, len(result.intensity))
    ticks = np.arange(first, last)
    seen = result.segment[first:last] >= 0
    y = floor - result.intensity[first:last] * (floor - top)
    line = np.round(np.stack([x_of(ticks), y], axis=1)).astype(np.int32)
    for part in np.split(np.arange(len(ticks)), np.flatnonzero(np.diff(seen.astype(np.int8))) + 1):
        if len(part) and seen[part[0]]:
            cv2.polylines(strip, [line[part]], False, _INK, 2, cv2.LINE_AA)
    cv2.line(strip, (width // 2, top), (width // 2, floor), (200, 20, 20), 1)
    text = f"frame {frame}  {result.timebase.frame_times[frame]:.3f} s{now}"
    cv2.putText(strip, text, (6, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return strip
