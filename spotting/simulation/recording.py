"""A simulated performance filmed: a video file of an animated still, and the truth about it.

This checks the whole chain from pixels to intervals on recordings whose every event is known. Head, camera and light
are drawn by
`camera`, not by the feature simulator, so that a model trained on the latter meets conditions it was not made with.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import make_interp_spline

from ...extract.regions import EYE_LIDS, KEPT_INDEX
from ...extract.timebase import CLOCK_HZ, Timebase
from ..intervals import Interval
from .anatomy import draw_person, neutral_face
from .camera import SceneOptions, draw_tracks
from .render import render_frames, write_video
from .stage import Event, Performance
from .still import Still
from .timeline import perform

TRUTH_COLUMNS = (
    "onset_tick",
    "apex_tick",
    "offset_tick",
    "onset_s",
    "apex_s",
    "offset_s",
    "onset_frame",
    "apex_frame",
    "offset_frame",
    "type",
    "amplitude_iod",
)


@dataclass(frozen=True, eq=False)
class RenderedVideo:
    """A rendered video and its truth. events: in order of onset, in ticks of `timebase`, whose frames are the
    file's.
    """

    path: Path
    events: tuple[Event, ...]
    timebase: Timebase
    scene: SceneOptions


def draw_scene(rng: np.random.Generator, size: tuple[int, int] = (512, 512), lively: bool = False) -> SceneOptions:
    """A random scene between a laboratory and a phone held in the hand. lively: the head moves as people's do who
    talk, at 0.04 to 0.6 rad/s."""
    handheld = rng.random() < 0.3
    liveliness = float(np.exp(rng.uniform(np.log(0.2), np.log(2.0))))
    if lively:
        liveliness *= 3.0
    return SceneOptions(
        size=size,
        fps=float(rng.choice([25.0, 30.0, 30.0, 60.0])),
        face_width=float(rng.uniform(0.14, 0.24)),
        head_shift=0.025 * liveliness,
        head_roll=0.9 * liveliness,
        head_turn=1.3 * liveliness,
        head_zoom=0.006 * liveliness,
        head_seconds=float(rng.uniform(0.5, 1.5)) * (0.5 if lively else 1.0),
        turns_per_minute=float(rng.choice([0.0, 2.0, 6.0])) * (3.0 if lively else 1.0),
        turn_degrees=float(rng.uniform(3.0, 9.0)),
        camera_shift=0.01 if handheld else 0.0,
        camera_roll=0.3 if handheld else 0.0,
        camera_zoom=0.002 if handheld else 0.0,
        gain_drift=float(rng.uniform(0.0, 0.05)),
        gamma_drift=float(rng.uniform(0.0, 0.03)),
        flicker=float(rng.choice([0.0, 0.0, 0.01])),
        read_noise=float(rng.uniform(0.5, 2.5)),
        shot_noise=float(rng.uniform(1.0, 5.0)),
        blur=float(rng.uniform(0.0, 0.8)),
    )


def fit_to_still(still: Still, displacement: np.ndarray) -> np.ndarray:
    """The (T, K, 3) displacement of the upright mean face as this face shows it, (T, K, 2).

    It is tilted as the face is, and lids travel in proportion to this face's own eye opening, so that a blink shuts
    the eyes.
    """
    left, right = still.eyes
    c, s = (right - left) / still.iod
    fitted = displacement[..., :2].copy()
    neutral = neutral_face()
    for pairs in EYE_LIDS.values():
        opening = np.mean([np.linalg.norm(still.landmarks[low, :2] - still.landmarks[up, :2]) for up, low in pairs])
        rows = [[KEPT_INDEX[p] for p in pair] for pair in pairs]
        mean_opening = np.mean([neutral[low, 1] - neutral[up, 1] for up, low in rows])
        fitted[:, np.ravel(rows), 1] *= opening / still.iod / mean_opening
    return fitted @ np.array([[c, s], [-s, c]])


def at_frames(displacement: np.ndarray, timebase: Timebase) -> np.ndarray:
    """(T, ...) on the clock, T = timebase.n_ticks, to (F, ...) at the frames' times, by cubic splines."""
    ticks = np.arange(len(displacement)) / timebase.rate
    return make_interp_spline(ticks, displacement, k=3)(np.minimum(timebase.frame_times, ticks[-1]))


def film(
    still: Still,
    performance: Performance,
    path: str | Path,
    scene: SceneOptions,
    rng: np.random.Generator,
    crf: float = 21.0,
    preset: str = "medium",
) -> RenderedVideo:
    """Have this face give a performance, and write it to `path` as H.264 of constant quality `crf`. preset: of x264."""
    n_ticks = len(performance.displacement)
    n_frames = int(np.floor((n_ticks - 1) / CLOCK_HZ * scene.fps + 1e-6)) + 1
    timebase = Timebase(np.arange(n_frames) / scene.fps)
    displacement = at_frames(fit_to_still(still, performance.displacement), timebase)
    tracks = draw_tracks(scene, n_frames, rng)
    if len(performance.nods):
        nods = at_frames(performance.nods, timebase)
        tracks.turn[:] += nods[:, :2]
        tracks.head[:, 2] += nods[:, 2]
    write_video(path, render_frames(still, displacement, scene, rng, tracks), scene.fps, crf=crf, preset=preset)
    return RenderedVideo(Path(path), tuple(performance.events), timebase, scene)


def render_recording(
    still: Still,
    path: str | Path,
    seed: int,
    seconds: float = 20.0,
    scene: SceneOptions | None = None,
    busy: float | None = None,
    speech: float | None = None,
    laboratory: bool = False,
    lively: bool = False,
) -> RenderedVideo:
    """Film a random performance of this face and write it to `path`.

    scene: how it is filmed, drawn when None, with a lively head if asked for. busy: share of the time filled by
    expressions; speech: probability of speech; both random when None. laboratory: see `timeline.perform`. The same
    arguments give the same recording; what the face does depends on neither the face nor the scene. Raises ValueError
    for less than half a second.
    """
    if seconds < 0.5:
        raise ValueError(f"a recording needs at least half a second, got {seconds}")
    acting, filming, sensing = np.random.default_rng(seed).spawn(3)
    performance = perform(
        draw_person(acting), round(seconds * CLOCK_HZ), acting, busy=busy, speech=speech, laboratory=laboratory
    )
    return film(still, performance, path, scene or draw_scene(filming, lively=lively), sensing)


def write_truth(path: str | Path, events: Iterable[Event], timebase: Timebase) -> None:
    """Write events as CSV with `TRUTH_COLUMNS`: clock ticks, seconds, 0-based frames of the video (both ends
    inclusive), type, amplitude in IOD.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TRUTH_COLUMNS)
        for event in events:
            ticks = (event.onset, event.apex, event.offset)
            spot = Interval(*ticks, event.type).on(timebase)
            seconds = (f"{value:.3f}" for value in (spot.onset_s, spot.apex_s, spot.offset_s))
            frames = (spot.onset_frame, spot.apex_frame, spot.offset_frame)
            writer.writerow((*ticks, *seconds, *frames, event.type, f"{event.amplitude:.4f}"))


def read_truth(path: str | Path) -> list[Interval]:
    """The events of a file of `write_truth`, in clock ticks. Raises ValueError when it is not one."""
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != TRUTH_COLUMNS:
            raise ValueError(f"{path} is not a truth file of a rendered recording")
        return [Interval(*(int(row[name]) for name in TRUTH_COLUMNS[:3]), row["type"]) for row in reader]
