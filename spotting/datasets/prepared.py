"""A prepared data set: features of many videos in one folder, found by data set and video name.

The folder is a `FeatureCache` with an `index.csv` (columns `INDEX_COLUMNS`) beside its entries. `spot prepare` writes
it.
"""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from filelock import FileLock

from ...errors import AnnotationError
from ...extract.cache import SIDECAR, DamagedEntryError, FeatureCache
from ...extract.features import FaceFeatures
from ...files import replacing

INDEX_NAME = "index.csv"
_LOCK_NAME = ".index.lock"


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
        """Its features, memory-mapped. Raises AnnotationError if they are gone, damaged or of another version:
        `spot prepare` mends all of that."""
        try:
            features = FeatureCache(self.folder).load_entry(video.entry)
        except DamagedEntryError as error:
            raise AnnotationError(
                f"{video.video}: its features are damaged ({error}); run spot prepare again"
            ) from error
        if features is None:
            raise AnnotationError(f"{self.folder / video.entry}: no such folder; run spot prepare again")
        return features

    def digest(self, video: PreparedVideo) -> str:
        """Of its features as they are stored: another one after they were extracted anew with another outcome.

        Raises AnnotationError if they are gone or cannot be read.
        """
        sidecar = self.folder / video.entry / SIDECAR
        try:
            arrays = json.loads(sidecar.read_bytes())["arrays"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AnnotationError(f"{sidecar}: cannot be read ({error!r}); run spot prepare again") from error
        return hashlib.sha256(json.dumps(arrays, sort_keys=True).encode()).hexdigest()


def read_index(folder: Path) -> list[PreparedVideo]:
    """The lines of a folder's index. Raises AnnotationError with the line number."""
    path = Path(folder) / INDEX_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AnnotationError(f"{path}: no such file; is {folder} a folder made by spot prepare?") from None
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: is damaged ({error}); run spot prepare again") from error
    rows = csv.reader(text.splitlines())
    try:
        lines = list(rows)
    except csv.Error as error:
        raise AnnotationError(f"{path}, row {rows.line_num}: {error}; run spot prepare again") from error
    if not lines or tuple(lines[0]) != INDEX_COLUMNS:
        raise AnnotationError(f"{path}, row 1: the columns are not {', '.join(INDEX_COLUMNS)}")
    videos = []
    for number, row in enumerate(lines[1:], 2):
        try:
            dataset, subject, video, entry, ticks, coverage = row
            prepared = PreparedVideo(dataset, subject, video, entry, int(ticks), float(coverage))
            if prepared.ticks < 0 or not 0 <= prepared.coverage <= 1:
                raise ValueError(f"{ticks} ticks with a coverage of {coverage} cannot be")
            videos.append(prepared)
        except ValueError as error:
            raise AnnotationError(f"{path}, row {number}: {error}") from error
    return videos


def write_index(folder: Path, videos: Iterable[PreparedVideo]) -> None:
    """Replace the index, sorted, as a whole. Raises OSError."""
    with _index_lock(Path(folder)):
        _write_index(Path(folder), videos)


def update_index(folder: Path, anew: Iterable[tuple[str, str]], made: Iterable[PreparedVideo]) -> None:
    """Put `made` in place of the lines of `anew`, (data set, video) each.

    The other lines stay as long as their entries do. Any number of processes may do this to one folder at a time.
    Raises AnnotationError for an index that cannot be read, OSError for a folder that cannot be written.
    """
    folder, anew = Path(folder), set(anew)
    with _index_lock(folder):
        earlier = read_index(folder) if (folder / INDEX_NAME).exists() else []
        kept = [v for v in earlier if (v.dataset, v.video) not in anew and (folder / v.entry).is_dir()]
        _write_index(folder, [*kept, *made])


@contextmanager
def _index_lock(folder: Path) -> Iterator[None]:
    """Only one at a time may be in here, of all processes. What killed ones left of an index is removed."""
    with FileLock(folder / _LOCK_NAME):
        for leftover in folder.glob(f".{INDEX_NAME}.*"):
            leftover.unlink(missing_ok=True)
        yield


def _write_index(folder: Path, videos: Iterable[PreparedVideo]) -> None:
    with replacing(folder / INDEX_NAME) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(INDEX_COLUMNS)
        table.writerows(astuple(video) for video in sorted(videos))
