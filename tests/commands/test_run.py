"""The command line on its own: extraction and network are stood in for, everything else is real."""

import csv
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from facespot import __version__, cli, errors
from facespot.commands import batch, caching
from facespot.commands.naming import output_names
from facespot.extract.features import SNIPPET_STEPS, FaceFeatures
from facespot.extract.regions import KEPT_MESH_POINTS
from facespot.extract.timebase import Timebase
from facespot.processes import PATIENCE_S, Finished, usable_cores
from facespot.spotting import many, voice
from facespot.spotting.explanations import Explanation, RegionMotion
from facespot.spotting.intervals import Interval
from facespot.spotting.output import formats as formats_module
from facespot.spotting.output.formats import FORMATS
from facespot.spotting.result import COLUMNS, SpotResult
from media import noise, write_video

INTERVALS = (Interval(15, 20, 40, "macro", 0.9), Interval(60, 63, 68, "micro", 0.4))


@dataclass
class Engine:
    """Stands in for pipeline and spotter, and notes what it was asked."""

    calls: list[tuple] = field(default_factory=list)
    must_store: list[bool] = field(default_factory=list)
    voices: list = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    weights_error: Exception | None = None
    face: int | None = None
    cut_off: str = "none"

    def extract_features(self, path, options, *, fps=None, cache=None, must_store=False, progress=None):
        self.calls.append(("extract", Path(path), options.face, fps, cache))
        self.must_store.append(must_store)
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

    def load(self, weights=None, device="auto", decoding="own", model=None):
        self.calls.append(("load", weights, device, decoding, model))
        if self.weights_error:
            raise self.weights_error
        return self

    def spot(self, features, min_confidence=None, types=None, voice=None):
        self.calls.append(("spot", min_confidence, types))
        self.voices.append(voice)
        spots = tuple(i.on(features.timebase, self.cut_off) for i in INTERVALS if types in (None, i.type))
        n = features.timebase.n_ticks
        return SpotResult(
            features.provenance["path"], spots, np.zeros(n), features.segment, features.timebase, 1.0, self.warnings,
            min_confidence=(0.78, 0.74), strongest=0.31, face=self.face,
        )  # fmt: skip

    def run_jobs(self, task, jobs, width, *, patience_s, headway):
        """In this process, where the stand-ins are."""
        self.calls.append(("run_jobs", width, patience_s))
        for number, job in enumerate(jobs):
            headway(number, 0, None)
            yield Finished(number, task(job, lambda done, total, n=number: headway(n, done, total)))

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
    options = ModuleType("facespot.extract.options")
    options.ExtractOptions = pipeline.ExtractOptions
    for module in (pipeline, options, spotter):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(batch, "run_jobs", engine.run_jobs)
    many.shared_spotter.cache_clear()
    monkeypatch.setattr(caching, "user_cache_folder", lambda: tmp_path / "user-cache")
    yield engine
    many.shared_spotter.cache_clear()


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
    assert engine.asked("load") == [(None, "auto", "own", None)]
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
        tmp_path / "c", "--min-confidence", "0.3", "--type", "macro", "--decoding", "paper",
    )  # fmt: skip
    assert run.exit_code == 0
    ((_, face, fps, cache),) = engine.asked("extract")
    assert (face, fps, cache) == (1, 200.0, tmp_path / "c")
    assert engine.asked("load") == [(Path("w.safetensors"), "cpu", "paper", None)]
    assert spot(video, "--model", "gim").exit_code == 0
    assert engine.asked("load")[1:] == [(None, "auto", "own", "gim")]
    assert engine.asked("spot")[0] == ((0.3, 0.3), "macro")


@pytest.mark.parametrize(("choice", "folder"), [(None, "user-cache"), ("none", None)])
def test_cache_is_the_users_unless_refused(engine, videos, tmp_path, choice, folder):
    spot(*videos("clip.mp4"), *(["--cache", choice] if choice else []))
    ((_, _, _, cache),) = engine.asked("extract")
    assert cache == (tmp_path / folder if folder else None)


