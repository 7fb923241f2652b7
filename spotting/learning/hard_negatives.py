"""Hard negatives: simulated clips without expressions in which networks see one all the same.

Most clips in which nothing happens teach nothing any more; those in which networks are wrong do (Shrivastava et al.
2016, online hard example mining).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ...models.context_arrays import ContextArrays
from ...models.context_config import ContextConfig
from ...processes import process_pool
from ..readers.context import ContextArraysReader
from ..simulation.corpus import Clip, ClipBatch, batch_of, clip_of, film_quiet_clip
from ..voting import VotingSettings

_TICKS = (240, 480)  # of a clip, as many of either
_SEEN = 0.5  # votes from which on something is seen
_PART = 50  # clips that a process looks through at a time

State = Mapping[str, np.ndarray]


def mine_quiet_clips(
    config: ContextConfig, states: Sequence[State], settings: VotingSettings, clips: int, seed: int, workers: int
) -> dict[int, ClipBatch]:
    """Those of about so many quiet clips, by length, in which an ensemble sees an expression.

    states: the tensors of each network, of `ContextSpotter`'s names, as arrays. settings: how it votes. workers:
    processes; the same seed gives the same clips whatever their number. Lengths of which none was found are left out.
    """
    settings = replace(settings, confidence=None, min_confidence=(_SEEN, _SEEN))
    each = max(1, round(clips / len(_TICKS)))
    # The last number tells them from the clips of a corpus of the same seed, whose people they would be.
    jobs = [
        (ticks, [(seed, ticks, i, 1) for i in range(start, min(start + _PART, each))])
        for ticks in _TICKS
        for start in range(0, each, _PART)
    ]
    with process_pool(workers) as pool:
        found = list(pool.map(partial(_mine, config, states, settings), *zip(*jobs, strict=True)))
    by_length: dict[int, list[Clip]] = {ticks: [] for ticks in _TICKS}
    for (ticks, _), part in zip(jobs, found, strict=True):
        by_length[ticks] += part
    return {ticks: batch_of(ticks, hard) for ticks, hard in by_length.items() if hard}


def _mine(
    config: ContextConfig,
    states: Sequence[State],
    settings: VotingSettings,
    ticks: int,
    seeds: list[tuple[int, ...]],
) -> list[Clip]:
    reader = ContextArraysReader([ContextArrays(config, state) for state in states], settings)
    hard = []
    for seed in seeds:
        performance, seen = film_quiet_clip(ticks, seed)
        features = seen.features()
        if reader.decode(reader.curves(features), features.segments()):
            hard.append(clip_of(performance, seen))
    return hard
