"""The weights of AUW-GCN: curves of apex, ends and action, and the decoding of the authors' release."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from ...errors import WeightsError
from ...extract.features import FaceFeatures
from ...models.auw_gcn import AUWGCN, CONTEXT, KIND
from ...models.checkpoint import Checkpoint
from ..intervals import EXPRESSION_TYPES, Interval
from .auw_decoding import AuwDecoding, decode_detections
from .auw_features import tick_motion
from .base import Curves, Decoding, Reader


class AuwGcnReader(Reader):
    """AUW-GCN and its decoding."""

    def __init__(self, network: AUWGCN, settings: AuwDecoding, device: torch.device) -> None:
        self._network = network.to(device).eval()
        self._settings = settings
        # The release keeps the best few of a video, however weak they are.
        self.min_confidence = (0.0, 0.0)
        self.min_ticks = min(2 * nearest + 1 for nearest, _ in settings.reach)
        self._device = device

    @classmethod
    def rebuild(cls, checkpoint: Checkpoint, device: torch.device, decoding: Decoding = "own") -> "AuwGcnReader":
        """From a checkpoint of the kind `auw_gcn.KIND`. Raises WeightsError, KeyError or TypeError if it does not
        fit, WeightsError also for another decoding than its own."""
        if decoding != "own":
            raise WeightsError(f"the {decoding} decoding is for weights of two branches, not for {KIND}")
        return cls(AUWGCN.rebuild(checkpoint), AuwDecoding.from_dict(checkpoint.config["decoding"]), device)

    @torch.inference_mode()
    def curves(self, features: FaceFeatures) -> Curves:
        """As intensity the action score of the likelier class; as scores those of an apex.

        A whole segment is read at once: further than its context the network does not see.
        """
        n = features.timebase.n_ticks
        apex, ends, action = (np.zeros((n, *shape), np.float32) for shape in ((2,), (2, 3), (2,)))
        motion = tick_motion(features)
        for start, stop in features.segments():
            x = F.pad(torch.from_numpy(motion[start:stop]), (0, 0, 0, 0, CONTEXT, CONTEXT))
            output = self._network(x[None].to(self._device))
            apex[start:stop] = output.apex[0].sigmoid().cpu().numpy()
            ends[start:stop] = output.ends[0].softmax(dim=-1).cpu().numpy()
            action[start:stop] = output.action[0].sigmoid().cpu().numpy()
        return Curves(action.max(axis=1), apex, ends=ends)

    def decode(
        self,
        curves: Curves,
        segments: Sequence[tuple[int, int]],
        min_confidence: tuple[float, float] | None = None,
    ) -> list[Interval]:
        found = decode_detections(curves.scores, curves.ends, segments, self._settings)
        least = dict(zip(EXPRESSION_TYPES, min_confidence or self.min_confidence, strict=True))
        return [i for i in found if i.confidence >= least[i.type]]
