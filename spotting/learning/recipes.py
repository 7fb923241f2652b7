"""What a training from points consists of: network, pseudo-labels, losses, optimiser, and how videos are cut."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from ...models.context import ContextConfig
from ...models.device import Precision
from ...models.gim import GIMSpotterConfig
from ...models.spotformer import SpotFormerConfig
from .losses import LossSettings
from .pseudo_labels import RANGE_METHODS, PseudoLabelSettings
from .release_loss import DATASET_WEIGHTS

Network = Literal["journal", "iclr2025", "context"]
Preset = Literal["own", "samm-lv", "casme2"]
Size = Literal["small", "paper"]
Optimiser = Literal["adam", "adamw"]
Rules = Literal["paper", "release"]
REHEARSAL_CLIPS = 300
_TUNING_STEPS = 150
_LEAST_TUNING_EPOCHS = 3


@dataclass(frozen=True)
class PointRecipe:
    """Everything about a training but its data and its seed.

    network: "journal" and "iclr2025" are the paper's two variants (`GIMSpotter`), "context" is the project's own.
    labels, loss: the paper's options and ablations. epochs: fixed in advance, the last one is kept. rate: halved every
    `halve_every` epochs. optimiser: "adam" adds the weight decay to the gradient, as the paper does; "adamw" applies it
    to the weights. window: ticks that are learnt from at once, None for whole segments as in the paper; `empty` is
    then the share of the windows without a point that an epoch visits, chosen anew each time. batch: windows per step.
    mirror: half of the windows are mirrored. rehearsal: simulated clips that weights which vote for intervals go on
    practising on while tuned, so that they keep what points cannot teach: where an expression begins and ends.
    encoder, context: sizes of either network. rules: whose labels, loss and dropout of the journal network are meant
    where the paper and its authors' code differ; see `released`. precision: of the networks' products while training;
    weights, statistics and losses stay float32. "fp16" needs CUDA, "bf16" a device that has it.
    Raises ValueError for an unknown network, optimiser, set of rules or precision, and for numbers outside their range.
    """

    network: Network = "journal"
    labels: PseudoLabelSettings = field(default_factory=PseudoLabelSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    epochs: int = 100
    rate: float = 1e-3
    weight_decay: float = 0.02
    halve_every: int = 30
    optimiser: Optimiser = "adamw"
    window: int | None = 192
    empty: float = 0.2
    batch: int = 8
    mirror: bool = True
    rehearsal: int = 0
    rules: Rules = "paper"
    precision: Precision = "float32"
    encoder: SpotFormerConfig = field(default_factory=SpotFormerConfig)
    # Points do not say where the face is talking.
    context: ContextConfig = field(default_factory=lambda: ContextConfig(speaking=False))

    def __post_init__(self) -> None:
        if self.network not in get_args(Network):
            raise ValueError(f"network must be one of {get_args(Network)}, got {self.network!r}")
        if self.optimiser not in get_args(Optimiser):
            raise ValueError(f"optimiser must be one of {get_args(Optimiser)}, got {self.optimiser!r}")
        if self.rules not in get_args(Rules):
            raise ValueError(f"rules must be one of {get_args(Rules)}, got {self.rules!r}")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {get_args(Precision)}, got {self.precision!r}")
        if self.labels.strategy in RANGE_METHODS and (self.network == "context" or self.rules == "release"):
            raise ValueError("lac, hr-pro and tsp-net are compared on the paper's networks, by rules of their own")
        if self.rules == "release" and self.network != "journal":
            raise ValueError("the authors' release has the journal network only")
        if min(self.epochs, self.batch, self.halve_every) < 1 or not 0.0 <= self.empty <= 1.0 or not self.rate > 0:
            raise ValueError("epochs, batch and halve_every must be at least 1, empty in 0..1, rate above 0")
        if self.rehearsal < 0:
            raise ValueError(f"rehearsal is a number of clips, got {self.rehearsal}")
        if self.window is not None and self.window < 2 * max(self.labels.duration):
            raise ValueError(f"a window of {self.window} ticks is too short for labels of {max(self.labels.duration)}")

    @classmethod
    def preset(cls, name: Preset = "own", network: Network = "journal", size: Size = "small") -> "PointRecipe":
        """The recipe of a data set: its loss weights (paper section 4.1), and the network's size and schedule.

        "own" has the weights of SAMM-LV, the milder ones. size "paper" is the published network, optimiser, rate and
        schedule on whole videos, one a step as in the authors' code (the paper does not tell), and needs a GPU to be
        done in a day. Raises ValueError for an unknown name or size, and for the paper's size of a network that no
        paper has.
        """
        if name not in get_args(Preset) or size not in get_args(Size):
            raise ValueError(f"need a preset of {get_args(Preset)} and a size of {get_args(Size)}")
        loss = LossSettings.cas_me2() if name == "casme2" else LossSettings.samm_lv()
        if size == "paper":
            if network == "context":
                raise ValueError("the context network is no paper's; it has no size of that name")
            adam = {"rate": 2e-5, "weight_decay": 0.1, "optimiser": "adam", "mirror": False}
            return cls(network, loss=loss, window=None, batch=1, encoder=SpotFormerConfig.paper(), **adam)
        if network == "context":
            # Its features are compared over seconds, and it sees more than one window's length of 192 ticks.
            return cls(network, PseudoLabelSettings.own(), loss, window=384, epochs=60, halve_every=20)
        return cls(network, loss=loss)

    @classmethod
    def tuning(cls, preset: Preset = "own", ticks: Sequence[int] = ()) -> "PointRecipe":
        """To go on from the shipped weights. ticks: length of each video, for the number of epochs.

        Raises ValueError for an unknown preset.
        """
        base, batch = cls.preset(preset, "context"), 4
        # A video that is cut has a part of a window at either end.
        windows = sum(1 if n <= base.window else n / base.window + 1 for n in ticks)
        steps = max(1, math.ceil(windows / batch))
        epochs = max(_LEAST_TUNING_EPOCHS, round(_TUNING_STEPS / steps))
        labels = PseudoLabelSettings.tuning()
        rest = {"epochs": epochs, "rate": 5e-4, "halve_every": max(1, epochs // 3), "empty": 1.0, "batch": batch}
        return replace(base, labels=labels, rehearsal=REHEARSAL_CLIPS, **rest)

    def released(self, preset: Preset = "own") -> "PointRecipe":
        """The same by the rules of the authors' code: its windows, its loss with a tenth of the paper's contrastive
        term, and dropout on the logits of both heads. Labels are made without dropout, all the same.

        Raises ValueError for another network than "journal".
        """
        loss = DATASET_WEIGHTS["CASME2" if preset == "casme2" else "SAMM"]
        return replace(self, rules="release", labels=PseudoLabelSettings.reference(), loss=loss)

    @property
    def gim(self) -> GIMSpotterConfig:
        """Configuration of the paper's network. Raises ValueError for the other."""
        if self.network == "context":
            raise ValueError("a recipe of the context network has no GIMSpotter")
        return GIMSpotterConfig(self.encoder, self.network, logit_dropout=0.7 if self.rules == "release" else 0.0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON gives it back, for provenance and to tell recipes apart."""
        return json.loads(json.dumps(asdict(self)))

    def with_labels(self, **changes: Any) -> "PointRecipe":
        """The same with other `PseudoLabelSettings`."""
        return replace(self, labels=replace(self.labels, **changes))

    def with_loss(self, **changes: Any) -> "PointRecipe":
        """The same with other `LossSettings`."""
        return replace(self, loss=replace(self.loss, **changes))
