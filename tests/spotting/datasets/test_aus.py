"""Action units out of coders' strings."""

import pytest
from facespot.spotting.datasets.aus import ActionUnit, parse_aus
from places import SHARED

SHEET = SHARED / "annotations" / "SAMMLV_gt.xlsx"


def au(number, side="both", intensity=None, certain=True):
    ends = None if intensity is None else (intensity[0], intensity[-1])
    return ActionUnit(number, side, ends, certain)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4(B/C)+7B", [au(4, intensity="BC"), au(7, intensity="B")]),
        (4, [au(4)]),
        (12.0, [au(12)]),
        ("6+12", [au(6), au(12)]),
        ("L14B+24", [au(14, "left", "B"), au(24)]),
        ("R10B+A12C", [au(10, "right", "B"), au(12, "asymmetric", "C")]),
        ("A(4B/C)+5B", [au(4, "asymmetric", "BC"), au(5, intensity="B")]),
        ("(L/A)12(B/A)", [au(12, "left", "AB")]),
        ("A/L12", [au(12, "asymmetric")]),
        ("1D/E+2D/E ", [au(1, intensity="DE"), au(2, intensity="DE")]),
        ("12A or 14A", [au(12, intensity="A", certain=False), au(14, intensity="A", certain=False)]),
        ("(R6 or R12)+R15", [au(6, "right", certain=False), au(12, "right", certain=False), au(15, "right")]),
        (
            "A4C+R(12or14)B+38",
            [
                au(4, "asymmetric", "C"),
                au(12, "right", "B", certain=False),
                au(14, "right", "B", certain=False),
                au(38),
            ],
        ),
        ("17B+(23/24) ", [au(17, intensity="B"), au(23, certain=False), au(24, certain=False)]),
        ("6C/D+ref(7)12E+25", [au(6, intensity="CD"), au(7, certain=False), au(12, intensity="E"), au(25)]),
        ("7B+ ref(43)", [au(7, intensity="B"), au(43, certain=False)]),
        ("26+((8+25)or(50))", [au(26), au(8, certain=False), au(25, certain=False), au(50, certain=False)]),
        ("7A/B+L10A/B)+12C", [au(7, intensity="AB"), au(10, "left", "AB"), au(12, intensity="C")]),
        ("(1B+2A)or(loses AU4)", [au(1, intensity="B", certain=False), au(2, intensity="A", certain=False)]),
        ("subject do 2x  R2(C and then B)", [au(2, "right", "BC")]),
        ("T23", [au(23, "top")]),
        ("B8 or B18", [au(8, "bottom", certain=False), au(18, "bottom", certain=False)]),
        ("26+ADR30", [au(26), au(30, "right")]),
        ("12B ?", [au(12, intensity="B", certain=False)]),
        ("80 (big swallow) ", [au(80)]),
        ("4+glare", [au(4)]),
        ("Chewing", []),
        (None, []),
        (float("nan"), []),
        ("0", []),
    ],
)
def test_notation(text, expected):
    assert list(parse_aus(text)) == expected


def test_level_is_the_middle_of_the_range():
    assert [u.level for u in parse_aus("1A+2E+4(B/C)+7")] == [1.0, 5.0, 2.5, None]


@pytest.mark.skipif(not SHEET.exists(), reason="the annotation sheets are not beside this repository")
def test_every_number_of_the_real_sheet_is_found():
    """Against the plainest possible reading: all digits, except of AUs that disappear and of '2x'."""
    import re

    openpyxl = pytest.importorskip("openpyxl")
    sheet = openpyxl.load_workbook(SHEET).worksheets[0]
    codings = {str(row[8]) for row in sheet.iter_rows(min_row=11, values_only=True)}
    assert len(codings) > 200
    for coding in codings:
        plain = re.sub(r"loses\s+(AU)?[\d+]+|\d+x", "", coding)
        assert [u.number for u in parse_aus(coding)] == [int(n) for n in re.findall(r"\d+", plain)], coding
