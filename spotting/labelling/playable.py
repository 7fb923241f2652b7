"""Copies that a browser can play, with every frame of the original at its own time."""

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ...extract.reading.video import open_video

_TIME_BASE = Fraction(1, 90_000)
_HEIGHT = 720  # pixels at most: a copy is for looking at, and is made while somebody waits
_KEYFRAMES = 15  # frames from one to the next; few, so that jumps are quick


def write_playable(source: Path, target: Path, fps: float | None = None) -> None:
    """H.264 in MP4. fps: of a folder of images. Raises as `open_video`."""
    with open_video(source, fps) as stream, av.open(str(target), "w", options={"movflags": "faststart"}) as container:
        scale = min(1.0, _HEIGHT / stream.height)
        size = tuple(max(2, round(side * scale / 2) * 2) for side in (stream.width, stream.height))
        out = container.add_stream("libx264", rate=Fraction(stream.fps or 30).limit_denominator(1001))
        out.width, out.height, out.pix_fmt = *size, "yuv420p"
        out.codec_context.time_base = _TIME_BASE
        out.options = {"preset": "veryfast", "crf": "20", "g": str(_KEYFRAMES), "bf": "0"}
        for frame in stream:
            rgb = frame.rgb
            if rgb.shape[1::-1] != size:
                rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            picture.time_base, picture.pts = _TIME_BASE, round(frame.time / _TIME_BASE)
            container.mux(out.encode(picture))
        container.mux(out.encode())
