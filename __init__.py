"""facespot: macro- and micro-expression spotting in raw, untrimmed video.

`facespot.spot("video.mp4")` goes the whole way; everything else is in the subpackages.
"""

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .spotting.spotter import spot

__all__ = ["__version__", "spot"]


def __getattr__(name: str) -> Any:
    # On first use only: importing the package must not load torch.
    if name == "spot":
        from .spotting.spotter import spot

        return spot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
