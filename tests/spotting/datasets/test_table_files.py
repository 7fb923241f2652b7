"""Tables as they come from anywhere: encodings, delimiters, number formats, and files made to exhaust the memory."""

import os
import resource
import subprocess
import sys
import zipfile

import openpyxl
import pytest
from facespot.errors import AnnotationError
from facespot.spotting.datasets.annotations import read_annotations
from facespot.spotting.datasets.sheets import MAX_ROWS, read_workbook
from facespot.spotting.datasets.table_files import file_text, read_sheet

HEADINGS = frozenset(("video", "type", "onset_s", "offset_s"))
CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/>'
    "</Relationships>"
)
WORKBOOK = (
    '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>'
)


def workbook(path, cells, **parts):
    """A minimal .xlsx whose one sheet holds the XML `cells`. parts: further ones, `xl__styles` for xl/styles.xml."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", RELATIONS.format(kind="officeDocument", target="xl/workbook.xml"))
        archive.writestr("xl/workbook.xml", WORKBOOK)
        archive.writestr(
            "xl/_rels/workbook.xml.rels", RELATIONS.format(kind="worksheet", target="worksheets/sheet1.xml")
        )
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
            f"{cells}</sheetData></worksheet>",
        )
        for name, text in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", text)
    return path


def text_cell(place, text):
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


class TestText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_encodings_and_delimiters(self, tmp_path, encoding, delimiter):
        path = tmp_path / "t.csv"
        rows = [["video", "type", "onset_s", "offset_s"], ["Grün.mp4", "macro", "1.5", "2"]]
        path.write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
        (row,) = read_annotations(path).itertuples()
        assert (row.video, row.onset, row.offset) == ("Grün", 1500, 2000)

    def test_a_title_above_the_header_and_commas_in_it(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("Labels, checked, by, two, people, twice\n\nvideo;type;onset_s;offset_s\na;ME;1,25;1,5\n")
        (row,) = read_annotations(path).itertuples()
        assert (row.onset, row.offset) == (1250, 1500)

    def test_a_line_end_within_a_name(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_bytes(b'video,type,onset_s,offset_s\n"a\nb.mp4",macro,1,2\n')
        assert read_annotations(path)["video"].tolist() == ["a\nb"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("video,type\n" + "x" * 200_000 + ",macro\n", "field larger than field limit"),
            ("video,type\n" + "x,macro\n" * (MAX_ROWS + 1), f"more than {MAX_ROWS} rows"),
        ],
        ids=["field", "rows"],
    )
    def test_too_much(self, tmp_path, text, words):
        path = tmp_path / "t.csv"
        path.write_text(text)
        with pytest.raises(AnnotationError, match=words):
            read_annotations(path)

    def test_what_is_no_text(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_bytes(bytes(range(256)) * 10)
        with pytest.raises(AnnotationError, match="not a text file"):
            file_text(path)

    def test_a_huge_file_is_not_read(self, tmp_path):
        path = tmp_path / "t.csv"
        with path.open("wb") as file:
            file.truncate(10 << 30)
        with pytest.raises(AnnotationError, match="larger than 64 MB"):
            file_text(path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX")
    def test_a_pipe_does_not_hang(self, tmp_path):
        path = tmp_path / "t.csv"
        os.mkfifo(path)
        with pytest.raises(AnnotationError, match="not a file"):
            read_annotations(path)


class TestWorkbooks:
    def test_damaged_in_a_sheet_which_shows_while_it_is_read(self, tmp_path):
        path = workbook(tmp_path / "x.xlsx", f'<row r="1">{text_cell("A1", "video")}</row><row r="2"><c r="A2"')
        with pytest.raises(AnnotationError, match=r"x\.xlsx: not an \.xlsx workbook, or a damaged one"):
            read_annotations(path)

    def test_damaged_in_its_compressed_bytes(self, tmp_path):
        path = tmp_path / "x.xlsx"
        book = openpyxl.Workbook()
        for number in range(200):
            book.active.append([f"v{number}", number])
        book.save(path)
        with zipfile.ZipFile(path) as archive:
            start = archive.getinfo("xl/worksheets/sheet1.xml").header_offset
        data = bytearray(path.read_bytes())
        data[start + 100 : start + 400] = bytes(300)
        path.write_bytes(data)
        with pytest.raises(AnnotationError, match="damaged"):
            read_annotations(path)

    def test_the_trailing_emptiness_of_a_sheet_is_not_kept(self, tmp_path):
        cells = [f'<row r="1">{text_cell("A1", "video")}{text_cell("XFD1", "far")}</row>']
        cells.append(f'<row r="3">{text_cell("B3", "x")}</row>')
        sheet = read_workbook(workbook(tmp_path / "x.xlsx", "".join(cells)))["s"]
        assert sheet.rows == [("video",), (), (None, "x")]

    @pytest.mark.parametrize("attack", ["gap", "wide", "bomb", "strings", "styles"])
    def test_a_small_file_does_not_take_the_memory(self, tmp_path, attack):
        path = tmp_path / "x.xlsx"
        if attack == "gap":
            workbook(
                path, f'<row r="1">{text_cell("A1", "a")}</row><row r="1048576">{text_cell("XFD1048576", "b")}</row>'
            )
        elif attack == "wide":
            workbook(path, "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 20_000)))
        elif attack == "bomb":
            workbook(path, f'<row r="1">{text_cell("A1", "x" * 60_000_000)}</row>')
        elif attack == "strings":
            workbook(path, "", xl__sharedStrings="<sst>" + "<si><t>x</t></si>" * 3_000_000 + "</sst>")
        else:
            workbook(path, "", xl__styles="<styleSheet><cellXfs>" + "<xf/>" * 1_000_000 + "</cellXfs></styleSheet>")
        assert path.stat().st_size < 2_000_000
        code = (
            "import sys; from facespot.errors import AnnotationError\n"
            "from facespot.spotting.datasets.sheets import read_workbook\n"
            "try:\n    read_workbook(sys.argv[1]); print('read')\n"
            "except AnnotationError as error:\n    print(error)\n"
        )

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=120, preexec_fn=limit
        )
        assert done.returncode == 0, done.stderr[-500:]
        if attack != "wide":
            assert "more than" in done.stdout

    def test_the_sheet_with_the_columns_is_found(self, tmp_path):
        path = tmp_path / "x.xlsx"
        book = openpyxl.Workbook()
        book.active.append(["notes of the coder"])
        sheet = book.create_sheet("labels")
        sheet.append(["video", "type", "onset_s", "offset_s"])
        sheet.append(["a.mp4", "micro", "1,5", 1.75])
        book.save(path)
        assert read_sheet(path, HEADINGS).name == "labels"
        (row,) = read_annotations(path).itertuples()
        assert (row.onset, row.offset) == (1500, 1750)
