"""`SpotResult`: what spotting one video gives back."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FacespotError
from ..extract.timebase import Timebase
from .columns import typed_frame
from .intervals import EXPRESSION_TYPES, Spot
from .stimuli import Stimulus, stimulus_at

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .explanations import Explanation

# Share of an expression spent talking from which `without_speech` looks at it, and where a mouth alone moves.
SPEECH_SHARE = 0.5
_MOUTH = frozenset(("mouth corner", "upper lip", "lower lip", "chin"))

COLUMNS: tuple[str, ...] = (
    "video",
    "type",
    "onset_s",
    "apex_s",
    "offset_s",
    "onset_frame",
    "apex_frame",
    "offset_frame",
    "confidence",
    "cut_off",
    "micro_probability",
    "peak_motion",
    "regions",
    "speech",
    "voiced",
    "head_motion",
)
# Columns that come from the explanation of a row -> what they are called there.
_EXPLAINED = {
    "peak_motion": "peak_motion",
    "regions": "regions",
    "speech": "speech",
    "voiced": "voiced",
    "head_motion": "head_rotation",
}


@dataclass(frozen=True, eq=False, repr=False)
class SpotResult:
    """The expressions of one video, in order of time, and what is needed to judge and to draw them.

    video: the path as it was given. intensity: (N,) expression intensity 0..1 per clock tick. segment: (N,) int,
    number of the unbroken stretch with a usable face, -1 where there is none. coverage: fraction of ticks with a
    usable face. warnings: one sentence each (damaged file, second face ...). provenance: JSON-serialisable account of
    version, weights and options. min_confidence: what was asked of macro and micro. strongest: highest confidence of
    any candidate, reported or not, None without one. face: number of the followed one where the caller chose. stimuli:
    what was shown meanwhile, if the caller knows. speaking: (N,) probability per tick, 0..1, that the face is talking,
    and scores: (N, 2) of macro and micro, None where the weights do not tell. voice: (N,) probability per tick that a
    voice is heard, anybody's, None where no sound was listened to.
    Raises ValueError if the two curves do not fit the time base.
    """

    video: str
    spots: tuple[Spot, ...]
    intensity: np.ndarray
    segment: np.ndarray
    timebase: Timebase
    coverage: float
    warnings: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    min_confidence: tuple[float, float] | None = None
    strongest: float | None = None
    face: int | None = None
    stimuli: tuple[Stimulus, ...] = ()
    speaking: np.ndarray | None = None
    scores: np.ndarray | None = None
    voice: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = self.timebase.n_ticks
        if self.intensity.shape != (n,) or self.segment.shape != (n,):
            raise ValueError(
                f"a clock of {n} ticks needs curves of as many, got {self.intensity.shape} and {self.segment.shape}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """`COLUMNS`, `face` where one was chosen and `segment` where stimuli are known."""
        face = () if self.face is None else ("face",)
        return (*COLUMNS, *face, "segment") if self.stimuli else (*COLUMNS, *face)

    def rows(self) -> list[dict[str, Any]]:
        """One dict per spot, keyed by `columns`.

        peak_motion: % of the inter-ocular distance. regions: what moved, in words. speech: share of the time. voiced:
        share of the time in which the face talks and a voice is heard at once. head_motion: degrees the head turned.
        None where it was not measured.
        """
        face = {} if self.face is None else {"face": self.face}
        return [
            {
                "video": self.video,
                "type": s.type,
                "onset_s": s.onset_s,
                "apex_s": s.apex_s,
                "offset_s": s.offset_s,
                "onset_frame": s.onset_frame,
                "apex_frame": s.apex_frame,
                "offset_frame": s.offset_frame,
                "confidence": s.confidence,
                "cut_off": s.cut_off,
                "micro_probability": s.micro_probability,
                **_explained(s.explanation),
                **face,
                **({"segment": stimulus_at(self.stimuli, s.apex_s)} if self.stimuli else {}),
            }
            for s in self.spots
        ]

    def to_frame(self) -> "pd.DataFrame":
        """The spots as a table with the columns `columns`, of the same types also when there are none."""
        return typed_frame(self.rows(), self.columns)

    def without_speech(self) -> "SpotResult":
        """The same without expressions that may be nothing but speech: the face talks in half of them or more, and
        all that stands out from noise there is of mouth and chin. Brows, lids, cheeks or nose that join keep one.
        Where the sound track was listened to, the face only talks where a voice is heard at once.

        A warning and the provenance tell how many are gone. Raises FacespotError where the weights do not tell speech.
        """
        if self.speaking is None:
            raise FacespotError("these weights do not tell where somebody is talking, so speech cannot be left out")
        by = "mouth" if self.voice is None else "mouth and voice"
        kept = tuple(s for s in self.spots if not _is_speech(s, listened=self.voice is not None))
        gone = len(self.spots) - len(kept)
        talking = "talking" if self.voice is None else "talking and heard"
        said = (f"{gone} expression{'s' * (gone != 1)} of the mouth alone, while {talking}, left out",) if gone else ()
        return replace(
            self,
            spots=kept,
            warnings=(*self.warnings, *said),
            provenance={**self.provenance, "ignored_speech": {"share": SPEECH_SHARE, "by": by, "left_out": gone}},
        )

    def count(self) -> dict[str, int]:
        """Number of spots of each type."""
        return {kind: sum(s.type == kind for s in self.spots) for kind in EXPRESSION_TYPES}

    def headline(self) -> str:
        """What was found, in one line without the video's name."""
        counts, n = self.count(), len(self.spots)
        found = "no expressions"
        if n:
            found = f"{n} expression{'s' * (n != 1)} ({counts['macro']} macro, {counts['micro']} micro)"
        usable = f"face usable in {100 * self.coverage:.0f} % of {self.timebase.duration_s:.1f} s"
        still = "; still head: read as of a laboratory" if self.provenance.get("setting") == "laboratory" else ""
        return f"{found}; {usable}{still}"

    def hint(self) -> str | None:
        """Where nothing was found, how near the strongest candidate came; None where something was, be it speech."""
        if self.spots or self.min_confidence is None or self.provenance.get("ignored_speech", {}).get("left_out"):
            return None
        macro, micro = self.min_confidence
        asked = f"{macro:.2f}" if macro == micro else f"{macro:.2f} (macro) and {micro:.2f} (micro)"
        if self.strongest is None:
            return f"no candidate of any confidence; reported from {asked} on"
        return f"the strongest candidate has confidence {self.strongest:.2f}; reported from {asked} on"

    def plot(self, stills: Mapping[int, np.ndarray] | None = None) -> "Figure":
        """The figure of `--plot`, for a notebook or `savefig`. stills: as in `output.plot.draw`."""
        return self._output("plot").draw(self, stills)

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write one of the formats of `--format`, or with the ending .npz everything that `load` reads back.

        format: where the ending does not tell it. Raises ValueError if neither does, OSError where the folder cannot be
        written.
        """
        path = Path(path)
        if format is None and path.suffix == ".npz":
            self._output("archive").write_archive(self, path)
            return path
        formats = self._output("formats")
        if format is None:
            # Of formats with one ending the first is meant.
            endings = {Path(w.suffix).suffix.lower(): name for name, w in reversed(formats.WRITERS.items())}
            format = endings.get(path.suffix.lower())
            if format is None:
                known = ", ".join([".npz", *endings])
                raise ValueError(f"{path.name}: which format is that? Its ending is none of {known}; name the format")
        formats.get_writer(format).write(self, path)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SpotResult":
        """A result that `save` wrote as .npz. Raises FacespotError for any other file, OSError if there is none."""
        return cls._output("archive").read_archive(path)

    def __repr__(self) -> str:
        return f"<SpotResult of {self.video!r}: {self.headline()}>"

    def _repr_html_(self) -> str:
        return (
            f"<p>{escape(Path(self.video).name)}: {escape(self.headline())}</p>{self.to_frame().to_html(index=False)}"
        )

    @staticmethod
    def _output(module: str) -> Any:
        # By name: what writes results knows them, and results shall not have to know their writers.
        return import_module(f".output.{module}", __package__)


def _is_speech(spot: Spot, listened: bool) -> bool:
    """See `SpotResult.without_speech`. What nobody measured, or where nothing stands out, is not called speech."""
    why = spot.explanation
    if why is None or not why.moved:
        return False
    talking = why.voiced if listened else why.speech
    return talking is not None and talking >= SPEECH_SHARE and all(motion.region in _MOUTH for motion in why.moved)


def _explained(explanation: "Explanation | None") -> dict[str, Any]:
    """The columns of a row that come from an explanation."""
    if explanation is None:
        return dict.fromkeys(_EXPLAINED)
    return {column: getattr(explanation, name) for column, name in _EXPLAINED.items()}
