"""The clock: source frames, seconds and 30 Hz ticks, and the only conversions between them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

CLOCK_HZ = 30.0
# Pictures no further apart are dense, those of 28 frames a second or more: what is slow to find out is found out for
# every second one, and between two of those taken from both.
DENSE_PERIOD_S = 1 / 27.5


@dataclass(frozen=True, eq=False)
class Timebase:
    """When each decoded frame of one video was shown, and the regular clock laid over it.

    Three units exist and are never mixed: a *frame* is the 0-based index of a decoded source frame, *seconds* count
    from the first decoded frame, a *tick* is an index of the regular clock (tick i is at i / rate seconds).

    frame_times: (F,) float64 seconds, strictly increasing, frame_times[0] == 0.
    Raises ValueError if they are not.
    """

    frame_times: np.ndarray
    rate: float = CLOCK_HZ

    def __post_init__(self) -> None:
        times = np.asarray(self.frame_times, dtype=np.float64)
        if times.ndim != 1 or times.size == 0 or times[0] != 0.0 or np.any(np.diff(times) <= 0):
            raise ValueError("frame_times must be a non-empty, strictly increasing vector that starts at 0")
        if not self.rate > 0:
            raise ValueError("the clock rate must be positive")
        object.__setattr__(self, "frame_times", times)

    @property
    def n_frames(self) -> int:
        return self.frame_times.size

    @cached_property
    def fps(self) -> float:
        """Median frame rate of the source; the clock's rate for a single frame."""
        return float(1.0 / np.median(np.diff(self.frame_times))) if self.n_frames > 1 else self.rate

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last one, which is taken to last a median frame."""
        return float(self.frame_times[-1] + 1.0 / self.fps)

    @property
    def n_ticks(self) -> int:
        """Ticks from the first to the last frame; a millisecond of slack keeps rounded timestamps from losing one."""
        return int(np.floor((self.frame_times[-1] + 1e-3) * self.rate)) + 1

    @cached_property
    def tick_times(self) -> np.ndarray:
        """(n_ticks,) seconds."""
        return np.arange(self.n_ticks) / self.rate

    def seconds_of_tick(self, tick: int) -> float:
        return tick / self.rate

    def tick_of_seconds(self, seconds: float) -> int:
        """Nearest tick, clamped to the video."""
        return int(np.clip(np.rint(seconds * self.rate), 0, self.n_ticks - 1))

    def frame_of_seconds(self, seconds: float) -> int:
        """Frame whose timestamp is nearest."""
        right = int(np.clip(np.searchsorted(self.frame_times, seconds), 1, max(self.n_frames - 1, 1)))
        if self.n_frames == 1:
            return 0
        left = right - 1
        return left if seconds - self.frame_times[left] <= self.frame_times[right] - seconds else right

    def frame_of_tick(self, tick: int) -> int:
        return self.frame_of_seconds(self.seconds_of_tick(tick))

    def tick_of_frame(self, frame: int) -> int:
        """Nearest tick of a source frame; raises IndexError outside the video."""
        if not 0 <= frame < self.n_frames:
            raise IndexError(f"frame {frame} is outside 0..{self.n_frames - 1}")
        return self.tick_of_seconds(float(self.frame_times[frame]))
