"""Finding the recordings of a data set on disk, in the folder layouts it is distributed in.

SAMM-LV: one folder of images per video (`SAMM_longvideos/006_1/006_1_0001.jpg`), 200 a second. CAS(ME)^2:
`rawvideo/s15/15_0101disgustingteeth.avi`, the same as images under `rawpic/`, and cropped to the face under
`longVideoFaceCropped/`.
CAS(ME)^3: `spNO.1/a/color/1.jpg`. Anything else is one's own: video files, and folders of numbered images, named by
their path below the root without the ending.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...errors import VideoNotFoundError
from ...extract.reading.video import IMAGE_SUFFIXES
from . import casme2, casme3, own_records, samm_lv
from .names import public_name
from .own_records import VIDEO_SUFFIXES, video_key

if TYPE_CHECKING:
    import pandas as pd

# Fewer numbered images than one snippet are thumbnails or stills, not a recording.
MIN_IMAGES = 17

_RATES = {samm_lv.DATASET: samm_lv.FPS, casme2.DATASET: casme2.FPS, casme3.DATASET: casme3.FPS}
_CASME3_SUBJECT = re.compile(r"spNO\.(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True, order=True)
class Recording:
    """One video as it lies on disk. path: the file or the folder of images; fps: rate of images, None for a file or
    where it is not known; n_images: 0 for a file; gaps: image numbers missing between the first and the last."""

    dataset: str
    subject: str
    video: str
    path: Path
    kind: Literal["file", "images"]
    fps: float | None = None
    n_images: int = 0
    gaps: tuple[int, ...] = ()

    @property
    def cropped(self) -> bool:
        return any("crop" in part.lower() for part in self.path.parts[-4:])


@dataclass(frozen=True)
class LayoutReport:
    """What a data set's folder and its annotations say about each other; each list is sorted.

    recordings: one per video, the best copy. doubled: videos found more than once, and where. missing: annotated, but
    not on disk. unannotated: on disk, but without an expression in the table (a video can simply have none: CAS(ME)^2
    has 98 videos and expressions in 95). gaps: videos whose image numbers leave some out.
    """

    recordings: tuple[Recording, ...]
    doubled: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unannotated: tuple[str, ...] = ()
    gaps: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The report in sentences, nothing where all is well."""
        found = []
        for video, paths in self.doubled.items():
            found.append(f"doubled: {video} is there {len(paths)} times, {paths[0]} is used")
        for video, numbers in self.gaps.items():
            found.append(f"incomplete: {video} lacks {len(numbers)} images, the first is number {numbers[0]}")
        found += [f"missing: {video} is annotated and not in the folder" for video in self.missing]
        found += [f"without annotation: {video}" for video in self.unannotated]
        return found


def scan_dataset(root: str | Path) -> list[Recording]:
    """Every recording below `root`, sorted by data set, video and preference among copies.

    Whole pictures are preferred to cropped ones, images to files (their numbers are the annotation's own). Depth images
    are passed over. Links to folders are followed once. Raises VideoNotFoundError if `root` is no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise VideoNotFoundError(f"{root}: no such folder")
    found = []
    visited: set[str] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name.lower() != "depth")
        here = Path(place)
        images = [name for name in files if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")]
        if recording := _image_folder(root, here, images):
            found.append(recording)
        for name in files:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith("."):
                found.append(_recording(root, here / name, "file"))
    return sorted(found, key=lambda r: (r.dataset, r.video, r.cropped, r.kind == "file", str(r.path)))


def check_layout(recordings: list[Recording], records: "pd.DataFrame | None" = None) -> LayoutReport:
    """Compare what was found with the table of records, if there is one.

    Own recordings may be named in the table by the file name alone where that is unambiguous.
    """
    copies: dict[tuple[str, str], list[Recording]] = {}
    for recording in recordings:
        copies.setdefault((recording.dataset, recording.video), []).append(recording)
    chosen = {key: group[0] for key, group in copies.items()}
    missing, unannotated = [], []
    if records is not None:
        names = set(zip(records["dataset"], match_videos(records, recordings)["video"], strict=True))
        datasets = {dataset for dataset, _ in names}
        missing = sorted(video for dataset, video in names - set(chosen))
        unannotated = sorted(video for dataset, video in set(chosen) - names if dataset in datasets)
    return LayoutReport(
        recordings=tuple(chosen.values()),
        doubled={key[1]: tuple(r.path for r in group) for key, group in copies.items() if len(group) > 1},
        missing=tuple(missing),
        unannotated=tuple(unannotated),
        gaps={key[1]: recording.gaps for key, recording in chosen.items() if recording.gaps},
    )


def match_videos(records: "pd.DataFrame", recordings: list[Recording]) -> "pd.DataFrame":
    """A copy of the table in which own videos named by the file name alone carry their whole path below the root."""
    own_videos = {r.video for r in recordings if r.dataset == own_records.DATASET}
    by_name: dict[str, set[str]] = {}
    for video in own_videos:
        by_name.setdefault(video.rpartition("/")[2], set()).add(video)

    def full(dataset: str, video: str) -> str:
        candidates = by_name.get(video, set())
        if dataset != own_records.DATASET or video in own_videos or len(candidates) != 1:
            return video
        return next(iter(candidates))

    matched = records.copy()
    matched["video"] = [full(d, v) for d, v in zip(records["dataset"], records["video"], strict=True)]
    return matched


def _image_folder(root: Path, folder: Path, images: list[str]) -> Recording | None:
    """The recording that a folder of images is, None if they are too few or not numbered."""
    numbers = sorted(int(m[1]) for name in images if (m := _NUMBER.search(Path(name).stem)))
    if len(numbers) < MIN_IMAGES:
        return None
    gaps = tuple(sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers)))
    return _recording(root, folder, "images", n_images=len(numbers), gaps=gaps)


def _recording(
    root: Path, path: Path, kind: Literal["file", "images"], n_images: int = 0, gaps: tuple[int, ...] = ()
) -> Recording:
    stem = path.stem if kind == "file" else path.name
    if public := public_name(stem):
        known = (*public, _RATES[public.dataset])
    elif film := _casme3_film(path, kind):
        known = (casme3.DATASET, film[0], f"{film[0]}_{film[1]}", casme3.FPS)
    else:
        video = video_key(path.relative_to(root).as_posix() if path != root else root.resolve().name)
        known = (own_records.DATASET, video, video, None)
    dataset, subject, video, fps = known
    return Recording(dataset, subject, video, path, kind, fps if kind == "images" else None, n_images, gaps)


def _casme3_film(path: Path, kind: str) -> tuple[str, str] | None:
    """Subject and film of `spNO.1/a/color` (images) or `spNO.1/a.mp4` and `spNO.1/a/color.mp4` (files)."""
    parts = [*path.parts[:-1], path.stem if kind == "file" else path.name]
    if parts[-1].lower() == "color":
        parts.pop()
    if len(parts) < 2 or not (subject := _CASME3_SUBJECT.fullmatch(parts[-2])) or len(parts[-1]) != 1:
        return None
    return f"spNO.{int(subject[1])}", parts[-1].lower()
