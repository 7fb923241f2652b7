"""The paper's Tables 1 (lower half) to 5 on the paper's network, small, on a twin of a data set.

    python benchmarks/paper_tables.py SHEET WORK [--videos 24 --folds 2 --seeds 0,1,2 --epochs 10 --arms gim,lac;hard]

SHEET is a coding sheet, such as CASME_sq_gt.xlsx, whose shortest videos are acted by simulated people. All arms get the
features of one SpotFormer up to its second pooling (5 steps left of 17): it learnt, from the full intervals of others
of the sheet's videos acted by other people, and is frozen. The rest of SpotFormer and the two branches are learnt anew
in every cell, of an arm, a seed and a fold of subjects that is left out. WORK keeps the twins, the encoder and every
finished cell, so that an interrupted run goes on, and the tables of what there is can be had with --minutes 0.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from facespot.extract.features import FaceFeatures
from facespot.files import replacing
from facespot.models.checkpoint import load_checkpoint, save_checkpoint
from facespot.models.gim import GIMOutput, GIMSpotter, GIMSpotterConfig
from facespot.models.spotformer import SpotFormer, SpotFormerConfig
from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.datasets.layouts import match_videos
from facespot.spotting.datasets.prepared import PreparedSet
from facespot.spotting.datasets.records import close_open_offsets, intervals_by_video
from facespot.spotting.datasets.sampling import sample_points
from facespot.spotting.decoding import DecodingSettings, decode
from facespot.spotting.intervals import Interval
from facespot.spotting.judging.metrics import Evaluation, VideoIntervals, evaluate
from facespot.spotting.learning.from_points import PointTrainer
from facespot.spotting.learning.learners import GIMLearner, Learner
from facespot.spotting.learning.losses import LossSettings
from facespot.spotting.learning.point_videos import PointVideo, pair_points
from facespot.spotting.learning.recipes import PointRecipe
from facespot.spotting.readers.base import Curves, Reader
from facespot.spotting.simulation.twins import simulate_twins
from facespot.spotting.spotter import Spotter
from torch import Tensor, nn
from twins import IntervalTrainer

ENCODER_SEED = 1000  # of the people that the encoder learns from; the twins' own is 0
WATCH_FROM, WATCH_EVERY = 4, 3  # epochs (1-based) among which the best on the left-out subjects is looked for


@dataclass(frozen=True)
class Arm:
    """One row of a table: changes to the labels and the loss of gim. paper: its F1 overall on CAS(ME)^2 there;
    None where the text says no more than that gim is better."""

    tables: str
    paper: float | None
    labels: dict[str, Any]
    loss: dict[str, Any]


def _arm(tables: str, paper: float | None, loss: dict[str, Any] | None = None, **labels: Any) -> Arm:
    return Arm(tables, paper, labels, loss or {})


ARMS = {
    "gim": _arm("1-5", 0.4000),
    "lac": _arm("1", 0.3598, strategy="lac"),
    "hr-pro": _arm("1", 0.3261, strategy="hr_pro"),
    "tsp-net": _arm("1", 0.3358, strategy="tsp_net"),
    "hard": _arm("2, 3", None, strategy="hard"),
    "bce": _arm("2", None, {"intensity": "bce"}),
    "without iac": _arm("2", None, {"contrastive": 0.0}),
    "cosine": _arm("3", None, strategy="cosine"),
    "class mean": _arm("3", None, strategy="class_mean"),
    "higher": _arm("4", 0.3988, overlap="higher"),
    "lower": _arm("4", 0.3891, overlap="lower"),
    "k_c 24": _arm("5", None, duration=(24, 16)),
    "k_c 40": _arm("5", None, duration=(40, 16)),
}

GROUPS = (
    "gim,lac,hr-pro,tsp-net",
    "hard,bce,without iac,cosine,class mean",
    "higher,lower,k_c 24,k_c 40",
)


class Bottom(nn.Module):
    """The frozen part of a SpotFormer: snippets (n, 17, 10, 2) -> tokens (n, 5, 1, C)."""

    def __init__(self, encoder: SpotFormer) -> None:
        super().__init__()
        self.encoder = encoder.eval()

    @torch.inference_mode()
    def forward(self, snippets: Tensor) -> Tensor:
        encoder = self.encoder
        x = encoder.over_steps[0](encoder.over_regions(encoder._embed(snippets)).transpose(1, 2))
        x = encoder.halve[0](encoder.pool_regions(x))
        x = encoder.over_steps[1](encoder.over_groups(x.transpose(1, 2)).transpose(1, 2))
        return encoder.halve[1](encoder.pool_groups(x)).transpose(1, 2)


class Top(nn.Module):
    """The part that learns: tokens (B, L, 5, 1, C) -> `GIMOutput`, by fresh layers of a SpotFormer and two branches."""

    def __init__(self, config: GIMSpotterConfig) -> None:
        super().__init__()
        whole = GIMSpotter(config)
        self.config, self.heads = config, whole.heads
        self.steps, self.halves = whole.encoder.over_steps[2:], whole.encoder.halve[2:]

    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> GIMOutput:
        flat = tokens.flatten(0, 1) if valid is None else tokens[valid]
        x = flat.transpose(1, 2)
        for attend, halve in zip(self.steps, self.halves, strict=True):
            x = halve(attend(x))
        x = x[:, 0, 0]
        if valid is not None:
            x = x.new_zeros(*valid.shape, x.shape[1]).masked_scatter(valid[..., None], x)
        return self.heads(x.reshape(*tokens.shape[:2], -1))


class TopReader(Reader):
    """A `Top` on a video whose snippets are tokens, decoded like GIM."""

    min_confidence = (0.0, 0.0)
    min_ticks = 3

    def __init__(self, top: Top) -> None:
        self._top = top

    @classmethod
    def rebuild(cls, *args: Any, **options: Any) -> "TopReader":
        raise TypeError("a part of a network has no checkpoint")

    @torch.inference_mode()
    def curves(self, features: FaceFeatures) -> Curves:
        self._top.eval()
        output = self._top(torch.from_numpy(features.snippets)[None])
        self._top.train()
        return Curves(output.intensity[0].numpy(), output.class_scores[0].numpy())

    def decode(
        self,
        curves: Curves,
        segments: Sequence[tuple[int, int]],
        min_confidence: tuple[float, float] | None = None,
    ) -> list[Interval]:
        settings = DecodingSettings(min_confidence=min_confidence or self.min_confidence)
        return decode(curves.intensity, curves.scores, settings, segments)


class TopLearner(GIMLearner):
    """GIM's labels and losses on a `Top`."""

    def __init__(self, recipe: PointRecipe) -> None:
        super().__init__(recipe)
        self.networks = nn.ModuleList([Top(recipe.gim)])

    def reader(self, device: torch.device) -> Reader:
        return TopReader(self.networks[0])


