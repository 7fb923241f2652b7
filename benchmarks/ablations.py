"""What each part of the shipped weights is worth: the same clips, the same steps, one thing changed at a time.

    python benchmarks/ablations.py OUT --clips 2000 --steps 2500
    python benchmarks/real_clips.py FOLDER --weights OUT/flow.safetensors

Trains one network per variant into OUT/<variant>.safetensors, smaller than the shipped ensemble so that all can be
compared, and keeps those that are there. "points" learns from one point per expression (GIM) on the very same clips,
everything else from onsets, offsets and intensity curves. Score the files with `real_clips.py` and `rendered.py`.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import torch
from facespot.extract.motion.geometry import FIRST_CHANNELS
from facespot.models.checkpoint import save_checkpoint
from facespot.models.context import ContextConfig, pack_ensemble
from facespot.spotting.learning.from_points import PointTrainer
from facespot.spotting.learning.from_simulation import SupervisedRecipe, train_supervised
from facespot.spotting.learning.recipes import PointRecipe
from facespot.spotting.learning.simulated_points import point_clips
from facespot.spotting.simulation.corpus import LABORATORY_SHARE, simulate_corpus
from facespot.weights.train import GLITCHES, MIN_CONFIDENCE


@dataclass(frozen=True)
class Variant:
    """Changes to the shipped network, recipe and share of laboratory clips."""

    network: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    laboratory_share: float = LABORATORY_SHARE


VARIANTS = {
    "all": Variant(),
    "flow": Variant({"geometry": False}, {"flow_dropout": 0.0}),
    "geometry": Variant({"flow": False}),
    "no-held": Variant({"channels": FIRST_CHANNELS}),
    "no-context": Variant({"dilations": ()}),
    "no-slips": Variant({}, {"glitches": 0.0}),
    "no-laboratory": Variant(laboratory_share=0.0),
}
POINTS = "points"


def train_variant(name: str, out: Path, clips: int, steps: int, seed: int) -> None:
    """One network that learns from intervals and curves."""
    torch.set_num_threads(1)
    variant = VARIANTS[name]
    config = replace(ContextConfig(), **variant.network)
    recipe = replace(SupervisedRecipe(steps=steps, glitches=GLITCHES), **variant.recipe)
    corpus = simulate_corpus(clips, seed, laboratory_share=variant.laboratory_share)
    for _, _, network in train_supervised(corpus, config, recipe, seed):
        settings, state = pack_ensemble([(config, network.state_dict())])
    save_checkpoint(out, "context", {**settings, "voting": {"min_confidence": MIN_CONFIDENCE}}, state)


def train_points(out: Path, clips: int, steps: int, seed: int) -> None:
    """The same network from points on the same clips, with as many windows seen."""
    torch.set_num_threads(1)
    videos = point_clips(clips, seed)
    recipe = PointRecipe.preset("own", "context")
    ticks = sum(len(video.features.snippets) for video in videos)
    epochs = max(1, round(steps * SupervisedRecipe.ticks_per_step / ticks))
    # The paper's schedule of 100 epochs, in proportion.
    recipe = replace(
        recipe,
        epochs=epochs,
        window=None,
        batch=max(1, round(SupervisedRecipe.ticks_per_step * len(videos) / ticks)),
        rate=SupervisedRecipe.rate,
        halve_every=max(1, round(0.3 * epochs)),
        labels=replace(recipe.labels, threshold_epochs=max(6, round(0.3 * epochs))),
    )
    trainer = PointTrainer(videos, recipe, seed)
    while trainer.epoch < epochs:
        trainer.run_epoch()
    trainer.save_weights(out)


@click.command(help=__doc__)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--clips", default=2000, show_default=True)
@click.option("--steps", default=2500, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--variants", default=",".join([*VARIANTS, POINTS]), show_default=True)
@click.option("--processes", default=2, show_default=True, help="variants trained side by side, one thread each")
def main(out: Path, clips: int, steps: int, seed: int, variants: str, processes: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes) as pool:
        jobs = {}
        for name in variants.split(","):
            path = out / f"{name}.safetensors"
            if path.exists():
                continue
            if name == POINTS:
                jobs[name] = pool.submit(train_points, path, clips, steps, seed)
            else:
                jobs[name] = pool.submit(train_variant, name, path, clips, steps, seed)
        for name, job in jobs.items():
            job.result()
            click.echo(f"{name}: {out / name}.safetensors")


if __name__ == "__main__":
    main()
