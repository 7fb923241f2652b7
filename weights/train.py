"""Remakes the shipped weights from a seed: `python -m facespot.weights.train`, or `make weights`.

Nothing is downloaded and no recording of a person is used: a corpus of simulated clips (`spotting.simulation`), some
`ContextSpotter` networks that differ in their seed, then two shorter rounds of theirs, each on fresh clips. The
ensemble are the networks as the last round leaves them. In all rounds tracks slip now and then. With --start the last
round alone is run, from the last networks of a file: that is how the shipped weights were made from those before them,
whose rounds saw an older simulator. A run that is interrupted simulates its clips again and goes on from the files that
it keeps beside the output. The model card, README.md in this folder, has the figures.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch

from ..models.checkpoint import load_checkpoint, save_checkpoint
from ..models.context import ContextConfig, pack_ensemble, unpack_ensemble
from ..models.device import resolve_device
from ..processes import process_pool, usable_cores
from ..spotting.learning.from_simulation import SupervisedRecipe, train_supervised
from ..spotting.simulation.corpus import ClipBatch, simulate_corpus

# Share of clips with slipping tracks.
GLITCHES = 0.25
# The second and the last round: learning rate, distance of its seed from the first round's.
TUNING_RATE, LAST_RATE = 6e-4, 6e-4
TUNING_SEED, LAST_SEED = 1000, 2000
# What votes for macro- and micro-expressions are worth (`benchmarks/confidence.py` fits the map), and the confidence
# from which either is reported, chosen on rendered portraits: see the model card.
CALIBRATION = (
    (
        (0.0, 0.0), (0.2459, 0.0811), (0.3701, 0.181), (0.5626, 0.2854), (0.7539, 0.4773), (0.8532, 0.7833),
        (0.8941, 0.9365), (0.9187, 0.9375), (0.9337, 0.992), (0.9463, 0.993), (0.9568, 0.994), (1.0, 1.0),
    ),
    (
        (0.0, 0.0), (0.229, 0.1149), (0.3362, 0.1838), (0.442, 0.2928), (0.5878, 0.3831), (0.7619, 0.5987),
        (0.8504, 0.8898), (0.8873, 0.8908), (0.9044, 0.9633), (0.9161, 0.9643), (0.9296, 0.989), (1.0, 1.0),
    ),
)  # fmt: skip
MIN_CONFIDENCE = (0.60, 0.74)
VOTING = {"min_confidence": MIN_CONFIDENCE, "calibration": CALIBRATION, "agree": 0.6, "overlap": 0.3}


State = Mapping[str, torch.Tensor]


def _train_member(
    corpus: dict[int, ClipBatch],
    config: ContextConfig,
    recipe: SupervisedRecipe,
    seed: int,
    device: str,
    threads: int,
    start: State | None,
    kept: Path,
) -> dict[str, torch.Tensor]:
    torch.set_num_threads(threads)
    started = time.monotonic()
    for step, terms, network in train_supervised(corpus, config, recipe, seed, device, start, kept):
        text = "  ".join(f"{name} {value:.4f}" for name, value in terms.items())
        click.echo(
            f"member {seed}: step {step} of {recipe.steps}, {time.monotonic() - started:.0f} s: {text}", err=True
        )
        state = network.state_dict()
    return {name: tensor.cpu() for name, tensor in state.items()}


def _train_members(
    corpus: dict[int, ClipBatch],
    config: ContextConfig,
    recipe: SupervisedRecipe,
    seeds: list[int],
    device: str,
    starts: Sequence[State | None],
    kept: Sequence[Path],
) -> Iterator[dict[str, torch.Tensor]]:
    """kept: where each is kept while it learns."""
    cores = usable_cores()
    if device == "cuda" or cores == 1 or len(seeds) == 1:
        for seed, start, state in zip(seeds, starts, kept, strict=True):
            yield _train_member(corpus, config, recipe, seed, device, cores, start, state)
        return
    workers = min(cores, len(seeds))
    # One thread a member: two trainings side by side use two cores better than one training on both.
    threads = max(cores // workers, 1)
    with process_pool(workers) as pool:
        jobs = [
            pool.submit(_train_member, corpus, config, recipe, seed, device, threads, start, state)
            for seed, start, state in zip(seeds, starts, kept, strict=True)
        ]
        for job in jobs:
            yield job.result()


def _simulate(clips: int, seed: int) -> dict[int, ClipBatch]:
    started = time.monotonic()
    corpus = simulate_corpus(clips, seed, workers=usable_cores())
    click.echo(f"simulated {sum(map(len, corpus.values()))} clips in {time.monotonic() - started:.0f} s", err=True)
    return corpus


@click.command(help=__doc__)
@click.option("--seed", default=1, show_default=True, help="of the corpus; members take the seeds from here on")
@click.option("--clips", default=9000, show_default=True, help="simulated clips to learn from")
@click.option("--steps", default=9000, show_default=True, help="optimiser steps of each member")
@click.option("--tuning-clips", default=4000, show_default=True, help="simulated clips of the second round")
@click.option("--tuning-steps", default=2500, show_default=True, help="optimiser steps of the second round; 0: none")
@click.option("--last-clips", default=1600, show_default=True, help="simulated clips of the last round")
@click.option("--last-steps", default=1200, show_default=True, help="optimiser steps of the last round; 0: none")
@click.option("--members", default=2, show_default=True, help="networks of each round")
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="only the last round, from the last networks of this file",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).with_name("facespot.safetensors"),
    help="file to write  [default: the shipped one]",
)
def main(
    seed: int,
    clips: int,
    steps: int,
    tuning_clips: int,
    tuning_steps: int,
    last_clips: int,
    last_steps: int,
    members: int,
    start: Path | None,
    device: str,
    output: Path,
) -> None:
    place = resolve_device(device).type
    started = time.monotonic()
    recipe = SupervisedRecipe(steps=steps, glitches=GLITCHES)
    kept: list[Path] = []

    def keep(which: str, count: int) -> list[Path]:
        """Files for a round's networks, beside the output, from which an interrupted run goes on."""
        places = [output.with_name(f"{output.name}.{which}{member}.training.pt") for member in range(count)]
        kept.extend(places)
        return places

    notes: dict[str, object] = {"seed": seed}
    if start is None:
        config = ContextConfig()
        seeds = [seed + member for member in range(members)]
        corpus, places = _simulate(clips, seed), keep("first", members)
        nothing = [None] * members
        states: list[State] = list(_train_members(corpus, config, recipe, seeds, place, nothing, places))
        notes |= {"clips": clips, "steps": steps}
        if tuning_steps:
            tuning = replace(recipe, steps=tuning_steps, rate=TUNING_RATE)
            corpus = _simulate(tuning_clips, seed + TUNING_SEED)
            states = list(_train_members(corpus, config, tuning, seeds, place, states, keep("second", members)))
            notes |= {"tuning_clips": tuning_clips, "tuning_steps": tuning_steps}
    else:
        config, states, notes["start"] = _begun(start, members)
    if last_steps:
        last = replace(recipe, steps=last_steps, rate=LAST_RATE)
        # One seed for all: they differ by where they start.
        seeds = [seed + LAST_SEED] * len(states)
        corpus = _simulate(last_clips, seed + LAST_SEED)
        places = keep("last", len(states))
        states = list(_train_members(corpus, config, last, seeds, place, states, places))
        notes |= {"last_clips": last_clips, "last_steps": last_steps}
    settings, state = pack_ensemble([(config, state) for state in states])
    settings["voting"] = VOTING
    digest = save_checkpoint(output, "context", settings, state, notes)
    for file in kept:
        file.unlink(missing_ok=True)
    click.echo(f"{output}: {digest}  ({time.monotonic() - started:.0f} s)")


def _begun(path: Path, members: int) -> tuple[ContextConfig, list[State], str]:
    """The last networks of a file, which are of one size, and the file's digest."""
    checkpoint = load_checkpoint(path)
    networks = unpack_ensemble(checkpoint.config, checkpoint.state)[-members:]
    config = networks[0].config
    if any(network.config != config for network in networks):
        raise click.BadParameter("its networks differ in size", param_hint="--start")
    return config, [network.state_dict() for network in networks], checkpoint.digest


if __name__ == "__main__":
    main()
