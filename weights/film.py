"""Films of simulated performances on photographs of faces, to learn from: `python -m facespot.weights.film FACES OUT`.

FACES is a folder of pictures with one upright face each, eyes open and mouth shut. The films go through the camera, the
encoder and the whole of extraction; only what extraction says of them is kept, in OUT, some 0.25 MB a film. A run that
is interrupted goes on where it was. `python -m facespot.weights.train --films OUT` learns from them.
"""

import time
from functools import partial
from pathlib import Path

import click

from ..errors import NoFaceError
from ..processes import process_pool, usable_cores
from ..spotting.simulation.films import close_up, film_clip, write_films
from ..spotting.simulation.still import Still, load_stills

_PART = 10  # films of one file


def load_actors(folder: Path) -> list[Still]:
    """The faces of a folder of pictures, in order of their names. Raises ClickException if there is none."""
    refused = partial(click.echo, err=True)
    actors = []
    for name, still in load_stills(folder, refused).items():
        try:
            actors.append(close_up(still))
        except NoFaceError as error:
            refused(f"{name}: {error}")
    if not actors:
        raise click.ClickException(f"{folder}: no face")
    return actors


def _film_part(actors: list[Still], out: Path, seed: int, first: int, stop: int) -> int:
    """Make films number first to stop; returns how many were left out, as the face was not seen throughout."""
    import cv2

    cv2.setNumThreads(1)
    films = [made for number in range(first, stop) if (made := film_clip(actors, (seed, number))) is not None]
    write_films(out / f"{seed}-{first:05d}.npz", films)
    return stop - first - len(films)


@click.command(help=__doc__)
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--films", type=click.IntRange(1), default=1400, show_default=True, help="how many")
@click.option("--seed", default=1, show_default=True)
def main(faces: Path, out: Path, films: int, seed: int) -> None:
    actors = load_actors(faces)
    out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    firsts = [first for first in range(0, films, _PART) if not (out / f"{seed}-{first:05d}.npz").exists()]
    stops = [min(first + _PART, films) for first in firsts]
    with process_pool(usable_cores()) as pool:
        lost = 0
        for stop, part in zip(stops, pool.map(partial(_film_part, actors, out, seed), firsts, stops), strict=True):
            lost += part
            click.echo(f"{stop} of {films} films, {time.monotonic() - started:.0f} s", err=True)
    left_out = f"; {lost} more left out, whose face was not seen throughout" if lost else ""
    click.echo(f"films of {len(actors)} faces are in {out}{left_out}")


if __name__ == "__main__":
    main()
