"""Learns what votes of given weights are worth: `python -m facespot.weights.train_confidence FILE [LABORATORY]`.

From fresh simulated clips, each read by the networks that `spot` would give it to; both files are written anew with the
same answer. `make weights` does this last.
"""

from dataclasses import asdict, replace
from pathlib import Path

import click

from ..models.checkpoint import load_checkpoint, save_checkpoint
from ..processes import usable_cores
from ..spotting.learning.confidence import learn_confidence
from ..spotting.voting import VotingSettings

CLIPS, SEED = 4000, 9550


def write_confidence(general: Path, laboratory: Path | None, clips: int = CLIPS, seed: int = SEED) -> list[str]:
    """Learn the confidence of one or two files that vote, and write it into them; their new digests.

    The settings of the votes are those of the first file. Raises KeyError for weights that do not vote.
    """
    settings = replace(VotingSettings.from_dict(load_checkpoint(general).config["voting"]), confidence=None)
    model, candidates = learn_confidence(general, laboratory, settings, clips, seed, usable_cores())
    digests = []
    for path in (general, laboratory):
        if path is not None:
            held = load_checkpoint(path)
            config = {**held.config, "voting": {**held.config["voting"], "confidence": asdict(model)}}
            notes = {**held.notes, "confidence": {"clips": clips, "seed": seed, "candidates": candidates}}
            digests.append(save_checkpoint(path, held.kind, config, held.state, notes))
    return digests


@click.command(help=__doc__)
@click.argument("general", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("laboratory", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--clips", default=CLIPS, show_default=True, help="simulated ones to learn from")
@click.option("--seed", default=SEED, show_default=True, help="of the clips")
def main(general: Path, laboratory: Path | None, clips: int, seed: int) -> None:
    for path, digest in zip((general, laboratory), write_confidence(general, laboratory, clips, seed), strict=False):
        click.echo(f"{path}: {digest}")


if __name__ == "__main__":
    main()
