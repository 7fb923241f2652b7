"""From a recording to spotter and features, as every command that spots needs them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FacespotError
from ..processes import Headway
from .console import Failure, FatalError

if TYPE_CHECKING:
    from ..extract.features import FaceFeatures
    from ..spotting.readers.base import Decoding
    from ..spotting.spotter import Spotter
    from ..spotting.voice import Voice, VoiceChoice


@dataclass(frozen=True)
class Engine:
    """As on the command line; `cache` is the folder of the cache, None for none."""

    face: str | int
    cache: Path | None
    weights: Path | None
    device: str
    decoding: "Decoding" = "own"
    model: str | None = None
    voice: "VoiceChoice" = "off"

    def start(self, path: Path, fps: float | None, headway: Headway | None) -> "tuple[Spotter, FaceFeatures]":
        """What a recording is spotted with. Raises FatalError for weights or a device that no recording could use."""
        from ..extract.options import ExtractOptions
        from ..extract.pipeline import extract_features
        from ..spotting.many import shared_spotter
        from ..spotting.voice import check_voice

        try:
            check_voice(self.voice)
            spotter = shared_spotter(self.weights, self.device, self.decoding, self.model)
        except FacespotError as error:  # every other recording would fail of it too
            raise FatalError(Failure.of(error)) from error
        check_voice(self.voice, path)
        options = ExtractOptions(face=self.face)
        return spotter, extract_features(path, options, fps=fps, cache=self.cache, progress=headway)

    def listen(self, path: Path, features: "FaceFeatures", headway: Headway) -> "Voice":
        """The voice in a recording whose features are these. Raises as `voice.listen`."""
        from ..spotting.voice import listen

        n = features.timebase.n_frames
        return listen(path, features.timebase, self.voice, lambda: headway(n, n))
