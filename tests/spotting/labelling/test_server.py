"""What the server answers where its folder of temporary files is full."""

import asyncio
import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette", reason="needs facespot[label]")
pytest.importorskip("uvicorn", reason="needs facespot[label]")
from facespot.spotting.labelling import server


def test_a_copy_that_finds_no_room_is_refused_and_gives_its_room_back(tmp_path, monkeypatch):
    def fills_the_disk(source, target, fps):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(server, "write_playable", fills_the_disk)
    desk = SimpleNamespace(recordings=[SimpleNamespace(path=Path("a.avi"))])
    pages = server.Pages(desk, tmp_path, None, lambda: None)
    answer = asyncio.run(pages.copy(SimpleNamespace(path_params={"number": 0})))
    assert answer.status_code == 500
    assert "no room for temporary files" in json.loads(answer.body)["error"]
    assert list(tmp_path.iterdir()) == []
