"""The pages themselves: a report of one video, and an index of many."""

import base64
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ...extract.features import FaceFeatures
from ...extract.pipeline import Progress
from ...files import replacing
from ...version import __version__
from ..result import SpotResult
from .contents import faceless_spans, page_data
from .options import ReportOptions
from .pictures import STILL_SIZE, Filmstrip, take_pictures

if TYPE_CHECKING:
    from jinja2 import Environment

_GENERATOR = '<meta name="generator" content="facespot'  # as in the templates
SUFFIX = ".report.html"
# Columns of a result that have a place of their own in the table, and what is written above it.
_HEADINGS = {
    "type": "type",
    "onset_s": "onset",
    "apex_s": "apex",
    "offset_s": "offset",
    "confidence": "confidence",
    "peak_motion": "peak motion, % IOD",
    "regions": "what moved",
    "speech": "speech",
    "voiced": "speech and voice",
    "head_motion": "head turn",
}
_HIDDEN = {"video", "onset_frame", "apex_frame", "offset_frame"}


@dataclass(frozen=True)
class IndexRow:
    """A video in the index. report: its page, None where there is none because of `error`."""

    name: str
    report: Path | None
    result: SpotResult | None
    error: str = ""


def write_report(
    result: SpotResult,
    features: FaceFeatures,
    path: str | os.PathLike[str],
    options: ReportOptions | None = None,
    *,
    fps: float | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the report of one video, which is read at `result.video`.

    fps: of a folder of images, which no browser plays: without `embed` its report has stills only. progress: as of
    `extract_features`, over the frames that are read once more.
    Raises VideoNotFoundError, NotAVideoError, and OSError where the folder cannot be written.
    """
    options = options or ReportOptions()
    path, video = Path(path), Path(result.video)
    pictures = take_pictures(result.spots, features, video, options, fps=fps, progress=progress)
    data = page_data(result, features, with_mesh=options.anonymous)
    if pictures.copy is not None:
        data["copy"] = base64.b64encode(pictures.copy).decode("ascii")
    elif not options.anonymous and not video.is_dir():
        data["link"] = _link(video, path)
    rows = [_event(row, spot, strip) for row, spot, strip in
            zip(result.rows(), result.spots, pictures.filmstrips, strict=True)]  # fmt: skip
    page = _environment().get_template("report.html.j2").render(
        name=_shown(video.name),
        version=__version__,
        result=result,
        counts=result.count(),
        options=options,
        columns=_columns(result),
        events=rows,
        still=STILL_SIZE,
        data=data,
        weights=result.provenance.get("weights", ""),
        has_speech=result.speaking is not None,
        has_voice=result.voice is not None,
    )  # fmt: skip
    _save(page, path)


def write_index(rows: Sequence[IndexRow], path: str | os.PathLike[str]) -> None:
    """Write a page with a row per video, linking the reports.

    Raises FileExistsError where that would replace a page that facespot did not write, and another OSError where the
    folder cannot be written.
    """
    path = Path(path)
    with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as old:
        if _GENERATOR not in old.read(2000):
            raise FileExistsError(f"{path}: is there already and was not written by facespot")
    listed = []
    for row in rows:
        entry: dict[str, Any] = {"name": _shown(row.name), "error": row.error, "link": None, "result": row.result}
        if row.report is not None:
            entry["link"] = _link(row.report, path)
        if row.result is not None:
            minutes = max(row.result.timebase.duration_s / 60, 1e-9)
            entry["counts"] = row.result.count()
            entry["rate"] = len(row.result.spots) / minutes
            entry["faceless"] = faceless_spans(row.result)
        listed.append(entry)
    page = _environment().get_template("index.html.j2").render(rows=listed, version=__version__)
    _save(page, path)


def _event(row: dict[str, Any], spot: Any, strip: Filmstrip) -> dict[str, Any]:
    return {"row": row, "spot": spot, "strip": strip, "explanation": spot.explanation}


def _columns(result: SpotResult) -> list[tuple[str, str]]:
    """(name in a row, heading) of what the table shows; of those that only some results have, as they come."""
    names = list(result.rows()[0]) if result.spots else list(_HEADINGS)
    unknown = {name for name, curve in (("speech", result.speaking), ("voiced", result.voice)) if curve is None}
    return [(n, _HEADINGS.get(n, n.replace("_", " "))) for n in names if n not in _HIDDEN | unknown]


def _link(target: Path, page: Path) -> str:
    """A URL of the target, relative to the page where that is possible."""
    try:
        relative = os.path.relpath(target.resolve(), page.resolve().parent)
    except ValueError:  # another drive on Windows
        return target.resolve().as_uri()
    return quote(Path(relative).as_posix().encode("utf-8", "surrogateescape"))


def _shown(name: str) -> str:
    """A file name as text: bytes that are no UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _save(page: str, path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    folder = files(__package__)
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Ours and uPlot's own text, not a user's: written as it is.
    environment.globals["asset"] = lambda name: Markup(folder.joinpath(name).read_text(encoding="utf-8"))
    return environment
