"""The suite of benchmarks: what a run says of itself, how two are compared, and what facespot is compared with."""

import json

import facespot.benchmarks.compare as compare
import facespot.benchmarks.literal as literal
import facespot.benchmarks.suite as suite
import numpy as np
import pytest
from click.testing import CliRunner
from facespot.extract.reading.frames import FaceFrame
from facespot.extract.reading.video import open_video
from facespot.extract.regions import ROI_NAMES
from media import moving_face, write_video


def run_of(**results: float) -> dict:
    return {"run": {"commit": "a", "cores": 2, "versions": {"numpy": "1"}}, "results": results}


def test_gains_go_the_right_way():
    assert compare.gain("512x512 frames/s", 100, 200) == 2
    assert compare.gain("720p processor ms/frame", 10, 5) == 2
    assert compare.gain("start peak MiB", 100, 200) == 0.5
    assert compare.gain("bundled clip F1", 0.5, 1.0) == 2
    assert compare.gain("--jobs efficiency per core", 0.0, 0.8) is None


@pytest.mark.parametrize(("now", "code"), [(10.5, 0), (12.0, 1)])
def test_two_runs_side_by_side(tmp_path, now, code):
    old, new = run_of(**{"a ms": 10.0, "gone": 1.0}), run_of(**{"a ms": now, "b frames/s": 3.0})
    new["run"] |= {"commit": "b", "versions": {"numpy": "2"}}
    for name, run in (("old", old), ("new", new)):
        (tmp_path / name).write_text(json.dumps(run))
    done = CliRunner().invoke(compare.main, [str(tmp_path / "old"), str(tmp_path / "new")])
    assert done.exit_code == code
    assert ("worse" in done.output) == bool(code)
    assert "commit: a -> b" in done.output
    assert "numpy: 1 -> 2" in done.output
    assert "only in one of them: b frames/s" in done.output
    assert "only in one of them: gone" in done.output
    assert f"{10 / now:.2f} x" in done.output


def test_a_run_says_where_and_when_it_was():
    about = suite.describe()
    assert about["date"].startswith("20")
    assert len(about["commit"].rstrip("+")) == 12
    assert about["cores"] >= 1
    assert about["versions"]["numpy"] == np.__version__


def test_a_page_shows_every_figure():
    about = {"date": "2026-01-02T03:04", "commit": "abc", "machine": "m", "cores": 2, "load_before": 0.1}
    shown = suite.markdown({"run": about, "results": {"a ms": 1.23456, "b frames/s": 1234.4}})
    assert "2026-01-02, commit `abc`" in shown
    assert "| a ms | 1.23 |\n| b frames/s | 1234 |" in shown


def test_the_sample_is_brought_to_other_sizes(tmp_path):
    clip = write_video(tmp_path / "a.mp4", moving_face(20, 96))
    with open_video(suite.recode(clip, tmp_path / "b.mp4", (160, 90), seconds=0.5)) as stream:
        assert (stream.width, stream.height) == (160, 90)
        pictures = [frame.develop().rgb for frame in stream.pending()]
    assert len(pictures) == 15
    assert np.ptp(pictures[0][:, :30].mean(axis=2), axis=1).max() < 40  # edges repeated, no face there


def test_what_a_fresh_process_returns():
    assert suite._apart(sum, [1, 2, 3]) == 6


def test_a_known_flow_comes_out_in_its_region():
    """The place of TV-L1 is taken by a flow that is known."""
    still = np.zeros((200, 300), np.uint8)
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, :2] = (150, 100)
    for points, place in zip(literal.EYE_CORNERS.values(), [(130, 80), (170, 80)], strict=True):
        landmarks[list(points), :2] = place
    corner = ROI_NAMES.index("image_left_mouth_corner")
    landmarks[list(list(literal.ROI_MESH_POINTS.values())[corner]), :2] = (120, 140)

    class Known:
        def calc(self, first, second, flow):
            moved = np.zeros((literal.CUT, literal.CUT, 2), np.float32)
            moved[literal.CUT // 2 + 20 :, :, 0] = 4.0
            return moved

    faces = [FaceFrame(i, i / 30, still, landmarks, 0) for i in range(17)]
    snippet = literal._window(Known(), faces)
    assert snippet.shape == (17, 10, 2)
    assert (snippet[0] == 0).all()
    scale = literal.CUT / (literal._CUT_PER_EYES * 40)
    assert snippet[1:, corner, 0] == pytest.approx(4.0 / (scale * 40))
    assert snippet[1:, ROI_NAMES.index("image_left_brow_mid")] == pytest.approx(0)


def test_tvl1_follows_a_mouth_that_moves(tmp_path, monkeypatch):
    monkeypatch.setattr(literal, "SNIPPET_STEPS", 3)  # of seventeen pictures; each pair takes a quarter of a second
    faces = literal.faces_of(write_video(tmp_path / "a.mp4", moving_face(18, 256)), 16)
    assert len(faces) == 16
    (snippet,) = literal.tvl1_snippets([faces[0], faces[3], faces[7]], 1)
    lips, brow = (snippet[-1, ROI_NAMES.index(name)] for name in ("lower_lip", "image_left_brow_mid"))
    assert abs(lips[1]) > 2 * abs(brow[1])


def test_mediapipes_graph_sees_the_portrait():
    meshes = list(literal.mediapipe_mesh(list(moving_face(2, 256))))
    assert [mesh.shape for mesh in meshes] == [(478, 3)] * 2
