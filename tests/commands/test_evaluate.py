"""The command spot evaluate, as a user calls it."""

import json

import pytest
from click.testing import CliRunner
from facespot.cli import main
from facespot.spotting.learning.recipes import PointRecipe
from small_set import small_records, store_features, tiny

pytestmark = pytest.mark.usefixtures("one_thread")
HEAD = "video,subject,onset,apex,offset,type,fps\n"


def spot(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def tables(tmp_path):
    predictions = written(tmp_path / "p.csv", "vid,onset,offset,type\nv1,10,40,mae\nv1,100,108,me\n")
    truth = written(tmp_path / "t.csv", "video,subject,onset,apex,offset,type\nv1,p1,12,20,41,macro\n")
    return predictions, truth


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared folder, and its annotations in two tables, one of them with a video that was not prepared."""
    folder = tmp_path_factory.mktemp("data")
    store_features(folder / "features")
    records = small_records(subjects=4)
    for name, subjects in (("one", ("p0", "p1")), ("two", ("p2", "p3"))):
        lines = ["Media file name,Behavior,Start (s),Stop (s),Subject"]
        for r in records[records["subject"].isin(subjects)].itertuples(index=False):
            lines.append(
                f"{r.video.replace('/v0', '')}.mp4,{r.type},{r.onset / 30:.3f},{r.offset / 30:.3f},{r.subject}"
            )
        written(folder / f"{name}.csv", "\n".join(lines) + "\n")
    index = folder / "features" / "index.csv"
    index.write_text(index.read_text().replace("/v0,", ","))
    return folder


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(PointRecipe, "preset", classmethod(lambda cls, *names: tiny("context", epochs=2)))


def test_two_tables_are_compared_and_the_report_says_the_same(tables, tmp_path):
    result = spot("evaluate", *tables, "-o", tmp_path / "out", "--megc", "2022")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["counts"]["macro"]["f1"] == 1.0
    assert report["counts"]["micro"]["fp"] == 1
    assert (tmp_path / "out" / "report.csv").read_text().startswith("subject,class,")
    assert (tmp_path / "out" / "megc2022.csv").read_text().splitlines()[0] == "vid,pred_onset,pred_offset,type"
    assert "overall" in result.stdout
    assert "0.6667" in result.stdout
    # The submission knows no apex.
    assert "apex error" not in result.stdout
    assert result.stderr == ""


def test_wrong_usage_is_told(tables, tmp_path):
    assert spot("evaluate", tables[0]).exit_code == 2
    assert spot("evaluate", tables[0], tmp_path / "none.csv").exit_code == 8
    assert spot("evaluate", "--loso", "-o", tmp_path).exit_code == 2
    assert spot("evaluate", "--weights", "shipped", *tables).exit_code == 2
    assert spot("evaluate", "--weights", "shipped", "--loso").exit_code == 2
    wrong = spot("evaluate", *tables, "--open-offset", "later")
    assert wrong.exit_code == 2
    assert "onset+20" in wrong.stderr


def test_what_looks_wrong_is_said_on_stderr_and_kept_in_the_report(tables, tmp_path):
    more = written(tmp_path / "more.csv", "vid,onset,offset,type\nv2,10,40,mae\nv1,9,3,me\n")
    result = spot("evaluate", tables[0], more, tables[1], "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "more.csv, row 3, column C (offset): 3 after an onset of 9 is no interval" in result.stderr
    assert "1 video predicted and not annotated" in result.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert len(report["notes"]) == 2
    assert report["unannotated"] == ["v2"]
    assert spot("evaluate", tables[0], more, tables[1], "-q").stderr == ""
    strict = spot("evaluate", tables[0], more, tables[1], "--strict")
    assert strict.exit_code == 8
    assert "row 3" in strict.stderr


def test_a_folder_of_results_is_judged_by_several_annotations(tmp_path):
    ours = "video,type,onset_s,apex_s,offset_s,onset_frame,apex_frame,offset_frame,confidence\n"
    written(tmp_path / "out" / "s15_0101.spots.csv", ours + "s15_0101.mp4,macro,1.0,1.5,2.0,30,45,60,0.8\n")
    written(tmp_path / "out" / "15_0102x.spots.csv", ours)
    one = written(tmp_path / "1.csv", HEAD + "15_0101,s15,30,40,60,macro,30\n")
    two = written(tmp_path / "2.csv", HEAD + "15_0102,s15,30,40,60,macro,30\n15_0401,s15,5,6,9,micro,30\n")
    words = ("evaluate", tmp_path / "out", "--annotations", one, "--annotations", two, "-o", tmp_path / "report")
    result = spot(*words)
    assert result.exit_code == 0, result.output
    assert "2 of 3 are covered" in result.stderr
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (report["counts"]["macro"]["tp"], report["counts"]["overall"]["fn"]) == (1, 2)
    assert (report["subjects"], report["absent"]) == (1, ["15_0401"])
    assert spot(*words, "--absent", "left-out").exit_code == 0
    assert json.loads((tmp_path / "report" / "report.json").read_text())["counts"]["overall"]["fn"] == 1


def test_where_open_expressions_end_is_chosen_and_said(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    coding = book.active
    coding.title = "CASFEcode_final"
    coding.append([1, "disgust1_1", 100, 130, 0, "4", "negative", "macro-expression", "disgust"])
    book.create_sheet("naming rule1").append(["15", "s15", 1])
    book.create_sheet("naming rule2").append(["0101", "disgust1"])
    book.save(tmp_path / "sheet.xlsx")
    said = written(tmp_path / "p.csv", "vid,onset,offset,type\n15_0101,100,160,mae\n")

    def judged(*more):
        result = spot("evaluate", said, tmp_path / "sheet.xlsx", "-o", tmp_path / "out", *more)
        assert result.exit_code == 0, result.output
        report = json.loads((tmp_path / "out" / "report.json").read_text())
        assert f"closed at {report['open_offset']}" in result.stdout
        return report["open_ended"], report["open_offset"], report["counts"]["macro"]["tp"]

    # The apex, frame 130, comes later than 20 frames after the onset: 31 of 61 frames either way.
    assert judged() == (1, "onset+20", 1)
    assert judged("--open-offset", "apex") == (1, "apex", 1)
    assert judged("--open-offset", "onset+200") == (1, "onset+200", 0)


def test_the_authors_count_is_beside_ours(tables, tmp_path):
    result = spot("evaluate", *tables, "--protocol", "authors", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    steps = json.loads((tmp_path / "report.json").read_text())["authors"]
    assert [step["step"] for step in steps] == ["MEGC", "lengths", "matching", "classes"]
    # p1 has no micro-expression, so that the false alarm of that class is none to them.
    assert [step["counts"] for step in steps] == [[1, 1, 0]] * 3 + [[1, 0, 0]]
    assert f"{1 - 2 / 3:+.4f}" in result.stdout


def test_given_weights_are_judged_on_a_data_set(data, tmp_path):
    annotations = [word for name in ("one", "two") for word in ("--annotations", data / f"{name}.csv")]
    words = ("evaluate", "--weights", "shipped", "--dataset", data / "features", *annotations, "--device", "cpu")
    result = spot(*words, "-o", tmp_path, "--protocol", "authors", "--megc", "2023")
    assert result.exit_code == 0, result.output
    assert "3 of 4 are covered" in result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["protocol"], report["weights"]["architecture"]) == ("given weights", "context")
    assert report["laboratory_weights"]["weights"] == "laboratory.safetensors"
    assert (report["absent"], report["subjects"]) == (["p3"], 4)
    # The clips are simulated, and so were those that the weights learnt from. A quarter of the truth is in the video
    # without features, and all of that counts as missed.
    assert report["counts"]["overall"]["f1"] > 0.35
    assert [step["step"] for step in report["authors"]][:3] == ["MEGC", "clock", "decoder"]
    assert [step["step"] for step in report["authors_alone"]] == ["MEGC", "evaluator", "decoder"]
    assert report["authors_alone"][0]["counts"] == report["authors"][1]["counts"]
    assert "one departure at a time" in result.stdout
    assert (tmp_path / "megc2023.csv").read_text().startswith("vid,onset,offset,type\n")
    assert spot(*words, "--weights", data / "none").exit_code == 7


def test_leave_one_out_by_the_authors_rule_too(data, quick, tmp_path):
    annotations = [word for name in ("one", "two") for word in ("--annotations", data / f"{name}.csv")]
    words = ("--dataset", data / "features", *annotations, "-o", tmp_path, "--device", "cpu", "--processes", 1)
    result = spot("evaluate", "--loso", *words, "--protocol", "authors", "--oracle-epoch", "--folds", 2)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["absent"] == ["p3"]
    assert [step["step"] for step in report["authors"]][-1] == "epoch"
    assert [step["step"] for step in report["authors_alone"]] == ["MEGC", "evaluator", "decoder", "epoch"]
    oracle = json.loads((tmp_path / "oracle_epoch.json").read_text())
    assert "not the number of published tables" in oracle["epoch"]
    refused = spot("evaluate", "--loso", *words[:-4], "--model", "auw-gcn", "--protocol", "authors")
    assert refused.exit_code == 2


def test_names_that_could_be_several_videos_are_none(tmp_path):
    """BORIS knows the file's name alone, and three of the prepared videos are called v0."""
    store_features(tmp_path / "features")
    lines = [f"v0.mp4,{r.type},{r.onset / 30:.3f},{r.offset / 30:.3f}" for r in small_records().itertuples()]
    boris = written(tmp_path / "b.csv", "Media file name,Behavior,Start (s),Stop (s)\n" + "\n".join(lines) + "\n")
    words = ("--dataset", tmp_path / "features", "--annotations", boris, "-o", tmp_path / "o", "--device", "cpu")
    result = spot("evaluate", "--loso", *words)
    assert result.exit_code == 8
    assert "too few" in result.stderr
