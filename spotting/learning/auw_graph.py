"""Which face regions move together, counted from annotated action units (AUW-GCN, ICME 2023).

The twelve nodes are the regions of the release: brows outer to inner to outer (0-5), nose (6, 7), mouth corners and
lips (8-11), in the order of `extract.regions` with the nose between. Its assignment of units to nodes is kept as it is,
though it takes AU1 for the outer brows and AU2 for the inner ones where FACS has it the other way round.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from ...models.auw_gcn import NODES
from ..datasets.aus import ActionUnit

UNIT_NODES: dict[int, tuple[int, ...]] = {
    1: (0, 1, 4, 5),
    2: (2, 3),
    12: (8, 10),
    14: (8, 10),
    25: (9, 11),
    26: (9, 11),
}


def count_units(annotations: Iterable[Sequence[ActionUnit]]) -> np.ndarray:
    """(12, 12) symmetric counts; one item per annotated expression, as in the column `aus` of the records.

    Only units with nodes count, each once per expression, whatever its side; those the coder was unsure of do not. A
    single unit adds 1 to the diagonal of its nodes. Of several, every pair adds 1 between each node of the one and each
    of the other, in both directions (so two units of the same nodes, AU12 and AU14, add 2 between those).
    """
    counts = np.zeros((NODES, NODES))
    for units in annotations:
        numbers = sorted({u.number for u in units if u.certain} & UNIT_NODES.keys())
        members = [_indicator(number) for number in numbers]
        if len(members) == 1:
            counts += np.diag(members[0])
        for one, other in combinations(members, 2):
            counts += np.outer(one, other) + np.outer(other, one)
    return counts


def au_adjacency(annotations: Iterable[Sequence[ActionUnit]]) -> np.ndarray:
    """(12, 12) float32 adjacency: `count_units` with every row divided by its sum.

    Rows of nodes without any count, the nose among them, stay zero. Raises ValueError if that holds for all.
    """
    counts = count_units(annotations)
    sums = counts.sum(axis=1, keepdims=True)
    if not sums.any():
        raise ValueError("none of the expressions has an action unit of the graph: " + ", ".join(map(str, UNIT_NODES)))
    return np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0).astype(np.float32)


def _indicator(unit: int) -> np.ndarray:
    row = np.zeros(NODES)
    row[list(UNIT_NODES[unit])] = 1
    return row
