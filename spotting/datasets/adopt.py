"""The authors' released feature files as a prepared data set, to train and judge on.

They hold flow alone. In place of landmarks stands a face at rest, so that whatever reads geometry sees nothing move:
such features are for networks that read flow (`spot train --model journal` or `iclr2025`), not for the weights that
come with facespot.
"""

import hashlib
from pathlib import Path

import numpy as np

from ...errors import AnnotationError
from ...extract.cache import CacheKey, FeatureCache
from ...extract.features import FaceFeatures
from ...extract.regions import KEPT_MESH_POINTS
from ...extract.timebase import CLOCK_HZ, Timebase
from ...version import __version__
from . import own_records
from .prepared import PreparedVideo, update_index
from .published import PublishedAnnotations, read_published_annotations, read_published_features

_RESTING_IOD_PX = 100.0


def adopt_published(
    features: str | Path, annotations: str | Path, output: str | Path, resting_face: np.ndarray, *, trust_pickle: bool
) -> tuple[list[PreparedVideo], PublishedAnnotations]:
    """Make a prepared folder of `<NAME>-SLopticalflow.npy`, with the names in its `<NAME>-Annotations`.

    resting_face: (K, 3) in IOD, what stands for the landmarks. Ticks count as 30 Hz, as the release takes them, also
    where its files have 28.6. Raises AnnotationError without trust, for files of another form, and for a folder that
    cannot be indexed.
    """
    if resting_face.shape != (len(KEPT_MESH_POINTS), 3):
        raise AnnotationError(f"a resting face has {len(KEPT_MESH_POINTS)} points, not {resting_face.shape}")
    told = read_published_annotations(annotations, trust_pickle=trust_pickle)
    videos = told.records.drop_duplicates("video")
    arrays = read_published_features(features, list(videos["video"]), trust_pickle=trust_pickle)
    cache, lines = FeatureCache(output), []
    for row in videos.itertuples():
        snippets = arrays[row.video].astype(np.float16)
        n = len(snippets)
        if n == 0:
            raise AnnotationError(f"{features}: {row.video} has no frames")
        landmarks = np.tile((resting_face * _RESTING_IOD_PX).astype(np.float32), (n, 1, 1))
        identity = hashlib.sha256(snippets.tobytes() + f"{row.dataset}|{row.video}".encode()).hexdigest()
        key = CacheKey(row.video, identity, {"kind": "published", "file": Path(features).name}, {})
        source = {"published": Path(features).name, "path": row.video, "landmarks": "a face at rest"}
        provenance = {"facespot": __version__, "source": source, "warnings": []}
        clock = Timebase(np.arange(n) / CLOCK_HZ)
        cache.store(key, FaceFeatures(snippets, landmarks, np.zeros(n, np.int32), clock, provenance))
        # Named like own recordings, as a table that goes with them names them.
        lines.append(PreparedVideo(own_records.DATASET, str(row.subject), row.video, key.entry_name, n, 1.0))
    update_index(Path(output), [(line.dataset, line.video) for line in lines], lines)
    return lines, told
