"""The command line on its own: extraction and network are stood in for, everything else is real."""

import csv
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import pytest
from click.testing import CliRunner
from facespot import __version__, cli, errors
from facespot.commands import run as cli_spot
from facespot.extract.features import SNIPPET_STEPS, FaceFeatures
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.extract.timebase import Timebase
from facespot.spotting.intervals import Interval
from facespot.spotting.output.formats import FORMATS
from facespot.spotting.result import COLUMNS, SpotResult

INTERVALS = (Interval(15, 20, 40, "macro", 0.9), Interval(60, 63, 68, "micro", 0.4))


@dataclass
class Engine:
    """Stands in for pipeline and spotter, and notes what it was asked."""

    calls: list[tuple] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    weights_error: Exception | None = None

    def extract_features(self, path, options, *, fps=None, cache=None, progress=None):
        self.calls.append(("extract", Path(path), options.face, fps, cache))
        if Path(path).name in self.failures:
            raise self.failures[Path(path).name]
        if progress is not None:
            progress(10, 100)
            progress(100, None)
        timebase = Timebase(np.arange(100) / 30)
        n = timebase.n_ticks
        return FaceFeatures(
            np.zeros((n, SNIPPET_STEPS, 10, 2), np.float32),
            np.zeros((n, len(KEPT_MESH_POINTS), 3), np.float32),
            np.zeros(n, np.int32),
            timebase,
            {"path": str(path), "warnings": list(self.warnings)},
        )

    def load(self, weights=None, device="auto"):
        self.calls.append(("load", weights, device))
        if self.weights_error:
            raise self.weights_error
        return self

    def spot(self, features, min_confidence=None, types=None):
        self.calls.append(("spot", min_confidence, types))
        spots = tuple(i.on(features.timebase) for i in INTERVALS if types is None or i.type in types)
        n = features.timebase.n_ticks
        return SpotResult(
            features.provenance["path"], spots, np.zeros(n), features.segment, features.timebase, 1.0, self.warnings
        )

    def asked(self, name):
        return [call[1:] for call in self.calls if call[0] == name]


@pytest.fixture
def engine(monkeypatch, tmp_path):
    engine = Engine()
    pipeline = ModuleType("facespot.extract.pipeline")
    pipeline.ExtractOptions = dataclass(frozen=True)(type("ExtractOptions", (), {"__annotations__": {"face": object}}))
    pipeline.extract_features = engine.extract_features
    spotter = ModuleType("facespot.spotting.spotter")
    spotter.Spotter = engine
    monkeypatch.setitem(sys.modules, pipeline.__name__, pipeline)
    monkeypatch.setitem(sys.modules, spotter.__name__, spotter)
    monkeypatch.setattr(cli_spot, "user_cache_folder", lambda: tmp_path / "user-cache")
    return engine


