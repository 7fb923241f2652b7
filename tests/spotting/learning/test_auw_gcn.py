"""AUW-GCN: graph from action units, features, targets, loss, network, decoding, training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from facespot.cli import main
from facespot.errors import AnnotationError, WeightsError
from facespot.extract.features import FaceFeatures
from facespot.extract.timebase import Timebase
from facespot.models.auw_gcn import AUWGCN, CONTEXT, NEITHER, OFFSET, ONSET, AUWGCNConfig, AUWGCNOutput
from facespot.models.checkpoint import load_checkpoint
from facespot.spotting.datasets import annotations
from facespot.spotting.datasets.aus import parse_aus
from facespot.spotting.datasets.sampling import sample_points
from facespot.spotting.intervals import Interval
from facespot.spotting.learning.auw_graph import au_adjacency, count_units
from facespot.spotting.learning.auw_losses import binary_focal, detection_loss, ends_focal
from facespot.spotting.learning.auw_targets import TargetSettings, detection_targets
from facespot.spotting.learning.auw_training import AuwRecipe, AuwTrainer, auw_trainer, train_auw_gcn
from facespot.spotting.learning.interval_videos import pair_intervals
from facespot.spotting.learning.point_videos import pair_points
from facespot.spotting.learning.training import STATE_NAME
from facespot.spotting.readers.auw_decoding import AuwDecoding, decode_detections
from facespot.spotting.readers.auw_features import motion_statistics, tick_motion, window_ranges, with_context
from facespot.spotting.spotter import Spotter
from small_set import clip, small_records, store_features

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return store_features(tmp_path_factory.mktemp("features"))


def coded_records(text="1+2+12"):
    records = small_records()
    records["aus"] = [parse_aus(text)] * len(records)
    return records


@pytest.fixture(scope="module")
def videos(prepared):
    return pair_intervals(prepared, coded_records())[0]


def moving_features(positions, segment=None):
    """Features whose ten ROIs move through positions (n, 10, 2), snippets as extraction makes them."""
    n = len(positions)
    segment = np.zeros(n, np.int32) if segment is None else segment
    snippets = np.zeros((n, 17, 10, 2), np.float32)
    for tick in range(n):
        inside = np.flatnonzero(segment == segment[tick])
        first, last = inside[0], inside[-1]
        start = max(tick - 8, first)
        for step in range(17):
            snippets[tick, step] = positions[min(max(tick - 8 + step, first), last)] - positions[start]
    return FaceFeatures(snippets, np.zeros((n, 1, 3), np.float32), segment, Timebase(np.arange(n) / 30.0))


def test_units_are_counted_as_by_hand():
    # 4+12 is a lone 12, since 4 has no node; a reference and a lone 43 count nothing; L12+R12 is one unit.
    annotations = [parse_aus(text) for text in ("4+12", "1+2", "L12+R12", "43", "12+14", "ref(25)")]
    expected = np.zeros((12, 12))
    expected[8, 8] = expected[10, 10] = 2  # the two single 12s
    expected[np.ix_((0, 1, 4, 5), (2, 3))] = expected[np.ix_((2, 3), (0, 1, 4, 5))] = 1
    expected[np.ix_((8, 10), (8, 10))] += 2  # 12 and 14 share their nodes
    assert np.array_equal(count_units(annotations), expected)

    adjacency = au_adjacency(annotations)
    assert np.allclose(adjacency[0], [0, 0, 0.5, 0.5] + [0] * 8)
    assert np.allclose(adjacency[2], [0.25, 0.25, 0, 0, 0.25, 0.25] + [0] * 6)
    assert np.allclose(adjacency[8, [8, 10]], [4 / 6, 2 / 6])
    assert not adjacency[[6, 7]].any()
    assert not adjacency[:, [6, 7, 9, 11]].any()
    sums = adjacency.sum(axis=1)
    assert np.allclose(sums[sums > 0], 1)


def test_three_units_count_every_pair():
    counts = count_units([parse_aus("2+12+26")])
    assert counts[2, 8] == counts[3, 10] == counts[8, 9] == counts[11, 2] == 1
    assert counts[2, 2] == counts[2, 3] == counts[8, 10] == 0
    assert np.array_equal(counts, counts.T)


def test_a_graph_without_units_is_refused():
    with pytest.raises(ValueError, match="action unit of the graph"):
        au_adjacency([parse_aus("4+7"), ()])


@pytest.mark.parametrize("lengths", [(40,), (1, 5, 9, 30)])
def test_motion_is_that_from_each_tick_to_the_next(lengths):
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(sum(lengths), 10, 2))
    segment = np.repeat(np.arange(len(lengths)), lengths).astype(np.int32)
    features = moving_features(positions, segment)
    motion = tick_motion(features)
    expected = np.zeros((sum(lengths), 12, 2))
    steps = np.diff(positions, axis=0)
    steps[np.diff(segment) != 0] = 0
    expected[:-1, [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]] = steps
    assert np.allclose(motion, expected, atol=1e-5)

    broken = replace(features, segment=np.where(segment == 0, -1, segment).astype(np.int32))
    assert not tick_motion(broken)[: lengths[0]].any()


def test_statistics_are_those_of_the_moving_nodes_in_the_segments():
    rng = np.random.default_rng(1)
    motion = np.zeros((50, 12, 2), np.float32)
    moving = [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]
    motion[10:40, moving] = rng.normal((0.3, -0.1), (2.0, 0.5), size=(30, 10, 2))
    mean, scale = motion_statistics([(motion, [(10, 25), (25, 40)])])
    assert np.allclose(mean, motion[10:40, moving].mean(axis=(0, 1)), atol=1e-6)
    assert np.allclose(scale, motion[10:40, moving].std(axis=(0, 1)), atol=1e-6)
    with pytest.raises(ValueError, match="nothing moves"):
        motion_statistics([(motion, [(0, 10)])])
    with pytest.raises(ValueError, match="no motion"):
        motion_statistics([(motion, [])])


def test_windows_tile_a_segment_and_bring_their_context():
    assert window_ranges(3, 520) == [(3, 259), (259, 515), (515, 520)]
    motion = np.arange(600, dtype=np.float32)[:, None, None] * np.ones((12, 2), np.float32)
    part = with_context(motion, (3, 520), 259, 256)
    assert part.shape == (270, 12, 2)
    assert np.array_equal(part[:, 0, 0], [*np.arange(252, 520), 0, 0])
    assert np.array_equal(with_context(motion, (3, 520), 3, 256)[:8, 5, 1], [0] * 7 + [3])


def test_targets_are_those_of_the_release():
    targets = detection_targets([Interval(10, 20, 40, "macro"), Interval(50, 55, 59, "micro")], 60)
    macro, micro = targets.ends.T
    assert np.flatnonzero(macro == ONSET).tolist() == list(range(7, 14))
    assert np.flatnonzero(macro == OFFSET).tolist() == list(range(37, 44))
    assert (macro == NEITHER).sum() == 60 - 14
    assert np.flatnonzero(micro == ONSET).tolist() == [49, 50, 51]
    assert np.flatnonzero(micro == OFFSET).tolist() == [58, 59]
    assert targets.apex[20, 0] == targets.apex[55, 1] == 1
    assert targets.apex[17, 0] == targets.apex[23, 0] == pytest.approx(np.exp(-9 / 32))
    assert np.flatnonzero(targets.apex[:, 0]).tolist() == list(range(17, 24))
    assert np.flatnonzero(targets.apex[:, 1]).tolist() == [54, 55, 56]
    assert np.flatnonzero(targets.action[:, 0]).tolist() == list(range(10, 41))
    assert np.flatnonzero(targets.action[:, 1]).tolist() == list(range(50, 60))
    close = detection_targets([Interval(0, 5, 10, "macro"), Interval(12, 15, 30, "macro")], 40, TargetSettings((2, 1)))
    assert close.ends[[10, 11, 12, 13], 0].tolist() == [OFFSET] * 3 + [ONSET]


def test_focal_losses_by_hand():
    logit = torch.tensor([0.0, 0.0, 2.0])
    target = torch.tensor([1.0, 0.0, 0.0])
    p = 1 / (1 + np.exp(-2))
    expected = [0.9 * 0.5 * np.log(2), 0.1 * 0.34 * np.log(2), -0.1 * (p - 0.16) * np.log(1 - p)]
    assert np.allclose(binary_focal(logit, target, 0.9), expected, atol=1e-4)
    ends = ends_focal(torch.zeros(2, 3), torch.tensor([ONSET, NEITHER]))
    assert np.allclose(ends, [0.45 * 2 / 3 * np.log(3), 0.10 * 2 / 3 * np.log(3)])


def scores_of(targets):
    """An output that says exactly what the targets ask for."""
    ends = torch.nn.functional.one_hot(torch.from_numpy(targets.ends), 3) * 12.0
    apex, action = (torch.logit(torch.from_numpy(a), eps=1e-5) for a in (targets.apex, targets.action))
    return AUWGCNOutput(ends[None], apex[None], action[None])


def test_the_loss_prefers_the_truth_and_leaves_padding_out():
    targets = detection_targets([Interval(20, 30, 50, "macro"), Interval(70, 75, 80, "micro")], 100)
    ends, apex, action = (torch.from_numpy(a)[None] for a in (targets.ends, targets.apex, targets.action))
    valid = torch.ones(1, 100, dtype=torch.bool)
    right = scores_of(targets)
    wrong = AUWGCNOutput(*(-getattr(right, name) for name in ("ends", "apex", "action")))
    terms = detection_loss(right, ends, apex, action, valid, 0.5)
    assert terms["ends"] < 1e-3
    assert terms["total"] == pytest.approx(float(terms["apex"] + terms["ends"] + terms["action"]))
    bad = detection_loss(wrong, ends, apex, action, valid, 0.5)
    assert all(bad[name] > 10 * terms[name] for name in terms)

    # Macro terms are weighted by the ratio.
    only_macro = AUWGCNOutput(*(getattr(right, n).clone() for n in ("ends", "apex", "action")))
    only_macro.ends[:, :, 0] *= -1
    half, full = (
        detection_loss(only_macro, ends, apex, action, valid, ratio)["ends"] - ratio * terms["ends"]
        for ratio in (0.5, 1.0)
    )
    assert full == pytest.approx(2 * float(half), rel=0.01)

    cut = valid.clone()
    cut[:, 60:] = False
    spoilt = AUWGCNOutput(right.ends.clone(), right.apex.clone(), right.action.clone())
    spoilt.ends[:, 60:] *= -1
    spoilt.apex[:, 60:] *= -1
    kept = detection_loss(spoilt, ends, apex, action, cut, 0.5)
    assert kept["total"] == pytest.approx(float(detection_loss(right, ends, apex, action, cut, 0.5)["total"]))
    nothing = detection_loss(right, ends, apex, action, torch.zeros_like(valid), 0.5)
    assert nothing["total"] == 0


def test_network_shapes_and_what_a_tick_sees():
    torch.manual_seed(0)
    adjacency = torch.from_numpy(au_adjacency([parse_aus("1+2"), parse_aus("12")]))
    network = AUWGCN(adjacency=adjacency, mean=torch.tensor([0.1, -0.1]), scale=torch.tensor([2.0, 3.0])).eval()
    motion = torch.randn(3, 64 + 2 * CONTEXT, 12, 2)
    output = network(motion)
    assert output.ends.shape == (3, 64, 2, 3)
    assert output.apex.shape == output.action.shape == (3, 64, 2)
    changed = motion.clone()
    changed[:, CONTEXT + 30] += 5
    moved = (network(changed).apex - output.apex).abs().sum(dim=(0, 2)) > 1e-6
    assert moved[30]
    seen = moved.nonzero()[:, 0]
    assert seen.min() >= 25
    assert seen.max() <= 35
    # Regions that no unit links are not seen at all: nose and lips.
    changed = motion.clone()
    changed[:, :, [6, 7, 9, 11]] += 5
    assert torch.equal(network(changed).apex, output.apex)
    with pytest.raises(ValueError, match="need"):
        network(motion[:, : 2 * CONTEXT])
    with pytest.raises(ValueError, match="adjacency"):
        AUWGCN(adjacency=torch.eye(10))


def test_a_window_with_context_answers_like_the_whole():
    torch.manual_seed(0)
    network = AUWGCN(AUWGCNConfig(graph=4, width=8)).eval()
    motion = torch.randn(1, 300, 12, 2)
    whole = network(motion).action
    part = network(motion[:, 93 : 93 + 100 + 2 * CONTEXT]).action
    assert torch.allclose(part, whole[:, 93:193], atol=1e-5)


def test_clean_scores_give_the_intervals_back():
    truth = [Interval(20, 35, 55, "macro"), Interval(80, 84, 89, "micro"), Interval(100, 110, 130, "macro")]
    targets = detection_targets(truth, 150)
    apex, ends = targets.apex.copy(), np.eye(3)[targets.ends]
    found = decode_detections((apex > 0.99).astype(float), _peaked(ends, truth), [(0, 150)])
    assert [(i.onset, i.apex, i.offset, i.type) for i in found] == [(i.onset, i.apex, i.offset, i.type) for i in truth]
    assert all(i.confidence == pytest.approx(1.0) for i in found)
    # Many apexes near one another are one expression.
    blurred = decode_detections(apex, _peaked(ends, truth), [(0, 150)])
    assert [(i.onset, i.offset, i.type) for i in blurred] == [(i.onset, i.offset, i.type) for i in truth]


def _peaked(ends, truth):
    """Onset and offset scores with their maximum at the very tick."""
    ends = 0.8 * ends + 0.2 * np.array([0.0, 0.0, 1.0])
    for i in truth:
        kind = ("macro", "micro").index(i.type)
        ends[i.onset, kind], ends[i.offset, kind] = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    return ends


def test_decoding_keeps_to_its_limits():
    n = 600
    ends = np.zeros((n, 2, 3))
    ends[..., 2] = 1.0
    apex = np.zeros((n, 2))
    tops = list(range(30, 600, 60))
    for rank, top in enumerate(tops):
        apex[top, 0] = 0.6 + 0.03 * rank
        ends[top - 12, 0] = [0.9, 0.0, 0.1]
        ends[top + 12, 0] = [0.0, 0.9, 0.1]
    found = decode_detections(apex, ends, [(0, n)])
    assert [i.apex for i in found] == tops[-5:]
    assert [i.apex for i in decode_detections(apex, ends, [(0, n)], AuwDecoding(keep=(2, 5)))] == tops[-2:]
    # Offset scores where the onset should be: no expression.
    assert decode_detections(apex, ends[..., [1, 0, 2]], [(0, n)]) == []
    # No expression reaches beyond its segment.
    parts = decode_detections(apex, ends, [(0, 576), (576, n)], AuwDecoding(keep=(20, 5)))
    assert [i.apex for i in parts] == tops[:-1]
    assert decode_detections(np.zeros((0, 2)), np.zeros((0, 2, 3)), []) == []
    with pytest.raises(ValueError, match="shape"):
        decode_detections(apex, ends[:, 0], [(0, n)])


def test_pairing_brings_intervals_and_units(prepared):
    records = coded_records("1+2")
    found, pairing = pair_intervals(prepared, records, subjects={"p1"})
    assert [v.video for v in found] == ["p1/v0"]
    events = clip(10)[1]
    assert [(i.onset, i.apex, i.offset, i.type) for i in found[0].intervals] == sorted(
        (e.onset, e.apex, e.offset, e.type) for e in events
    )
    assert found[0].units == (parse_aus("1+2"),) * len(events)
    assert pairing.beyond_end == 0

    late = records.iloc[[0]].assign(onset=230, apex=9000, offset=9999)
    beyond = records.iloc[[0]].assign(onset=9000, apex=9500, offset=9999)
    import pandas as pd

    found, pairing = pair_intervals(prepared, pd.concat([late, beyond]))
    assert [(i.onset, i.offset) for i in found[0].intervals] == [(230, 239)]
    assert len(found[0].units) == 1
    assert pairing.beyond_end == 1
    with pytest.raises(AnnotationError, match="only a point"):
        pair_intervals(prepared, records.assign(onset=pd.array([None] * len(records), dtype="Int64")))


def tiny(epochs=6, **options):
    return AuwRecipe(AUWGCNConfig(graph=4, width=16), epochs=epochs, batch=2, **options)


def test_training_lowers_the_loss_and_the_weights_spot(videos, tmp_path):
    reports = []
    weights = train_auw_gcn(videos, tiny(30), tmp_path, progress=reports.append)
    assert reports[-1].terms["total"] < 0.5 * reports[0].terms["total"]
    spotter = Spotter.load(weights, "cpu")
    # Where it learnt, an apex scores higher than rest.
    at_apex, at_rest = [], []
    for video in videos:
        apex = spotter.curves(video.features).scores
        quiet = np.ones(len(apex), bool)
        for i in video.intervals:
            at_apex.append(apex[i.apex, ("macro", "micro").index(i.type)])
            quiet[max(i.onset - 4, 0) : i.offset + 5] = False
        at_rest.append(apex[quiet].ravel())
    assert np.mean(at_apex) > 2 * np.concatenate(at_rest).mean()
    found, curves = spotter.intervals(videos[0].features)
    assert all(isinstance(i, Interval) for i in found)
    assert curves.scores.shape == (240, 2)
    assert np.array_equal(spotter.curves(videos[0].features).scores, curves.scores)
    assert spotter.spot(videos[0].features).provenance["architecture"] == "auw-gcn"
    assert curves.intensity.min() >= 0
    assert spotter.intervals(videos[0].features, min_confidence=1.0)[0] == []


def test_weights_come_back_with_graph_statistics_and_decoding(videos, tmp_path):
    recipe = replace(AuwRecipe.preset("samm-lv"), network=AUWGCNConfig(graph=4, width=16), epochs=2)
    trainer = AuwTrainer(videos, recipe)
    trainer.run_epoch()
    path = tmp_path / "w.safetensors"
    digest = trainer.save_weights(path)
    checkpoint = load_checkpoint(path, "auw-gcn")
    assert checkpoint.digest == digest
    assert np.array_equal(checkpoint.state["graph.adjacency"], au_adjacency([parse_aus("1+2+12")]))
    motions = [(tick_motion(v.features), v.features.segments()) for v in videos]
    assert np.array_equal(checkpoint.state["scale"], motion_statistics(motions)[1])
    network = trainer.network.eval()
    assert AuwDecoding.from_dict(checkpoint.config["decoding"]) == recipe.decoding
    rebuilt = AUWGCN.rebuild(checkpoint).eval()
    motion = torch.randn(1, 50, 12, 2)
    assert torch.equal(rebuilt(motion).ends, network(motion).ends)
    tuned = AuwTrainer(videos[:1], recipe, init=path)
    assert torch.equal(tuned.network.scale, network.scale)
    with pytest.raises(WeightsError, match="no such"):
        AuwTrainer(videos, recipe, init=tmp_path / "none")


def test_same_seed_same_bytes_also_when_resumed(videos, tmp_path):
    class Stop(Exception):
        pass

    def stop(report):
        if report.epoch == 2:
            raise Stop

    random = torch.get_rng_state()
    whole = train_auw_gcn(videos, tiny(), tmp_path / "whole").read_bytes()
    assert torch.equal(random, torch.get_rng_state()), "training leaves the caller's random numbers alone"
    with pytest.raises(Stop):
        train_auw_gcn(videos, tiny(), tmp_path / "parts", progress=stop)
    assert train_auw_gcn(videos, tiny(), tmp_path / "parts").read_bytes() == whole
    assert train_auw_gcn(videos, tiny(), tmp_path / "other", seed=1).read_bytes() != whole
    with pytest.raises(WeightsError, match="other data"):
        train_auw_gcn(videos[1:], tiny(), tmp_path / "parts")
    (tmp_path / "parts" / STATE_NAME).write_bytes(b"no state")
    with pytest.raises(WeightsError, match="remove it"):
        train_auw_gcn(videos, tiny(), tmp_path / "parts")


def test_weights_of_another_training_do_not_stay_and_epochs_can_be_added(videos, tmp_path):
    train_auw_gcn(videos, tiny(2), tmp_path)
    longer = train_auw_gcn(videos, tiny(3), tmp_path).read_bytes()
    assert longer == train_auw_gcn(videos, tiny(3), tmp_path / "whole").read_bytes()
    (tmp_path / STATE_NAME).unlink()
    weights = train_auw_gcn(videos, tiny(3, rate=0.02), tmp_path)
    assert load_checkpoint(weights).notes["recipe"]["rate"] == 0.02


def test_only_windows_with_an_expression_are_learnt_from(videos):
    n = 600
    positions = np.random.default_rng(0).normal(size=(n, 10, 2))
    features = moving_features(positions)
    units = (parse_aus("12"),)
    video = replace(videos[0], features=features, intervals=(Interval(300, 310, 320, "macro"),), units=units)
    trainer = AuwTrainer([video], tiny())
    assert len(trainer._windows) == 1
    assert np.flatnonzero(trainer._windows.apex[0, :, 0]).tolist() == list(range(310 - 256 - 3, 310 - 256 + 4))
    late = replace(video, intervals=(Interval(560, 570, 580, "micro"),))
    valid = AuwTrainer([late], tiny())._windows.valid
    assert valid.sum() == 600 - 512


def test_training_without_units_or_expressions_says_what_is_missing(videos):
    with pytest.raises(AnnotationError, match="action units"):
        AuwTrainer([replace(v, units=()) for v in videos], tiny())
    with pytest.raises(AnnotationError, match="no video has an expression"):
        AuwTrainer([replace(v, intervals=()) for v in videos], tiny())


@pytest.fixture
def quick(monkeypatch):
    """A small preset, and a coding sheet with action units whatever the file."""
    monkeypatch.setattr(AuwRecipe, "preset", classmethod(lambda cls, name="own": tiny(8)))
    monkeypatch.setattr(annotations, "read_annotations", lambda path, fps=None: coded_records())


def spot(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_commands_train_and_evaluate_it(prepared, quick, tmp_path):
    words = ("--model", "auw-gcn", "--device", "cpu")
    trained = spot("train", prepared.folder, "sheet.xlsx", "-o", tmp_path / "run", *words, "--epochs", 2)
    assert trained.exit_code == 0, trained.output
    assert f"{len(small_records())} intervals in 3 videos" in trained.output
    assert load_checkpoint(tmp_path / "run" / "weights.safetensors", "auw-gcn").notes["epochs"] == 2
    data = ("--dataset", prepared.folder, "--annotations", "sheet.xlsx", "-o", tmp_path / "loso", "--processes", 1)
    judged = spot("evaluate", "--loso", *data, *words)
    assert judged.exit_code == 0, judged.output
    report = json.loads((tmp_path / "loso" / "report.json").read_text())
    assert report["subjects"] == 3
    assert report["recipe"]["macro_weight"] == 0.5
    overall = report["counts"]["overall"]
    assert overall["tp"] + overall["fn"] == len(small_records())


def test_a_fold_learns_nothing_from_whom_it_leaves_out(prepared, videos, tmp_path):
    records = coded_records()
    some = pair_points(prepared, sample_points(records, 0), {"p1", "p2"})[0]
    trainer = auw_trainer(some, tiny(), records=records)
    alike = AuwTrainer([v for v in videos if v.subject != "p0"], tiny())
    assert trainer.fingerprint == alike.fingerprint
    # Other units of the left-out subject leave the graph alone.
    units = [parse_aus("25" if subject == "p0" else "1+2+12") for subject in records["subject"]]
    again = auw_trainer(some, tiny(), records=records.assign(aus=units))
    assert torch.equal(again.network.graph.adjacency, alike.network.graph.adjacency)


def test_options_of_learning_from_points_are_refused(prepared, quick, tmp_path):
    words = ("train", prepared.folder, "sheet.xlsx", "-o", tmp_path, "--model", "auw-gcn")
    for option in (("--labels", "gim"), ("--without-iac",), ("--size", "small")):
        result = spot(*words, *option)
        assert result.exit_code == 2
        assert option[0] in result.stderr


def test_presets_are_the_releases_on_our_clock():
    casme2, samm = AuwRecipe.preset("casme2"), AuwRecipe.preset("samm-lv")
    assert (casme2.macro_weight, casme2.targets.spread, casme2.decoding.reach) == (0.5, (3, 1), ((7, 29), (2, 7)))
    assert (samm.macro_weight, samm.decoding.keep) == (0.7, (6, 5))
    assert samm.decoding.reach == tuple(tuple(round(f * 30 / 25) for f in pair) for pair in ((6, 27), (2, 7)))
    assert (samm.rate, samm.weight_decay, samm.batch, samm.epochs) == (0.01, 0.1, 128, 100)
