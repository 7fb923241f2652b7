"""`Spotter`: weights in, intervals out; and `spot`, the whole way from a file."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from ..errors import WeightsError
from ..extract.features import FaceFeatures
from ..extract.timebase import Timebase
from ..models.checkpoint import Checkpoint, load_arrays, load_checkpoint
from ..models.device import resolve_device, surely_cpu
from ..models.shipped import DEFAULT_MODEL, MODELS, check_choice, shipped_weights
from ..version import __version__
from .explanations import explain_interval
from .intervals import EXPRESSION_TYPES, CutOff, ExpressionType, Interval, Spot
from .readers.base import Curves, Decoding, Reader
from .result import SpotResult
from .settings import Setting, setting_of
from .thresholds import Confidence, chosen_types, least_confidence
from .tidying import cut_off, cut_off_warnings, tidy, types_of_cut_off
from .voice import Voice, VoiceChoice, agreement, check_voice, listen

if TYPE_CHECKING:
    import torch

    from ..extract.cache import FeatureCache

DEFAULT_WEIGHTS = MODELS[DEFAULT_MODEL]
# Kind of checkpoint -> module of `readers` and class that reads it; only the one that is needed is loaded.
Readers = dict[str, tuple[str, str]]
# Those that do without torch, on the processor.
LEAN_READERS: Readers = {"context": ("context", "ContextArraysReader")}
READERS: Readers = {
    "context": ("two_branch", "TwoBranchReader"),
    "gim": ("two_branch", "TwoBranchReader"),
    "auw-gcn": ("auw_gcn", "AuwGcnReader"),
}


class Spotter:
    """Finds the expressions in the features of one video. Make one with `Spotter.load` and use it for many videos.

    reader: what the weights say and how that is decoded. origin: provenance of the weights, JSON-serialisable.
    laboratory: makes the one that recordings of a laboratory (`settings`) are given to, when the first of them comes;
    None if this one reads them too. Each decodes as its own weights say.
    """

    def __init__(
        self, reader: Reader, origin: dict[str, Any], laboratory: "Callable[[], Spotter] | None" = None
    ) -> None:
        self.reader = reader
        self.origin = origin
        self._laboratory = laboratory

    @classmethod
    def load(
        cls,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        decoding: Decoding = "own",
        model: str | None = None,
    ) -> "Spotter":
        """Weights that come with facespot, or those of a checkpoint file.

        model: which of the shipped ones, instead of a file: "default", which gives recordings of a laboratory to
        "laboratory", that one for all recordings, or "gim", the network of the paper. decoding: how curves become
        intervals: as fits the weights, as GIM's paper describes, or as its authors' release does.
        device: auto, cpu, cuda, cuda:N or mps; FacespotError if it is not there. Raises WeightsError if the file is
        missing, damaged, of another format version, or of an architecture that does not spot, cannot be rebuilt or has
        no such decoding; ValueError for an unknown decoding or model, and for both weights and a model.
        """
        if decoding not in get_args(Decoding):
            raise ValueError(f"decoding must be one of {', '.join(get_args(Decoding))}, got {decoding!r}")
        check_choice(weights, model)
        if weights is not None:
            return cls._load(Path(weights), Path(weights).name, device, decoding)
        model = model or DEFAULT_MODEL
        with shipped_weights(model) as path:
            spotter = cls._load(path, path.name, device, decoding)
        laboratory = partial(cls.load, None, device, decoding, "laboratory") if model == DEFAULT_MODEL else None
        return cls(spotter.reader, {"model": model, **spotter.origin}, laboratory)

    @classmethod
    def _load(cls, path: Path, name: str, device: str, decoding: Decoding) -> "Spotter":
        if surely_cpu(device):
            with suppress(WeightsError):  # torch reads some that NumPy does not, and says what is wrong with others
                return cls._from(load_arrays(path), LEAN_READERS, None, name, decoding)
        place = resolve_device(device)
        return cls._from(load_checkpoint(path, device=place), READERS, place, name, decoding)

    @classmethod
    def _from(
        cls, checkpoint: Checkpoint, readers: Readers, device: "torch.device | None", name: str, decoding: Decoding
    ) -> "Spotter":
        if checkpoint.kind not in readers:
            raise WeightsError(f"{name}: holds a {checkpoint.kind!r} model, which does not spot by itself")
        module, reader = readers[checkpoint.kind]
        try:
            family: type[Reader] = getattr(import_module(f".readers.{module}", __package__), reader)
            made = family.rebuild(checkpoint, device, decoding)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"{name}: this version of facespot cannot rebuild its network; train it again"
            ) from error
        origin = {
            "weights": name,
            "weights_sha256": checkpoint.digest,
            "architecture": checkpoint.kind,
            "decoding": decoding,
        }
        return cls(made, {**origin, "device": "cpu" if device is None else device.type})

    @property
    def laboratory_origin(self) -> dict[str, Any] | None:
        """Provenance of the weights that recordings of a laboratory are given to; None where these read them too."""
        return None if self._laboratory is None else self._for_laboratories.origin

    @cached_property
    def _for_laboratories(self) -> "Spotter":
        return self._laboratory()

    def curves(self, features: FaceFeatures) -> Curves:
        """What the networks say of each tick of one video; those for recordings of a laboratory, where it is one."""
        if self._laboratory is None:
            return self.reader.curves(features)
        setting = setting_of(features)
        return replace(self._reader_of(setting).curves(features), setting=setting)

    def _reader_of(self, setting: Setting | None) -> Reader:
        return self._for_laboratories.reader if setting == "laboratory" else self.reader

    def least_confidence(self, asked: Confidence | None, curves: Curves) -> tuple[float, float]:
        """Of macro and micro, from where to report what these curves say: as asked, otherwise as the weights that they
        come from have it. Raises as `thresholds.least_confidence`."""
        return least_confidence(asked, self._reader_of(curves.setting).min_confidence)

    def intervals(
        self, features: FaceFeatures, min_confidence: Confidence | None = None
    ) -> tuple[list[Interval], Curves]:
        """The expressions on the clock, and the curves they come from. min_confidence: as in `spot`."""
        curves = self.curves(features)
        return self._decode(curves, features.segments(), self.least_confidence(min_confidence, curves)), curves

    def _decode(self, curves: Curves, segments: list[tuple[int, int]], least: tuple[float, float]) -> list[Interval]:
        reader = self._reader_of(curves.setting)
        found = reader.decode(curves, segments, least)
        if reader.types_by_length:
            each = dict(zip(EXPRESSION_TYPES, least, strict=True))
            typed = types_of_cut_off(found, curves.scores, segments)
            found = [i for i in typed if i.confidence >= each[i.type]]
        return tidy(found, curves.intensity)

    def placed(self, interval: Interval, timebase: Timebase, cut: CutOff) -> Spot:
        """An interval in seconds and frames, with what its length tells of its type. cut: which ends were not seen."""
        chance = self.reader.micro_probability(interval.n_ticks) if cut == "none" else None
        return replace(interval.on(timebase, cut), micro_probability=chance)

    def spot(
        self,
        features: FaceFeatures,
        *,
        min_confidence: Confidence | None = None,
        types: ExpressionType | Sequence[ExpressionType] | None = None,
        voice: Voice | None = None,
    ) -> SpotResult:
        """The expressions of one video in seconds and in its own frames.

        min_confidence: instead of the weights' own, one number for both types, (macro, micro), or a dict by type.
        types: only these. voice: what `voice.listen` heard in the recording, for the column `voiced`.
        Raises ValueError or TypeError for others than there can be (see `thresholds`).
        """
        wanted = chosen_types(types)
        segments = features.segments()
        curves = self.curves(features)
        least = self.least_confidence(min_confidence, curves)
        origin = self._for_laboratories.origin if curves.setting == "laboratory" else self.origin
        found = [i for i in self._decode(curves, segments, least) if i.type in wanted]
        # Only where nothing was found: how near the strongest candidate came tells a calm face from a poor network.
        candidates = found or [i for i in self._decode(curves, segments, (0.0, 0.0)) if i.type in wanted]
        source = features.provenance
        heard = None if voice is None else voice.curve
        voiced = agreement(curves.speaking, heard, features.timebase.rate)
        spots = tuple(
            replace(
                self.placed(i, features.timebase, cut_off(i, segments)),
                explanation=explain_interval(features, i, curves.speaking, voiced),
            )
            for i in found
        )
        return SpotResult(
            video=str(source.get("source", {}).get("path", "")),
            spots=spots,
            intensity=curves.intensity,
            segment=np.asarray(features.segment),
            timebase=features.timebase,
            coverage=features.coverage,
            warnings=(
                *source.get("warnings", ()),
                *(() if voice is None else voice.warnings),
                *cut_off_warnings(spots, features.timebase),
            ),
            provenance={
                "facespot": __version__,
                **origin,
                **({"model": self.origin["model"], "setting": curves.setting} if curves.setting else {}),
                "min_confidence": dict(zip(EXPRESSION_TYPES, least, strict=True)),
                "types": list(wanted),
                **({"voice": voice.account} if voice is not None and voice.account else {}),
                "extraction": source,
            },
            min_confidence=least,
            strongest=max((i.confidence for i in candidates), default=None),
            face=_chosen_face(source),
            scores=curves.scores,
            speaking=curves.speaking,
            voice=heard,
        )


def _chosen_face(source: dict[str, Any]) -> int | None:
    """The number of the followed face where a caller chose one; by itself the one seen longest is followed."""
    if source.get("options", {}).get("face", "longest") == "longest":
        return None
    return source.get("face_report", {}).get("chosen")


def spot(
    path: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    model: str | None = None,
    device: str = "auto",
    decoding: Decoding = "own",
    min_confidence: Confidence | None = None,
    types: ExpressionType | Sequence[ExpressionType] | None = None,
    face: str | int = "longest",
    fps: float | None = None,
    cache: "FeatureCache | str | os.PathLike[str] | None" = None,
    voice: VoiceChoice = "auto",
    progress: Callable[[int, int | None], None] | None = None,
) -> SpotResult:
    """The expressions in one recording, from the file to the intervals.

    voice: whether to listen for a voice in the sound track, for the column `voiced`. "auto": where facespot[voice] is
    installed and there is sound; "on": FacespotError where that is not so; "off": not at all. The other arguments, and
    what is raised, as in `Spotter.load`, `Spotter.spot` and `extract_features`. Several recordings: `spot_many`.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"spot takes the path of one recording, not a {type(path).__name__}; spot_many takes several")
    from ..extract.options import ExtractOptions
    from ..extract.pipeline import extract_features

    chosen_types(types)  # before minutes of work
    check_voice(voice, path)
    spotter = Spotter.load(weights, device, decoding, model)
    least_confidence(min_confidence, spotter.reader.min_confidence)
    features = extract_features(path, ExtractOptions(face=face), fps=fps, cache=cache, progress=progress)
    heard = listen(path, features.timebase, voice)
    return spotter.spot(features, min_confidence=min_confidence, types=types, voice=heard)
