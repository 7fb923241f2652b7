"""The two-branch GIM: an encoder of snippets, and on its features expression intensity and class scores per tick.

`TwoBranchNetwork` is the family. Its members differ in their encoder and in what else their heads tell: `GIMSpotter`
is the paper's (GIM, ICLR 2025 and journal version), SpotFormer and the two branches alone; `context.ContextSpotter` is
the project's own, whose encoder sees seconds of context and the geometry, and whose heads also tell the boundaries.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from .folded import FoldedSpotFormer
from .spotformer import SpotFormer, SpotFormerConfig

Variant = Literal["journal", "iclr2025"]


@dataclass(frozen=True, eq=False)
class GIMOutput:
    """What the two branches say of B videos of T ticks.

    features: (B, T, D) the encoder's output F. attention: (B, T, D) the intermediate feature X of the intensity branch.
    intensity: (B, T) in 0..1, any expression. class_scores: (B, T, 2) in 0..1, macro and micro: apex scores
    (journal, independent), action probabilities (ICLR, summing to one), or whether the tick lies inside an expression
    of the class (ours).
    Of boundary heads, None from networks without: reach (B, T, 2) ticks to onset and offset, quality (B, T) in 0..1,
    the IoU expected of that interval. speaking: (B, T) in 0..1, None from networks that do not tell.
    """

    features: Tensor
    attention: Tensor
    intensity: Tensor
    class_scores: Tensor
    reach: Tensor | None = None
    quality: Tensor | None = None
    speaking: Tensor | None = None


class TwoBranchNetwork(nn.Module):
    """A two-branch GIM over some encoder: snippets (B, T, 17, 10, 2) in IOD and geometry (B, T, G) -> `GIMOutput`.

    reads_geometry: whether the encoder looks at it. tells_boundaries, tells_speaking: which heads there are beside the
    two branches.
    """

    reads_geometry = False
    tells_boundaries = False
    tells_speaking = False

    @property
    def reach_ticks(self) -> int:
        """Ticks on either side that an answer depends on, beyond those in its snippet."""
        return 0

    @abstractmethod
    def branches(self, snippets: Tensor, geometry: Tensor) -> GIMOutput:
        """The answers in float32, whatever precision the network runs in."""


class GIM(nn.Module):
    """The two branches on F (B, T, D), each tick on its own (paper section 3.2; the release for what it leaves open).

    dropout acts on X; logit_dropout on the logits of both heads before the sigmoid, as in the authors' release, where
    it leaves most training intensities at exactly 0.5.
    The ICLR action scores are a softmax: eq. 13 pushes only the labelled class up, so nothing else would part the two.
    """

    def __init__(
        self, dim: int, variant: Variant = "journal", dropout: float = 0.7, logit_dropout: float = 0.0
    ) -> None:
        super().__init__()
        if variant not in get_args(Variant):
            raise ValueError(f"variant must be one of {get_args(Variant)}, got {variant!r}")
        self.variant = variant
        self.attend = nn.Linear(dim, dim)
        self.to_intensity = nn.Linear(dim, 1)
        self.to_classes = nn.Linear(dim, 2)
        self.dropout = nn.Dropout(dropout)
        self.logit_dropout = nn.Dropout(logit_dropout)
        for layer in (self.attend, self.to_intensity, self.to_classes):
            nn.init.kaiming_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> GIMOutput:
        attention = self.dropout(F.leaky_relu(self.attend(features), 0.2))
        intensity = self.logit_dropout(self.to_intensity(attention)).squeeze(-1).sigmoid()
        logits = self.logit_dropout(self.to_classes(features))
        classes = logits.sigmoid() if self.variant == "journal" else logits.softmax(dim=-1)
        return GIMOutput(features, attention, intensity, classes)


@dataclass(frozen=True)
class GIMSpotterConfig:
    """Everything that rebuilds a `GIMSpotter`.

    `paper()` is the published size; the authors' code also has a logit dropout of 0.7.
    """

    encoder: SpotFormerConfig = field(default_factory=SpotFormerConfig)
    variant: Variant = "journal"
    dropout: float = 0.7
    logit_dropout: float = 0.0

    @classmethod
    def paper(cls, variant: Variant = "journal") -> "GIMSpotterConfig":
        return cls(SpotFormerConfig.paper(), variant)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "GIMSpotterConfig":
        """The inverse of `dataclasses.asdict`. Raises TypeError for an unknown or missing name."""
        values = dict(values)
        return cls(SpotFormerConfig(**values.pop("encoder")), **values)


class GIMSpotter(TwoBranchNetwork):
    """The paper's: SpotFormer and the two branches, snippets (B, T, 17, 10, 2) -> `GIMOutput`."""

    def __init__(self, config: GIMSpotterConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GIMSpotterConfig()
        self.encoder: SpotFormer | FoldedSpotFormer = SpotFormer(config.encoder)
        self.heads = GIM(config.encoder.dim, config.variant, config.dropout, config.logit_dropout)

    def forward(self, snippets: Tensor, valid: Tensor | None = None) -> GIMOutput:
        """valid (B, T) bool: ticks to encode; the heads see zero features at the others."""
        return self.heads(self.encoder(snippets, valid))

    def branches(self, snippets: Tensor, geometry: Tensor) -> GIMOutput:
        """As the family answers; the geometry is not looked at."""
        out = self(snippets)
        return GIMOutput(out.features, out.attention, out.intensity.float(), out.class_scores.float())

    def folded(self) -> "GIMSpotter":
        """Itself with its encoder folded for inference, which cannot be undone (`folded`)."""
        self.eval()
        self.encoder = FoldedSpotFormer(self.encoder)
        return self


_AUTHORS_HEADS = {
    "attn_feature_extractor.0.": "attend.",
    "attention.0.": "to_intensity.",
    "apex_classifier.0.": "to_classes.",
}


def heads_from_authors_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `GIM`, from the authors' two-branch module, whose layers are convolutions of kernel 1.

    The encoder's half of a checkpoint goes through `spotformer.from_authors_state`.
    Raises KeyError for a name that is not theirs.
    """
    renamed = {}
    for name, value in state.items():
        head = next((h for h in _AUTHORS_HEADS if name.startswith(h)), None)
        if head is None:
            raise KeyError(f"{name!r} is not a parameter of the authors' two branches")
        renamed[_AUTHORS_HEADS[head] + name[len(head) :]] = value.squeeze(-1) if value.ndim == 3 else value
    return renamed


def trim(output: GIMOutput, video: int, length: int) -> GIMOutput:
    """One video of a batch without its padding, as a batch of one."""
    pick = slice(video, video + 1)
    return GIMOutput(
        *(t[pick, :length] for t in (output.features, output.attention, output.intensity, output.class_scores))
    )
