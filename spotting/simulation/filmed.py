"""Clips to learn from that went through pixels: performances of animated photographs, rendered, encoded and extracted.

What the face mesh and the flow make of moving pictures is then not simulated but measured. A clip takes a hundred times
as long as a simulated one, so that there are few, and all are of the faces of `faces`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from ...errors import NoFaceError
from ...extract.features import FaceFeatures
from ...extract.motion.geometry import geometry_channels
from ...extract.pipeline import extract_features
from ...processes import process_pool
from .camera import SceneOptions
from .corpus import QUIET_SHARE, Clip, ClipBatch, batch_clips, draw_performance
from .faces import close_up, draw_face, photographs
from .recording import draw_scene, film
from .stage import Performance
from .still import Still

# Ticks of a clip -> share of all clips; lengths of `corpus.CLIP_TICKS`.
FILMED_TICKS: dict[int, float] = {480: 0.35, 240: 0.45, 120: 0.2}
_LABORATORY_SHARE = 0.4
_LIVELY = 0.5  # of those who are neither calm nor in a laboratory
_IOD, _LABORATORY_IOD = (45.0, 115.0), (70.0, 120.0)  # pixels
_FACE_WIDTH = (0.26, 0.36)  # IOD as a share of the picture: less around the face means less to render
_FRAME_RATES = (25.0, 30.0, 30.0, 30.0, 30.0, 60.0)
_CRF = (14.0, 28.0)  # of H.264, from next to lossless to visibly coarse


@cache
def _stills() -> Mapping[str, Still]:
    return {name: close_up(still) for name, still in photographs().items()}


def draw_close_scene(rng: np.random.Generator, laboratory: bool, lively: bool) -> SceneOptions:
    """How a clip is filmed: `draw_scene` with the face filling more of a smaller picture."""
    iod = np.exp(rng.uniform(*np.log(_LABORATORY_IOD if laboratory else _IOD)))
    width = rng.uniform(*_FACE_WIDTH)
    side = int(iod / width / 2) * 2
    scene = draw_scene(rng, (side, side), lively)
    return replace(scene, face_width=width, fps=float(rng.choice(_FRAME_RATES)))


def film_closely(
    still: Still, performance: Performance, laboratory: bool, calm: bool, rng: np.random.Generator
) -> FaceFeatures:
    """Features of this face in a performance of `corpus.draw_performance`, in a picture that holds little else."""
    lively = not laboratory and not calm and bool(rng.random() < _LIVELY)
    scene = draw_close_scene(rng, laboratory, lively)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        film(still, performance, path, scene, rng, crf=float(rng.uniform(*_CRF)), quick=True)
        return extract_features(path)


def filmed_clip(ticks: int, seed: tuple[int, ...]) -> Clip | None:
    """One clip of T ticks as `corpus.simulate_clip` gives it; None where the face was not seen in all of it."""
    rng = np.random.default_rng(seed)
    try:
        still = draw_face(_stills(), rng)
    except NoFaceError:
        return None
    _, performance, laboratory, calm = draw_performance(ticks, rng, _LABORATORY_SHARE, QUIET_SHARE)
    seen = film_closely(still, performance, laboratory, calm, rng)
    if seen.timebase.n_ticks < ticks - 1 or len(seen.segments()) != 1:
        return None
    geometry = geometry_channels(seen.landmarks, seen.segments())
    snippets, geometry = (_of_length(part, ticks) for part in (seen.snippets, geometry))
    return snippets, geometry, performance.intensity, performance.events, performance.speaking


def _of_length(channels: np.ndarray, ticks: int) -> np.ndarray:
    """(N, ...) as (T, ...), N at least T - 1: the last picture of a file may come a moment before the last tick."""
    return channels[:ticks] if len(channels) >= ticks else np.concatenate([channels, channels[-1:]])


def _film_many(ticks: int, seeds: list[tuple[int, ...]]) -> ClipBatch:
    cv2.setNumThreads(1)
    return batch_clips(ticks, [clip for seed in seeds if (clip := filmed_clip(ticks, seed)) is not None])


def filmed_corpus(clips: int, seed: int, workers: int = 1) -> dict[int, ClipBatch]:
    """About `clips` clips in the lengths of FILMED_TICKS, by length; the same seed gives the same clips whatever the
    number of workers (processes).

    Raises ImportError without scikit-image or Matplotlib, whose photographs are filmed.
    """
    _stills()
    counts = {ticks: max(1, round(clips * share)) for ticks, share in FILMED_TICKS.items()}
    jobs = [
        (ticks, [(seed, ticks, i) for i in range(start, min(start + 4, count))])
        for ticks, count in counts.items()
        for start in range(0, count, 4)
    ]
    if workers == 1:
        parts = [_film_many(*job) for job in jobs]
    else:
        with process_pool(workers) as pool:
            parts = list(pool.map(_film_many, *zip(*jobs, strict=True)))
    return {ticks: ClipBatch.joined([part for part in parts if part.ticks == ticks]) for ticks in counts}