class TopTrainer(PointTrainer):
    def _make_learner(self, init: Path | None) -> Learner:
        return TopLearner(self.recipe)

    def spot(self, videos: Sequence[PointVideo]) -> dict[str, list[Interval]]:
        """What the network finds now, with the confidence that its training points ask for."""
        spotter, least = Spotter(self.learner.reader(self.device), {}), self._least_confidence()
        return {video.video: spotter.intervals(video.features, least)[0] for video in videos}


def choose(records: pd.DataFrame, videos: int, encoder_videos: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records of the shortest videos, and of the next ones, for the encoder."""
    ends = (records[["onset", "apex", "offset"]].max(axis=1) / records["fps"]).groupby(records["video"]).max()
    names = ends.sort_values(kind="stable").index
    first, then = set(names[:videos]), set(names[videos : videos + encoder_videos])
    return records[records["video"].isin(first)], records[records["video"].isin(then)]


def train_encoder(records: pd.DataFrame, work: Path, recipe: PointRecipe) -> SpotFormer:
    """A SpotFormer that knows full intervals of other people; kept in WORK."""
    path = work / "encoder.safetensors"
    encoder = SpotFormer(recipe.encoder)
    if not path.exists():
        made = simulate_twins(records, work / "encoder-features", seed=ENCODER_SEED)
        records = match_videos(records, list(made))
        videos, _ = pair_points(made, sample_points(records, ENCODER_SEED))
        clocks = {video.video: video.features.timebase for video in videos}
        truth = intervals_by_video(close_open_offsets(records), clocks)
        trainer = IntervalTrainer(videos, recipe, ENCODER_SEED, truth=truth)
        started = time.process_time()
        while trainer.epoch < recipe.epochs:
            report = trainer.run_epoch()
            click.echo(
                f"encoder, epoch {report.epoch + 1} of {recipe.epochs}: loss {report.terms['total']:.3f}, "
                f"{time.process_time() - started:.0f} s of processor",
                err=True,
            )
        save_checkpoint(path, "encoder", recipe.to_dict()["encoder"], trainer.networks[0].encoder.state_dict())
    encoder.load_state_dict(load_checkpoint(path, "encoder").state)
    return encoder


def tokens_of(features: FaceFeatures, bottom: Bottom) -> FaceFeatures:
    snippets = torch.from_numpy(np.array(features.snippets, np.float32))
    return replace(features, snippets=torch.cat([bottom(part) for part in snippets.split(32)]).numpy())


def run_cell(
    recipe: PointRecipe, videos: Sequence[PointVideo], left_out: Sequence[str], seed: int, watch: bool
) -> dict[str, dict[str, list[Any]]]:
    """Intervals of the left-out subjects' videos by epoch (1-based): the last, and others before it to watch."""
    training = [video for video in videos if video.subject not in left_out]
    judged = [video for video in videos if video.subject in left_out]
    trainer = TopTrainer(training, recipe, seed)
    watched = {*range(recipe.epochs, WATCH_FROM - 1, -WATCH_EVERY)} if watch else {recipe.epochs}
    found = {}
    while trainer.epoch < recipe.epochs:
        trainer.run_epoch()
        if trainer.epoch in watched:
            found[str(trainer.epoch)] = {
                name: [[*map(int, (i.onset, i.apex, i.offset)), i.type, i.confidence] for i in intervals]
                for name, intervals in trainer.spot(judged).items()
            }
    return found


def judge(cell: Mapping[str, list[Any]], truth: Mapping[str, Sequence[Interval]]) -> Evaluation:
    return evaluate([VideoIntervals(truth.get(v, ()), [Interval(*row) for row in rows]) for v, rows in cell.items()])


@dataclass(frozen=True)
class Score:
    """Of some folds of an arm and a seed: after the last epoch, and with the best watched epoch of each fold on
    its own left-out subjects; that is None where only the last was watched."""

    last: Evaluation
    best: Evaluation | None


def score(
    cells: Mapping[str, Any], arm: str, seed: int, folds: Sequence[int], truth: Mapping[str, Sequence[Interval]]
) -> Score:
    last, best = Evaluation(), Evaluation()
    watched = True
    for fold in folds:
        found = cells[f"{arm}|{seed}|{fold}"]["found"]
        by_epoch = [judge(found[number], truth) for number in sorted(found, key=int)]
        last += by_epoch[-1]
        best += max(by_epoch, key=lambda e: e.overall.f1)
        watched &= len(by_epoch) > 1
    return Score(last, best if watched else None)


def table(cells: Mapping[str, Any], seeds: Sequence[int], folds: int, truth: Mapping[str, Sequence[Interval]]) -> str:
    """Markdown. A row has the seeds and folds that are there; what it has less or more than gim is on the same of them.
    Spread is the standard deviation over seeds."""
    lines = [
        "| arm | table | seeds x folds | MaE | ME | overall | spread | less gim, by seed | in the paper | best epoch |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, arm in ARMS.items():
        there = {seed: [f for f in range(folds) if f"{name}|{seed}|{f}" in cells] for seed in seeds}
        there = {seed: found for seed, found in there.items() if found}
        if not there:
            continue
        mine = [score(cells, name, seed, found, truth) for seed, found in there.items()]
        f1 = np.array([[getattr(s.last, kind).f1 for kind in ("macro", "micro", "overall")] for s in mine])
        beside = [
            f"{s.last.overall.f1 - score(cells, 'gim', seed, found, truth).last.overall.f1:+.3f}"
            for s, (seed, found) in zip(mine, there.items(), strict=True)
            if name != "gim" and all(f"gim|{seed}|{f}" in cells for f in found)
        ]
        best = [s.best.overall.f1 for s in mine if s.best is not None]
        spread = f"{f1[:, 2].std(ddof=1):.3f}" if len(f1) > 1 else ""
        macro, micro, overall = f1.mean(axis=0)
        paper = "" if name == "gim" else "less" if arm.paper is None else f"{arm.paper - ARMS['gim'].paper:+.3f}"
        size = "+".join(str(len(found)) for found in there.values())
        lines.append(
            f"| {name} | {arm.tables} | {size} | {macro:.3f} | {micro:.3f} | {overall:.3f} | {spread} | "
            f"{', '.join(beside)} | {paper} | {f'{np.mean(best):.3f}' if len(best) == len(mine) else ''} |"
        )
    return "\n".join(lines)


@click.command(help=__doc__)
@click.argument("sheet", type=click.Path(path_type=Path))
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--videos", default=24, show_default=True, help="The shortest so many of the sheet.")
@click.option("--folds", default=2, show_default=True, help="Groups of subjects left out.")
@click.option("--seeds", default="0,1,2", show_default=True, help="Of points and training.")
@click.option("--epochs", default=10, show_default=True)
@click.option(
    "--arms",
    default=";".join(GROUPS),
    show_default=True,
    help="Groups apart by semicolons, in this order; of the first, earlier epochs are judged too.",
)
@click.option("--width", default=24, show_default=True, help="Of the network.")
@click.option("--network", type=click.Choice(["journal", "iclr2025"]), default="journal", show_default=True)
@click.option("--preset", type=click.Choice(["own", "samm-lv", "casme2"]), default="own", show_default=True)
@click.option("--rate", default=2e-3, show_default=True)
@click.option("--window", default=96, show_default=True, help="Ticks learnt from at once.")
@click.option("--batch", default=2, show_default=True, help="Windows per step.")
@click.option("--encoder-videos", default=12, show_default=True, help="The next so many, for the encoder.")
@click.option("--encoder-epochs", default=10, show_default=True)
@click.option("--minutes", type=float, default=60.0, show_default=True, help="No cell is begun after so many.")
def main(
    sheet: Path,
    work: Path,
    videos: int,
    folds: int,
    seeds: str,
    epochs: int,
    arms: str,
    width: int,
    network: str,
    preset: str,
    rate: float,
    window: int,
    batch: int,
    encoder_videos: int,
    encoder_epochs: int,
    minutes: float,
) -> None:
    started = time.monotonic()
    torch.set_num_threads(1)
    records, others = choose(read_annotations(sheet), videos, encoder_videos)
    base = PointRecipe.preset(preset, network)
    base = replace(
        base,
        epochs=epochs,
        rate=rate,
        window=window,
        batch=batch,
        mirror=False,
        halve_every=max(1, round(epochs * 0.4)),
        # The paper's schedule of 100 epochs, in proportion, but for the first of them.
        labels=replace(base.labels, stage_epochs=(1, max(1, epochs // 25)), threshold_epochs=max(5, epochs * 3 // 10)),
        encoder=SpotFormerConfig(dim=width, heads=2, dim_head=max(4, width // 2), mlp_dim=2 * width),
    )
    # The norm's weight for CAS(ME)^2 is for whole videos; in windows around points it would outweigh every label.
    base = base.with_loss(contrastive=LossSettings.cas_me2().contrastive)
    work.mkdir(parents=True, exist_ok=True)
    bottom = Bottom(train_encoder(others, work, replace(base, epochs=encoder_epochs)))
    made = simulate_twins(records, work / "features")
    records = match_videos(records, list(made))
    tokens = {video.video: tokens_of(made.load(video), bottom) for video in made}
    clocks = {name: features.timebase for name, features in tokens.items()}
    truth = intervals_by_video(close_open_offsets(records), clocks)
    subjects = sorted(records["subject"].unique())
    click.echo(
        f"{len(subjects)} subjects, {len(made)} videos, {sum(v.ticks for v in made)} ticks, "
        f"{(records['type'] == 'macro').sum()} MaE, {(records['type'] == 'micro').sum()} ME"
    )
    path = work / "cells.json"
    setting = [videos, folds, epochs, width, network, preset, rate, window, batch, encoder_videos, encoder_epochs]
    kept = json.loads(path.read_text()) if path.exists() else {"setting": setting, "cells": {}}
    if kept["setting"] != setting:
        raise click.UsageError(f"{path} is of other sizes: {kept['setting']}, not {setting}")
    cells = kept["cells"]
    numbers = [int(seed) for seed in seeds.split(",")]
    points = {seed: _with_tokens(made, records, seed, tokens) for seed in numbers}
    # What an interrupted run leaves can be compared: the same seeds and folds of one arm after the other.
    groups = [group.split(",") for group in arms.split(";")]
    order = [
        (fold, seed, arm, group is groups[0])
        for fold in range(folds)
        for group in groups
        for seed in numbers
        for arm in group
    ]
    for fold, seed, arm, watch in order:
        key = f"{arm}|{seed}|{fold}"
        if key in cells or time.monotonic() - started > 60 * minutes:
            continue
        recipe = base.with_labels(**ARMS[arm].labels).with_loss(**ARMS[arm].loss)
        before = time.process_time()
        found = run_cell(recipe, points[seed], subjects[fold::folds], seed, watch)
        cells[key] = {"found": found, "processor_s": round(time.process_time() - before, 1)}
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(kept) + "\n")
        last = judge(found[str(epochs)], truth).overall
        click.echo(f"{key}: {last.tp} hits, {last.fp} false, {cells[key]['processor_s']:.1f} s", err=True)
    click.echo(table(cells, numbers, folds, truth))
    click.echo(f"\n{len(cells)} cells, {sum(cell['processor_s'] for cell in cells.values()):.0f} s of processor")


def _with_tokens(
    made: PreparedSet, records: pd.DataFrame, seed: int, tokens: Mapping[str, FaceFeatures]
) -> list[PointVideo]:
    found, _ = pair_points(made, sample_points(records, seed))
    return [replace(video, features=tokens[video.video]) for video in found]


if __name__ == "__main__":
    main()
