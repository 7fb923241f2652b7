"""Results as files other tools open: one pure function per format, `SpotResult` -> text.

Times are seconds from the first frame of the video; an interval ends at the time stamp of its offset frame. Formats
whose intervals must have a length (ELAN, WebVTT, Praat) get at least a millisecond.
"""

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from ...files import replacing
from ...version import __version__
from ..intervals import EXPRESSION_TYPES, Spot
from ..result import COLUMNS, SpotResult

JSON_FORMAT_VERSION = 1
# ELAN demands a date; a fixed one keeps equal results equal, byte for byte.
_ELAN_DATE = "1970-01-01T00:00:00+00:00"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True)
class Writer:
    """One output format. suffix: what follows the video's name. render(result, path) -> text, where `path` is only used
    to express the way from the output to the video.
    """

    name: str
    suffix: str
    render: Callable[[SpotResult, Path], str]

    def write(self, result: SpotResult, path: Path) -> None:
        """Writes atomically; raises OSError where that is impossible."""
        text = self.render(result, Path(path))
        with replacing(path) as temporary:
            # File names need not be valid Unicode; their bytes are passed on as they are.
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")


def get_writer(name: str) -> Writer:
    """The writer of a format in `FORMATS`; raises ValueError for another name."""
    try:
        return WRITERS[name]
    except KeyError:
        raise ValueError(f"unknown format {name!r}, choose from {', '.join(FORMATS)}") from None


