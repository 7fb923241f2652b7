"""facespot: macro- and micro-expression spotting in raw, untrimmed video.

`facespot.spot("video.mp4")` goes the whole way, `facespot.spot_many` for many recordings, `facespot.follow` while one
is still being made, `Spotter` and `extract_features` step by step; everything else is in the subpackages.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .version import __version__

if TYPE_CHECKING:
    from .extract.features import FaceFeatures
    from .extract.options import ExtractOptions
    from .extract.pipeline import extract_features
    from .spotting.datasets.spot_tables import read_spots
    from .spotting.intervals import Interval
    from .spotting.live import follow
    from .spotting.many import SpotBatch, spot_many
    from .spotting.result import SpotResult
    from .spotting.spotter import Spotter, spot

# Name -> module it lives in. Loaded on first use only: importing the package must not load torch.
_LAZY = {
    "ExtractOptions": ".extract.options",
    "FaceFeatures": ".extract.features",
    "Interval": ".spotting.intervals",
    "SpotBatch": ".spotting.many",
    "SpotResult": ".spotting.result",
    "Spotter": ".spotting.spotter",
    "extract_features": ".extract.pipeline",
    "follow": ".spotting.live",
    "read_spots": ".spotting.datasets.spot_tables",
    "spot": ".spotting.spotter",
    "spot_many": ".spotting.many",
}

__all__ = [
    "ExtractOptions",
    "FaceFeatures",
    "Interval",
    "SpotBatch",
    "SpotResult",
    "Spotter",
    "__version__",
    "errors",
    "extract_features",
    "follow",
    "read_spots",
    "spot",
    "spot_many",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
