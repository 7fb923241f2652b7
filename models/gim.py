"""`GIM` heads and `GIMSpotter`: expression intensity and class scores per tick (GIM, ICLR 2025 and journal version)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from .spotformer import SpotFormer, SpotFormerConfig

Variant = Literal["journal", "iclr2025"]


@dataclass(frozen=True, eq=False)
class GIMOutput:
    """What the two branches say of B videos of T ticks.

    features: (B, T, D) the encoder's output F. attention: (B, T, D) the intermediate feature X of the intensity branch.
    intensity: (B, T) in 0..1, any expression. class_scores: (B, T, 2) in 0..1, macro and micro: apex scores
    (journal, independent) or action probabilities (ICLR, summing to one).
    """

    features: Tensor
    attention: Tensor
    intensity: Tensor
    class_scores: Tensor


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


class GIMSpotter(nn.Module):
    """SpotFormer and the two branches: snippets (B, T, 17, 10, 2) -> `GIMOutput`."""

    def __init__(self, config: GIMSpotterConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GIMSpotterConfig()
        self.encoder = SpotFormer(config.encoder)
        self.heads = GIM(config.encoder.dim, config.variant, config.dropout, config.logit_dropout)

    def forward(self, snippets: Tensor, valid: Tensor | None = None) -> GIMOutput:
        """valid (B, T) bool: ticks to encode; the heads see zero features at the others."""
        return self.heads(self.encoder(snippets, valid))


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
