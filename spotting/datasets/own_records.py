"""Records of one's own recordings: how their videos are named, and how a moment given in seconds is kept."""

from pathlib import PureWindowsPath
from typing import Any

from .sheets import Row

DATASET = "own"
# What is given in seconds is kept in milliseconds: such records have 1000 frames per second.
MILLISECONDS = 1000.0
VIDEO_SUFFIXES = frozenset(
    (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".m2ts", ".ogv", ".webm", ".wmv", ".3gp", ".flv")
)


def video_key(name: str) -> str:
    """How tables name a video: forward slashes, no drive, no video ending."""
    key = PureWindowsPath(name).as_posix() if "\\" in name else name
    key = key.removeprefix("./")
    stem, dot, ending = key.rpartition(".")
    return stem if dot and f".{ending.lower()}" in VIDEO_SUFFIXES else key


def video_of_file(name: str) -> str:
    """The video that an annotation file is named after: `clip.spots.eaf`, `clip_events.tsv` and `clip.eaf` tell of
    `clip`."""
    stem = name.rpartition(".")[0] or name
    for ending in (".spots", "_events", ".boris", ".megc2022", ".megc2023"):
        stem = stem.removesuffix(ending)
    return video_key(stem)


def own_record(
    video: str, subject: str, onset: int | None, apex: int | None, offset: int | None, kind: str, fps: float
) -> dict[str, Any]:
    """A row for `make_records`. subject: empty where none is named; every video is its own then."""
    return {
        "dataset": DATASET,
        "subject": subject or video,
        "video": video,
        "onset": onset,
        "apex": apex,
        "offset": offset,
        "type": kind,
        "aus": (),
        "fps": fps,
    }


def within(apex: int | None, onset: int, offset: int) -> int | None:
    """The apex, or None for one that a corrected onset or offset has left outside."""
    return apex if apex is not None and onset <= apex <= offset else None


def subject_of(row: Row) -> str:
    """Empty where the table names none; BORIS writes "No focal subject" then."""
    if "subject" not in row or row["subject"].empty or row["subject"].text().lower() == "no focal subject":
        return ""
    return row["subject"].text()
