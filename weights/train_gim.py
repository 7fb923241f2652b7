"""Remakes the shipped weights of the paper's model from a seed: `python -m facespot.weights.train_gim`, or `make
weights-gim`.

SpotFormer and two branches learn from one point per expression and nothing else, in the three stages of GIM with the
contrastive loss, on simulated clips. Which confidence an interval needs is then chosen on other simulated clips, whose
onsets and offsets are known. The model card, README.md in this folder, has the figures.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import torch

from ..models.checkpoint import load_checkpoint, save_checkpoint
from ..models.device import resolve_device
from ..models.spotformer import SpotFormerConfig
from ..spotting.decoding import DecodingSettings
from ..spotting.intervals import EXPRESSION_TYPES, ExpressionType, Interval
from ..spotting.judging.metrics import VideoIntervals, evaluate
from ..spotting.learning.from_points import PointTrainer
from ..spotting.learning.recipes import PointRecipe
from ..spotting.learning.simulated_points import annotated_clips, point_clips
from ..spotting.spotter import Spotter

EPOCHS, PUBLISHED_EPOCHS = 13, 100
# A quarter of the published width and half of its heads: what one core trains in less than an hour.
ENCODER = SpotFormerConfig(dim=64, heads=2, dim_head=16, mlp_dim=64)
# More of them than the default network learns from: snippets of 17 ticks show what a laboratory shows.
LABORATORY_SHARE = 0.6
# k_c of simulated clips, as the paper's 32 and 16 are those of its data sets; ranges of 24..72 and 6..15 ticks.
DURATION, LONGEST = (48, 12), (1.5, 1.25)
# Two windows of this length are as many snippets as SpotFormer trains on without computing anything twice.
WINDOW, BATCH = 128, 2
# The paper's schedule of a hundred epochs, shortened.
HALVE_EVERY, THRESHOLD_EPOCHS = 5, 6
# Chosen on simulated and rendered recordings: see the model card.
DECODING = DecodingSettings(smoothing=1.0, bridge=(21, 0), around=4, exclusive=True, class_weight=0.2)
# Distance of the seed of the clips on which the least confidence is chosen, all of them of a laboratory.
FRESH_SEED = 5000


def shipped_recipe(epochs: int = EPOCHS) -> PointRecipe:
    """Of the weights that come with facespot."""
    base = PointRecipe.preset("own", "journal")
    labels = replace(base.labels, duration=DURATION, longest=LONGEST, threshold_epochs=THRESHOLD_EPOCHS)
    sizes = {"encoder": ENCODER, "window": WINDOW, "batch": BATCH}
    return replace(base, labels=labels, epochs=epochs, halve_every=HALVE_EVERY, **sizes)


def published_recipe(epochs: int = PUBLISHED_EPOCHS) -> PointRecipe:
    """The network, optimiser, rate and schedule of the paper on whole clips, for which a GPU is needed."""
    base = PointRecipe.preset("own", "journal", "paper")
    return replace(base, labels=replace(base.labels, duration=DURATION, longest=LONGEST), epochs=epochs)


def train_points(recipe: PointRecipe, clips: int, seed: int, device: str, output: Path) -> None:
    """Train to the last epoch and write the network to `output`, decoded as `DECODING` says.

    A training that was interrupted goes on at its last epoch: its state lies beside `output` until it is done. Raises
    WeightsError for the state of another training.
    """
    started = time.monotonic()
    videos = point_clips(clips, seed, LABORATORY_SHARE)
    points = sum(len(video.points) for video in videos)
    click.echo(f"simulated {len(videos)} clips with {points} points in {time.monotonic() - started:.0f} s", err=True)
    training = PointTrainer(videos, recipe, seed, device=device)
    state = output.with_suffix(".training.pt")
    if state.exists():
        training.load_state(state)
    while training.epoch < recipe.epochs:
        report = training.run_epoch()
        training.save_state(state)
        text = "  ".join(f"{name} {value:.4f}" for name, value in report.terms.items())
        took = time.monotonic() - started
        click.echo(f"epoch {report.epoch + 1} of {report.epochs}, {took:.0f} s: {text}", err=True)
    training.learner.save(output, None, {**training.notes, "clips": clips})
    set_confidence(output, (0.0, 0.0))
    state.unlink(missing_ok=True)


def set_confidence(path: Path, least: tuple[float, float]) -> None:
    """Write `DECODING` and a least confidence of macro and micro into the weights of `path`."""
    held = load_checkpoint(path, "gim")
    config = {**held.config, "decoding": asdict(DECODING), "min_confidence": least}
    save_checkpoint(path, held.kind, config, held.state, held.notes)


def best_confidence(path: Path, clips: int, seed: int) -> tuple[float, float]:
    """The least confidence of macro and of micro with the best F1 of that type on fresh simulated clips, of equally
    good ones the highest, in steps of 0.02."""
    spotter = Spotter.load(path, "cpu")
    judged = []
    for features, events in annotated_clips(clips, seed + FRESH_SEED, laboratory_share=1.0):
        truth = [Interval(e.onset, e.apex, e.offset, e.type) for e in events]
        judged.append((truth, spotter.intervals(features, 0.0)[0]))
    macro, micro = (confidence_of_best_f1(judged, kind) for kind in EXPRESSION_TYPES)
    return macro, micro


def confidence_of_best_f1(judged: Sequence[tuple[list[Interval], list[Interval]]], kind: ExpressionType) -> float:
    """judged: truth of each clip, and everything that was found in it."""

    def f1(least: float) -> float:
        kept = [VideoIntervals(truth, [i for i in found if i.confidence >= least]) for truth, found in judged]
        return getattr(evaluate(kept), kind).f1

    return max((f1(least), least) for least in np.arange(0.0, 1.0, 0.02).round(2).tolist())[1]


@click.command(help=__doc__)
@click.option("--seed", default=1, show_default=True, help="of clips, points and network")
@click.option("--clips", default=200, show_default=True, help="simulated clips to learn from")
@click.option("--epochs", type=int, help=f"[default: {EPOCHS}; {PUBLISHED_EPOCHS} of the published size]")
@click.option("--fresh", default=60, show_default=True, help="simulated clips to choose the least confidence on")
@click.option("--published", is_flag=True, help="the published size, on whole clips; needs a GPU")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or mps")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).with_name("gim.safetensors"),
    help="file to write  [default: the shipped one]",
)
def main(seed: int, clips: int, epochs: int | None, fresh: int, published: bool, device: str, output: Path) -> None:
    torch.set_num_threads(1)  # the order of sums, and so the file, depends on it
    recipe = published_recipe(epochs or PUBLISHED_EPOCHS) if published else shipped_recipe(epochs or EPOCHS)
    train_points(recipe, clips, seed, resolve_device(device).type, output)
    least = best_confidence(output, fresh, seed)
    set_confidence(output, least)
    click.echo(f"{output}: reported from {least[0]:.2f} (macro) and {least[1]:.2f} (micro) on")


if __name__ == "__main__":
    main()
