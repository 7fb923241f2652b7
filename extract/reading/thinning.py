"""Thinning of video faster than the clock, before anything costly looks at its pictures."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from ..timebase import CLOCK_HZ
from .frames import VideoFrame
from .stream import PendingFrame

Frame = TypeVar("Frame", VideoFrame, PendingFrame)

# Frames this far apart (in clock periods) or farther all pass: jittered 30 fps must not lose a picture to a tick that
# happens to fall just beyond the halfway mark.
_ALWAYS_KEPT_SPACING = 0.75
_END_SLACK_S = 1e-3  # the slack with which Timebase counts its last tick


def thin_to_clock(frames: Iterable[Frame], rate: float = CLOCK_HZ) -> Iterator[Frame]:
    """Drop the frames that no tick of a `rate` Hz clock would use.

    A frame passes when it is the nearest one to some tick (`Timebase.frame_of_tick`; the earlier of two),
    or when its surroundings are no faster than 4/3 of the clock: a source of about `rate` or slower passes whole.
    Streams with one frame of look-ahead. Raises ValueError for a rate that is not positive or times that do not rise.
    """
    if not rate > 0:
        raise ValueError("the clock rate must be positive")
    tick = 0  # first tick no frame has been found for yet
    before: Frame | None = None
    current: Frame | None = None
    wanted = False
    for following in frames:
        if current is not None:
            if following.time <= current.time:
                raise ValueError(f"frame {following.index} is not later than the frame before it")
            next_wanted = False
            while tick / rate < following.time:
                if tick / rate - current.time <= following.time - tick / rate:
                    wanted = True
                else:
                    next_wanted = True
                tick += 1
            reach = following.time - before.time if before is not None else 2 * (following.time - current.time)
            if wanted or reach * rate >= 2 * _ALWAYS_KEPT_SPACING:
                yield current
            wanted = next_wanted
        before, current = current, following
    if current is not None:
        if tick / rate <= current.time + _END_SLACK_S:
            wanted = True
        if wanted or before is None or (current.time - before.time) * rate >= _ALWAYS_KEPT_SPACING:
            yield current
