"""Which recordings a command line means, and how their outputs are called."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ..errors import FacespotError, NotAVideoError, VideoNotFoundError

# Names of an output, from short to certain: the video's stem, its full name, with its folder, with a hash of its path.
_NAME_LEVELS = 4
# Bytes of it, so that with the longest ending, that of a coder's labels, it stays below the 255 file systems allow.
_MOST_BYTES = 180


@dataclass(frozen=True)
class Source:
    """One recording to work on: a file, or a folder of images with their rate if it is known."""

    path: Path
    fps: float | None = None


def expand(path: Path, fps: float | None) -> list[Source]:
    """The recordings that a path means: itself, or where it is a folder of recordings, those.

    A folder of numbered images is one recording. Of folders of images inside a folder those count whose rate is known,
    by `fps` or by the layout of a data set. Raises VideoNotFoundError, or NotAVideoError if the path cannot be looked
    at.
    """
    look_at(path)
    if not os.path.isdir(path):
        return [Source(path, fps)]
    from ..spotting.datasets.layouts import scan_dataset

    found = {r.path: Source(r.path, fps or r.fps) for r in scan_dataset(path) if r.kind == "file" or fps or r.fps}
    # Without any it is for the reader of images to say what is wrong with it.
    return [Source(path, fps)] if path in found or not found else [found[p] for p in sorted(found)]


def look_at(path: Path) -> None:
    """Raises as `expand`."""
    try:
        os.stat(path)
    except OSError as error:
        name = click.format_filename(path)
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise VideoNotFoundError(f"{name}: no such file or folder; check the name") from error
        raise NotAVideoError(f"{name}: cannot be read ({error.strerror}); check its name and permissions") from error


def output_names(videos: Sequence[Path], folder: Path | None) -> dict[Path, Path]:
    """Video -> where its outputs go, without any suffix; `clip.mp4` gives `clip`, in `folder` or beside the video.

    Videos that would share a name get longer ones until all differ: `clip.mp4`, then `parent_clip.mp4`.
    """
    levels = dict.fromkeys(videos, 0)
    while True:
        names = {video: _name(video, folder, level) for video, level in levels.items()}
        owners: dict[str, list[Path]] = {}
        for video, name in names.items():
            # Some file systems take A and a for the same.
            owners.setdefault(os.fspath(name.absolute()).casefold(), []).append(video)
        clashing = [v for group in owners.values() if len(group) > 1 for v in group if levels[v] < _NAME_LEVELS - 1]
        if not clashing:
            return names
        for video in clashing:
            levels[video] += 1


def _name(video: Path, folder: Path | None, level: int) -> Path:
    full = video.absolute()
    stem = full.name if os.path.isdir(video) else full.stem
    name = (stem, full.name, f"{full.parent.name}_{full.name}")[min(level, 2)]
    if level == 3 or len(os.fsencode(name)) > _MOST_BYTES:
        import hashlib

        # Of the name alone where that is all that is wanted: the outputs of a folder that was moved are found again.
        named = os.fsencode(full if level == 3 else name)
        kept = os.fsencode(name)[:_MOST_BYTES].decode(errors="ignore")
        name = f"{kept}_{hashlib.sha256(named).hexdigest()[:8]}"
    return (video.parent if folder is None else folder) / name


def with_face(name: Path, face: int | None) -> Path:
    """The output's name with the number of the face that was chosen, so that each person has files of their own."""
    return name if face is None else name.with_name(f"{name.name}.face{face}")


def make_folder(folder: Path) -> None:
    """Raises FacespotError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FacespotError(f"{error}; give -o another folder") from error