def test_home_that_cannot_be_written_costs_only_the_cache(engine, videos, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(caching, "user_cache_folder", lambda: tmp_path / "file" / "cache")
    (video,) = videos("clip.mp4")
    run = spot(video)
    assert run.exit_code == 0
    assert run.stderr.count("\n") == 1
    assert "not cached" in run.stderr
    run = spot(video, "--cache", tmp_path / "file" / "cache")
    assert run.exit_code == 1
    assert run.stderr.count("\n") == 1


def test_a_user_without_a_home_has_no_cache_and_is_told(engine, videos, monkeypatch):
    def homeless():
        raise FileNotFoundError("no home folder of this user is known")

    monkeypatch.setattr(caching, "user_cache_folder", homeless)
    run = spot(*videos("clip.mp4"))
    assert run.exit_code == 0
    assert "not cached (no home folder" in run.stderr


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


def test_the_help_names_every_format():
    text = " ".join(spot("--help").stdout.split())
    assert ", ".join(FORMATS) in text


def test_a_format_that_is_not_installed_is_told_before_any_work(engine, videos, monkeypatch):
    monkeypatch.setattr(formats_module, "find_spec", lambda name: None)
    run = spot(*videos("clip.mp4"), "--format", "csv,xlsx")
    assert run.exit_code == 1
    assert "pip install 'facespot[tables]'" in run.stderr
    assert engine.calls == []


def test_segments_are_a_column_and_rows_of_the_summary(engine, videos, tmp_path):
    (tmp_path / "events.csv").write_text("stimulus,start,end,video\ncalm,0,1,\nloud,1.5,3,b.mp4\n")
    given = videos("a.mp4", "b.mp4")
    assert spot(*given, "--segments", tmp_path / "events.csv").exit_code == 0
    with (tmp_path / "b.spots.csv").open(newline="") as file:
        assert [row["segment"] for row in csv.DictReader(file)] == ["calm", "loud"]
    with (tmp_path / "summary.csv").open(newline="") as file:
        rows = [(Path(row["video"]).name, row["segment"]) for row in csv.DictReader(file)]
    assert rows == [("a.mp4", ""), ("a.mp4", "calm"), ("b.mp4", ""), ("b.mp4", "calm"), ("b.mp4", "loud")]
    (tmp_path / "events.csv").write_text("stimulus,start,end\ncalm,2,1\n")
    run = spot(*given, "--segments", tmp_path / "events.csv")
    assert run.exit_code == errors.AnnotationError.exit_code


def test_same_names_from_different_folders_do_not_overwrite_each_other(engine, videos, tmp_path):
    given = videos("a/clip.mp4", "b/clip.mp4", "b/clip.avi", "other.mp4")
    run = spot(*given, "-o", tmp_path / "out", "-q")
    assert run.exit_code == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "a_clip.mp4.spots.csv", "b_clip.mp4.spots.csv", "clip.avi.spots.csv", "other.spots.csv", "summary.csv",
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
    names = output_names(given, tmp_path / "out")
    assert len({str(name).casefold() for name in names.values()}) == len(given)
    beside = output_names(given, None)
    assert beside[given[0]] == tmp_path / "x" / "a" / "c"
    assert beside[given[5]] == tmp_path / "c.mp4"
    assert beside[given[6]] == tmp_path / "c.avi"


def test_folder_of_images_keeps_its_dots(tmp_path):
    folder = tmp_path / "006_1.raw"
    folder.mkdir()
    assert output_names([folder], None)[folder] == tmp_path / "006_1.raw"


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
    assert {p.name for p in tmp_path.glob("*.spots.csv")} == {"good.spots.csv", "last.spots.csv"}
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


def test_extract_fails_where_nothing_can_be_stored(engine, videos, tmp_path):
    engine.failures["full.mp4"] = errors.CacheError("full.mp4: the features could not be stored in c (disk full)")
    run = spot("extract", *videos("clip.mp4", "full.mp4"), "--cache", tmp_path / "c")
    assert run.exit_code == 1
    assert "disk full" in run.stderr
    assert "features are in" not in run.stdout
    assert engine.must_store == [True, True]
    assert spot(*videos("clip.mp4")).exit_code == 0
    assert engine.must_store[-1] is False


@pytest.mark.parametrize(
    "arguments",
    [
        ["v", "--face", "biggest"], ["v", "--face", "-1"], ["v", "--format", "csv,docx"], ["v", "--fps", "0"],
        ["v", "--type", "mini"], ["v", "--min-confidence", "2"], ["v", "--min-confidence", "0.5,0.6,0.7"],
        ["v", "--jobs", "0"], ["v", "--device", "tpu"], ["v", "--model", "best"],
        ["v", "--model", "gim", "--weights", "w"], ["v", "--nonsense"],
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
    command = cli.main.commands[name]
    assert command.name == name


def test_without_jobs_named_as_many_are_at_work_as_there_are_cores(engine, videos):
    given = videos("a.mp4", "b.mp4", "c.mp4")
    assert spot(*given).exit_code == 0
    assert spot(*given, "--jobs", "1", "--patience", "7").exit_code == 0
    assert spot(*given, "--jobs", "1000").exit_code == 0
    most = min(3, usable_cores())
    assert engine.asked("run_jobs") == [(most, PATIENCE_S), (1, 7.0), (most, PATIENCE_S)]


def test_a_folder_stands_for_the_videos_in_it(engine, videos, tmp_path):
    videos("set/b.mp4", "set/deep/a.avi", "set/notes.txt", "set/.hidden.mp4", "set/deep/a.spots.png")
    assert spot(tmp_path / "set", tmp_path / "set" / "b.mp4").exit_code == 0
    assert [call[0].name for call in engine.asked("extract")] == ["b.mp4", "a.avi"]
    assert (tmp_path / "set" / "deep" / "a.spots.csv").exists()
    assert (tmp_path / "set" / "summary.csv").exists()


def test_a_folder_of_images_stays_one_recording(engine, videos, tmp_path):
    videos(*(f"film/img_{i:04d}.png" for i in range(20)))
    assert spot(tmp_path / "film", "--fps", "100").exit_code == 0
    assert [call[0].name for call in engine.asked("extract")] == ["film"]
    # Beside videos only where the rate is known.
    videos("clip.mp4")
    engine.calls.clear()
    spot(tmp_path)
    assert [call[0].name for call in engine.asked("extract")] == ["clip.mp4"]
    engine.calls.clear()
    spot(tmp_path, "--fps", "100")
    assert [(call[0].name, call[2]) for call in engine.asked("extract")] == [("clip.mp4", 100.0), ("film", 100.0)]


def test_an_empty_folder_is_told_like_any_bad_recording(engine, tmp_path):
    (tmp_path / "empty").mkdir()
    engine.failures["empty"] = errors.NotAVideoError("empty: no images")
    assert spot(tmp_path / "empty").exit_code == errors.NotAVideoError.exit_code


@pytest.mark.parametrize(
    ("name", "code"), [("x" * 300 + ".mp4", 4), ("clip.mp4/inside.mp4", 3), ("loop", 4)], ids=["long", "inside", "loop"]
)
def test_a_path_that_cannot_be_looked_at_stops_nothing(engine, videos, tmp_path, name, code):
    (video,) = videos("clip.mp4")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    run = spot(tmp_path / name, video)
    assert run.exit_code == code
    assert (tmp_path / "clip.spots.csv").exists()
    assert "1 of 2 videos failed" in run.stderr


def test_an_unreadable_file_is_that_files_error(engine, videos, tmp_path):
    """Reading it is what fails, not the check of the arguments."""
    secret, video = videos("secret.mp4", "clip.mp4")
    Path(secret).chmod(0)
    engine.failures["secret.mp4"] = errors.NotAVideoError("secret.mp4: cannot be read")
    run = spot(secret, video)
    assert run.exit_code == errors.NotAVideoError.exit_code
    assert len(engine.asked("extract")) == 2


def test_several_recordings_end_in_a_summary(engine, videos, tmp_path):
    given = videos("a.mp4", "bad.mp4", "b.mp4")
    engine.failures["bad.mp4"] = errors.NoFaceError("bad: no face")
    run = spot(*given)
    with (tmp_path / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], row["macro_count"], row["micro_count"]) for row in rows] == [
        (given[0], "1", "1"),
        (given[2], "1", "1"),
    ]
    table = run.stdout[run.stdout.index("face usable  warnings") :].splitlines()
    assert [line.split()[0] for line in table[1:3]] == ["a.mp4", "b.mp4"]
    assert table[3] == f"-> {tmp_path / 'summary.csv'}"


def test_a_summary_replaces_no_other_file(engine, videos, tmp_path):
    given = videos("a.mp4", "b.mp4")
    assert spot(*given).exit_code == spot(*given).exit_code == 0
    (tmp_path / "summary.csv").write_text("mine")
    run = spot(*given)
    assert run.exit_code == 0
    assert "no summary is written" in run.stderr
    run = spot(*given, "-o", tmp_path)
    assert run.exit_code == 1
    assert (tmp_path / "summary.csv").read_text() == "mine"
    assert "summary.csv" not in spot(given[0], "-o", tmp_path).stdout


def test_a_chosen_face_is_in_the_names_of_its_files(engine, videos, tmp_path, monkeypatch):
    (video,) = videos("clip.mp4")
    spot(video, "-q")
    for face in (0, 1):
        monkeypatch.setattr(engine, "face", face)
        run = spot(video, "--face", face, "--format", "csv,json")
        assert f"clip.mp4 (face {face}): 2 expressions" in run.stdout
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {
        "clip.mp4", "clip.spots.csv", "clip.face0.spots.csv", "clip.face0.spots.json", "clip.face1.spots.csv",
        "clip.face1.spots.json",
    }  # fmt: skip
    with (tmp_path / "clip.face1.spots.csv").open(newline="") as file:
        assert {row["face"] for row in csv.DictReader(file)} == {"1"}


def test_nothing_found_says_how_near_it_came(engine, videos, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "INTERVALS", ())
    run = spot(*videos("clip.mp4"))
    assert "the strongest candidate has confidence 0.31; reported from 0.78 (macro) and 0.74 (micro) on" in run.stdout


def test_rows_that_are_cut_off_say_so(engine, videos, monkeypatch):
    assert "cut off" not in spot(*videos("clip.mp4")).stdout
    monkeypatch.setattr(engine, "cut_off", "end")
    lines = spot(*videos("clip.mp4")).stdout.splitlines()
    assert lines[1].endswith("cut off")
    assert lines[2].split()[-1] == "end"


def test_each_type_may_have_its_own_least_confidence(engine, videos):
    spot(*videos("clip.mp4"), "--min-confidence", "0.8,0.6")
    assert engine.asked("spot") == [((0.8, 0.6), None)]


def test_ignoring_speech_needs_weights_that_tell_it(engine, videos):
    run = spot(*videos("clip.mp4"), "--ignore-speech")
    assert run.exit_code == errors.FacespotError.exit_code
    assert "do not tell where somebody is talking" in run.stderr
    assert not list(Path(videos("clip.mp4")[0]).parent.glob("*.csv"))


@pytest.mark.parametrize(("asked", "rows"), [((), 2), (("--ignore-speech",), 1)])
def test_mouths_that_talk_are_ignored_when_asked_for(engine, videos, monkeypatch, asked, rows):
    lips = Explanation(
        (RegionMotion("lower lip", "middle", 0.0, 2.0, 2.0),), "", 2.0, 1.0, None, None, 0.0, 0.0, 1.0, ()
    )
    told = engine.spot

    def talking(*arguments, **options):
        result = told(*arguments, **options)
        spots = (replace(result.spots[0], explanation=lips), *result.spots[1:])
        return replace(result, spots=spots, speaking=np.ones(result.timebase.n_ticks))

    monkeypatch.setattr(engine, "spot", talking)
    run = spot(*(videos("clip.mp4")), *asked)
    assert ("1 expression of the mouth alone" in run.stderr) == bool(asked)
    with open(videos("clip.mp4")[0].replace(".mp4", ".spots.csv"), newline="") as file:
        assert len(list(csv.DictReader(file))) == rows


@pytest.mark.parametrize("sources", [("clip.mp4", "--follow"), ("--camera", "0")], ids=" ".join)
def test_what_is_followed_is_not_listened_to(sources):
    run = spot("--voice", "on", *sources)
    assert run.exit_code == 2
    assert "--voice on wants a finished recording" in run.stderr


def test_a_voice_without_its_extra_ends_the_command(engine, videos, monkeypatch):
    monkeypatch.setattr(voice, "installed", lambda: False)
    run = spot(*videos("a.mp4", "b.mp4"), "--voice", "on")
    assert run.exit_code == errors.FacespotError.exit_code
    assert run.stderr.count("pip install 'facespot[voice]'") == 1
    assert engine.asked("extract") == []


@pytest.mark.parametrize("choice", ["auto", "off"])
def test_every_recording_is_listened_to_as_it_was_asked_for(engine, videos, monkeypatch, choice):
    asked, heard = [], {}

    def listen(path, timebase, how, progress):
        progress()
        asked.append((path.name, timebase.n_ticks, how))
        return heard.setdefault(path.name, voice.Voice(np.ones(timebase.n_ticks), {}))

    monkeypatch.setattr(voice, "listen", listen)
    spot(*videos("a.mp4", "b.mp4"), *(("--voice", choice) if choice != "auto" else ()))
    assert asked == [(name, 100, choice) for name in ("a.mp4", "b.mp4")]
    assert engine.voices == [heard["a.mp4"], heard["b.mp4"]]


@pytest.mark.parametrize("command", [(), ("report",)], ids=["run", "report"])
def test_a_recording_without_sound_cannot_be_listened_to(engine, tmp_path, monkeypatch, command):
    monkeypatch.setattr(voice, "installed", lambda: True)
    clip = write_video(tmp_path / "clip.mp4", noise(3))
    run = spot(*command, clip, "--voice", "on")
    assert run.exit_code == errors.FacespotError.exit_code
    assert "clip.mp4: has no sound track to listen to" in run.stderr
    assert engine.asked("extract") == []


def test_completion_knows_commands_options_and_files():
    def complete(words):
        environment = {"_SPOT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        run = CliRunner().invoke(cli.main, prog_name="spot", env=environment)
        return run.stdout.splitlines()

    assert complete("spot ext") == ["plain,extract"]
    assert complete("spot my_vid") == ["file,my_vid"]
    assert "plain,--plot" in complete("spot --p")
    assert complete("spot clip.mp4 --dev") == ["plain,--device"]
    assert complete("spot clip.mp4 --type m") == ["plain,macro", "plain,micro"]
    for shell in cli.SHELLS:
        assert "_SPOT_COMPLETE" in spot("--completion", shell).stdout
