"""Remakes the shipped weights of the paper's model from a seed: `python -m facespot.weights.train_gim`, or `make
weights-gim`.

SpotFormer and two branches learn from one point per expression and nothing else, in the three stages of GIM with the
contrastive loss, on simulated clips. Which confidence an interval needs is then chosen on other simulated clips, whose
onsets and offsets are known. The model card, README.md in this folder, has the figures.
"""

import time
from dataclasses import replace
from pathlib import Path

import click
import torch

from ..models.device import resolve_device
from ..models.spotformer import SpotFormerConfig
from ..spotting.learning.from_points import PointTrainer
from ..spotting.learning.recipes import PointRecipe
from ..spotting.learning.simulated_points import point_clips

# A third of the published width and half of its heads: what one core trains in less than an hour.
ENCODER = SpotFormerConfig(dim=64, heads=2, dim_head=16, mlp_dim=64)
# More of them than the default network learns from: snippets of 17 ticks show what a laboratory shows.
LABORATORY_SHARE = 0.6
# k_c of simulated clips, as the paper's 32 and 16 are those of its data sets; ranges of 24..72 and 6..15 ticks.
DURATION, LONGEST = (48, 12), (1.5, 1.25)
# Two windows of this length are as many snippets as SpotFormer trains on without computing anything twice.
WINDOW, BATCH = 128, 2


def recipe_of(epochs: int, published: bool = False) -> PointRecipe:
    """Of the shipped weights; the schedule is that of the paper's hundred epochs in proportion.

    published: the network, optimiser and rate of the paper on whole clips, for which a GPU is needed.
    """
    base = PointRecipe.preset("own", "journal", "paper" if published else "small")
    labels = replace(base.labels, duration=DURATION, longest=LONGEST, threshold_epochs=max(6, round(0.3 * epochs)))
    recipe = replace(base, labels=labels, epochs=epochs, halve_every=max(1, round(0.3 * epochs)))
    return recipe if published else replace(recipe, encoder=ENCODER, window=WINDOW, batch=BATCH)


def train_points(recipe: PointRecipe, clips: int, seed: int, device: str, output: Path) -> None:
    """Train to the last epoch and write the network to `output`.

    A training that was interrupted goes on at its last epoch: its state lies beside `output` until it is done.
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
    state.unlink(missing_ok=True)


@click.command(help=__doc__)
@click.option("--seed", default=1, show_default=True, help="of clips, points and network")
@click.option("--clips", default=200, show_default=True, help="simulated clips to learn from")
@click.option("--epochs", default=18, show_default=True)
@click.option("--published", is_flag=True, help="the published size, on whole clips; needs a GPU")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu, cuda or mps")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).with_name("gim.safetensors"),
    help="file to write  [default: the shipped one]",
)
def main(seed: int, clips: int, epochs: int, published: bool, device: str, output: Path) -> None:
    torch.set_num_threads(1)  # the order of sums, and so the file, depends on it
    train_points(recipe_of(epochs, published), clips, seed, resolve_device(device).type, output)


if __name__ == "__main__":
    main()
