"""Many recordings from Python: `spot_many`, in several processes."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import FacespotError
from ..extract.options import ExtractOptions
from ..models.shipped import check_choice
from ..processes import PATIENCE_S, Headway, pool_width, run_jobs
from .intervals import ExpressionType
from .result import SpotResult
from .thresholds import Confidence, chosen_types, least_confidence
from .voice import VoiceChoice, check_voice, listen

if TYPE_CHECKING:
    import pandas as pd

    from .readers.base import Decoding
    from .spotter import Spotter

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class SpotBatch:
    """What `spot_many` gives back. Iterating gives the results.

    results: in the order of the paths, without those that failed. failures: path -> why.
    """

    results: tuple[SpotResult, ...] = ()
    failures: dict[str, Exception] = field(default_factory=dict)

    def __iter__(self) -> Iterator[SpotResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def to_frame(self) -> "pd.DataFrame":
        """All expressions of all recordings in one table."""
        import pandas as pd

        return pd.concat([r.to_frame() for r in self.results], ignore_index=True) if self.results else pd.DataFrame()


@dataclass(frozen=True)
class _Order:
    """What is wanted of every recording; called in the process that works on one."""

    weights: StrPath | None
    model: str | None
    device: str
    decoding: "Decoding"
    min_confidence: Confidence | None
    types: tuple[ExpressionType, ...]
    face: str | int
    fps: float | None
    cache: StrPath | None
    voice: VoiceChoice

    def __call__(self, path: StrPath, headway: Headway) -> "SpotResult | _Unloadable":
        from ..extract.pipeline import extract_features

        try:
            spotter = shared_spotter(self.weights, self.device, self.decoding, self.model)
        except FacespotError as error:
            return _Unloadable(error)
        check_voice(self.voice, path)
        options = ExtractOptions(face=self.face)
        features = extract_features(path, options, fps=self.fps, cache=self.cache, progress=headway)
        n = features.timebase.n_frames
        heard = listen(path, features.timebase, self.voice, lambda: headway(n, n))
        return spotter.spot(features, min_confidence=self.min_confidence, types=self.types, voice=heard)


@dataclass(frozen=True)
class _Unloadable:
    """Nothing of one recording alone: every other would fail of it too."""

    error: FacespotError


def spot_many(
    paths: Iterable[StrPath],
    *,
    jobs: int | None = None,
    weights: StrPath | None = None,
    model: str | None = None,
    device: str = "auto",
    decoding: "Decoding" = "own",
    min_confidence: Confidence | None = None,
    types: ExpressionType | Sequence[ExpressionType] | None = None,
    face: str | int = "longest",
    fps: float | None = None,
    cache: StrPath | None = None,
    voice: VoiceChoice = "auto",
    patience_s: float = PATIENCE_S,
    progress: Callable[[str, SpotResult | Exception], None] | None = None,
) -> SpotBatch:
    """The expressions in many recordings, `jobs` of them at work at once (by default, and at most, as many as cores).

    One that fails, takes its process down or makes no headway for `patience_s` is among `failures`, and the others go
    on. progress: called with each path and what became of it, as it comes. The rest as in `spot`. A script that calls
    this has to do so below `if __name__ == "__main__":`, since its processes import it.
    Raises WeightsError if the weights cannot be used, FacespotError if the device is not there, TypeError and
    ValueError for other arguments than there can be.
    """
    if isinstance(paths, str | os.PathLike):
        raise TypeError("spot_many takes several paths; spot takes one")
    names = [os.fspath(path) for path in paths]
    order = _Order(
        weights,
        model,
        device,
        decoding,
        min_confidence,
        chosen_types(types),
        ExtractOptions(face=face).face,
        fps,
        cache,
        voice,
    )
    check_voice(voice)
    check_choice(weights, model)
    least_confidence(min_confidence, (0.0, 0.0))
    found: dict[int, SpotResult] = {}
    failed: dict[int, Exception] = {}
    ends = run_jobs(order, names, pool_width(jobs, len(names)), patience_s=patience_s)
    try:
        for end in ends:
            if isinstance(end.value, _Unloadable):
                raise end.value.error
            if end.error is None:
                found[end.number] = end.value
            else:
                failed[end.number] = end.error
            if progress is not None:
                progress(names[end.number], end.error or end.value)
    finally:
        ends.close()
    return SpotBatch(tuple(found[i] for i in sorted(found)), {names[i]: failed[i] for i in sorted(failed)})


@lru_cache(maxsize=1)
def shared_spotter(
    weights: StrPath | None, device: str, decoding: "Decoding" = "own", model: str | None = None
) -> "Spotter":
    """The spotter that a process uses for all recordings. Raises as `Spotter.load`."""
    from .spotter import Spotter

    return Spotter.load(weights, device, decoding, model)
