"""How head, camera, light and sensor behave while a still is filmed."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .warp import HeadPose


@dataclass(frozen=True)
class SceneOptions:
    """Strengths of everything but the expression. Zero switches a source off; lengths in IOD, angles in degrees,
    levels in 8-bit steps.

    size: (width, height) in pixels. fps: frames per second. face_width: IOD as a fraction of the picture's width.
    head_shift, head_roll, head_turn, head_zoom: standard deviation of the head's slow wandering (turn: yaw and pitch;
    zoom: a fraction).
    head_seconds: time scale of it. turns_per_minute, turn_degrees: deliberate turns of the head to a new direction.
    camera_shift, camera_roll, camera_zoom: the same of the whole picture, background included, as with a hand-held
    camera.
    gain_drift, gamma_drift: standard deviation of slow changes of brightness and gamma, as fractions. flicker:
    amplitude of mains flicker, as a fraction.
    read_noise: sensor noise in the dark. shot_noise: further noise at full white, growing with the root of brightness.
    blur: radius (standard deviation) in output pixels of the lens.
    """

    size: tuple[int, int] = (512, 512)
    fps: float = 30.0
    face_width: float = 0.2
    head_shift: float = 0.02
    head_roll: float = 0.8
    head_turn: float = 1.2
    head_zoom: float = 0.006
    head_seconds: float = 0.8
    turns_per_minute: float = 0.0
    turn_degrees: float = 6.0
    camera_shift: float = 0.0
    camera_roll: float = 0.0
    camera_zoom: float = 0.0
    gain_drift: float = 0.02
    gamma_drift: float = 0.02
    flicker: float = 0.0
    read_noise: float = 1.5
    shot_noise: float = 3.0
    blur: float = 0.0

    @classmethod
    def steady(cls, **options: object) -> "SceneOptions":
        """A scene in which nothing but the expression happens, except for what is named."""
        quiet = dict.fromkeys(
            (
                "head_shift",
                "head_roll",
                "head_turn",
                "head_zoom",
                "gain_drift",
                "gamma_drift",
                "read_noise",
                "shot_noise",
            ),
            0.0,
        )
        return cls(**{**quiet, **options})


@dataclass(frozen=True, eq=False)
class SceneTracks:
    """What the options became, frame by frame (F frames).

    head, camera: (F, 4) shift x, shift y in IOD, roll in radians, scale as a factor. turn: (F, 2) yaw and pitch in
    radians.
    gain, gamma: (F,) factors. `HeadPose` names the directions.
    """

    head: np.ndarray
    turn: np.ndarray
    camera: np.ndarray
    gain: np.ndarray
    gamma: np.ndarray

    def pose(self, frame: int) -> HeadPose:
        x, y, roll, scale = self.head[frame]
        yaw, pitch = self.turn[frame]
        return HeadPose(x, y, roll, scale, yaw, pitch)


def _wander(n: int, columns: int, smoothing: float, rng: np.random.Generator) -> np.ndarray:
    """(n, columns) smooth noise of unit variance; smoothing: its time scale in frames."""
    margin = int(np.ceil(4 * smoothing)) + 1
    white = rng.standard_normal((n + 2 * margin, columns))
    smooth = gaussian_filter1d(white, smoothing, axis=0, mode="wrap")[margin : margin + n]
    # The variance that a Gaussian filter leaves of white noise, 1 / (2 sqrt(pi) sigma).
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * smoothing) if smoothing > 0.5 else smooth


def _turns(n: int, options: SceneOptions, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) yaw and pitch in degrees of deliberate turns: the head goes somewhere in about half a second and stays."""
    turns = np.zeros((n, 2))
    at = 0.0
    while options.turns_per_minute > 0:
        at += rng.exponential(60.0 / options.turns_per_minute)
        start = at * options.fps
        if start >= n:
            break
        length = rng.uniform(0.35, 0.9) * options.fps
        target = rng.normal(0.0, options.turn_degrees, 2) * (1.0, 0.6)
        t = np.clip((np.arange(n) - start) / length, 0.0, 1.0)[:, None]
        turns += (target - turns[int(start)]) * t * t * (3 - 2 * t)
    return turns


def draw_tracks(options: SceneOptions, n_frames: int, rng: np.random.Generator) -> SceneTracks:
    """Random tracks of `n_frames` frames; the same generator state gives the same tracks."""

    def similarity(shift: float, roll: float, zoom: float, seconds: float) -> np.ndarray:
        wander = _wander(n_frames, 4, seconds * options.fps, rng)
        path = wander * (shift, shift, np.deg2rad(roll), zoom)
        path[:, 3] = np.exp(path[:, 3])
        return path

    head = similarity(options.head_shift, options.head_roll, options.head_zoom, options.head_seconds)
    turn = _wander(n_frames, 2, options.head_seconds * options.fps, rng) * options.head_turn + _turns(
        n_frames, options, rng
    )
    camera = similarity(options.camera_shift, options.camera_roll, options.camera_zoom, 0.25)
    drift = _wander(n_frames, 2, 2.0 * options.fps, rng)
    phase = 2 * np.pi * (100.0 / options.fps * np.arange(n_frames) + rng.random())
    gain = np.exp(drift[:, 0] * options.gain_drift) * (1 + options.flicker * np.sin(phase))
    return SceneTracks(head, np.deg2rad(turn), camera, gain, np.exp(drift[:, 1] * options.gamma_drift))


class Sensor:
    """Turns an ideal picture into a recorded one: brightness, gamma and noise."""

    def __init__(self, options: SceneOptions, rng: np.random.Generator) -> None:
        self._read, self._shot = options.read_noise, options.shot_noise
        self._rng = rng
        # Drawing a million normal numbers would cost more than the warp: each frame shows another part of one larger
        # field.
        self._pool: np.ndarray | None = None
        levels = np.arange(256) / 255.0
        self._spread = np.sqrt(self._read**2 + self._shot**2 * levels).astype(np.float32)

    def record(self, picture: np.ndarray, gain: float, gamma: float) -> np.ndarray:
        """(H, W, 3) uint8 as the sensor gives it."""
        import cv2

        if gain != 1.0 or gamma != 1.0:
            levels = np.clip(255.0 * np.clip(np.arange(256) / 255.0, 0, 1) ** gamma * gain + 0.5, 0, 255)
            picture = cv2.LUT(picture, levels.astype(np.uint8))
        if self._read == 0 and self._shot == 0:
            return picture
        if self._pool is None:
            self._pool = self._rng.standard_normal((picture.shape[0] + 97, picture.shape[1] + 131, 3), dtype=np.float32)
        y, x = self._rng.integers(0, 97), self._rng.integers(0, 131)
        noise = self._pool[y : y + picture.shape[0], x : x + picture.shape[1]]
        noisy = cv2.add(cv2.multiply(noise, cv2.LUT(picture, self._spread)), picture, dtype=cv2.CV_32F)
        return np.clip(noisy, 0.0, 255.0, out=noisy).astype(np.uint8)
