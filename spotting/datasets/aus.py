"""FACS action units out of the strings coders write: `4(B/C)+7B`, `L14B+24`, `12A or 14A`, `ref(10)+A12C`.

Notation (FACS manual; symbol key of the SAMM-LV sheet): a letter before the number is the side (L left, R right of
the subject, A asymmetric: both sides but unequal; T top, B bottom lip), a letter after it the intensity A (trace) to
E (maximum), two letters a range. `ref(...)`, `or`, `/` between numbers and `?` mark what the coder was not sure of.
"""

import re
from dataclasses import dataclass

SIDES = {"L": "left", "R": "right", "A": "asymmetric", "T": "top", "B": "bottom"}
INTENSITIES = "ABCDE"

_UNIT = re.compile(
    r"""(?:(?<![A-Za-z])\((?P<either>[LRATB])/[LRATB]\)      # (L/A)4: one side or the other
          |(?:(?<![A-Za-z])|(?<=AD))(?P<side>[LRATB])(?:/[LRATB])?(?P<wrap>\()?  # A(4B/C)
        )?
        (?<!\d)(?P<number>\d{1,2})(?![\dxX])                  # 2x is "twice", not an action unit
        (?:\s*(?P<low>[A-E])(?:/(?P<high>[A-E]))?(?![A-Za-z])
          |\s*\((?P<low2>[A-E])(?:/|\s+and\s+then\s+)(?P<high2>[A-E])\)
        )?
        (?(wrap)\)?)
        \s*(?P<doubt>\?)?""",
    re.VERBOSE,
)
_GROUPED_SIDE = re.compile(r"\b([LRA])\((\d+)\s*or\s*(\d+)\)([A-E]?)")
_TOKEN = re.compile(r"\(|\)|\bor\b|or(?=\()|(?<=\d)/(?=\d)|\bref\b\s*(?=\()|\bloses\b", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class ActionUnit:
    """One coded action unit.

    number: 1..99 of FACS. side: "both", "left", "right", "asymmetric", "top" or "bottom". intensity: lowest and highest
    letter A..E the coder considered, None where no intensity was coded. certain: False for alternatives ("or"),
    references and question marks.
    """

    number: int
    side: str = "both"
    intensity: tuple[str, str] | None = None
    certain: bool = True

    @property
    def level(self) -> float | None:
        """Intensity as a number, A = 1 .. E = 5, the middle of a range; None where none was coded."""
        if self.intensity is None:
            return None
        return sum(INTENSITIES.index(letter) + 1 for letter in self.intensity) / 2


@dataclass
class _Group:
    """A pair of parentheses, or the whole string. doubtful and lost hold for everything inside."""

    parent: "_Group | None"
    doubtful: bool = False
    lost: bool = False

    def inherits(self, flag: str) -> bool:
        return getattr(self, flag) or (self.parent is not None and self.parent.inherits(flag))


def parse_aus(text: object) -> tuple[ActionUnit, ...]:
    """The action units of one coding, in the order written; words that are no coding are passed over.

    Takes whatever a cell held: text, a number (`4`), or None. AUs that the coder saw disappear ("loses 1+2") are left
    out.
    """
    if text is None or text != text:
        return ()
    if isinstance(text, float) and text.is_integer():
        text = int(text)
    source = _GROUPED_SIDE.sub(r"(\g<1>\g<2>\g<4> or \g<1>\g<3>\g<4>)", str(text))
    group = _Group(None)
    found: list[tuple[ActionUnit, _Group]] = []
    next_is_reference = False
    at = 0
    while at < len(source):
        if unit := _UNIT.match(source, at):
            if int(unit["number"]):
                found.append((_unit(unit), group))
            at = unit.end()
        elif token := _TOKEN.match(source, at):
            word = token[0].strip().lower()
            if word == "(":
                group = _Group(group, doubtful=next_is_reference)
            elif word == ")":
                group = group.parent or group  # an unmatched one closes nothing
            elif word == "loses":
                group.lost = True
            elif word in ("or", "/"):
                group.doubtful = True
            next_is_reference = word == "ref"
            at = token.end()
        else:
            at += 1
    return tuple(
        ActionUnit(u.number, u.side, u.intensity, u.certain and not g.inherits("doubtful"))
        for u, g in found
        if not g.inherits("lost")
    )


def _unit(match: re.Match[str]) -> ActionUnit:
    low = match["low"] or match["low2"]
    intensity = None
    if low:
        low, high = sorted((low, match["high"] or match["high2"] or low))
        intensity = (low, high)
    side = SIDES.get(match["side"] or match["either"] or "", "both")
    return ActionUnit(int(match["number"]), side, intensity, certain=not match["doubt"])
