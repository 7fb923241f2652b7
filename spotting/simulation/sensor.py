"""How cameras, face mesh and optical flow see a performance: the simulator's stand-in for the pixel pipeline.

Both kinds of channel come from one moving 3-D face, so head motion, blinks and expressions stay consistent between
them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from ...extract.features import SNIPPET_REACH, SNIPPET_STEPS, FaceFeatures
from ...extract.motion.alignment import ANCHOR_MESH_POINTS, remove_head_motion
from ...extract.options import ExtractOptions
from ...extract.regions import KEPT_INDEX, ROI_NAMES
from ...extract.timebase import CLOCK_HZ, Timebase
from .anatomy import Person, neutral_face, roi_means
from .mesh import autoregressive, mesh_landmarks
from .stage import Event, Performance

# Simulated snippets are aligned the way extraction aligns real ones.
_ALIGNMENT = ExtractOptions().alignment
_ANCHOR_ROWS = np.array([KEPT_INDEX[p] for p in ANCHOR_MESH_POINTS[_ALIGNMENT]])
_CORNERS = tuple(i for i, name in enumerate(ROI_NAMES) if name.endswith("mouth_corner"))
# Of pictures that come faster than this, extraction reads the mesh in every second one and tracks to every second one.
_ALL_READ_FPS = 28.0
# Shares of clips: in which something passes before the face, and pictures are repeated.
_HIDDEN, _REPEATED = 0.06, 0.15
# Spread between regions of the share of the head's motion that is taken for theirs, in the best clip and in the worst.
_LEAKS = (0.015, 0.2)
# Share of clips in which patches do not go with the head: what is seen of all motion, the head's too, is a part.
_LEFT_BEHIND = 0.5
# How much of a head's motion is left where truth must not depend on it, in a laboratory, and as people film themselves.
_CALM_STILL, _CALM_LABORATORY, _LIVELY = 0.05, 0.25, 1.3


@dataclass(frozen=True)
class Observation:
    """What the pipeline would have cached: snippets (T, 17, 10, 2) in IOD, landmarks (T, K, 3) in pixels, float32."""

    snippets: np.ndarray
    landmarks: np.ndarray

    def features(self) -> FaceFeatures:
        """The same as a recording in one piece, its snippets in half precision as in the cache."""
        ticks = len(self.snippets)
        clock = Timebase(np.arange(ticks) / CLOCK_HZ)
        return FaceFeatures(self.snippets.astype(np.float16), self.landmarks, np.zeros(ticks, np.int32), clock)


def _wander(n: int, sigma_ticks: float, rng: np.random.Generator, channels: int) -> np.ndarray:
    """(n, channels) smooth random motion of unit standard deviation."""
    pad = int(4 * sigma_ticks)
    noise = gaussian_filter1d(rng.normal(size=(n + 2 * pad, channels)), sigma_ticks, axis=0)[pad : pad + n]
    return noise * np.sqrt(2 * np.sqrt(np.pi) * sigma_ticks)


def _bumps(n: int, count: int, rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    """(n, 1) smooth moves: steps to a new value (a turn) or there and back (a nod), unit height."""
    curve = np.zeros(n)
    t = np.arange(n)
    for _ in range(count):
        at, length = rng.integers(-10, n), rng.integers(low, high)
        up = expit((t - at) / (length / 6))
        if rng.random() < 0.6:
            up = up - expit((t - at - length - rng.integers(0, 40)) / (length / 6))
        curve += rng.normal() * up
    return curve[:, None]


def head_motion(
    n: int, events: list[Event], speaking: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles (n, 3) yaw, pitch, roll in radians, signed as in `motion.geometry`; shift (n, 2) in IOD; log scale (n,).

    speaking: (n,) bool; heads bob with the words, and now and then move with the events.
    """
    liveliness = float(np.exp(rng.uniform(np.log(0.05), np.log(1.3))))
    angles = 0.05 * liveliness * _wander(n, rng.uniform(8, 40), rng, 3) + 0.01 * liveliness * _wander(n, 3, rng, 3)
    for axis, size in enumerate((0.22, 0.14, 0.10)):
        angles[:, axis : axis + 1] += (
            size * min(liveliness, 1.2) * _bumps(n, rng.poisson(n / 200 * liveliness * 2), rng, 8, 45)
        )
    for event in events:
        # People nod, tilt and pull back as they smile or frown.
        if rng.random() < 0.35:
            t = np.arange(n)
            width = max((event.offset - event.onset) / 2, 4)
            bump = np.exp(-0.5 * ((t - event.apex - rng.normal(0, 6)) / width) ** 2)
            angles += bump[:, None] * rng.normal(0, 0.07, 3) * min(liveliness * 2, 1)
    if speaking.any():
        # Talking heads bob with their words.
        beat = np.exp(rng.uniform(np.log(0.005), np.log(0.07)))
        angles += (
            beat * _wander(n, rng.uniform(2.5, 10), rng, 3) * gaussian_filter1d(speaking.astype(float), 5)[:, None]
        )
    angles = np.clip(angles, -0.65, 0.65)
    angles += rng.normal(0, [0.13, 0.1, 0.05])
    shift = 0.15 * liveliness * _wander(n, rng.uniform(6, 30), rng, 2) + np.cumsum(
        np.full((n, 2), rng.normal(0, 0.004, 2) * (rng.random() < 0.2)), axis=0
    )
    shift = shift + angles[:, :2] * [0.5, 0.6]
    log_scale = 0.04 * liveliness * _wander(n, 25, rng, 1)[:, 0]
    return angles, shift, log_scale


