"""Simulated performances on photographs of faces, through pixels and extraction: clips to learn from.

What the feature simulator gets wrong about meshes and trackers, these have right, as far as a photograph can be moved
as skin moves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile

import cv2
import numpy as np

from ...errors import NoFaceError
from ...extract.motion.geometry import geometry_channels
from ...extract.pipeline import extract_features
from ...files import replacing
from .camera import SceneOptions
from .corpus import Clip, ClipBatch, batch_of, draw_performance
from .recording import draw_scene, film
from .stage import Event
from .still import Still, load_still

# Ticks of a film -> share of all films.
FILM_TICKS: dict[int, float] = {360: 0.5, 240: 0.3, 120: 0.2}
LABORATORY_SHARE = 0.4
_EMPTY_KEPT = {True: 0.1, False: 0.35}  # of films without an expression, in a laboratory and elsewhere
_AROUND = 3.6  # IOD kept around a face
_LIVELY = 0.5  # of those who are neither calm nor in a laboratory
_FRAME_RATES = {25.0: 0.2, 30.0: 0.5, 24.0: 0.1, 15.0: 0.08, 20.0: 0.06, 60.0: 0.06}
CRF = (14.0, 28.0)  # of H.264, from next to lossless to visibly coarse
_STRETCH = 0.07  # by how much a face is made wider or narrower
SIDE = 32  # pixels of which both sides of a film are multiples
FACE_WIDTH = (0.26, 0.36)  # IOD as a share of the picture
LABORATORY_IOD = (65.0, 100.0)  # pixels
# What an archive of films keeps of each.
_KEPT = ("snippets", "geometry", "intensity", "events", "amplitudes", "speaking", "laboratory")


def close_up(still: Still) -> Still:
    """The same face with little around it. Raises NoFaceError where it is not found again."""
    centre, reach = still.landmarks[:468, :2].mean(axis=0), _AROUND * still.iod
    x0, y0 = np.maximum((centre - reach).astype(int), 0)
    x1, y1 = np.minimum((centre + reach).astype(int) + 1, still.image.shape[1::-1])
    return load_still(np.ascontiguousarray(still.image[y0:y1, x0:x1]))


def draw_close_scene(
    rng: np.random.Generator, iod: tuple[float, float], face_width: tuple[float, float], block: int, lively: bool
) -> SceneOptions:
    """How a film is shot: `draw_scene` with the face filling more of a smaller, square picture.

    iod: pixels, and face_width: IOD as a share of the picture, from and to. block: pixels of which the sides are
    multiples.
    """
    pixels = np.exp(rng.uniform(*np.log(iod)))
    side = block * max(round(pixels / rng.uniform(*face_width) / block), 2)
    return replace(draw_scene(rng, (side, side), lively), face_width=pixels / side)


def another_look(still: Still, rng: np.random.Generator) -> Still:
    """The face a little wider or narrower, and half of the time mirrored. Raises NoFaceError as `close_up`."""
    picture = cv2.resize(still.image, None, fx=float(rng.uniform(1 - _STRETCH, 1 + _STRETCH)), fy=1.0)
    return load_still(np.ascontiguousarray(picture[:, ::-1] if rng.random() < 0.5 else picture))


def film_clip(stills: Sequence[Still], seed: tuple[int, ...]) -> tuple[bool, Clip] | None:
    """Whether it is of a laboratory, and one clip acted by one of the faces, as `corpus.simulate_clip` gives it; None
    where the face is not seen throughout."""
    rng = np.random.default_rng(seed)
    ticks = int(rng.choice(list(FILM_TICKS), p=list(FILM_TICKS.values())))
    while True:
        _, performance, laboratory, calm = draw_performance(ticks, rng, LABORATORY_SHARE)
        if performance.events or rng.random() < _EMPTY_KEPT[laboratory]:
            break
    lively = not (laboratory or calm) and bool(rng.random() < _LIVELY)
    scene = draw_close_scene(rng, LABORATORY_IOD if laboratory else (45.0, 90.0), FACE_WIDTH, SIDE, lively)
    rate = float(rng.choice(list(_FRAME_RATES), p=list(_FRAME_RATES.values())))
    scene = replace(scene, fps=max(rate, 25.0) if laboratory else rate)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        try:
            actor = another_look(stills[int(rng.integers(len(stills)))], rng)
            film(actor, performance, path, scene, rng, float(rng.uniform(*CRF)), preset="veryfast")
            features = extract_features(path)
        except NoFaceError:
            return None
    if features.coverage < 1:
        return None
    # The last pictures of slow cameras come before the last tick.
    shown = np.minimum(np.arange(ticks), len(features.snippets) - 1)
    geometry = geometry_channels(features.landmarks, features.segments())
    return laboratory, (
        features.snippets[shown],
        geometry[shown],
        performance.intensity,
        performance.events,
        performance.speaking,
    )


def write_films(path: Path, films: Sequence[tuple[bool, Clip]]) -> None:
    """Films as of `film_clip` to a NumPy archive."""
    arrays: dict[str, np.ndarray] = {}
    for i, (laboratory, (snippets, geometry, intensity, events, speaking)) in enumerate(films):
        marks = np.array([(e.onset, e.apex, e.offset, e.type == "micro") for e in events], np.int32).reshape(-1, 4)
        clip = {"snippets": snippets.astype(np.float16), "geometry": geometry.astype(np.float16)}
        clip |= {"intensity": intensity.astype(np.float16), "speaking": speaking, "laboratory": np.array(laboratory)}
        arrays |= {f"{i}.{name}": array for name, array in {**clip, "events": marks}.items()}
        arrays[f"{i}.amplitudes"] = np.array([e.amplitude for e in events])
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def read_films(paths: Iterable[Path], laboratory: bool | None = None) -> dict[int, ClipBatch]:
    """The films of some archives by their length in ticks; laboratory: only those of one, or only others. Raises
    ValueError for a file that is not one of `write_films`."""
    clips: dict[int, list[Clip]] = {}
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as kept:
                for i in range(len(kept.files) // len(_KEPT)):
                    got = {name: kept[f"{i}.{name}"] for name in _KEPT}
                    if laboratory in (None, bool(got["laboratory"])):
                        clip = _clip_of(got)
                        clips.setdefault(len(clip[0]), []).append(clip)
        except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
            raise ValueError(f"{path} holds no films") from error
    return {ticks: batch_of(ticks, clips[ticks]) for ticks in sorted(clips, reverse=True)}


def _clip_of(kept: Mapping[str, np.ndarray]) -> Clip:
    events = [
        Event(onset, apex, offset, "micro" if micro else "macro", amplitude)
        for (onset, apex, offset, micro), amplitude in zip(
            kept["events"].tolist(), kept["amplitudes"].tolist(), strict=True
        )
    ]
    return kept["snippets"], kept["geometry"], kept["intensity"], events, kept["speaking"]
