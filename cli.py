"""The command line. It turns options into library calls and results into text; heavy packages load inside the commands.

`spot VIDEO...` is short for `spot run VIDEO...`.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from .spotting.output.formats import FORMATS as FORMAT_NAMES
from .version import __version__

DEFAULT_COMMAND = "run"
# name -> (where the click command lives, what it does): other modules load only when their command is asked for.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("facespot.cli:run", "Find the expressions in videos (the default)."),
    "extract": ("facespot.cli:extract", "Compute the features of videos and store them in the cache."),
    "prepare": (
        "facespot.commands.prepare:prepare",
        "Compute the features of a whole data set, resumable, in parallel.",
    ),
    "label": ("facespot.commands.label:label", "Correct by hand what was found, code blindly, audit; in the browser."),
    "train": ("facespot.commands.train:train", "Learn from one labelled moment per expression."),
    "evaluate": ("facespot.commands.evaluate:evaluate", "Judge intervals, or train and judge subject by subject."),
    "simulate": ("facespot.commands.simulate:simulate", "Make a simulated twin of an annotated data set."),
}


class LazyGroup(click.Group):
    """Commands by name from `COMMANDS`, imported on use; anything else on the line goes to `DEFAULT_COMMAND`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own_options = {name for option in self.get_params(ctx) for name in option.opts}
        if args and args[0] not in COMMANDS and args[0] not in own_options:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] VIDEO...")
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS] ...", prefix="   or: ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        default = self.get_command(ctx, DEFAULT_COMMAND)
        own = [record for p in self.get_params(ctx) if (record := p.get_help_record(ctx))]
        rows = [record for p in default.params if isinstance(p, click.Option) and (record := p.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl(rows + own)
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


class FaceChoice(click.ParamType):
    """longest, largest, or a number counted from 0."""

    name = "face"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | int:
        if isinstance(value, int) or value in ("longest", "largest"):
            return value
        if value.isascii() and value.isdigit():
            return int(value)
        self.fail(f"{value!r} is none of longest, largest, 0, 1, 2 ...", param, ctx)


class FormatList(click.ParamType):
    """Names from `FORMAT_NAMES` with commas between them."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",")))
        for name in names:
            if name not in FORMAT_NAMES:
                self.fail(f"{name!r} is none of {', '.join(FORMAT_NAMES)}", param, ctx)
        return names


@click.group(
    cls=LazyGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit code: 0 done, 2 wrong usage, 3 no such file, 4 not a video, 5 no face, 6 too short, 7 bad weights, "
    "8 bad annotations, 1 anything else; with several videos, that of the first one that failed.",
)
@click.version_option(__version__, "--version", prog_name="spot", message="%(prog)s %(version)s")
def main() -> None:
    """Find macro- and micro-expressions in raw video: when each one starts, peaks and ends.

    Writes VIDEO.spots.csv beside every VIDEO. A VIDEO is any file FFmpeg reads, or a folder of numbered images
    (with --fps). To spot a file that is named like a command, write ./ before it.
    """


_VIDEOS = click.argument("videos", nargs=-1, required=True, metavar="VIDEO...", type=click.Path(path_type=Path))
_FACE = click.option(
    "--face",
    type=FaceChoice(),
    default="longest",
    show_default=True,
    metavar="N|longest|largest",
    help="Whom to follow when several people are seen; N counts from 0, as the warning lists them.",
)
_FPS = click.option(
    "--fps", type=click.FloatRange(0, min_open=True), metavar="RATE", help="Images a second, for folders of images."
)
_CACHE = click.option(
    "--cache",
    metavar="DIR|none",
    help="Where features are kept, so that a second run is quick.  [default: the user's cache folder]",
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Print errors only.")


@click.command()
@_VIDEOS
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write here instead of beside the video.",
)
@click.option(
    "--format",
    "formats",
    type=FormatList(),
    default="csv",
    show_default=True,
    metavar="LIST",
    help=f"What to write, with commas between: {', '.join(FORMAT_NAMES)}.",
)
@click.option("--plot", is_flag=True, help="Also draw VIDEO.spots.png.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["macro", "micro", "all"]),
    default="all",
    show_default=True,
    help="Which expressions to report.",
)
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Leave out what is less certain.  [default: comes with the weights]",
)
@_FACE
@_FPS
@_CACHE
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Other weights than those that come with facespot.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    default="auto",
    show_default=True,
    help="Where the network runs.",
)
@_QUIET
def run(**options: Any) -> None:
    """Find the expressions in every VIDEO.

    Writes VIDEO.spots.csv beside each one, or under --output, and prints a table.
    """
    from .commands.run import spot_videos

    sys.exit(spot_videos(**options))


@click.command()
@_VIDEOS
@_FACE
@_FPS
@_CACHE
@_QUIET
def extract(**options: Any) -> None:
    """Compute the features of every VIDEO and store them in the cache, for `spot VIDEO...` to find."""
    from .commands.run import extract_videos

    sys.exit(extract_videos(**options))


if __name__ == "__main__":
    main()
