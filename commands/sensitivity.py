"""`spot sensitivity`: how small and how short an expression of a recording may be and still be found."""

import sys
from pathlib import Path

import click

from ..errors import FacespotError


@click.command()
@click.argument("video", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write here instead of beside the video.",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="Expressions of each size and duration.  [default: 20; with --pixels 5]",
)
@click.option("--pixels", is_flag=True, help="Add the expressions to the frames and extract everything anew (slow).")
@click.option(
    "--fps", type=click.FloatRange(0, min_open=True), metavar="RATE", help="Images a second, for folders of images."
)
@click.option("--face", default="longest", show_default=True, metavar="N|longest|largest", help="Whose face.")
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Other weights than those that come with facespot.",
)
@click.option("--min-confidence", type=click.FloatRange(0, 1), metavar="X", help="As of `spot run`.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def sensitivity(
    video: Path,
    output: Path | None,
    trials: int | None,
    pixels: bool,
    fps: float | None,
    face: str,
    weights: Path | None,
    min_confidence: float | None,
    seed: int,
    quiet: bool,
) -> None:
    """Measure on VIDEO itself what would be found: simulated expressions of growing size and duration are added where
    its face is neutral.

    Writes VIDEO.sensitivity.csv and VIDEO.sensitivity.png, and says from which size on eight in ten are found.
    """
    try:
        _measure(video, output, trials, pixels, fps, face, weights, min_confidence, seed, quiet)
    except FacespotError as error:
        click.echo(f"spot: error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"spot: error: {error}", err=True)
        sys.exit(1)


def _measure(
    video: Path,
    output: Path | None,
    trials: int | None,
    pixels: bool,
    fps: float | None,
    face: str,
    weights: Path | None,
    min_confidence: float | None,
    seed: int,
    quiet: bool,
) -> None:
    from tqdm import tqdm

    from ..extract.options import ExtractOptions
    from ..extract.pipeline import extract_features
    from ..files import replacing
    from ..spotting.output.sensitivity import plot_sensitivity, render_sensitivity
    from ..spotting.simulation.sensitivity import measure_sensitivity, smallest_found
    from ..spotting.spotter import Spotter

    options = ExtractOptions(face=int(face) if face.isdigit() else face)
    features = extract_features(video, options, fps=fps)
    reader = None
    if pixels:
        from ..spotting.simulation.pixel_additions import pixel_reader

        reader = pixel_reader(video, fps, options)
    with tqdm(unit=" expressions", disable=quiet or None, file=sys.stderr, leave=False) as bar:

        def progress(done: int, in_all: int) -> None:
            bar.total = in_all
            bar.update(done - bar.n)

        cells = measure_sensitivity(
            features,
            Spotter.load(weights),
            trials=trials or (5 if pixels else 20),
            seed=seed,
            min_confidence=min_confidence,
            read=reader,
            progress=progress,
        )
    folder = video.parent if output is None else output
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / (video.name if video.is_dir() else video.stem)
    table, picture = (name.with_name(f"{name.name}.sensitivity{suffix}") for suffix in (".csv", ".png"))
    with replacing(table) as temporary:
        temporary.write_text(render_sensitivity(cells), encoding="utf-8")
    plot_sensitivity(cells, picture, f"{video.name}: simulated expressions found (bars: 95 % interval)")
    if quiet:
        return
    for duration_s in sorted({c.duration_s for c in cells}):
        kind = next(c.type for c in cells if c.duration_s == duration_s)
        smallest = smallest_found(cells, duration_s)
        said = (
            "none of these sizes is"
            if smallest is None
            else f"from {100 * smallest:g} % of the eye distance on they are"
        )
        click.echo(f"{kind}-expressions of {duration_s:g} s: {said} found 8 times in 10")
    for path in (table, picture):
        click.echo(f"-> {click.format_filename(path)}")
