"""`spot sensitivity`: how small and how short an expression of a recording may be and still be found."""

from pathlib import Path

import click

from .caching import open_cache
from .console import Console, reporting
from .options import FILE, FOLDER, shared


@click.command()
@click.argument("video", type=FILE)
@click.option("-o", "--output", type=FOLDER, metavar="DIR", help="Write here instead of beside the video.")
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="Expressions of each size and duration.  [default: 20; with --pixels 5]",
)
@click.option("--pixels", is_flag=True, help="Add the expressions to the frames and extract everything anew (slow).")
@shared("min-confidence")
@shared("model")
@shared("weights")
@shared("seed")
@shared("face")
@shared("fps")
@shared("cache")
@shared("quiet")
@reporting
def sensitivity(
    video: Path,
    output: Path | None,
    trials: int | None,
    pixels: bool,
    min_confidence: tuple[float, float] | None,
    model: str | None,
    weights: Path | None,
    seed: int,
    face: str | int,
    fps: float | None,
    cache: str | None,
    quiet: bool,
) -> None:
    """Measure on VIDEO itself what would be found: simulated expressions of growing size and duration are added where
    its face is neutral.

    Writes VIDEO.sensitivity.csv and VIDEO.sensitivity.png, and says from which size on eight in ten are found.
    """
    from ..extract.options import ExtractOptions
    from ..extract.pipeline import extract_features
    from ..files import replacing
    from ..spotting.output.sensitivity import plot_sensitivity, render_sensitivity
    from ..spotting.simulation.sensitivity import measure_sensitivity, smallest_found
    from ..spotting.spotter import Spotter

    console = Console(quiet)
    options = ExtractOptions(face=face)
    features = extract_features(video, options, fps=fps, cache=open_cache(cache, console))
    reader = None
    if pixels:
        from ..spotting.simulation.pixel_additions import pixel_reader

        reader = pixel_reader(video, fps, options)
    with console.bars(unit="expressions") as bars:
        cells = measure_sensitivity(
            features,
            Spotter.load(weights, model=model),
            trials=trials or (5 if pixels else 20),
            seed=seed,
            min_confidence=min_confidence,
            read=reader,
            progress=lambda done, in_all: bars.reach(done, f"of {in_all}"),
        )
    folder = video.parent if output is None else output
    folder.mkdir(parents=True, exist_ok=True)
    name = video.name if video.is_dir() else video.stem
    table, picture = (folder / f"{name}.sensitivity{suffix}" for suffix in (".csv", ".png"))
    with replacing(table) as temporary:
        temporary.write_text(render_sensitivity(cells), encoding="utf-8")
    plot_sensitivity(cells, picture, f"{video.name}: simulated expressions found (bars: 95 % interval)")
    for duration_s in sorted({c.duration_s for c in cells}):
        kind = next(c.type for c in cells if c.duration_s == duration_s)
        smallest = smallest_found(cells, duration_s)
        size = "at none of the sizes tried" if smallest is None else f"from {100 * smallest:g} % of the eye distance on"
        console.say(f"{kind}-expressions of {duration_s:g} s are found 8 times in 10 {size}")
    for path in (table, picture):
        console.say(f"-> {click.format_filename(path)}")
