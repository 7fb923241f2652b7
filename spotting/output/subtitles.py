"""WebVTT subtitles: a cue while an expression lasts, for any video player."""

from pathlib import Path

from ..result import SpotResult
from .lanes import milliseconds


def render_webvtt(result: SpotResult, path: Path) -> str:
    """A cue says the type, the confidence and where the apex is: `macro 0.91 (apex 1.500 s)`."""
    cues = ["WEBVTT\n"]
    for number, s in enumerate(result.spots, 1):
        onset, offset = milliseconds(s)
        label = f"{s.type} {s.confidence:.2f} (apex {s.apex_s:.3f} s)"
        cues.append(f"{number}\n{_time(onset)} --> {_time(offset)}\n{label}\n")
    return "\n".join(cues)


def _time(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:03d}"
