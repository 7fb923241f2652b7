"""One name for a video of a public data set, however the place it is read from spells it.

Sheets, folders, submissions and other groups' tables write `15_0101`, `s15_0101`, `15_0101disgustingteeth`,
`casme_015_0101`; `006_1`, `samm_006_1`; `spNO.1_a`, `spNO.1/a/color`. The first of each is ours.
"""

import re
from typing import NamedTuple

from . import casme2, casme3, samm_lv

_SAMM = re.compile(r"(?:samm_(?:lv_)?)?(\d{3})_(\d)", re.IGNORECASE)
_CASME2 = re.compile(r"(?:casme_?(?:sq_)?)?s?0?(\d{2})_(\d{4})(?!\d).*", re.IGNORECASE)
_CASME3 = re.compile(r"(?:.*/)?spNO\.(\d+)[_/]([a-z])(?:/color)?", re.IGNORECASE)


class PublicName(NamedTuple):
    """A video of a public data set as our records name it."""

    dataset: str
    subject: str
    video: str


def public_name(name: str) -> PublicName | None:
    """What video a name or path without its ending means, None if it is of no data set known here."""
    last = name.rpartition("/")[2]
    if (match := _SAMM.fullmatch(last)) and match[1] in samm_lv.SUBJECTS:
        return PublicName(samm_lv.DATASET, match[1], f"{match[1]}_{match[2]}")
    if (match := _CASME2.fullmatch(last)) and match[2] in casme2.VIDEO_CODES:
        return PublicName(casme2.DATASET, f"s{match[1]}", f"{match[1]}_{match[2]}")
    if match := _CASME3.fullmatch(name):
        subject = f"spNO.{int(match[1])}"
        return PublicName(casme3.DATASET, subject, f"{subject}_{match[2].lower()}")
    return None
