"""The recipe: options that `spot train` and `spot evaluate --loso` share, and what they mean."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..models.shipped import DEFAULT_MODEL, MODELS, shipped_weights
from .options import shared

if TYPE_CHECKING:
    from ..spotting.learning.auw_training import AuwRecipe
    from ..spotting.learning.recipes import PointRecipe

SHIPPED = "shipped"
AUW_GCN = "auw-gcn"
_OF_THE_PAPER = ("labels", "durations", "overlap", "k_c", "intensity_loss", "without_iac")
_NUMBERS = ("epochs", "rate", "batch", "weight_decay")
_OF_POINTS = ("size", "rules", "precision", *_OF_THE_PAPER)
# Options of the authors' scripts that mean nothing here by that name, and what takes their place.
_OF_THE_AUTHORS = {
    "--model-name": "it names the files of a run; here the folder of -o does",
    "--dirname": "the folder of results is -o",
    "--use-model": "the network is chosen by --model (theirs is journal)",
    "--dataset-name": "a data set's loss weights are --preset casme2 or samm-lv",
    "--path-dataset": "features are a folder made by spot convert or spot prepare",
    "--num-class": "there are two classes, macro and micro",
    "--cuda": "a card is asked for by --device cuda",
    "--pretrained-ckpt": "a checkpoint goes through spot convert, then --init to train on or --weights to judge",
}

_RECIPE_OPTIONS = (
    click.option(
        "--model",
        type=click.Choice(["context", "journal", "iclr2025", AUW_GCN]),
        default="context",
        show_default=True,
        help="Network: facespot's own, one of the two published variants of GIM, or AUW-GCN, the comparison method, "
        "which learns from onset, apex, offset and action units.",
    ),
    click.option(
        "--preset",
        type=click.Choice(["own", "samm-lv", "casme2"]),
        default="own",
        show_default=True,
        help="Whose loss weights.",
    ),
    click.option(
        "--size",
        type=click.Choice(["small", "paper"]),
        default="small",
        show_default=True,
        help="Network and schedule that a CPU can train, or the published ones (needs a GPU).",
    ),
    click.option(
        "--rules",
        type=click.Choice(["paper", "release"]),
        default="paper",
        show_default=True,
        help="Where the paper and its authors' code differ: whose labels, loss and dropout (release: journal only).",
    ),
    click.option(
        "--epochs",
        "--max-iter",
        "epochs",
        type=click.IntRange(1),
        help="Instead of the preset's; with --init, of the tuning's.",
    ),
    click.option("--rate", "--lr", "rate", type=click.FloatRange(0, min_open=True), help="Learning rate, likewise."),
    click.option(
        "--batch",
        "--batch-size",
        "batch",
        type=click.IntRange(1),
        help="Videos, or windows of them, a step, likewise; 1 with --size paper.",
    ),
    click.option(
        "--weight-decay",
        "--weight_decay",
        "weight_decay",
        type=click.FloatRange(0),
        help="Likewise; in the gradient with --size paper, as in the authors' code.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["float32", "bf16", "fp16"]),
        default="float32",
        show_default=True,
        help="Of the network's products while it learns. fp16 needs CUDA; bf16 works on a CPU too.",
    ),
    click.option(
        "--labels",
        type=click.Choice(["gim", "hard", "cosine", "class-mean", "lac", "hr-pro", "tsp-net"]),
        default="gim",
        show_default=True,
        help="How a point becomes labels of the frames around it; lac, hr-pro and tsp-net are methods that GIM is "
        "compared with, each with its own loss (journal and iclr2025 only).",
    ),
    click.option(
        "--durations",
        type=click.Choice(["landmarks", "intensity"]),
        help="What tells how long an expression lasts: the landmarks around its point, or the intensity learnt so "
        "far, as in the papers.  [default: landmarks for context, intensity for journal and iclr2025]",
    ),
    click.option(
        "--overlap",
        type=click.Choice(["random", "higher", "lower"]),
        default="random",
        show_default=True,
        help="Which label a frame keeps that two points claim.",
    ),
    click.option("--k-c", type=click.IntRange(8), metavar="FRAMES", help="k_c of macro-expressions.  [default: 32]"),
    click.option("--intensity-loss", type=click.Choice(["mse", "bce"]), default="mse", show_default=True),
    click.option("--without-iac", is_flag=True, help="Leave out the intensity-aware contrastive loss."),
    shared("seed", help="Of points and training."),
    click.option(
        "--init",
        metavar="FILE|shipped|gim",
        help="Tune these weights instead of starting anew; 'shipped' are those that come with facespot, 'gim' those of "
        "its journal network.",
    ),
    shared("device"),
)


def with_recipe(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_RECIPE_OPTIONS):
        command = option(command)
    for name, instead in _OF_THE_AUTHORS.items():
        command = click.option(name, hidden=True, expose_value=False, callback=_point_to(name, instead))(command)
    return command


def _point_to(name: str, instead: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def refuse(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise click.UsageError(f"{name} is of the authors' scripts: {instead}")

    return refuse


def recipe_of(options: dict[str, Any], ticks: Sequence[int]) -> "PointRecipe | AuwRecipe":
    """ticks: length of each video to learn from."""
    from dataclasses import replace

    from ..spotting.learning.auw_training import AuwRecipe
    from ..spotting.learning.pseudo_labels import RANGE_METHODS, PseudoLabelSettings
    from ..spotting.learning.recipes import PointRecipe

    if options["model"] == AUW_GCN:
        _refuse(_OF_POINTS, f"is for learning from points, not for {AUW_GCN}")
        return replace(AuwRecipe.preset(options["preset"]), **_given(options, _NUMBERS))
    try:
        recipe = PointRecipe.preset(options["preset"], options["model"], options["size"])
        if options["init"] and options["model"] == "context":
            recipe = PointRecipe.tuning(options["preset"], ticks)
        recipe = replace(recipe, **_given(options, (*_NUMBERS, "precision")))
        if options["rules"] == "release":
            _refuse(_OF_THE_PAPER, "is of the paper, not of its authors' release")
            return recipe.released(options["preset"])
        labels = {"strategy": options["labels"].replace("-", "_"), "overlap": options["overlap"]}
        if options["durations"] not in (None, recipe.labels.durations):
            rules = PseudoLabelSettings.own() if options["durations"] == "landmarks" else PseudoLabelSettings()
            labels |= {"durations": rules.durations, "certain": rules.certain, "margin": None}
        if options["k_c"]:
            labels["duration"] = (options["k_c"], recipe.labels.duration[1])
        if labels["strategy"] in RANGE_METHODS:
            _refuse(("durations", "overlap", "intensity_loss", "without_iac"), f"is of GIM, not of {options['labels']}")
        recipe = recipe.with_labels(**labels).with_loss(intensity=options["intensity_loss"])
        return recipe.with_loss(contrastive=0.0) if options["without_iac"] else recipe
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _given(options: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of the options that do not leave the choice to the preset."""
    return {name: options[name] for name in names if options[name] is not None}


def _refuse(names: Sequence[str], why: str) -> None:
    """Raises click.UsageError if one of these options was given."""
    source = click.get_current_context().get_parameter_source
    for name in names:
        if source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}")


def initial_weights(name: str | None, stack: ExitStack) -> Path | None:
    if name is not None and name in (SHIPPED, *MODELS):
        return stack.enter_context(shipped_weights(DEFAULT_MODEL if name == SHIPPED else name))
    return None if name is None else Path(name)
