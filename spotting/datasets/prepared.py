"""A prepared data set: features of many videos in one folder, found by data set and video name.

The folder is a `FeatureCache` with an `index.csv` (columns `INDEX_COLUMNS`) beside its entries. `spot prepare` writes
it.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ...errors import AnnotationError
from ...extract.cache import SIDECAR, CacheKey, DamagedEntryError, FeatureCache
from ...extract.features import FaceFeatures
from ...files import replacing

INDEX_NAME = "index.csv"


@dataclass(frozen=True, order=True)
class PreparedVideo:
    """One line of the index.

    entry: folder of its features; ticks: length on the clock; coverage: fraction of ticks with a usable face.
    """

    dataset: str
    subject: str
    video: str
    entry: str
    ticks: int
    coverage: float


INDEX_COLUMNS = tuple(field.name for field in fields(PreparedVideo))


class PreparedSet:
    """Read access to a prepared folder. Raises AnnotationError if its index is missing or cannot be read."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.videos = tuple(read_index(self.folder))
        self._by_name = {(v.dataset, v.video): v for v in self.videos}

    def __iter__(self) -> Iterator[PreparedVideo]:
        return iter(self.videos)

    def __len__(self) -> int:
        return len(self.videos)

    def find(self, dataset: str, video: str) -> PreparedVideo | None:
        return self._by_name.get((dataset, video))

    def load(self, video: PreparedVideo) -> FaceFeatures:
        """Its features, memory-mapped. Raises AnnotationError if they are gone, incomplete or changed: `spot prepare`
        mends that."""
        features = None
        sidecar = self.folder / video.entry / SIDECAR
        if sidecar.exists():
            try:
                digest = json.loads(sidecar.read_bytes())["key"]
                key = CacheKey(video.entry.rpartition("-")[0], digest, {}, {})
                features = FeatureCache(self.folder).load(key)
            except (
                OSError,
                ValueError,
                KeyError,
                TypeError,
                RecursionError,
                DamagedEntryError,
            ) as error:
                raise AnnotationError(
                    f"{video.video}: its features are damaged ({error}); run spot prepare again"
                ) from error
        if features is None:
            raise AnnotationError(f"{sidecar}: no such file; run spot prepare again")
        return features


def read_index(folder: Path) -> list[PreparedVideo]:
    """The lines of a folder's index. Raises AnnotationError with the line number."""
    path = Path(folder) / INDEX_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AnnotationError(f"{path}: no such file; is {folder} a folder made by spot prepare?") from None
    rows = csv.reader(text.splitlines())
    if tuple(next(rows, ())) != INDEX_COLUMNS:
        raise AnnotationError(f"{path}, row 1: the columns are not {', '.join(INDEX_COLUMNS)}")
    videos = []
    for row in rows:
        try:
            dataset, subject, video, entry, ticks, coverage = row
            videos.append(PreparedVideo(dataset, subject, video, entry, int(ticks), float(coverage)))
        except ValueError as error:
            raise AnnotationError(f"{path}, row {rows.line_num}: {error}") from error
    return videos


def write_index(folder: Path, videos: Iterable[PreparedVideo]) -> None:
    """Replace the index, sorted, as a whole."""
    with replacing(Path(folder) / INDEX_NAME) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(INDEX_COLUMNS)
        table.writerows(astuple(video) for video in sorted(videos))
