"""What a user can choose about a report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportOptions:
    """embed: carry a small copy of the video, without sound, instead of a link to it. anonymous: no picture at all, the
    face drawn as lines. blur_others: everything but the followed head is made unrecognisable; needs, and makes, a copy.

    Raises ValueError for anonymous together with either of the others.
    """

    embed: bool = False
    anonymous: bool = False
    blur_others: bool = False

    def __post_init__(self) -> None:
        if self.anonymous and (self.embed or self.blur_others):
            raise ValueError("an anonymous report shows no picture; leave out embed and blur_others")

    @property
    def copies(self) -> bool:
        """Whether the report carries its own copy of the video."""
        return self.embed or self.blur_others
