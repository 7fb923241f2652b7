"""Options that several commands share, each with its type, bounds, default and help declared once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..models.shipped import DEFAULT_MODEL, MODELS
from ..processes import PATIENCE_S
from ..spotting.output.formats import FORMATS

FILE = click.Path(path_type=Path, readable=False)  # what cannot be read is told when it is read, as any other error
FOLDER = click.Path(file_okay=False, path_type=Path, readable=False)


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
    """Names from `FORMATS` with commas between them."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",")))
        for name in names:
            if name not in FORMATS:
                self.fail(f"{name!r} is none of {', '.join(FORMATS)}", param, ctx)
        return names


class LeastConfidence(click.ParamType):
    """A number in 0..1 for both types, or two with a comma between them, of macro and micro."""

    name = "confidence"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is no number, nor two with a comma between them", param, ctx)
        if len(numbers) > 2 or not all(0.0 <= number <= 1.0 for number in numbers):
            self.fail(f"{value!r} is not in the range 0<=x<=1", param, ctx)
        return numbers[0], numbers[-1]


class InsteadOf(click.Option):
    """An option that says the same as another one, so that only one of the two may be given. other: its parameter."""

    def __init__(self, *args: Any, other: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.other = other

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        if self.name in opts and self.other in opts:
            raise click.UsageError(
                f"--{self.name} and --{self.other} both say what to spot with; give one of them", ctx
            )
        return super().handle_parse_result(ctx, opts, args)


_TABLE: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "face": (
        ("--face",),
        {
            "type": FaceChoice(),
            "default": "longest",
            "show_default": True,
            "metavar": "N|longest|largest",
            "help": "Whom to follow when several people are seen; N counts from 0, as the warning lists them.",
        },
    ),
    "fps": (
        ("--fps",),
        {
            "type": click.FloatRange(0, min_open=True),
            "metavar": "RATE",
            "help": "Images a second, for folders of images.",
        },
    ),
    "cache": (
        ("--cache",),
        {
            "metavar": "DIR|none",
            "help": "Where features are kept, so that a second run is quick.  [default: the user's cache folder]",
        },
    ),
    "device": (
        ("--device",),
        {
            "type": click.Choice(["auto", "cpu", "cuda", "mps"]),
            "default": "auto",
            "show_default": True,
            "help": "Where the network runs.",
        },
    ),
    "jobs": (
        ("-j", "--jobs"),
        {
            "type": click.IntRange(1),
            "metavar": "N",
            "help": "Recordings at work at once, never more than the cores.  [default: the cores]",
        },
    ),
    "patience": (
        ("--patience",),
        {
            "type": click.FloatRange(1),
            "default": PATIENCE_S,
            "show_default": True,
            "metavar": "SECONDS",
            "help": "Give up on a recording that makes no headway for so long, where several are at work.",
        },
    ),
    "format": (
        ("--format", "formats"),
        {
            "type": FormatList(),
            "default": "csv",
            "show_default": True,
            "metavar": "LIST",
            "help": f"What to write, with commas between: {', '.join(FORMATS)}.",
        },
    ),
    "type": (
        ("--type", "kind"),
        {
            "type": click.Choice(["macro", "micro", "all"]),
            "default": "all",
            "show_default": True,
            "help": "Which expressions to report.",
        },
    ),
    "ignore-speech": (
        ("--ignore-speech",),
        {"is_flag": True, "help": "Leave out what moves the mouth alone while the face is talking."},
    ),
    "voice": (
        ("--voice",),
        {
            "type": click.Choice(["auto", "on", "off"]),
            "default": "auto",
            "show_default": True,
            "help": "Listen for a voice while the face is talking: auto does where there is sound and facespot[voice].",
        },
    ),
    "min-confidence": (
        ("--min-confidence",),
        {
            "type": LeastConfidence(),
            "metavar": "X[,Y]",
            "help": "Leave out what is less certain, X of macro- and Y of micro-expressions.  "
            "[default: comes with the weights]",
        },
    ),
    "model": (
        ("--model",),
        {
            "type": click.Choice(list(MODELS)),
            "cls": InsteadOf,
            "other": "weights",
            "help": "Which of the models that come with facespot: ours, ours for all recordings as for those of a "
            "laboratory, or the network of the GIM paper.  "
            f"[default: {DEFAULT_MODEL}]",
        },
    ),
    "weights": (
        ("--weights",),
        {"type": FILE, "metavar": "FILE", "help": "Other weights than those that come with facespot."},
    ),
    "decoding": (
        ("--decoding",),
        {
            "type": click.Choice(["own", "paper", "authors"]),
            "default": "own",
            "show_default": True,
            "help": "How curves become intervals: as fits the weights, as in GIM's paper, or as its authors do.",
        },
    ),
    "seed": (
        ("--seed",),
        {"type": click.IntRange(0), "default": 0, "show_default": True, "help": "Of everything that is drawn."},
    ),
    "quiet": (("-q", "--quiet"), {"is_flag": True, "help": "Print errors only."}),
}

VIDEOS = click.argument("videos", nargs=-1, required=True, metavar="VIDEO...", type=FILE)


def shared(name: str, *synonyms: str, **changes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of that name. synonyms: further names. changes: to its row of the table, such as another help."""
    declarations, settings = _TABLE[name]
    return click.option(*declarations, *synonyms, **{**settings, **changes})


class SectionedCommand(click.Command):
    """A command whose help lists its options in sections. sections: title -> names of parameters; what is left over
    comes last."""

    def __init__(self, *args: Any, sections: dict[str, tuple[str, ...]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(self, ctx, formatter, self.get_params(ctx))


def write_sections(
    command: SectionedCommand, ctx: click.Context, formatter: click.HelpFormatter, parameters: list[click.Parameter]
) -> None:
    """The help of `parameters` in the sections of `command`."""
    options = [p for p in parameters if isinstance(p, click.Option)]
    records = {p.name: record for p in options if (record := p.get_help_record(ctx))}
    for title, names in command.sections.items():
        with formatter.section(title):
            formatter.write_dl([records.pop(name) for name in names])
    if records:
        with formatter.section("Other options"):
            formatter.write_dl(list(records.values()))