def render_csv(result: SpotResult, path: Path) -> str:
    """Header and one line per spot, the columns `COLUMNS`; seconds and confidence to three decimals."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in result.rows():
        table.writerow(f"{v:.3f}" if isinstance(v, float) else v for v in row.values())
    return text.getvalue()


def render_json(result: SpotResult, path: Path) -> str:
    """Everything of the CSV, the explanations whole, and how it came about."""
    spots = [
        {k: v for k, v in row.items() if k != "video"}
        | {"explanation": None if spot.explanation is None else spot.explanation.to_dict()}
        for row, spot in zip(result.rows(), result.spots, strict=True)
    ]
    document = {
        "format": "facespot spots",
        "format_version": JSON_FORMAT_VERSION,
        "version": __version__,
        "video": result.video,
        "duration_s": round(result.timebase.duration_s, 6),
        "frames": result.timebase.n_frames,
        "fps": round(result.timebase.fps, 6),
        "coverage": round(result.coverage, 6),
        "spots": [{k: round(v, 6) if isinstance(v, float) else v for k, v in spot.items()} for spot in spots],
        "warnings": list(result.warnings),
        "provenance": result.provenance,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n"


def render_bids(result: SpotResult, path: Path) -> str:
    """BIDS `events.tsv`: onset and duration in seconds, type as trial_type; apex and confidence as further columns."""
    lines = ["onset\tduration\ttrial_type\tapex\tconfidence"]
    for s in result.spots:
        lines.append(f"{s.onset_s:.3f}\t{s.offset_s - s.onset_s:.3f}\t{s.type}\t{s.apex_s:.3f}\t{s.confidence:.3f}")
    return "\n".join(lines) + "\n"


def render_webvtt(result: SpotResult, path: Path) -> str:
    """WebVTT subtitles: a cue while the expression lasts."""
    cues = ["WEBVTT\n"]
    for number, s in enumerate(result.spots, 1):
        onset, offset = _milliseconds(s)
        cues.append(f"{number}\n{_vtt_time(onset)} --> {_vtt_time(offset)}\n{_label(s)}\n")
    return "\n".join(cues)


def render_elan(result: SpotResult, path: Path) -> str:
    """ELAN annotation file (EAF 3.0), a tier per type, the video linked absolutely and relative to `path`.

    Annotations of a tier may not overlap; where spots of one type do, the later one goes to a tier `macro 2`.
    """
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": f"facespot {__version__}",
            "DATE": _ELAN_DATE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    ET.SubElement(header, "MEDIA_DESCRIPTOR", _media_link(Path(result.video), Path(path)))
    ET.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(result.spots))
    slots = ET.SubElement(root, "TIME_ORDER")
    number = 0
    for name, spots in _lanes(result.spots).items():
        tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="expression", TIER_ID=name)
        for s in spots:
            number += 1
            ends = [f"ts{2 * number - 1}", f"ts{2 * number}"]
            for slot, value in zip(ends, _milliseconds(s), strict=True):
                ET.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(value))
            annotation = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION")
            annotation.attrib |= {
                "ANNOTATION_ID": f"a{number}",
                "TIME_SLOT_REF1": ends[0],
                "TIME_SLOT_REF2": ends[1],
            }
            ET.SubElement(annotation, "ANNOTATION_VALUE").text = _label(s)
    ET.SubElement(
        root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="expression", TIME_ALIGNABLE="true"
    )
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def render_textgrid(result: SpotResult, path: Path) -> str:
    """Praat TextGrid: an interval tier per type (as in ELAN) and a point tier with the apexes."""
    lanes = _lanes(result.spots)
    ends = [_milliseconds(s)[1] for s in result.spots]
    stop = max([round(result.timebase.duration_s * 1000), *ends]) / 1000
    # Praat allows one point at a time.
    apexes = {round(s.apex_s * 1000): s for s in result.spots}
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {stop:.3f}"]
    lines += ["tiers? <exists>", f"size = {len(lanes) + 1}", "item []:"]
    for index, (name, spots) in enumerate(lanes.items(), 1):
        pieces = list(_tiling(spots, stop))
        lines += [f"    item [{index}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {stop:.3f}", f"        intervals: size = {len(pieces)}"]
        for piece, (start, end, text) in enumerate(pieces, 1):
            lines += [
                f"        intervals [{piece}]:",
                f"            xmin = {start:.3f}",
                f"            xmax = {end:.3f}",
            ]
            lines += [f'            text = "{text}"']
    lines += [f"    item [{len(lanes) + 1}]:", '        class = "TextTier"', '        name = "apex"']
    lines += ["        xmin = 0", f"        xmax = {stop:.3f}", f"        points: size = {len(apexes)}"]
    for point, (milliseconds, s) in enumerate(sorted(apexes.items()), 1):
        lines += [f"        points [{point}]:", f"            number = {milliseconds / 1000:.3f}"]
        lines += [f'            mark = "{s.type}"']
    return "\n".join(lines) + "\n"


def _tiling(spots: list[Spot], stop: float) -> Iterator[tuple[float, float, str]]:
    """The whole recording in touching pieces (start, end, text); the text is empty between the spots."""
    at = 0.0
    for s in spots:
        onset, offset = (m / 1000 for m in _milliseconds(s))
        if onset > at:
            yield at, onset, ""
        yield onset, offset, _label(s)
        at = offset
    if at < stop or not spots:
        yield at, stop, ""


def _lanes(spots: tuple[Spot, ...]) -> dict[str, list[Spot]]:
    """Tier name -> spots that do not overlap, at least one tier per type."""
    lanes: dict[str, list[Spot]] = {}
    for kind in EXPRESSION_TYPES:
        lanes[kind] = []
        for s in sorted(s for s in spots if s.type == kind):
            number = 1
            name = kind
            while lanes.setdefault(name, []) and _milliseconds(s)[0] < _milliseconds(lanes[name][-1])[1]:
                number += 1
                name = f"{kind} {number}"
            lanes[name].append(s)
    return lanes


def _milliseconds(s: Spot) -> tuple[int, int]:
    onset = round(s.onset_s * 1000)
    return onset, max(round(s.offset_s * 1000), onset + 1)


def _label(s: Spot) -> str:
    return f"{s.type} {s.confidence:.2f} (apex {s.apex_s:.3f} s)"


def _vtt_time(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:03d}"


def _media_link(video: Path, path: Path) -> dict[str, str]:
    video = video.resolve()
    link = {"MEDIA_URL": video.as_uri(), "MIME_TYPE": guess_type(video.name)[0] or "video/*"}
    try:
        relative = Path(os.path.relpath(video, path.resolve().parent)).as_posix()
    except ValueError:  # another drive on Windows
        return link
    return link | {"RELATIVE_MEDIA_URL": relative if relative.startswith("..") else f"./{relative}"}


def _plain(value: Any) -> Any:
    """NumPy values and paths as JSON knows them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no place in a provenance record")


WRITERS: dict[str, Writer] = {
    w.name: w
    for w in (
        Writer("csv", ".spots.csv", render_csv),
        Writer("json", ".spots.json", render_json),
        Writer("elan", ".spots.eaf", render_elan),
        Writer("bids", "_events.tsv", render_bids),
        Writer("vtt", ".spots.vtt", render_webvtt),
        Writer("textgrid", ".spots.TextGrid", render_textgrid),
    )
}
FORMATS: tuple[str, ...] = tuple(WRITERS)