@pytest.fixture
def videos(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return [str(tmp_path / name) for name in names]

    return make


def spot(*arguments):
    return CliRunner().invoke(cli.main, [str(a) for a in arguments])


def types_in(path):
    with open(path, newline="") as file:
        return [row["type"] for row in csv.DictReader(file)]


def test_default_command_writes_beside_the_video_and_prints_a_table(engine, videos, tmp_path):
    (video,) = videos("clip.mp4")
    run = spot(video)
    assert (run.exit_code, run.stderr) == (0, "")
    assert types_in(tmp_path / "clip.spots.csv") == ["macro", "micro"]
    assert "2 expressions (1 macro, 1 micro); face usable in 100 % of 3.3 s" in run.stdout
    header, macro = run.stdout.splitlines()[1:3]
    assert macro.split() == ["1", "macro", "0.50", "0.67", "1.33", "15", "20", "40", "0.90"]
    assert len(header) == len(macro)
    assert f"-> {tmp_path / 'clip.spots.csv'}" in run.stdout
    assert engine.asked("extract")[0][1:3] == ("longest", None)
    assert engine.asked("load") == [(None, "auto")]
    assert engine.asked("spot") == [(None, None)]


def test_run_may_be_named_and_options_may_come_first(engine, videos, tmp_path):
    (video,) = videos("run")
    assert spot("run", video).exit_code == 0
    assert spot("--type", "micro", "-q", video).exit_code == 0
    assert types_in(tmp_path / "run.spots.csv") == ["micro"]


def test_options_reach_the_library(engine, videos, tmp_path):
    (video,) = videos("clip.mp4")
    run = spot(
        video, "--face", "1", "--fps", "200", "--device", "cpu", "--weights", "w.safetensors", "--cache",
        tmp_path / "c", "--min-confidence", "0.3", "--type", "macro",
    )  # fmt: skip
    assert run.exit_code == 0
    ((_, face, fps, cache),) = engine.asked("extract")
    assert (face, fps, cache.folder) == (1, 200.0, tmp_path / "c")
    assert engine.asked("load") == [(Path("w.safetensors"), "cpu")]
    assert engine.asked("spot") == [(0.3, ("macro",))]


@pytest.mark.parametrize(("choice", "folder"), [(None, "user-cache"), ("none", None)])
def test_cache_is_the_users_unless_refused(engine, videos, tmp_path, choice, folder):
    spot(*videos("clip.mp4"), *(["--cache", choice] if choice else []))
    ((_, _, _, cache),) = engine.asked("extract")
    assert (cache.folder if cache else None) == (tmp_path / folder if folder else None)


def test_home_that_cannot_be_written_costs_only_the_cache(engine, videos, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(cli_spot, "user_cache_folder", lambda: tmp_path / "file" / "cache")
    (video,) = videos("clip.mp4")
    run = spot(video)
    assert run.exit_code == 0
    assert run.stderr.count("\n") == 1
    assert "not cached" in run.stderr
    run = spot(video, "--cache", tmp_path / "file" / "cache")
    assert run.exit_code == 1
    assert run.stderr.count("\n") == 1


def test_every_format_and_the_plot_land_under_output(engine, videos, tmp_path):
    (video,) = videos("clip.mp4")
    out = tmp_path / "new" / "folder"
    run = spot(video, "-o", out, "--format", "CSV, json,elan,bids,vtt,textgrid")
    assert run.exit_code == 0, run.stderr
    assert {p.name for p in out.iterdir()} == {
        "clip.spots.csv", "clip.spots.json", "clip.spots.eaf", "clip_events.tsv", "clip.spots.vtt",
        "clip.spots.TextGrid", "clip_events.json",
    }  # fmt: skip
    assert not list(tmp_path.glob("*.csv"))
    assert json.loads((out / "clip.spots.json").read_text())["version"] == __version__


def test_format_names_of_the_help_are_those_of_the_library():
    assert cli.FORMAT_NAMES == FORMATS


def test_same_names_from_different_folders_do_not_overwrite_each_other(engine, videos, tmp_path):
    given = videos("a/clip.mp4", "b/clip.mp4", "b/clip.avi", "other.mp4")
    run = spot(*given, "-o", tmp_path / "out", "-q")
    assert run.exit_code == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "a_clip.mp4.spots.csv", "b_clip.mp4.spots.csv", "clip.avi.spots.csv", "other.spots.csv",
    }  # fmt: skip


def test_names_stay_apart_however_alike_the_paths(tmp_path):
    given = [
        tmp_path / p
        for p in (
            "x/a/c.mp4",
            "y/a/c.mp4",
            "y/A/C.mp4",
            "a_c.mp4",
            "a_c.mp4.mp4",
            "c.mp4",
            "c.avi",
            "z/c.avi",
            "c.x.mp4",
        )
    ]
    names = cli_spot.output_names(given, tmp_path / "out")
    assert len({str(name).casefold() for name in names.values()}) == len(given)
    beside = cli_spot.output_names(given, None)
    assert beside[given[0]] == tmp_path / "x" / "a" / "c"
    assert beside[given[5]] == tmp_path / "c.mp4"
    assert beside[given[6]] == tmp_path / "c.avi"


def test_folder_of_images_keeps_its_dots(tmp_path):
    folder = tmp_path / "006_1.raw"
    folder.mkdir()
    assert cli_spot.output_names([folder], None)[folder] == tmp_path / "006_1.raw"


def test_video_named_twice_is_spotted_once(engine, videos):
    (video,) = videos("clip.mp4")
    spot(video, video)
    assert len(engine.asked("extract")) == 1


@pytest.mark.parametrize(
    "error",
    [errors.NotAVideoError("x: no"), errors.NoFaceError("x: no"), errors.TooShortError("x: no")],
    ids=lambda e: type(e).__name__,
)
def test_one_bad_video_does_not_stop_the_others_and_sets_the_exit_code(engine, videos, tmp_path, error):
    given = videos("good.mp4", "bad.mp4", "last.mp4")
    engine.failures["bad.mp4"] = error
    run = spot(*given)
    assert run.exit_code == error.exit_code
    assert {p.name for p in tmp_path.glob("*.csv")} == {"good.spots.csv", "last.spots.csv"}
    assert run.stderr.splitlines() == ["spot: error: x: no", f"spot: error: 1 of 3 videos failed: {given[1]}"]


def test_first_failure_gives_the_exit_code(engine, videos):
    given = videos("a.mp4", "b.mp4")
    engine.failures = {"a.mp4": errors.NoFaceError("a"), "b.mp4": errors.NotAVideoError("b")}
    assert spot(*given).exit_code == errors.NoFaceError.exit_code


def test_missing_file_is_told_before_anything_is_loaded(engine, tmp_path):
    run = spot(tmp_path / "nothing.mp4")
    assert run.exit_code == errors.VideoNotFoundError.exit_code
    assert run.stderr == f"spot: error: {tmp_path / 'nothing.mp4'}: no such file or folder; check the name\n"
    assert engine.calls == []


def test_fault_of_ours_is_one_line_and_stops_nothing(engine, videos, tmp_path):
    given = videos("bad.mp4", "good.mp4")
    engine.failures["bad.mp4"] = ZeroDivisionError("two\nlines")
    run = spot(*given)
    assert run.exit_code == 1
    assert len(run.stderr.splitlines()) == 2
    assert "unexpected ZeroDivisionError at test_run.py:" in run.stderr
    assert (tmp_path / "good.spots.csv").exists()


def test_bad_weights_end_the_run_at_once(engine, videos):
    engine.weights_error = errors.WeightsError("w: damaged")
    run = spot(*videos("a.mp4", "b.mp4"))
    assert run.exit_code == errors.WeightsError.exit_code
    assert run.stderr == "spot: error: w: damaged\n"
    assert len(engine.asked("load")) == 1


def test_output_that_cannot_be_written_is_told(engine, videos, tmp_path):
    (tmp_path / "file").touch()
    run = spot(*videos("clip.mp4"), "-o", tmp_path / "file" / "out")
    assert run.exit_code == 1
    assert run.stderr.count("\n") == 1
    (tmp_path / "clip.spots.csv").mkdir()
    run = spot(*videos("clip.mp4"))
    assert run.exit_code == 1
    assert run.stderr.count("\n") == 1
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_warnings_go_to_stderr_and_into_the_json(engine, videos, tmp_path):
    engine.warnings = ("damaged: half is missing; what could be decoded was used",)
    (video,) = videos("clip.mp4")
    run = spot(video, "--format", "json")
    assert run.exit_code == 0
    assert run.stderr == f"spot: {video}: warning: {engine.warnings[0]}\n"
    assert json.loads((tmp_path / "clip.spots.json").read_text())["warnings"] == list(engine.warnings)


def test_quiet_says_nothing_but_errors(engine, videos):
    engine.warnings = ("something",)
    engine.failures["bad.mp4"] = errors.NoFaceError("bad.mp4: no face")
    run = spot("-q", *videos("clip.mp4", "bad.mp4"))
    assert run.stdout == ""
    assert [line[:12] for line in run.stderr.splitlines()] == ["spot: error:"] * 2


def test_no_expressions_is_a_result(engine, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "INTERVALS", ())
    run = spot(*videos("clip.mp4"))
    assert run.exit_code == 0
    assert "no expressions; face usable" in run.stdout
    assert (tmp_path / "clip.spots.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_extract_fills_the_cache_and_needs_no_network(engine, videos, tmp_path):
    run = spot("extract", *videos("clip.mp4"), "--face", "largest", "--cache", tmp_path / "c")
    assert run.exit_code == 0
    assert str(tmp_path / "c") in run.stdout
    assert [call[0] for call in engine.calls] == ["extract"]
    assert engine.asked("extract")[0][1] == "largest"
    assert not list(tmp_path.glob("*.csv"))
    run = spot("extract", *videos("clip.mp4"), "--cache", "none")
    assert run.exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["v", "--face", "biggest"], ["v", "--face", "-1"], ["v", "--format", "csv,docx"], ["v", "--fps", "0"],
        ["v", "--type", "mini"], ["v", "--min-confidence", "2"], ["v", "--device", "tpu"], ["v", "--nonsense"],
        ["-q"], ["extract"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(engine, arguments):
    run = spot(*arguments)
    assert run.exit_code == 2
    assert "Usage:" in run.stderr
    assert engine.calls == []


def test_help_shows_both_ways_to_call_and_every_command():
    run = spot("--help")
    assert run.exit_code == 0
    assert "[OPTIONS] VIDEO..." in run.stdout
    for text in ("--min-confidence", "--plot", "Exit code:", *cli.COMMANDS):
        assert text in run.stdout
    assert spot("extract", "--help").exit_code == 0


def test_version():
    assert spot("--version").stdout == f"spot {__version__}\n"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_can_be_loaded(name):
    command = cli.main.get_command(click.Context(cli.main), name)
    assert command.name == name
    assert cli.COMMANDS[name][1]


class Terminal:
    """A stderr that says it is a terminal."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass

    def isatty(self):
        return True


def test_progress_bar_shows_frames_per_second_on_a_terminal_only(monkeypatch, engine):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with cli_spot.Console(quiet=False).progress(Path("clip.mp4")) as progress:
        progress(50, 100)
    assert "clip.mp4" in terminal.text
    assert "frames" in terminal.text
    with cli_spot.Console(quiet=True).progress(Path("clip.mp4")) as progress:
        assert progress is None
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    with cli_spot.Console(quiet=False).progress(Path("clip.mp4")) as progress:
        assert progress is None
