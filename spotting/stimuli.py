"""What was shown to the person when: conditions of an experiment, laid over a recording."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, order=True)
class Stimulus:
    """start_s, end_s: seconds from the first frame; the end belongs to what follows. video: empty for every recording.

    Raises ValueError for an end that is not after the start.
    """

    start_s: float
    end_s: float
    name: str
    video: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"{self.name!r} lasts from {self.start_s:g} to {self.end_s:g} s, which is no time")

    def shared_s(self, start_s: float, end_s: float) -> float:
        """Seconds of start_s..end_s during which it was shown."""
        return max(0.0, min(self.end_s, end_s) - max(self.start_s, start_s))


def stimuli_of(stimuli: Sequence[Stimulus], video: str) -> tuple[Stimulus, ...]:
    """Those shown during one recording, in order of time: all that name no video, or this one by its file's name."""
    name, stem = PurePath(video).name, PurePath(video).stem
    return tuple(sorted(s for s in stimuli if not s.video or PurePath(s.video).name in (name, stem)))


def stimulus_at(stimuli: Sequence[Stimulus], seconds: float) -> str:
    """The name of the stimulus that is on at a moment, empty if none is; where two are, the one that came later."""
    on = [s for s in stimuli if s.start_s <= seconds < s.end_s]
    return max(on).name if on else ""
