"""`AuwSpotter`: the weights of AUW-GCN in, intervals out."""

import os
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ..extract.features import FaceFeatures
from ..models.auw_gcn import AUWGCN, CONTEXT
from .auw_decoding import AuwDecoding, decode_detections
from .auw_features import tick_motion
from .auw_training import load_network
from .device import resolve_device
from .intervals import Interval
from .spotter import Curves


class AuwSpotter:
    """Finds the expressions in the features of one video. Make one with `AuwSpotter.load`; used like `Spotter`."""

    def __init__(self, network: AUWGCN, decoding: AuwDecoding, device: torch.device) -> None:
        self._network = network.to(device).eval()
        self._decoding = decoding
        self._device = device

    @classmethod
    def load(cls, weights: str | os.PathLike[str], device: str = "auto") -> "AuwSpotter":
        """The weights of a checkpoint file. device and what is raised: as in `Spotter.load`."""
        place = resolve_device(device)
        network, decoding, _ = load_network(Path(weights), place)
        return cls(network, decoding, place)

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
            output = self._network(x[None].to(self._device))
            apex[start:stop] = output.apex[0].sigmoid().cpu().numpy()
            ends[start:stop] = output.ends[0].softmax(dim=-1).cpu().numpy()
            action[start:stop] = output.action[0].sigmoid().cpu().numpy()
        return apex, ends, action

    def intervals(self, features: FaceFeatures, min_confidence: float | None = None) -> tuple[list[Interval], Curves]:
        """The expressions on the clock, and what they come from: as intensity, the action score of the likelier class;
        as scores, those of an apex."""
        apex, ends, action = self.scores(features)
        found = decode_detections(apex, ends, features.segments(), self._decoding)
        curves = Curves(action.max(axis=1), apex, None)
        return [i for i in found if i.confidence >= (min_confidence or 0.0)], curves
