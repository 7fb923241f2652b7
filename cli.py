"""The command line. Its commands are the modules of `commands`, each loaded when it is asked for.

`spot VIDEO...` is short for `spot run VIDEO...`.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
from click_default_group import DefaultGroup

from .commands.console import open_closed_streams
from .commands.options import write_sections
from .version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

DEFAULT_COMMAND = "run"
# Section of the help -> name -> what it does. The command is the function of that name in the module of that name.
SECTIONS: dict[str, dict[str, str]] = {
    "Spotting": {
        "run": "Find the expressions in videos (the default).",
        "report": "Write a page per video to look at what was found, in any browser.",
        "label": "Correct by hand what was found, code blindly, audit; in the browser.",
        "explain": "Say why a moment is reported or not.",
        "extract": "Compute the features of videos and store them in the cache.",
        "sensitivity": "Measure how small an expression of a recording is still found.",
        "cache": "Show or clear the features that are kept.",
        "doctor": "Check the installation, and say what to do where something is wrong.",
    },
    "Data sets and learning": {
        "prepare": "Compute the features of a whole data set, resumable, in parallel.",
        "train": "Learn from one labelled moment per expression.",
        "evaluate": "Judge intervals, or train and judge subject by subject.",
        "simulate": "Make a simulated twin of an annotated data set.",
        "convert": "Take over weights or features of the authors' release of GIM.",
    },
}
COMMANDS = {name: summary for section in SECTIONS.values() for name, summary in section.items()}
SHELLS = ("bash", "zsh", "fish")


class LazyCommands(Mapping[str, click.Command]):
    """The commands of `COMMANDS`, imported on use."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        return getattr(importlib.import_module(f".commands.{name}", __package__), name)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class SpotGroup(DefaultGroup):
    """Anything on the line that is no command goes to `DEFAULT_COMMAND`, whose options the help shows too."""

    def main(self, *args: Any, **settings: Any) -> Any:
        open_closed_streams()
        return super().main(*args, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] VIDEO...")
        formatter.write_usage(ctx.command_path, "COMMAND [OPTIONS] ...", prefix="   or: ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        default = self.commands[DEFAULT_COMMAND]
        write_sections(default, ctx, formatter, [*default.params, *self.get_params(ctx)])
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            return [*found, *self.commands[DEFAULT_COMMAND].shell_complete(ctx, incomplete)]
        # What is no command is a video.
        return found or [CompletionItem(incomplete, type="file")]


def _print_completion(ctx: click.Context, parameter: click.Parameter, shell: str | None) -> None:
    if shell and not ctx.resilient_parsing:
        from click.shell_completion import get_completion_class

        click.echo(get_completion_class(shell)(ctx.command, {}, "spot", "_SPOT_COMPLETE").source())
        ctx.exit()


@click.group(
    cls=SpotGroup,
    commands=LazyCommands(),
    default=DEFAULT_COMMAND,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit code: 0 done, 2 wrong usage, 3 no such file, 4 not a video, 5 no face, 6 too short, 7 bad weights, "
    "8 bad annotations, 1 anything else; with several videos, that of the first one that failed.",
)
@click.option(
    "--completion",
    type=click.Choice(SHELLS),
    callback=_print_completion,
    is_eager=True,
    expose_value=False,
    help="Print what makes a shell complete commands, options and files, and stop.",
)
@click.version_option(__version__, "--version", prog_name="spot", message="%(prog)s %(version)s")
def main() -> None:
    """Find macro- and micro-expressions in raw video: when each one starts, peaks and ends.

    Writes VIDEO.spots.csv beside every VIDEO. A VIDEO is any file FFmpeg reads, a folder of numbered images (with
    --fps), or a folder with videos in it. To spot a file that is named like a command, write ./ before it.
    """


if __name__ == "__main__":
    main()
