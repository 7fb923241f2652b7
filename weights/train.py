"""Makes weights of the kind that is shipped, from a seed: `python -m facespot.weights.train`, or `make weights`.

Nothing is downloaded and no recording of a person is used: corpora of simulated clips (`spotting.simulation`), some
`ContextSpotter` networks that differ in their seed, and rounds of learning, each on fresh clips (`ROUNDS`): one from
nothing, and from there one on clips of no laboratory, whose networks are written, and one on those of a laboratory
alone, which is written beside it for recordings of such (`spotting.settings`). The second learns from clips without
expressions in which the networks see one until then, too. In all rounds tracks slip now and then.
Last it is learnt what votes are worth (`train_confidence`). With --first later rounds alone are run, from the last
networks of the file of --start. The shipped weights come from many more rounds, most of which saw older simulators;
the model card, README.md in this folder, has their figures and what comes out of this. A run that is interrupted
simulates its clips again and goes on from the files that it keeps beside the output.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click
import torch

from ..models.checkpoint import load_checkpoint, save_checkpoint
from ..models.context import ContextConfig, pack_ensemble, unpack_ensemble
from ..models.device import resolve_device
from ..models.shipped import DEFAULT_MODEL, MODELS
from ..processes import process_pool, usable_cores
from ..spotting.learning.from_simulation import SupervisedRecipe, train_supervised
from ..spotting.learning.hard_negatives import mine_quiet_clips
from ..spotting.settings import Setting
from ..spotting.simulation.corpus import LABORATORY_SHARE, ClipBatch, joined, simulate_corpus
from ..spotting.simulation.films import read_films
from ..spotting.voting import VotingSettings
from .train_confidence import CLIPS, write_confidence

# Share of clips with slipping tracks.
GLITCHES = 0.25


@dataclass(frozen=True)
class Round:
    """Clips and optimiser steps of one round, and its learning rate.

    seed: of its clips, counted from that of the run. members: likewise the seed of the first network, and what each
    further one adds. laboratory_share: see `simulate_corpus`. averaged: the networks are afterwards the
    mean of what they were and what they became, weight by weight, which finds better minima than either end (Wortsman
    et al. 2022, "model soups"). quiet: of so many more clips without expressions, those in which the networks see one
    as they begin the round are learnt from too.
    """

    clips: int
    steps: int
    rate: float
    seed: int
    members: tuple[int, int]
    laboratory_share: float = LABORATORY_SHARE
    averaged: bool = False
    quiet: int = 0

    @property
    def setting(self) -> Setting | None:
        """That of the recordings for which alone it is; None if it is for all."""
        settings: dict[float, Setting] = {0.0: "anywhere", 1.0: "laboratory"}
        return settings.get(self.laboratory_share)


ROUNDS = (
    Round(10000, 8000, SupervisedRecipe().rate, 0, (0, 1)),
    Round(6000, 3000, 6e-4, 9560, (9600, 1), laboratory_share=0.0, averaged=True, quiet=3600),
    Round(6000, 3000, 1e-3, 9443, (939, 1), laboratory_share=1.0, averaged=True),
)
# How far lengths are from the truth, and the confidence from which either type is reported: as
# `benchmarks/confidence.py` finds them on simulated clips and rendered portraits; in a laboratory higher, for as many
# false alarms where nobody shows anything as there were with the networks before.
TYPE_SPREAD = 1.43
MIN_CONFIDENCE, LABORATORY_MIN_CONFIDENCE = (0.46, 0.62), (0.54, 0.50)
VOTING = {"min_confidence": MIN_CONFIDENCE, "agree": 0.6, "overlap": 0.3, "type_spread": TYPE_SPREAD}
LABORATORY_VOTING = {**VOTING, "min_confidence": LABORATORY_MIN_CONFIDENCE}


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
    films: dict[int, ClipBatch],
) -> dict[str, torch.Tensor]:
    torch.set_num_threads(threads)
    started = time.monotonic()
    for step, terms, network in train_supervised(corpus, config, recipe, seed, device, start, kept, films):
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
    films: dict[int, ClipBatch],
) -> Iterator[dict[str, torch.Tensor]]:
    """kept: where each is kept while it learns."""
    cores = usable_cores()
    if device == "cuda" or cores == 1 or len(seeds) == 1:
        for seed, start, state in zip(seeds, starts, kept, strict=True):
            yield _train_member(corpus, config, recipe, seed, device, cores, start, state, films)
        return
    workers = min(cores, len(seeds))
    # One thread a member: two trainings side by side use two cores better than one training on both.
    threads = max(cores // workers, 1)
    with process_pool(workers) as pool:
        jobs = [
            pool.submit(_train_member, corpus, config, recipe, seed, device, threads, start, state, films)
            for seed, start, state in zip(seeds, starts, kept, strict=True)
        ]
        for job in jobs:
            yield job.result()


def _simulate(
    share: float, seed: int, this: Round, config: ContextConfig, begun: Sequence[State | None]
) -> dict[int, ClipBatch]:
    started, clips = time.monotonic(), max(round(share * this.clips), 1)
    corpus = simulate_corpus(clips, seed, usable_cores(), this.laboratory_share)
    click.echo(f"simulated {sum(map(len, corpus.values()))} clips in {time.monotonic() - started:.0f} s", err=True)
    if this.quiet:
        started, quiet = time.monotonic(), max(round(share * this.quiet), 1)
        states = [{name: t.cpu().numpy() for name, t in state.items()} for state in begun if state is not None]
        hard = mine_quiet_clips(config, states, VotingSettings.from_dict(VOTING), quiet, seed, usable_cores())
        for ticks, batch in hard.items():
            corpus[ticks] = joined([corpus[ticks], batch])
        seconds = time.monotonic() - started
        click.echo(
            f"in {sum(map(len, hard.values()))} of {quiet} quiet ones something is seen ({seconds:.0f} s)", err=True
        )
    return corpus


def _films(folder: Path | None, laboratory: bool | None = None) -> dict[int, ClipBatch]:
    """The films of a folder, none without one; laboratory: as of `read_films`."""
    if folder is None:
        return {}
    try:
        films = read_films(sorted(folder.glob("*.npz")), laboratory)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--films") from error
    if not films:
        raise click.BadParameter(f"{folder} has none", param_hint="--films")
    return films


@click.command(help=__doc__)
@click.option("--seed", default=1, show_default=True, help="of the run; rounds and networks count theirs from it")
@click.option("--first", type=click.IntRange(1), default=1, show_default=True, help="first round to run; see --start")
@click.option("--last", type=click.IntRange(1), help="last round to run  [default: the last there is]")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="of the clips and steps of every round, for a try",
)
@click.option("--members", default=2, show_default=True, help="networks of each round")
@click.option(
    "--start",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="file whose last networks --first begins with, where that is not 1",
)
@click.option(
    "--films",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="learn from these films, too: what `python -m facespot.weights.film` made",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or mps")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("remade") / MODELS[DEFAULT_MODEL],
    show_default=True,
    help="file to write; that for laboratories goes beside it",
)
def main(
    seed: int,
    first: int,
    last: int | None,
    share: float,
    members: int,
    start: Path | None,
    folder: Path | None,
    device: str,
    output: Path,
) -> None:
    if (start is None) != (first == 1):
        raise click.UsageError("--first and --start go together: the first round begins with nothing, others do not")
    last = len(ROUNDS) if last is None else last
    if not first <= last <= len(ROUNDS):
        raise click.UsageError(f"there are rounds 1 to {len(ROUNDS)}, --first is not after --last")
    place = resolve_device(device).type
    every_film = _films(folder)
    output.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    config, states = ContextConfig(), cast(list[State | None], [None] * members)
    notes: dict[str, object] = {"seed": seed, "rounds": [first, last], "share": share}
    if every_film:
        notes["films"] = sum(map(len, every_film.values()))
    if start is not None:
        config, first_states, notes["start"] = _begun(start, members)
        states = [*first_states]
    # What the networks of all recordings become by rounds on those of one setting alone.
    specialised: dict[Setting, list[State | None]] = {}
    kept: list[Path] = []
    for number in range(first, last + 1):
        this = ROUNDS[number - 1]
        begun = states if this.setting is None else specialised.get(this.setting, states)
        recipe = SupervisedRecipe(steps=max(round(share * this.steps), 1), glitches=GLITCHES, rate=this.rate)
        corpus = _simulate(share, seed + this.seed, this, config, begun)
        # Files beside the output from which an interrupted run goes on.
        places = [output.with_name(f"{output.name}.round{number}.{m}.training.pt") for m in range(members)]
        kept += places
        # Networks for laboratories learn from films of one alone.
        films = _films(folder, laboratory=True) if this.setting == "laboratory" else every_film
        seeds = [seed + this.members[0] + m * this.members[1] for m in range(members)]
        reached = list(_train_members(corpus, config, recipe, seeds, place, begun, places, films))
        become: list[State | None] = [
            _mean(a, b) if this.averaged and a else b for a, b in zip(begun, reached, strict=True)
        ]
        if this.setting is None:
            states = become
        else:
            specialised[this.setting] = become
    digests = [_save(output, config, specialised.get("anywhere", states), VOTING, notes)]
    laboratory = output.with_name(MODELS["laboratory"]) if "laboratory" in specialised else None
    if laboratory is not None:
        digests.append(_save(laboratory, config, specialised["laboratory"], LABORATORY_VOTING, notes))
    if last == len(ROUNDS):
        digests = write_confidence(output, laboratory, max(round(share * CLIPS), 1))
    for file in kept:
        file.unlink(missing_ok=True)
    for path, digest in zip((output, laboratory), digests, strict=False):
        click.echo(f"{path}: {digest}  ({time.monotonic() - started:.0f} s)")


def _save(
    path: Path,
    config: ContextConfig,
    states: Sequence[State | None],
    voting: Mapping[str, object],
    notes: Mapping[str, object],
) -> str:
    settings, state = pack_ensemble([(config, state) for state in states if state is not None])
    return save_checkpoint(path, "context", {**settings, "voting": dict(voting)}, state, notes)


def _mean(one: State, other: State) -> dict[str, torch.Tensor]:
    return {name: (tensor.cpu() + other[name]) / 2 for name, tensor in one.items()}


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
