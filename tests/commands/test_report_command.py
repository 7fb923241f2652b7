"""`spot report`, `spot --report` and `spot explain`, from the video to the page and the text."""

import shutil

import pytest
from click.testing import CliRunner
from facespot import cli
from facespot.extract.reading.video import open_video
from places import ROOT

SAMPLE = ROOT / "samples" / "astronaut.mp4"
pytestmark = pytest.mark.skipif(not SAMPLE.exists(), reason="the sample clip is not in this installation")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def video(tmp_path):
    return shutil.copy(SAMPLE, tmp_path / "clip.mp4")


def spot(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


def test_a_report_lies_beside_its_video_and_links_it(video, cache):
    run = spot("report", video, "--cache", cache)
    assert run.exit_code == 0, run.output
    page = video.with_name("clip.report.html").read_text()
    assert '"link": "clip.mp4"' in page
    assert page.count("<article") == 6
    assert "brows up" in page
    assert f"-> {video.with_name('clip.report.html')}" in run.stdout
    assert not video.with_name("reports.html").exists()


def test_many_videos_get_an_index_that_names_the_failed(video, cache, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    run = spot("report", video, tmp_path / "bad.mp4", "--anonymous", "--cache", cache, "-o", tmp_path / "out")
    assert run.exit_code == 4
    index = (tmp_path / "out" / "reports.html").read_text()
    assert 'href="clip.report.html"' in index
    assert "bad.mp4" in index
    assert "<image" not in (tmp_path / "out" / "clip.report.html").read_text()


def test_a_foreign_page_is_not_replaced_by_the_index(video, cache, tmp_path):
    other = shutil.copy(video, tmp_path / "other.mp4")
    (tmp_path / "reports.html").write_text("<p>mine</p>")
    run = spot("report", video, other, "--cache", cache)
    assert run.exit_code == 0
    assert "no index is written" in run.stderr
    assert (tmp_path / "reports.html").read_text() == "<p>mine</p>"


def test_run_writes_the_report_beside_the_table(video, cache):
    run = spot(video, "--report", "--type", "micro", "--cache", cache)
    assert run.exit_code == 0, run.output
    assert video.with_name("clip.spots.csv").exists()
    assert video.with_name("clip.report.html").read_text().count("<article") == 3


def test_the_overlay_is_a_video_as_long_as_the_given_one(video, cache, tmp_path):
    run = spot("report", video, "--overlay", tmp_path / "overlay.mp4", "--cache", cache)
    assert run.exit_code == 0, run.output
    with open_video(tmp_path / "overlay.mp4") as stream:
        assert sum(1 for _ in stream.pending()) == 435


def test_choices_that_exclude_each_other_are_refused(video, tmp_path):
    for arguments in (("--anonymous", "--embed"), ("--anonymous", "--overlay", tmp_path / "o.mp4")):
        assert spot("report", video, *arguments).exit_code == 2
    other = shutil.copy(video, tmp_path / "other.mp4")
    assert spot("report", video, other, "--overlay", tmp_path / "o.mp4").exit_code == 2


def test_explain_says_what_was_there_and_what_kept_it_out(video, cache):
    run = spot("explain", video, "--at", "4.4", "--at", "0:08.25", "--cache", cache)
    assert run.exit_code == 0, run.output
    reported, weak = run.stdout.strip().split("\n\n")
    assert reported.startswith("4.40 s, frame 132: it is reported: it lies in a micro-expression")
    assert "mouth corners" in reported
    assert weak.startswith("8.25 s, frame 247")
    assert "intensity" in weak
    assert spot("explain", video, "--at", "4.4", "--type", "macro", "--cache", cache).stdout.count("only macro") == 1


def test_explain_refuses_moments_that_are_none(video, cache):
    for at in ("soon", "-1", "inf"):
        assert spot("explain", video, f"--at={at}").exit_code == 2
    run = spot("explain", video, "--at", "99", "--cache", cache)
    assert run.exit_code == 1
    assert "lasts 14.50 s" in run.stderr
