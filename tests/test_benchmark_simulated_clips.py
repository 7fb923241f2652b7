"""The benchmark of simulated clips: what its kinds are, and what is printed of them."""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from facespot.benchmarks import simulated_clips as simulated

KINDS = [
    "fresh",
    "busy",
    "talking",
    "calm",
    "laboratory",
    "laboratory, two minutes",
    "anywhere, two minutes",
    "seldom at rest, 24 seconds",
    "without expressions",
]


def test_the_same_seed_stages_the_same_clips_and_another_other_ones():
    first, second = (simulated.staged_clips(1, 9006, laboratory=True, busy=0.4, speech=0.0)[0] for _ in range(2))
    assert np.array_equal(first[0].snippets, second[0].snippets)
    assert first[1] == second[1]
    other = simulated.staged_clips(1, 9007, laboratory=True, busy=0.4, speech=0.0)[0]
    assert not np.array_equal(first[0].snippets, other[0].snippets)


@pytest.mark.parametrize("ticks", [simulated.TICKS, 72])
def test_clips_are_as_long_as_asked_and_hold_their_truth(ticks):
    for features, truth in simulated.staged_clips(3, 9002, ticks=ticks, busy=0.6, speech=0.0):
        assert features.timebase.n_ticks == ticks
        assert all(0 <= i.onset <= i.apex <= i.offset < ticks for i in truth)


def test_quiet_clips_hold_no_expression_and_differ():
    one, other = simulated.quiet_clips(2, 5)
    assert one[1] == other[1] == []
    assert len(one[0].snippets) == one[0].timebase.n_ticks == simulated.TICKS
    assert not np.array_equal(one[0].snippets, other[0].snippets)


def test_each_kind_has_a_row_and_counts_add_up():
    done = CliRunner().invoke(simulated.main, ["--share", "0.02"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"shipped, {kind}" for kind in KINDS]
    for line in lines[:-1]:
        f1, hits, alarms, missed = re.search(r": ([\d.]+) \((\d+), (\d+), (\d+)\)", line).groups()
        counts = int(hits), int(alarms), int(missed)
        assert abs(float(f1) - 2 * counts[0] / max(2 * counts[0] + counts[1] + counts[2], 1)) < 6e-4
        assert counts[0] + counts[2] > 0
    assert "false alarms a minute" in lines[-1]
    assert "of 3 read as of a laboratory" in lines[-1]


def test_who_asks_for_more_certainty_is_given_fewer():
    few, many = (
        CliRunner().invoke(simulated.main, ["--share", "0.02", "--min-confidence", least]).output
        for least in ("0.95", "0.05")
    )

    def reported(text: str) -> int:
        return sum(int(a) + int(b) for a, b in re.findall(r"\((\d+), (\d+), \d+\)", text))

    assert reported(few) < reported(many)
