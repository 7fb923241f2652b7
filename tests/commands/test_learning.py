"""The commands spot train, evaluate and simulate, as a user calls them."""

import importlib
import json

import pytest
from click.testing import CliRunner
from facespot.cli import main
from facespot.commands.recipe_options import recipe_of
from facespot.errors import FacespotError
from facespot.models.checkpoint import load_checkpoint
from facespot.spotting.learning.recipes import PointRecipe
from small_set import small_records, store_features, tiny

train_module = importlib.import_module("facespot.commands.train")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A prepared folder, a list of points, and a sheet in BORIS' form, all of the same clips."""
    folder = tmp_path_factory.mktemp("data")
    store_features(folder / "features")
    points = ["video,subject,time_s,type"]
    boris = ["Media file name,Behavior,Start (s),Stop (s),Subject"]
    for r in small_records().itertuples(index=False):
        points.append(f"{r.video},{r.subject},{r.apex / 30:.3f},{r.type}")
        boris.append(f"{r.video}.mp4,{r.type},{r.onset / 30:.3f},{r.offset / 30:.3f},{r.subject}")
    (folder / "points.csv").write_text("\n".join(points) + "\n")
    (folder / "boris.csv").write_text("\n".join(boris) + "\n")
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Every preset is small, and says what was asked for."""
    asked = []

    def preset(cls, name="own", network="journal", size="small"):
        asked.append((name, network, size))
        return tiny(network)

    monkeypatch.setattr(PointRecipe, "preset", classmethod(preset))
    return asked


def spot(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_train_writes_weights_and_goes_on_when_called_again(data, quick, tmp_path):
    words = ("train", data / "features", data / "points.csv", "-o", tmp_path, "--device", "cpu", "--epochs", 2)
    first = spot(*words)
    assert first.exit_code == 0, first.output
    assert "points in 3 videos" in first.output
    assert quick == [("own", "context", "small")]
    before = (tmp_path / "weights.safetensors").read_bytes()
    assert load_checkpoint(tmp_path / "weights.safetensors", "context").notes["epochs"] == 2
    again = spot(*words)
    assert again.exit_code == 0
    assert (tmp_path / "weights.safetensors").read_bytes() == before
    other = spot(*words, "--seed", 3)
    assert other.exit_code == 7
    assert "another folder" in other.stderr


def test_every_option_reaches_the_recipe(monkeypatch):
    options = {
        "preset": "casme2",
        "model": "journal",
        "size": "small",
        "rules": "paper",
        "epochs": 7,
        "rate": 0.01,
        "batch": 3,
        "weight_decay": 0.0,
        "precision": "bf16",
        "labels": "class-mean",
        "durations": None,
        "overlap": "lower",
        "k_c": 24,
        "intensity_loss": "bce",
        "without_iac": True,
        "init": None,
    }
    recipe = recipe_of(options, [300])
    assert (recipe.network, recipe.epochs, recipe.rate) == ("journal", 7, 0.01)
    assert (recipe.batch, recipe.weight_decay, recipe.precision) == (3, 0.0, "bf16")
    assert (recipe.labels.strategy, recipe.labels.overlap, recipe.labels.duration) == ("class_mean", "lower", (24, 16))
    assert (recipe.loss.intensity, recipe.loss.contrastive, recipe.loss.norm) == ("bce", 0.0, 2.5)
    assert (recipe.labels.durations, recipe.labels.certain) == ("intensity", None)
    by_landmarks = recipe_of(options | {"durations": "landmarks"}, [300]).labels
    assert (by_landmarks.durations, by_landmarks.certain) == ("landmarks", (120, 17))
    own = options | {"model": "context"}
    assert recipe_of(own, [300]).labels.durations == "landmarks"
    paper = recipe_of(own | {"durations": "intensity"}, [300]).labels
    assert (paper.durations, paper.certain) == ("intensity", None)


def test_the_methods_that_gim_is_compared_with_can_be_trained(data, quick, tmp_path):
    words = ("train", data / "features", data / "points.csv", "-o", tmp_path, "--device", "cpu", "--epochs", 1)
    trained = spot(*words, "--model", "journal", "--labels", "hr-pro")
    assert trained.exit_code == 0, trained.output
    checkpoint = load_checkpoint(tmp_path / "weights.safetensors", "gim")
    assert checkpoint.notes["recipe"]["labels"]["strategy"] == "hr_pro"
    of_gim = ("--model", "journal", "--without-iac")
    for wrong, why in ((of_gim, "is of GIM, not of tsp-net"), (("--model", "context"), "on the paper's networks")):
        refused = spot(*words, *wrong, "--labels", "tsp-net")
        assert refused.exit_code == 2
        assert why in refused.stderr


def test_given_weights_are_tuned_not_taught_anew():
    options = {
        "preset": "own",
        "model": "context",
        "size": "small",
        "rules": "paper",
        "epochs": None,
        "rate": None,
        "batch": None,
        "weight_decay": None,
        "precision": "float32",
        "labels": "gim",
        "durations": None,
        "overlap": "random",
        "k_c": None,
        "intensity_loss": "mse",
        "without_iac": False,
        "init": "shipped",
    }
    few, many = (recipe_of(options, ticks) for ticks in ([300] * 5, [2000] * 100))
    assert few.rehearsal == many.rehearsal > 0
    assert few.labels.margin is not None
    assert few.epochs > 50 > many.epochs >= 3
    assert few.rate < recipe_of(options | {"init": None}, [300] * 5).rate
    assert recipe_of(options | {"epochs": 5, "rate": 0.1}, [300] * 5).epochs == 5
    paper = recipe_of(options | {"durations": "intensity"}, [300] * 5).labels
    assert (paper.durations, paper.certain, paper.margin) == ("intensity", None, None)


def test_the_authors_options_are_taken_or_answered_by_ours(data, monkeypatch, tmp_path):
    asked = []

    def recipe(options, ticks):
        asked.append({name: options[name] for name in ("epochs", "rate", "batch", "weight_decay")})
        raise FacespotError("enough")

    monkeypatch.setattr(train_module, "recipe_of", recipe)
    learn = ("train", data / "features", data / "points.csv", "-o", tmp_path)
    theirs = ("--max-iter", 100, "--lr", 0.00002, "--batch-size", 1, "--weight_decay", 0.1)
    assert "enough" in spot(*learn, *theirs).stderr
    assert asked == [{"epochs": 100, "rate": 0.00002, "batch": 1, "weight_decay": 0.1}]
    for command in (learn, ("evaluate", "--loso")):
        for name, ours in (("--model-name", "-o"), ("--cuda", "--device"), ("--pretrained-ckpt", "spot convert")):
            refused = spot(*command, name, "CO2")
            assert refused.exit_code == 2
            assert f"{name} is of the authors' scripts" in refused.stderr
            assert ours in refused.stderr
    assert "--interval" in spot("evaluate", "--help").stdout
    assert "--model-name" not in spot("train", "--help").stdout


def test_half_precision_wants_a_device_that_has_it(data, quick, tmp_path):
    half = ("train", data / "features", data / "points.csv", "-o", tmp_path, "--device", "cpu", "--precision", "fp16")
    refused = spot(*half)
    assert refused.exit_code != 0
    assert "needs CUDA" in refused.stderr
    assert "--precision bf16" in refused.stderr


def test_impossible_recipes_and_missing_files_are_told(data, tmp_path):
    wrong = spot("train", data / "features", data / "points.csv", "-o", tmp_path, "--size", "paper")
    assert wrong.exit_code == 2
    assert "no paper's" in wrong.stderr
    missing = spot("train", data / "features", data / "none.csv", "-o", tmp_path)
    assert missing.exit_code == 8
    assert "none.csv" in missing.stderr
    weights = spot("train", data / "features", data / "points.csv", "-o", tmp_path, "--init", data / "none")
    assert weights.exit_code == 7


def test_tuning_says_what_it_did_for_videos_it_did_not_learn_from(data, quick, tmp_path):
    prepared = store_features(tmp_path / "features", subjects=5)
    lines = [f"{r.video},{r.subject},{r.apex / 30:.3f},{r.type}" for r in small_records(5).itertuples(index=False)]
    (tmp_path / "points.csv").write_text("\n".join(["video,subject,time_s,type", *lines]) + "\n")
    train = ("train", prepared.folder, tmp_path / "points.csv", "--device", "cpu", "--epochs", 1)
    first = spot(*train, "-o", tmp_path / "first")
    assert "held out" not in first.output
    tuned = spot(*train, "-o", tmp_path / "tuned", "--init", tmp_path / "first" / "weights.safetensors")
    assert tuned.exit_code == 0, tuned.output
    assert "points in 4 videos" in tuned.output
    assert "held out: 1 video, " in tuned.output
    assert " before and " in tuned.output
    few = spot("train", data / "features", data / "points.csv", *train[3:], "-o", tmp_path / "few", "--hold-out", 0.5)
    assert "points in 3 videos" in few.output
    assert "no video is held out of fewer than 4" in few.output


def test_the_rules_of_the_release_can_be_learnt_by(data, quick, tmp_path):
    words = ("train", data / "features", data / "points.csv", "-o", tmp_path, "--device", "cpu", "--epochs", 1)
    trained = spot(*words, "--model", "journal", "--rules", "release", "--preset", "casme2")
    assert trained.exit_code == 0, trained.output
    checkpoint = load_checkpoint(tmp_path / "weights.safetensors", "gim")
    recipe = checkpoint.notes["recipe"]
    assert (recipe["rules"], recipe["loss"]["contrastive"], recipe["labels"]["overlap"]) == ("release", 1.4e-5, "later")
    assert checkpoint.config["logit_dropout"] == 0.7
    for wrong, why in ((("--overlap", "lower"), "not of its authors' release"), (("--model", "context"), "journal")):
        refused = spot(*words, "--model", "journal", "--rules", "release", *wrong)
        assert refused.exit_code == 2
        assert why in refused.stderr


def test_a_damaged_entry_and_absent_videos_take_one_line_each(data, quick, tmp_path):
    prepared = store_features(tmp_path / "features")
    many = (data / "points.csv").read_text() + "".join(f"absent{i:02d},p,1.0,macro\n" for i in range(91))
    (tmp_path / "points.csv").write_text(many)
    words = ("train", prepared.folder, tmp_path / "points.csv", "-o", tmp_path / "run", "--device", "cpu")
    trained = spot(*words, "--epochs", 1)
    assert trained.exit_code == 0, trained.output
    assert "without features: 91 videos (absent00 (own), absent01 (own), absent02 (own) and 88 more)" in trained.output
    assert trained.output.count("absent") == 3
    array = prepared.folder / prepared.videos[0].entry / "snippets.npy"
    array.write_bytes(array.read_bytes()[:-1])
    damaged = spot(*words)
    assert damaged.exit_code == 8
    (line,) = damaged.stderr.splitlines()
    assert line.startswith("spot: error: p0/v0: its features are damaged")


def test_simulate_makes_what_train_takes(quick, tmp_path):
    sheet = tmp_path / "own.csv"
    lines = ["Media file name,Behavior,Start (s),Stop (s),Subject"]
    for subject in ("anna", "ben"):
        lines += [f"{subject}1.mp4,macro,1.0,2.0,{subject}", f"{subject}1.mp4,micro,3.0,3.3,{subject}"]
    sheet.write_text("\n".join(lines) + "\n")
    made = spot("simulate", "--timeline", sheet, "-o", tmp_path / "twin", "--tail", 1)
    assert made.exit_code == 0, made.output
    assert "2 videos" in made.output
    words = ("--dataset", tmp_path / "twin", "--annotations", sheet, "-o", tmp_path / "loso", "--device", "cpu")
    judged = spot("evaluate", "--loso", *words, "--processes", 1, "--megc", "2023", "--oracle-epoch")
    assert judged.exit_code == 0, judged.output
    assert "oracle epoch: best on the left-out subject" in judged.output
    assert json.loads((tmp_path / "loso" / "report.json").read_text())["subjects"] == 2
    assert (tmp_path / "loso" / "megc2023.csv").exists()


def test_help_names_the_commands_without_loading_anything_heavy():
    result = spot("--help")
    for name in ("train", "evaluate", "simulate"):
        assert name in result.output
