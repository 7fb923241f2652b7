"""ELAN annotation files (EAF 3.0): what an annotator sees, hears and corrects.

A tier `expression` holds `macro` or `micro`, from one controlled vocabulary, so that ELAN's own statistics and
agreement count them. Its child tiers move along when an annotation is moved: `apex` (time-aligned within the
expression, a frame long, begins at the apex) and `confidence` (one value per expression).
"""

import os
from mimetypes import guess_type
from pathlib import Path

from ...version import __version__
from ..columns import TYPE_LEVELS
from ..result import SpotResult
from .cells import unicode_text
from .lanes import APEX, CONFIDENCE, EXPRESSION, apex_ms, lanes, milliseconds, tier_name

# ELAN demands a date; a fixed one keeps equal results equal, byte for byte.
_DATE = "1970-01-01T00:00:00+00:00"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_UNDETERMINED = ("und", "http://cdb.iso.org/lg/CDB-00130975-001", "undetermined (und)")
# A millisecond would do for ELAN; two leave a moment that belongs to one of two touching annotations only.
_LEAST_MS = 2


def render_elan(result: SpotResult, path: Path) -> str:
    """The video is linked absolutely and relative to `path`. Where expressions overlap, the later one goes to a second
    set of tiers (`expression 2`, `apex 2`, `confidence 2`)."""
    from pympi.Elan import Eaf, to_string

    eaf = Eaf(author=f"facespot {__version__}")
    eaf.adocument |= {"DATE": _DATE, "VERSION": "3.0", "FORMAT": "3.0", "xsi:noNamespaceSchemaLocation": _SCHEMA}
    eaf.header = {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    eaf.media_descriptors = [_media_link(Path(result.video), path)]
    _declare_types(eaf)
    frame_ms = max(round(1000 / result.timebase.fps), 1)
    for number, lane in enumerate(lanes(result.spots, _LEAST_MS), 1):
        names = {name: tier_name(name, number) for name in (EXPRESSION, APEX, CONFIDENCE)}
        for kind, name in names.items():
            eaf.add_tier(name, kind, parent=None if kind == EXPRESSION else names[EXPRESSION])
        for spot in lane:
            onset, offset = milliseconds(spot, _LEAST_MS)
            eaf.add_annotation(names[EXPRESSION], onset, offset, spot.type)
            apex = min(apex_ms(spot, _LEAST_MS), offset - 1)
            eaf.add_annotation(names[APEX], apex, min(apex + frame_ms, offset), spot.type)
            middle = (onset + offset) // 2
            eaf.add_ref_annotation(names[CONFIDENCE], names[EXPRESSION], middle, f"{spot.confidence:.3f}")
    _sort_time_slots(eaf)
    # pympi numbers annotations from 2; ELAN goes on counting from the number here.
    eaf.properties = [("lastUsedAnnotationId", eaf.maxaid)]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{to_string(eaf)}\n'


def _declare_types(eaf) -> None:
    """One linguistic type per kind of tier, and the vocabulary of the first, in place of pympi's defaults."""
    eaf.remove_tier("default")
    eaf.add_language(*_UNDETERMINED)
    eaf.add_controlled_vocabulary(EXPRESSION)
    # ELAN takes the language of the entries from here.
    eaf.add_cv_description(EXPRESSION, _UNDETERMINED[0], "Kinds of facial expression")
    for number, (name, meaning) in enumerate(TYPE_LEVELS.items()):
        eaf.add_cv_entry(EXPRESSION, f"cveid{number}", [(name, _UNDETERMINED[0], meaning)])
    eaf.add_linguistic_type(EXPRESSION)
    eaf.linguistic_types[EXPRESSION]["CONTROLLED_VOCABULARY_REF"] = EXPRESSION
    eaf.add_linguistic_type(APEX, constraints="Included_In")
    eaf.add_linguistic_type(CONFIDENCE, constraints="Symbolic_Association", timealignable=False)
    eaf.remove_linguistic_type("default-lt")


def _sort_time_slots(eaf) -> None:
    """Time slots named in order of time, as EAF's TIME_ORDER demands; pympi names them as annotations come."""
    in_order = sorted(eaf.timeslots, key=lambda slot: (eaf.timeslots[slot], int(slot.removeprefix("ts"))))
    names = {slot: f"ts{number}" for number, slot in enumerate(in_order, 1)}
    eaf.timeslots = {names[slot]: eaf.timeslots[slot] for slot in in_order}
    for aligned, _, _, _ in eaf.tiers.values():
        for annotation, (start, end, value, svg) in aligned.items():
            aligned[annotation] = (names[start], names[end], value, svg)


def _media_link(video: Path, path: Path) -> dict[str, str]:
    video = video.resolve()
    link = {"MEDIA_URL": video.as_uri(), "MIME_TYPE": guess_type(video.name)[0] or "video/*"}
    try:
        relative = Path(os.path.relpath(video, Path(path).resolve().parent)).as_posix()
    except ValueError:  # another drive on Windows
        return link
    relative = unicode_text(relative)
    return link | {"RELATIVE_MEDIA_URL": relative if relative.startswith("..") else f"./{relative}"}
