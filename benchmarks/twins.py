"""Comparisons of learning from points on the twin of a data set, beside the paper's Tables 2 to 5.

    python benchmarks/twins.py SHEET WORK [--subjects 8 --folds 4 --seeds 0,1 --epochs 30 --arms gim,hard,full]

SHEET is a coding sheet, such as CASME_sq_gt.xlsx; WORK keeps the twin, every fold and the results, so that an
interrupted run goes on. "own" is what the network's recipe does by itself; "gim" and all below it follow the paper and
differ from it in one thing each; "full" is the same network with the same loss, but with the onset and offset of every
expression in place of labels made from points. With --shipped every arm tunes the shipped weights, by the recipe of
`spot train --init shipped`, and "untuned" is these weights as they are. "auw-gcn" is the comparison method, learning
from full intervals and action units by its own recipe; of the options of a recipe only the preset is meant for it.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from facespot.models.context import ContextConfig
from facespot.models.spotformer import SpotFormerConfig
from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.datasets.layouts import match_videos
from facespot.spotting.datasets.prepared import PreparedSet
from facespot.spotting.datasets.records import close_open_offsets, intervals_by_video
from facespot.spotting.intervals import EXPRESSION_TYPES, Interval
from facespot.spotting.judging.leave_one_out import evaluate_loso
from facespot.spotting.judging.metrics import VideoIntervals
from facespot.spotting.judging.report import evaluation_report
from facespot.spotting.learning.auw_training import AuwRecipe, auw_trainer
from facespot.spotting.learning.from_points import PointTrainer
from facespot.spotting.learning.learners import Answer
from facespot.spotting.learning.point_videos import PointVideo, Window
from facespot.spotting.learning.pseudo_labels import PseudoLabels
from facespot.spotting.learning.recipes import PointRecipe, Preset
from facespot.spotting.simulation.twins import simulate_twins
from facespot.spotting.spotter import DEFAULT_WEIGHTS, Spotter

AUW_GCN = "auw-gcn"
UNTUNED = "untuned"
_PAPER = {"durations": "intensity", "certain": None, "margin": None}
ARMS: dict[str, dict[str, dict[str, Any]]] = {
    "own": {},
    "own hard": {"labels": {"strategy": "hard"}},
    "own bce": {"loss": {"intensity": "bce"}},
    "own without iac": {"loss": {"contrastive": 0.0}},
    "full": {},
    "gim": {"labels": _PAPER},
    "hard": {"labels": {**_PAPER, "strategy": "hard"}},
    "cosine": {"labels": {**_PAPER, "strategy": "cosine"}},
    "class mean": {"labels": {**_PAPER, "strategy": "class_mean"}},
    "bce": {"labels": _PAPER, "loss": {"intensity": "bce"}},
    "without iac": {"labels": _PAPER, "loss": {"contrastive": 0.0}},
    "higher": {"labels": {**_PAPER, "overlap": "higher"}},
    "lower": {"labels": {**_PAPER, "overlap": "lower"}},
    "k_c 24": {"labels": {**_PAPER, "duration": (24, 16)}},
    "k_c 40": {"labels": {**_PAPER, "duration": (40, 16)}},
}


class IntervalTrainer(PointTrainer):
    """The comparison with full supervision: label 1 from onset to offset, everything else is neutral."""

    def __init__(
        self,
        videos: Sequence[PointVideo],
        recipe: PointRecipe,
        seed: int = 0,
        *,
        truth: Mapping[str, Sequence[Interval]],
        **options: Any,
    ) -> None:
        super().__init__(videos, recipe, seed, **options)
        # A simulated face is never lost: every video is one segment.
        self._intervals = {id(s): truth[v.video] for s, v in zip(self._segments, videos, strict=True)}

    def _targets(
        self, member: int, answer: Answer, row: int, window: Window, epoch: int, generator: torch.Generator
    ) -> PseudoLabels:
        labels = torch.zeros(len(window), 2)
        apex = torch.zeros(len(window), 2, dtype=torch.bool)
        for interval in self._intervals[id(window.segment)]:
            column = EXPRESSION_TYPES.index(interval.type)
            onset, offset = interval.onset - window.start, interval.offset - window.start
            labels[max(0, onset) : max(0, offset + 1), column] = 1.0
            reach = 2 - column
            peak = interval.apex - window.start
            apex[max(0, peak - reach) : max(0, peak + reach + 1), column] = True
        device = answer.output.intensity.device
        neutral = (labels == 0).all(dim=1).nonzero()[:, 0]
        return PseudoLabels(labels.to(device), apex.to(device), neutral.to(device))


def _arm(
    name: str, base: PointRecipe, preset: Preset, records: pd.DataFrame, made: PreparedSet
) -> tuple[PointRecipe | AuwRecipe, Callable[..., PointTrainer] | None]:
    """Recipe and trainer of an arm."""
    if name == AUW_GCN:
        return AuwRecipe.preset(preset), partial(auw_trainer, records=match_videos(records, list(made)))
    recipe = base.with_labels(**ARMS[name].get("labels", {})).with_loss(**ARMS[name].get("loss", {}))
    if name != "full":
        return recipe, None
    clocks = {v.video: made.load(v).timebase for v in made}
    return recipe, partial(IntervalTrainer, truth=intervals_by_video(close_open_offsets(records), clocks))


@click.command(help=__doc__)
@click.argument("sheet", type=click.Path(path_type=Path))
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--subjects", default=8, help="The first so many of the data set; 0 takes all.")
@click.option("--folds", default=4, help="Groups of subjects left out; 0 leaves out one subject at a time.")
@click.option("--seeds", default="0,1", help="Of points and training.")
@click.option("--twin", default=0, help="Seed of the twin: other faces, cameras and motions.")
@click.option("--epochs", default=30)
@click.option("--arms", default=",".join(ARMS))
@click.option("--network", type=click.Choice(["context", "journal", "iclr2025"]), default="context")
@click.option("--width", default=48, help="Of the network.")
@click.option("--preset", type=click.Choice(["own", "samm-lv", "casme2"]), default="own")
@click.option("--rate", default=2e-3)
@click.option("--window", type=int, help="Ticks learnt from at once, instead of the recipe's.")
@click.option("--batch", default=4)
@click.option("--shipped", is_flag=True, help="Every arm tunes the shipped weights, whose recipe it is.")
@click.option("--processes", default=1)
@click.option("--device", default="cpu")
def main(
    sheet: Path,
    work: Path,
    subjects: int,
    folds: int,
    seeds: str,
    twin: int,
    epochs: int,
    arms: str,
    network: str,
    width: int,
    preset: str,
    rate: float,
    window: int | None,
    batch: int,
    shipped: bool,
    processes: int,
    device: str,
) -> None:
    torch.set_num_threads(1)
    records = read_annotations(sheet)
    if subjects:
        records = records[records["subject"].isin(sorted(records["subject"].unique())[:subjects])]
    made = simulate_twins(records, work / f"features-{twin}", seed=twin)
    minutes = sum(v.ticks for v in made) / 1800
    click.echo(
        f"{records['subject'].nunique()} subjects, {len(made)} videos, {minutes:.0f} minutes, "
        f"{(records['type'] == 'macro').sum()} MaE, {(records['type'] == 'micro').sum()} ME"
    )
    if shipped:
        base, name = PointRecipe.tuning(preset, [v.ticks for v in made]), f"shipped-{twin}"
    else:
        base = PointRecipe.preset(preset, network)
        base = replace(
            base,
            epochs=epochs,
            rate=rate,
            window=window or base.window,
            batch=batch,
            halve_every=max(1, round(epochs * 0.4)),
            # The paper's schedule of 100 epochs, in proportion.
            labels=replace(base.labels, threshold_epochs=max(6, round(epochs * 0.3))),
            encoder=SpotFormerConfig(dim=width, heads=4, dim_head=max(4, width // 4), mlp_dim=2 * width),
            context=ContextConfig(width=width),
        )
        name = f"{network}-{width}-{epochs}-{twin}"
    results = work / name
    rows = []
    with as_file(files("facespot.weights") / DEFAULT_WEIGHTS) if shipped else nullcontext() as init:
        if shipped:
            rows.append(_row(UNTUNED, 0, _judge(Spotter.load(init, device), records, made)))
        for arm in arms.split(","):
            recipe, trainer = _arm(arm, base, preset, records, made)
            for seed in map(int, seeds.split(",")):
                started = time.monotonic()
                result = evaluate_loso(
                    made.folder,
                    records,
                    recipe,
                    results / f"{arm.replace(' ', '_')}-{seed}",
                    seed=seed,
                    folds=folds or None,
                    processes=processes,
                    device=device,
                    init=init,
                    trainer=trainer,
                )
                rows.append(_row(arm, seed, result.reports["chosen"]))
                took = time.monotonic() - started
                click.echo(f"{arm} seed {seed}: {' '.join(f'{v:.4f}' for v in rows[-1]['f1'])}  ({took:.0f} s)")
                (results / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    click.echo(_table(rows))


def _judge(spotter: Spotter, records: pd.DataFrame, made: PreparedSet) -> dict[str, Any]:
    """The report of weights that have seen none of it."""
    clocks = {v.video: made.load(v).timebase for v in made}
    truth = intervals_by_video(close_open_offsets(match_videos(records, list(made))), clocks)
    return evaluation_report(
        [
            VideoIntervals(truth.get(v.video, []), spotter.intervals(made.load(v))[0], (), v.subject, v.ticks)
            for v in made
        ]
    )


def _row(arm: str, seed: int, report: dict[str, Any]) -> dict[str, Any]:
    f1 = [report["counts"][name]["f1"] for name in ("macro", "micro", "overall")]
    return {"arm": arm, "seed": seed, "f1": f1, "kappa": report["kappa"]}


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: mean and range over the seeds of F1 of MaE, ME and overall, and of kappa per tick."""
    lines = ["| arm | MaE | ME | overall | overall, lowest to highest seed | kappa |", "|---|---|---|---|---|---|"]
    for arm in dict.fromkeys(row["arm"] for row in rows):
        mine = [row for row in rows if row["arm"] == arm]
        f1 = np.array([row["f1"] for row in mine])
        kappa = np.mean([row["kappa"] for row in mine])
        macro, micro, overall = f1.mean(axis=0)
        spread = f"{f1[:, 2].min():.3f}..{f1[:, 2].max():.3f}"
        lines.append(f"| {arm} | {macro:.3f} | {micro:.3f} | {overall:.3f} | {spread} | {kappa:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
