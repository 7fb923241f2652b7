"""What a report knows of one video, as JSON for the page: times, curves, events."""

import base64
from typing import Any

import numpy as np

from ...extract.features import FaceFeatures
from ..output.face_drawing import LINES, PUPILS
from ..result import SpotResult
from ..voice import is_heard

_RUN_SLACK_S = 2e-4  # frames this near to even spacing are written as a run
_PLACE_STEPS = 30_000  # of the picture's longer side: a fraction of a pixel


def page_data(result: SpotResult, features: FaceFeatures, *, with_mesh: bool) -> dict[str, Any]:
    """JSON-serialisable. Curves are bytes 0..255 in base64, one for each tick. with_mesh: the drawn face as well."""
    timebase = result.timebase
    curves = {"intensity": result.intensity}
    if result.scores is not None:
        curves |= {"macro": result.scores[:, 0], "micro": result.scores[:, 1]}
    if result.speaking is not None:
        curves["speech"] = result.speaking
    data: dict[str, Any] = {
        "rate": timebase.rate,
        "ticks": timebase.n_ticks,
        "duration": round(timebase.duration_s, 6),
        "frames": frame_times(timebase.frame_times),
        "curves": {name: _as_bytes(values) for name, values in curves.items()},
        "faceless": faceless_spans(result),
        "voice": voice_spans(result),
        "events": [
            {
                "type": s.type,
                "confidence": round(s.confidence, 4),
                "speech": None if s.explanation is None else s.explanation.speech,
                "seconds": [round(v, 6) for v in (s.onset_s, s.apex_s, s.offset_s)],
                "frames": [s.onset_frame, s.apex_frame, s.offset_frame],
            }
            for s in result.spots
        ],
    }
    if with_mesh:
        data["mesh"] = _mesh(features)
    return data


def frame_times(times: np.ndarray) -> dict[str, Any]:
    """Times (F,) of all frames in seconds, as `runs` where the rate is constant or nearly so, else in `microseconds`
    (uint32 in base64, of a recording of up to an hour; a longer one always in runs)."""
    runs = frame_runs(times)
    if 4 * len(runs) > len(times) > 8 and times[-1] < 4000:
        packed = np.round(times * 1e6).astype("<u4")
        return {"microseconds": base64.b64encode(packed.tobytes()).decode("ascii")}
    return {"runs": runs}


def frame_runs(times: np.ndarray) -> list[list[float]]:
    """[number of frames, seconds of the first, seconds between them] of evenly spaced stretches of (F,) times.

    What is rebuilt from them is within a fifth of a millisecond of the truth.
    """
    runs, start, n = [], 0, len(times)
    while start < n:
        # The longest even stretch from here: growing steps while it is even, then shrinking ones.
        good, step, growing = start + 1, 1, True
        while step:
            end = min(good + step, n)
            if end > good and _is_even(times[start:end]):
                good = end
                step = 2 * step if growing else step
            else:
                growing = False
                step //= 2
        count = good - start
        spacing = (times[good - 1] - times[start]) / (count - 1) if count > 1 else 0.0
        runs.append([count, round(float(times[start]), 6), round(float(spacing), 9)])
        start = good
    return runs


def _is_even(times: np.ndarray) -> bool:
    return bool(np.abs(times - np.linspace(times[0], times[-1], len(times))).max() < _RUN_SLACK_S)


def faceless_spans(result: SpotResult) -> list[list[float]]:
    """[start, end] in seconds of every stretch without a usable face."""
    return _spans(result.segment < 0, result.timebase.rate)


def voice_spans(result: SpotResult) -> list[list[float]]:
    """[start, end] in seconds of every stretch in which a voice is heard; none where no sound was listened to."""
    rate = result.timebase.rate
    return [] if result.voice is None else _spans(is_heard(result.voice, rate), rate)


def _spans(ticks: np.ndarray, rate: float) -> list[list[float]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ticks, [False]]).astype(np.int8)))
    return [[round(a / rate, 3), round(b / rate, 3)] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _as_bytes(values: np.ndarray) -> str:
    return base64.b64encode(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes()).decode("ascii")


def _mesh(features: FaceFeatures) -> dict[str, Any]:
    """The kept points of every tick as int16 in base64, (N, K, 2), -32768 where there is no face, and how to join
    them."""
    source = features.provenance.get("source", {})
    places = np.asarray(features.landmarks, np.float32)[..., :2]
    seen = np.isfinite(places).all(axis=(1, 2))
    width, height = source.get("width"), source.get("height")
    if not width or not height:
        width, height = (float(v) for v in np.ceil(1.1 * places[seen].reshape(-1, 2).max(axis=0)))
    scale = _PLACE_STEPS / max(width, height)
    whole = np.clip(np.nan_to_num(places) * scale, -32767, 32767).round().astype("<i2")
    whole[~seen] = -32768
    return {
        "points": base64.b64encode(whole.tobytes()).decode("ascii"),
        "count": places.shape[1],
        "width": width,
        "height": height,
        "scale": scale,
        "lines": LINES,
        "pupils": PUPILS,
    }
