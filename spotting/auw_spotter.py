"""`AuwSpotter`: the weights of AUW-GCN in, intervals out."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ..errors import WeightsError
from ..extract.features import FaceFeatures
from ..models.auw_gcn import AUWGCN, CONTEXT
from ..models.checkpoint import Checkpoint
from .auw_decoding import AuwDecoding, decode_detections
from .auw_features import tick_motion
from .intervals import Interval
from .spotter import Curves, Spotter


class AuwSpotter(Spotter):
    """A `Spotter` with AUW-GCN and its decoding in place of facespot's; `Spotter.load` makes one from such weights."""

    @classmethod
    def rebuild(cls, checkpoint: Checkpoint, device: torch.device, origin: dict[str, Any]) -> "AuwSpotter":
        """From a checkpoint of the kind `auw_gcn.KIND`. origin: provenance. Raises WeightsError if it does not fit."""
        network = AUWGCN.rebuild(checkpoint)
        try:
            return cls([network], AuwDecoding.from_dict(checkpoint.config["decoding"]), device, origin)
        except (KeyError, TypeError) as error:
            raise WeightsError("this version of facespot cannot decode with these weights; train them again") from error

    @torch.inference_mode()
    def scores(self, features: FaceFeatures) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Apex (N, 2), ends (N, 2, 3: onset, offset, neither) and action (N, 2) of each tick in 0..1; the classes are
        macro, micro. Zero outside the segments.

        A whole stretch is read at once: further than its context the network does not see.
        """
        n = features.timebase.n_ticks
        apex, ends, action = (np.zeros((n, *shape), np.float32) for shape in ((2,), (2, 3), (2,)))
        motion = tick_motion(features)
        for start, stop in features.segments():
            x = F.pad(torch.from_numpy(motion[start:stop]), (0, 0, 0, 0, CONTEXT, CONTEXT))
            output = self._networks[0](x[None].to(self._device))
            apex[start:stop] = output.apex[0].sigmoid().cpu().numpy()
            ends[start:stop] = output.ends[0].softmax(dim=-1).cpu().numpy()
            action[start:stop] = output.action[0].sigmoid().cpu().numpy()
        return apex, ends, action

    def curves(self, features: FaceFeatures) -> Curves:
        """As intensity the action score of the likelier class; as scores those of an apex."""
        apex, _, action = self.scores(features)
        return Curves(action.max(axis=1), apex, None)

    def intervals(self, features: FaceFeatures, min_confidence: float | None = None) -> tuple[list[Interval], Curves]:
        """The expressions on the clock, and the curves that belong to them."""
        apex, ends, action = self.scores(features)
        found = decode_detections(apex, ends, features.segments(), self._settings)
        return [i for i in found if i.confidence >= (min_confidence or 0.0)], Curves(action.max(axis=1), apex, None)
