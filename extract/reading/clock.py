"""The clock of a recording: a container's timestamps, holes and jumps in them included, to strictly increasing seconds.

Phones, screen recorders and browsers pause for as long as they like, so that a long step forward is no fault in itself.
A step back is. What a step forward may be is bounded by the length the container states, because every second becomes
thirty ticks of features and one damaged number must not become years of them.
"""

MIN_RESET_S = 1.0  # a step back as long as this is a clock that started anew; a shorter one is one frame's error
MAX_GAP_S = 60.0  # longer steps forward count as pauses, of which there is a bounded amount
UNSTATED_PAUSES_S = 3600.0  # what pauses may amount to where the container states no length ...
STATED_PAUSES_S = 6 * 3600.0  # ... and at most where it does
FALLBACK_FPS = 30.0
_BELIEVABLE_FPS = (1.0, 1000.0)  # of a header; outside, missing times are bridged at the fallback rate


class Clock:
    """Gives every frame its time.

    fps: what the header says, used only to bridge missing times. stated_s: how long the container says that it is, None
    where it does not. repairs: times so far that were missing or did not increase.
    """

    def __init__(self, fps: float, stated_s: float | None = None) -> None:
        lowest, highest = _BELIEVABLE_FPS
        self.period_s = 1.0 / (fps if lowest <= fps <= highest else FALLBACK_FPS)
        self.repairs = 0
        self._pauses_left_s = UNSTATED_PAUSES_S if stated_s is None else min(stated_s, STATED_PAUSES_S)
        self._last: float | None = None
        self._shift = 0.0

    def seconds(self, raw: float | None) -> float:
        """raw: the container's own seconds, None where it has none."""
        if self._last is None:
            self._last = raw if raw is not None else 0.0
            self.repairs += raw is None
            return self._last
        now = None if raw is None else raw + self._shift
        step = None if now is None else now - self._last
        if step is None or step <= -MIN_RESET_S or not self._believes(step):
            # No time, or a clock that started anew: go on at the nominal rate, and stay on the new clock's offset.
            now = self._last + self.period_s
            self._shift = self._shift if raw is None else now - raw
            self.repairs += 1
        elif step <= 0:
            # Half a period leaves room for the next frame's own, correct time.
            now = self._last + self.period_s / 2
            self.repairs += 1
        self._last = now
        return now

    def _believes(self, step: float) -> bool:
        """Whether a step forward may be a pause; what is believed is taken from what is left of them."""
        if step <= MAX_GAP_S:
            return True
        if step > self._pauses_left_s:
            return False
        self._pauses_left_s -= step
        return True
