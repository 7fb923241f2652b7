"""facespot: macro- and micro-expression spotting in raw, untrimmed video.

`facespot.spot("video.mp4")` goes the whole way; everything else is in the subpackages.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .spotting.spotter import spot

__all__ = ["__version__", "spot"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # On first use only: importing the package must not load torch.
    if name == "spot":
        from .spotting.spotter import spot

        return spot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