def camera_motion(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the camera does with the face in the picture: shift (n, 2) in IOD, roll (n,) in radians and log scale (n,).
    It pans, tilts to a side and zooms for half a second to four, and shakes in somebody's hand at 1 to 8 Hz; zeros for
    one that stands still.
    """
    shift, roll, log_scale, t = np.zeros((n, 2)), np.zeros(n), np.zeros(n), np.arange(n)
    if rng.random() < 0.3:
        for _ in range(1 + rng.poisson(n / 200)):
            u = np.clip((t - rng.integers(-30, n)) / np.exp(rng.uniform(np.log(15), np.log(120))), 0, 1)
            move = u * u * (3 - 2 * u)
            if rng.random() < 0.65:
                shift += move[:, None] * rng.normal(0, np.exp(rng.uniform(np.log(0.2), np.log(2.5))), 2) * [1, 0.4]
                roll += move * rng.normal(0, 0.15) * (rng.random() < 0.5)
            else:
                log_scale += move * rng.normal(0, 0.25)
    if rng.random() < 0.3:
        shake = np.exp(rng.uniform(np.log(0.002), np.log(0.03))) * _wander(n, CLOCK_HZ / rng.uniform(6, 50), rng, 3)
        shift += shake[:, :2]
        roll += 0.3 * shake[:, 2]
    return shift, np.clip(roll, -0.4, 0.4), np.clip(log_scale, -0.6, 0.6)


def exposure(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) how unsettled the picture's brightness is, 0 to about 1: lamps that flicker, exposure that adapts."""
    unsettled, t = np.zeros(n), np.arange(n)
    if rng.random() < 0.1:
        unsettled += rng.uniform(0.05, 0.4) * np.abs(np.sin(np.pi * rng.uniform(0.05, 1.0) * t))
    for _ in range(rng.poisson(n / 600)):
        unsettled += rng.random() * np.exp(-0.5 * ((t - rng.integers(n)) / rng.uniform(1.5, 8)) ** 2)
    return unsettled


def occlusion(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What passes before the face, a hand, a cup or hair: (n, 2) how far what is seen there is displaced, in IOD, and
    (K,) 0..1 which mesh points it hides, those that lie within a random disc; zeros in most clips."""
    face = neutral_face()[:, :2]
    moved, hides = np.zeros((n, 2)), np.zeros(len(face))
    if rng.random() < _HIDDEN:
        far = np.linalg.norm(face - face[rng.integers(len(face))], axis=1)
        hides = np.clip(2 - far / rng.uniform(0.15, 0.5), 0, 1)
        at, length = int(rng.integers(-20, n)), int(np.exp(rng.uniform(np.log(8), np.log(150))))
        t = np.arange(n)
        there = expit((t - at) / rng.uniform(0.7, 3)) - expit((t - at - length) / 2.0)
        size = np.exp(rng.uniform(np.log(0.01), np.log(0.12)))
        moved = size * there[:, None] * (rng.normal(size=2) + 0.7 * _wander(n, rng.uniform(2, 20), rng, 2))
    return moved, hides


def _rotations(angles: np.ndarray) -> np.ndarray:
    """(n, 3, 3) head to camera."""
    cy, sy, cp, sp, cr, sr = (f(angles[:, i]) for i in range(3) for f in (np.cos, np.sin))
    zero, one = np.zeros_like(cy), np.ones_like(cy)
    yaw = np.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], axis=1).reshape(-1, 3, 3)
    pitch = np.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp], axis=1).reshape(-1, 3, 3)
    roll = np.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], axis=1).reshape(-1, 3, 3)
    return roll @ pitch @ yaw


def observe(
    person: Person,
    performance: Performance,
    rng: np.random.Generator,
    *,
    still: bool = False,
    laboratory: bool = False,
) -> Observation:
    """Film a performance with a random camera and measure it.

    still: a twentieth of the head motion, for timelines whose truth must not depend on it. Random camera rates between
    12 and 60 fps are put on the clock by linear interpolation, as extraction does. laboratory: a seated subject before
    a good camera, as the published data sets were filmed: a quarter of the head motion, 100 to 200 pixels between the
    eyes, no fewer pictures than the clock has ticks.
    """
    n, k, _ = performance.displacement.shape
    rest = np.broadcast_to(person.shape, (n, k, 3))
    true = rest + performance.displacement
    angles, shift, log_scale = head_motion(n, performance.events, performance.speaking, rng)
    calm = _CALM_STILL if still else _CALM_LABORATORY if laboratory else _LIVELY
    angles, shift, log_scale = angles * calm, shift * calm, log_scale * calm
    if len(performance.nods):
        angles = angles + performance.nods
        # The pivot is the neck: a nod carries the face along.
        shift = shift + performance.nods[:, :2] * [0.5, 0.6]
    iod_px = float(np.exp(rng.uniform(np.log(100 if laboratory else 30), np.log(200))))
    pan, zoom = np.zeros_like(shift), np.zeros_like(log_scale)
    unsettled = np.zeros(n)
    if not (still or laboratory):
        pan, tilt, zoom = camera_motion(n, rng)
        unsettled = exposure(n, rng)
        # A face beside the middle of the picture is seen from its side, some 6 to 20 IOD away.
        angles[:, :2] += pan / rng.uniform(6, 20)
        angles[:, 2] += tilt
    rotation = _rotations(angles)
    speed = (
        np.linalg.norm(np.gradient(angles, axis=0), axis=1) * CLOCK_HZ
        + np.linalg.norm(np.gradient(shift + pan, axis=0), axis=1) * CLOCK_HZ * 0.3
        + np.abs(np.gradient(zoom)) * CLOCK_HZ * 0.5
    )
    sharp = (1 + 30 / iod_px) * (1 + 0.8 * np.minimum(speed, 2.0)) * (1 + unsettled)
    # The mesh works on a crop that goes with the face: where the camera points hardly matters to it.
    seen = mesh_landmarks(true, rest, (angles, shift + 0.1 * pan, log_scale + 0.2 * zoom), sharp, rng)
    if not (still or laboratory):
        (passing,) = rng.spawn(1)
        moved, hides = occlusion(n, passing)
        hidden = moved[:, None] * hides[:, None]
        seen[:, :, :2] += hidden
        true[:, :, :2] += 1.5 * hidden
    shift, log_scale = shift + pan, log_scale + zoom
    distance = rng.uniform(6, 20)  # camera distance in IOD: perspective of phones to long lenses
    depth_gain = rng.uniform(0.7, 1.1)  # the mesh's z is in pixels only nearly

    def project(points: np.ndarray) -> np.ndarray:
        camera = points @ rotation.transpose(0, 2, 1)
        near = np.exp(log_scale)[:, None, None] * distance / (distance + camera[:, :, 2:3])
        flat = camera[:, :, :2] * near + shift[:, None]
        return np.concatenate([flat, camera[:, :, 2:3] * near * depth_gain], axis=2)

    mesh = project(seen)
    # Where skin is, and where it would be if the face did not move.
    exact = np.concatenate([project(true)[:, :, :2], project(rest)[:, :, :2]], axis=2)

    fps = float(rng.choice([30, 25, 24, 20, 15, 12, 29.97, 60], p=[0.42, 0.2, 0.08, 0.04, 0.1, 0.06, 0.05, 0.05]))
    fps = CLOCK_HZ if laboratory else fps
    (copying,) = rng.spawn(1)
    if fps == CLOCK_HZ and not laboratory and copying.random() < _REPEATED:
        mesh, exact = _repeated([mesh, exact], float(copying.choice([12, 15, 20, 24, 25])))
    if fps > _ALL_READ_FPS:
        mesh = every_second(mesh, int(rng.integers(2)))
    mesh, exact = _through_camera(mesh, exact, fps, rng)
    snippets = _flow(exact, mesh[:, :, 2], performance.blink, unsettled, iod_px, rng)
    if fps > _ALL_READ_FPS:
        snippets[:, 1::2] = (snippets[:, :-1:2] + snippets[:, 2::2]) / 2
    landmarks = mesh * iod_px
    landmarks[:, :, :2] += 5 * iod_px
    return Observation(snippets.astype(np.float32), landmarks.astype(np.float32))


def every_second(values: np.ndarray, first: int) -> np.ndarray:
    """(n, ...) with every second row kept, from row `first` (0 or 1) on, as are the first and the last; the others lie
    halfway between their neighbours, as extraction puts landmarks that it does not read."""
    filled = values.copy()
    between = np.arange(1 + first, len(values) - 1, 2)
    filled[between] = (values[between - 1] + values[between + 1]) / 2
    return filled


def _repeated(tracks: list[np.ndarray], fps: float) -> list[np.ndarray]:
    """Tracks (n, ...) as in a file whose pictures are repeated to make up the clock's rate: web video often is."""
    ticks = np.arange(len(tracks[0]))
    shown = np.minimum(np.round(np.floor(ticks * fps / CLOCK_HZ) * CLOCK_HZ / fps).astype(int), ticks)
    return [track[shown] for track in tracks]


def _through_camera(
    mesh: np.ndarray, exact: np.ndarray, fps: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sample at the camera's frames and interpolate back onto the clock."""
    if fps >= 29.99:
        return mesh, exact
    n = len(mesh)
    frames = np.arange(rng.uniform(0, 1), n - 1 + 1e-9, CLOCK_HZ / fps)

    def resample(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(n, -1)
        at = np.floor(frames).astype(int)
        part = (frames - at)[:, None]
        taken = flat[at] * (1 - part) + flat[np.minimum(at + 1, n - 1)] * part
        ticks = np.clip(np.arange(n), frames[0], frames[-1])
        right = np.clip(np.searchsorted(frames, ticks), 1, len(frames) - 1)
        left = right - 1
        part = ((ticks - frames[left]) / (frames[right] - frames[left]))[:, None]
        return (taken[left] * (1 - part) + taken[right] * part).reshape(values.shape)

    return resample(mesh), resample(exact)


def _leak(rng: np.random.Generator) -> np.ndarray:
    """(10, 2) share of the head's motion that tracking adds to each region, of what is left once it is removed."""
    return np.exp(rng.uniform(*np.log(_LEAKS))) * rng.normal(size=(len(ROI_NAMES), 2))


def _flow(
    exact: np.ndarray,
    depth: np.ndarray,
    blink: np.ndarray,
    unsettled: np.ndarray,
    iod_px: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """(n, 17, 10, 2) snippets from the true picture positions (n, K, 4), of the skin and of a face that goes with the
    head without moving, and the mesh's depth (n, K), all in IOD.

    blink: (n,) how far the lids are closed. unsettled: (n,) as `exposure` says.
    """
    n = len(exact)
    roi, carried = np.split(roi_means(exact), 2, axis=2)
    rigid = exact[:, _ANCHOR_ROWS, :2]
    points = np.concatenate([roi, rigid], axis=1)
    p = points.shape[1]
    level = rng.lognormal(-0.9, 0.8) * (0.0008 + 0.06 / iod_px)
    # Each picture displaces what tracking finds in it: noise that both ends of a displacement share with every other
    # that uses the picture.
    jitter = level * (rng.normal(size=(n, p, 2)) + 0.7 * autoregressive(n, 6, (p, 2), rng))
    if unsettled.any():
        # Brightness that changes shifts what is tracked, each patch its own way.
        jitter += unsettled[:, None, None] * rng.normal(0, 0.006 * rng.random(), size=(p, 2))
    # A blink drags the skin next to the eye, and trackers with it.
    drag = rng.normal(0, 0.02 * rng.random(), size=(p, 2)) * [[1.0, 2.0]]
    drag[6:10] = 0
    jitter += blink[:, None, None] * drag
    noisy = (points + jitter).astype(np.float32)
    ticks = np.arange(n)
    reference = np.clip(ticks - SNIPPET_REACH, 0, n - 1)
    target = np.clip(ticks[:, None] - SNIPPET_REACH + np.arange(SNIPPET_STEPS), 0, n - 1)
    start = noisy[reference][:, None]
    steps = noisy[target] - start
    # Direct tracking drifts a little with every step, more where the picture changes its looks.
    grow = np.sqrt(np.arange(SNIPPET_STEPS))[None, :, None, None]
    moving = np.linalg.norm(steps, axis=-1, keepdims=True)
    steps = steps + rng.normal(size=steps.shape) * grow * (0.25 * level + 0.02 * np.minimum(moving, 0.3) / 4)
    # With the head a patch is followed by and large; what it does besides is seen less well.
    (lost,) = rng.spawn(1)
    going = (carried[target] - carried[reference][:, None]) * (lost.random() >= _LEFT_BEHIND)
    steps[:, :, :10] -= going
    # Skin without texture moves less in the picture than in truth, and at the corners of the mouth more than skin is
    # in the window.
    gain = rng.uniform(0.65, 1.05) * rng.normal(1.0, 0.12, size=(len(ROI_NAMES), 1))
    gain[list(_CORNERS)] *= rng.uniform(0.7, 1.0)
    gain[ROI_NAMES.index("lower_lip")] *= 1.1
    steps[:, :, :10] *= np.clip(gain, 0.35, 1.1)
    # Windows at the mouth hold parts of its other parts, each with a motion of its own.
    (beside,) = rng.spawn(1)
    mixing = beside.normal(0, 0.15 * beside.random(), size=(8, 8))
    mouth = steps[:, :, 6:10].reshape(*steps.shape[:2], 8)
    steps[:, :, 6:10] += (mouth @ mixing).reshape(*mouth.shape[:2], 4, 2)
    # Lips that part or fold hide what was tracked: large mouth motion is cut short.
    limit = rng.uniform(0.15, 0.6)
    mouth = steps[:, :, 6:10]
    size = np.linalg.norm(mouth, axis=-1, keepdims=True)
    steps[:, :, 6:10] = mouth * (limit * np.tanh(size / limit) / np.maximum(size, 1e-9))
    steps[:, :, :10] += going * (1 + _leak(lost))
    still = target == reference[:, None]
    steps[still] = 0
    depths = np.concatenate([roi_means(depth[:, :, None]), depth[:, _ANCHOR_ROWS, None]], axis=1)[reference][:, None]
    places = np.broadcast_to(np.concatenate([start, depths], axis=-1), (*steps.shape[:-1], 3)).astype(np.float32)
    return remove_head_motion(places[:, :, :10], steps[:, :, :10], places[:, :, 10:], steps[:, :, 10:], _ALIGNMENT)
