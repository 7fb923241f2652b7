"""Learning from points: recipes, windows, determinism, resuming, and what may not reach it."""

import builtins
import inspect
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch
from facespot.errors import AnnotationError, FacespotError, WeightsError
from facespot.models.checkpoint import load_checkpoint, save_checkpoint
from facespot.models.context import ContextSpotter, pack_ensemble
from facespot.spotting.datasets.sampling import sample_points
from facespot.spotting.intervals import EXPRESSION_TYPES, Point
from facespot.spotting.learning.durations import motion_extents
from facespot.spotting.learning.from_points import PointTrainer, train
from facespot.spotting.learning.learners import inside_loss, known_class_loss
from facespot.spotting.learning.point_videos import (
    PointVideo,
    Window,
    certainly_neutral,
    draw_windows,
    learning_segments,
    outside_extents,
    pair_points,
)
from facespot.spotting.learning.pseudo_labels import PseudoLabels, PseudoLabelSettings
from facespot.spotting.learning.recipes import PointRecipe
from facespot.spotting.learning.training import STATE_NAME, WEIGHTS_NAME, train_to_end
from facespot.spotting.spotter import Spotter
from simulated import features_of, film
from small_set import CONTEXT, STAGES, clip, small_records, store_features, tiny

pytestmark = pytest.mark.usefixtures("one_thread")
LANDMARKS = {"durations": "landmarks", "certain": (40, 10)}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return store_features(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="module")
def videos(prepared):
    return pair_points(prepared, sample_points(small_records(), seed=0))[0]


@pytest.fixture(scope="module")
def plain(videos, tmp_path_factory):
    """Videos and a recipe with which every option makes a difference, and the digest of what comes of them."""
    crowded = [replace(v, points=(*v.points, replace(v.points[0], tick=v.points[0].tick + 6))) for v in videos]
    recipe = tiny().with_loss(contrastive=1e-3)
    weights = train(crowded, recipe, tmp_path_factory.mktemp("plain"))
    return crowded, recipe, load_checkpoint(weights).digest


def test_pairing_finds_every_point_and_tells_what_it_leaves_out(prepared):
    records = small_records()
    points = sample_points(records, seed=0)
    found, pairing = pair_points(prepared, points)
    assert [v.video for v in found] == ["p0/v0", "p1/v0", "p2/v0"]
    assert sum(len(v.points) for v in found) == len({*zip(points.video, points.frame, points.type, strict=True)})
    assert pairing.without_features == ()

    late, strange = points.iloc[[0]].assign(frame=99999), points.iloc[[0]].assign(video="nobody")
    found, pairing = pair_points(prepared, pd.concat([points, late, strange]), subjects={"p0"})
    assert [v.subject for v in found] == ["p0"]
    assert pairing.beyond_end == 1
    assert pairing.without_features == ("nobody (own)",)
    with pytest.raises(AnnotationError, match="none of its videos"):
        pair_points(prepared, strange)


def test_onset_and_offset_cannot_reach_training(prepared, tmp_path):
    """Neither by the types of the door, nor by anything that goes through it: other ends, same bytes."""
    assert {f.name for f in fields(PointVideo)} == {"dataset", "subject", "video", "features", "points"}
    assert {f.name for f in fields(Point)} == {"tick", "type"}
    for function in (train, PointTrainer.__init__, PointTrainer._targets):
        assert not any("record" in name or "interval" in name for name in inspect.signature(function).parameters)

    digests = []
    points = sample_points(small_records(), seed=0)
    for number, extra in enumerate((0, 5)):
        table = points.copy()
        # A careless caller leaves the ends in the table of points.
        table["onset"], table["offset"] = table["frame"] - extra, table["frame"] + extra
        found, _ = pair_points(prepared, table)
        digests.append(train(found, tiny(), tmp_path / str(number)).read_bytes())
    assert digests[0] == digests[1]


@pytest.mark.parametrize("labels", [{}, LANDMARKS])
def test_moving_onsets_and_offsets_in_the_records_leaves_the_weights_alone(prepared, labels, tmp_path):
    """The same clicks in expressions that are said to last otherwise: the ends are in the table, and nobody looks."""
    records = small_records()
    moved = records.assign(onset=records["apex"] - 1, offset=records["apex"] + 1)
    weights = []
    for number, table in enumerate((records, moved)):
        # So narrow a spread puts every point on its apex, wherever the ends are.
        points = sample_points(table, seed=1, spread=1e-6)
        assert (points["frame"] == records["apex"]).all()
        points["onset"], points["offset"] = table["onset"], table["offset"]
        found, _ = pair_points(prepared, points)
        weights.append(train(found, tiny("context").with_labels(**labels), tmp_path / str(number)).read_bytes())
    assert not records[["onset", "offset"]].equals(moved[["onset", "offset"]])
    assert weights[0] == weights[1]


@pytest.mark.parametrize("network", ["journal", "iclr2025", "context"])
def test_same_seed_same_bytes_and_another_seed_others(videos, network, tmp_path):
    random = torch.get_rng_state()
    one, two, three = (
        train(videos, tiny(network), tmp_path / name, seed=seed).read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == two
    assert one != three
    assert torch.equal(random, torch.get_rng_state()), "training leaves the caller's random numbers alone"


@pytest.mark.parametrize(
    ("network", "strategy", "rules"),
    [
        ("journal", "gim", "paper"),
        ("journal", "gim", "release"),
        ("journal", "class_mean", "paper"),
        ("iclr2025", "gim", "paper"),
        ("context", "gim", "paper"),
    ],
)
def test_a_training_stopped_anywhere_resumes_bit_for_bit(videos, network, strategy, rules, tmp_path):
    recipe = tiny(network, rules=rules).with_labels(strategy=strategy)
    whole = train(videos, recipe, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop_after(epoch):
        def progress(report):
            if report.epoch == epoch:
                raise Stop

        return progress

    for epoch in (0, 1):
        with pytest.raises(Stop):
            train(videos, recipe, tmp_path / "parts", progress=stop_after(epoch))
    seen = []
    parts = train(videos, recipe, tmp_path / "parts", progress=seen.append)
    assert [report.epoch for report in seen] == [2]
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in parts.parent.iterdir()) == sorted((STATE_NAME, WEIGHTS_NAME))


def test_a_state_of_another_training_or_a_damaged_one_is_refused(videos, tmp_path):
    train(videos, tiny(epochs=1), tmp_path)
    for recipe, seed, some in (
        (tiny(epochs=1), 1, videos),
        (tiny(epochs=1, rate=1e-2), 0, videos),
        (tiny(epochs=1), 0, videos[1:]),
    ):
        with pytest.raises(WeightsError, match="other data, recipe"):
            train(some, recipe, tmp_path, seed=seed)
    (tmp_path / STATE_NAME).write_bytes(b"no state")
    with pytest.raises(WeightsError, match="remove it to start anew"):
        train(videos, tiny(epochs=1), tmp_path)


@pytest.mark.parametrize("network", ["journal", "iclr2025", "context"])
def test_the_loss_falls_and_the_weights_spot(videos, network, tmp_path):
    reports = []
    # One stage, since each asks for something else, and no pull towards an intensity of zero: there are few steps.
    epochs = 32
    recipe = tiny(network, epochs=epochs, empty=1.0, rate=5e-3, batch=2)
    recipe = recipe.with_labels(stage_epochs=(epochs, 0)).with_loss(norm=0.0)
    # A steady face that shows one thing.
    _, seen = film(240, 6, amplitude=0.15)
    video = replace(videos[0], features=features_of(seen), points=(Point(115, "macro"),))
    weights = train([video], recipe, tmp_path, progress=reports.append)
    assert all(np.isfinite(list(r.terms.values())).all() for r in reports)
    totals = [r.terms["total"] for r in reports]
    assert np.mean(totals[-4:]) < 0.97 * np.mean(totals[:4])
    found, curves = Spotter.load(weights, "cpu").intervals(video.features, min_confidence=0.0)
    points = [p.tick for p in video.points]
    if network != "journal":  # after so few steps it knows no type yet, without which its decoding reports nothing
        assert any(i.onset <= tick <= i.offset for i in found for tick in points)
    # Where it learnt that there is an expression, intensity is higher than in most other ticks.
    rank = curves.intensity.argsort().argsort() / len(curves.intensity)
    assert rank[points].mean() > 0.6


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"strategy": "hard"}},
        {"labels": {"strategy": "cosine"}},
        {"labels": {"overlap": "higher"}},
        {"labels": {"overlap": "lower"}},
        {"labels": {"duration": (24, 16)}},
        {"labels": {"durations": "landmarks"}},
        {"labels": {"certain": (40, 10)}},
        {"loss": {"intensity": "bce"}},
        {"loss": {"contrastive": 0.0}},
    ],
)
def test_every_ablation_runs_finite_and_differs(plain, change, tmp_path):
    videos, base, unchanged = plain
    recipe = base.with_labels(**change.get("labels", {})).with_loss(**change.get("loss", {}))
    reports = []
    weights = train(videos, recipe, tmp_path / "changed", progress=reports.append)
    assert all(np.isfinite(list(r.terms.values())).all() for r in reports)
    assert load_checkpoint(weights).digest != unchanged


def test_weights_of_another_training_do_not_stay(videos, tmp_path):
    recipe = tiny("context", epochs=1)
    old = train(videos, recipe, tmp_path).read_bytes()
    (tmp_path / STATE_NAME).unlink()
    other = replace(recipe, rate=1e-2)
    weights = train(videos, other, tmp_path)
    assert load_checkpoint(weights).notes["recipe"]["rate"] == 1e-2
    assert weights.read_bytes() != old

    class Stop(Exception):
        pass

    def stop(report):
        raise Stop

    (tmp_path / STATE_NAME).unlink()
    with pytest.raises(Stop):
        train(videos, replace(recipe, epochs=2), tmp_path, progress=stop)
    assert not weights.exists(), "until it is done there are no weights of this training"


def test_more_epochs_later_end_like_more_epochs_at_once(videos, tmp_path):
    whole = train(videos, tiny("context", epochs=3), tmp_path / "whole").read_bytes()
    first = train(videos, tiny("context", epochs=2), tmp_path / "parts").read_bytes()
    seen = []
    longer = train(videos, tiny("context", epochs=3), tmp_path / "parts", progress=seen.append)
    assert [report.epoch for report in seen] == [2]
    assert first != longer.read_bytes() == whole
    with pytest.raises(WeightsError, match="learnt for 3 epochs, and 2 were asked for"):
        train(videos, tiny("context", epochs=2), tmp_path / "parts")


def test_videos_without_points_and_classes_without_any_do_no_harm(videos, tmp_path):
    only_macro = [replace(v, points=tuple(p for p in v.points if p.type == "macro")[:1]) for v in videos]
    for network in ("journal", "iclr2025", "context"):
        reports = []
        train(
            [replace(videos[0], points=()), *only_macro[1:]],
            tiny(network, empty=1.0),
            tmp_path / network,
            progress=reports.append,
        )
        assert all(np.isfinite(list(r.terms.values())).all() for r in reports)
    with pytest.raises(ValueError, match="long enough"):
        train([], tiny(), tmp_path / "none")


def test_windows_tile_the_segments_and_keep_every_point(videos):
    found = learning_segments(videos)
    n_points = sum(len(s.points) for s in found)
    for epoch in range(20):
        windows = draw_windows(found, 96, 1.0, True, torch.Generator().manual_seed(epoch))
        assert sum(len(w.points) for w in windows) == n_points
        assert sum(map(len, windows)) == sum(map(len, found))
        assert all(34 <= len(w) <= 96 + 34 and w.start % 2 == 0 for w in windows)
        assert all(0 <= p.tick < len(w) for w in windows for p in w.points)
    whole = draw_windows(found, None, 0.0, False, torch.Generator())
    assert sorted(map(len, whole)) == sorted(map(len, found))
    busy = draw_windows(found, 96, 0.0, False, torch.Generator())
    assert all(w.points for w in busy)


def test_ticks_far_from_every_point_of_the_segment_are_certainly_neutral(videos):
    segment = replace(learning_segments(videos)[0], points=(Point(20, "micro"), Point(150, "macro")))
    free = certainly_neutral(Window(segment, 30, 140, False), (50, 12))
    # The micro-expression before the window and the macro-expression after it count.
    assert free.nonzero()[:, 0].tolist() == list(range(33 - 30, 100 - 30))


def test_all_that_lies_outside_the_ranges_of_the_landmarks_is_neutral_on_request(videos):
    segment = replace(learning_segments(videos)[0], points=(Point(20, "micro"), Point(150, "macro")))
    free = outside_extents(Window(segment, 30, 140, False), [(10, 35), (130, 160)], margin=4)
    assert free.nonzero()[:, 0].tolist() == list(range(40 - 30, 126 - 30))
    with pytest.raises(ValueError, match="margin"):
        PseudoLabelSettings(margin=4)
    bold = PointTrainer(videos, tiny("context").with_labels(durations="landmarks", margin=4))
    segment = bold._segments[0]
    window = Window(segment, 0, len(segment), False)
    answer = bold.learner.answer(0, [window], torch.device("cpu"))
    neutral = torch.zeros(len(segment), dtype=torch.bool)
    neutral[bold._targets(0, answer, 0, window, 2, torch.Generator()).neutral] = True
    for first, last in motion_extents(segment.geometry, segment.points).values():
        assert not neutral[first : last + 1].any()
    assert neutral.sum() > 0.3 * len(segment)


def test_each_window_gets_its_own_part_of_the_extents(videos):
    trainer = PointTrainer(videos, tiny("context").with_labels(**LANDMARKS))
    seen = 0
    for segment in trainer._segments:
        whole = motion_extents(segment.geometry, segment.points)
        for point, (first, last) in whole.items():
            start = max(0, point.tick - 30)
            window = Window(segment, start, min(len(segment), point.tick + 40), False)
            answer = trainer.learner.answer(0, [window], torch.device("cpu"))
            column = EXPRESSION_TYPES.index(point.type)
            others = [extent for p, extent in whole.items() if p != point and p.type == point.type]
            labels = trainer._targets(0, answer, 0, window, 2, torch.Generator()).labels[:, column]
            inside = slice(max(first, start) - start, min(last + 1, window.stop) - start)
            assert (labels[inside] > 0).all()
            if not others:
                assert int((labels > 0).sum()) == inside.stop - inside.start
                seen += 1
    assert seen > 0


def test_points_in_breaks_of_the_face_are_lost_and_others_keep_their_place():
    features = clip(0)[0]
    broken = features.segment.copy()
    broken[100:110], broken[110:] = -1, 1
    video = PointVideo(
        "own",
        "p",
        "v",
        replace(features, segment=broken),
        (Point(50, "macro"), Point(105, "micro"), Point(150, "micro")),
    )
    first, second = learning_segments([video])
    assert first.points == (Point(50, "macro"),)
    assert second.points == (Point(40, "micro"),)
    assert np.array_equal(second.snippets[40], features.snippets[150])


@pytest.fixture(scope="module")
def voting_weights(tmp_path_factory):
    """An untaught ensemble that votes for onset and offset, as the shipped one does."""
    torch.manual_seed(0)
    sizes = [CONTEXT, replace(CONTEXT, geometry=False)]
    config, state = pack_ensemble([(size, ContextSpotter(size).state_dict()) for size in sizes])
    config["voting"] = {"min_confidence": [0.1, 0.1]}
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    save_checkpoint(path, "context", config, state)
    return path


def tuning(**changes):
    recipe = replace(PointRecipe.tuning(), epochs=3, rehearsal=8, window=96)
    return replace(recipe, **changes).with_labels(duration=(32, 16))


def test_tuning_starts_from_the_given_weights_and_keeps_their_decoding(videos, voting_weights, tmp_path):
    reports = []
    tuned = train(videos, tuning(epochs=20), tmp_path / "tuned", init=voting_weights, progress=reports.append)
    before, after = load_checkpoint(voting_weights, "context"), load_checkpoint(tuned, "context")
    assert after.config == before.config
    assert any(not torch.equal(after.state[name], before.state[name]) for name in before.state)
    losses = [report.terms["rehearsal"] for report in reports]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert Spotter.load(tuned, "cpu").curves(clip(0)[0]).reach is not None
    with pytest.raises(WeightsError, match="'gim'"):
        train(videos, tiny("journal"), tmp_path / "wrong", init=voting_weights)
    paper = train(videos, tiny("journal", epochs=1), tmp_path / "paper")
    with pytest.raises(WeightsError, match="journal variant"):
        train(videos, tiny("iclr2025"), tmp_path / "wrong", init=paper)


def test_rehearsal_keeps_the_sense_of_ends_that_points_do_not_teach(videos, voting_weights, tmp_path):
    """Points say nothing of reach: without rehearsal the layer that tells it is left alone but for its decay."""
    rows = [3, 4, 10, 11]  # of seven outputs for each of the two ticks of a token
    layer = "0.head.2.bias"
    start = load_checkpoint(voting_weights).state[layer][rows]
    moved = {}
    for clips in (0, 8):
        recipe = tuning(rehearsal=clips, weight_decay=0.0)
        weights = train(videos, recipe, tmp_path / str(clips), init=voting_weights)
        moved[clips] = float((load_checkpoint(weights).state[layer][rows] - start).abs().max())
    assert moved[0] == 0
    assert moved[8] > 1e-4


def test_the_rate_is_halved_as_the_recipe_says_also_after_resuming(videos, tmp_path):
    recipe = tiny(epochs=5, halve_every=2, rate=0.008)

    def rate(trainer):
        return [group["lr"] for group in trainer.optimiser.param_groups]

    trainer, seen = PointTrainer(videos[:1], recipe), []
    for _ in range(3):
        trainer.run_epoch()
        seen += rate(trainer)
    trainer.save_state(tmp_path / "state")
    again = PointTrainer(videos[:1], recipe)
    again.load_state(tmp_path / "state")
    for _ in range(2):
        again.run_epoch()
        seen += rate(again)
    assert seen == [0.008, 0.008, 0.004, 0.004, 0.002]


@pytest.mark.parametrize(
    "other",
    [{"batch": 2}, {"precision": "bf16"}, {"labels": replace(STAGES, strategy="hard")}],
    ids=lambda other: next(iter(other)),
)
def test_weights_of_another_recipe_never_stay_in_the_folder(videos, other, tmp_path):
    old = train(videos[:1], tiny(epochs=1), tmp_path).read_bytes()
    with pytest.raises(WeightsError, match="another folder"):
        train(videos[:1], replace(tiny(epochs=1), **other), tmp_path)
    (tmp_path / STATE_NAME).unlink()
    trainer = PointTrainer(videos[:1], replace(tiny(epochs=1), **other))

    def crash(epoch):
        raise KeyboardInterrupt

    trainer._run_steps = crash
    with pytest.raises(KeyboardInterrupt):
        train_to_end(trainer, tmp_path)
    assert not (tmp_path / WEIGHTS_NAME).exists(), "the old weights pass for those of the new recipe"
    assert train(videos[:1], replace(tiny(epochs=1), **other), tmp_path).read_bytes() != old


def test_a_tuning_stopped_anywhere_resumes_bit_for_bit(videos, voting_weights, tmp_path):
    whole = train(videos, tuning(), tmp_path / "whole", init=voting_weights)
    for epochs in (1, 2):
        trainer = PointTrainer(videos, tuning(), init=voting_weights)
        if epochs > 1:
            trainer.load_state(tmp_path / "state")
        trainer.run_epoch()
        trainer.save_state(tmp_path / "state")
    last = PointTrainer(videos, tuning(), init=voting_weights)
    last.load_state(tmp_path / "state")
    assert last.run_epoch().epoch == 2
    last.save_weights(tmp_path / "parts.safetensors")
    assert (tmp_path / "parts.safetensors").read_bytes() == whole.read_bytes()


def test_weights_from_points_alone_are_not_asked_for_ends(videos, tmp_path):
    weights = train(videos, tiny("context", epochs=1), tmp_path)
    assert "voting" not in load_checkpoint(weights).config
    Spotter.load(weights, "cpu").intervals(clip(1)[0])


def test_inside_loss_wants_the_class_and_nothing_else():
    labels = torch.zeros(6, 2)
    labels[1:3, 0] = 0.9
    target = PseudoLabels(labels, None, torch.tensor([4, 5]))
    right = torch.zeros(6, 2)
    right[1:3, 0] = 1.0
    assert inside_loss(right, target) < 1e-4
    assert inside_loss(1 - right, target) > 5
    unlabelled = right.clone()
    unlabelled[3] = 1.0
    assert inside_loss(unlabelled, target) == inside_loss(right, target)


def test_known_class_loss_leaves_out_what_nobody_knows():
    labels = torch.zeros(6, 2)
    labels[1:3, 0] = 0.9
    labels[0, 0] = 0.3
    target = PseudoLabels(labels, None, torch.tensor([4, 5]))
    right = torch.full((6, 2), -20.0)
    right[1:3, 0] = 20.0
    assert known_class_loss(right, target) < 1e-4
    assert known_class_loss(-right, target) > 5
    unknown = right.clone()
    unknown[[0, 3]] = 20.0
    assert known_class_loss(unknown, target) == known_class_loss(right, target)


def test_presets_are_the_papers():
    assert PointRecipe.preset("casme2").loss.norm == 2.5
    assert PointRecipe.preset("samm-lv").loss.contrastive == 2e-5
    paper = PointRecipe.preset("samm-lv", "iclr2025", "paper")
    assert (paper.rate, paper.weight_decay, paper.epochs, paper.halve_every) == (2e-5, 0.1, 100, 30)
    assert (paper.encoder.dim, paper.window, paper.optimiser) == (256, None, "adam")
    # Only the project's own network departs from the paper's labels.
    assert all(PointRecipe.preset("own", n).labels == PseudoLabelSettings() for n in ("journal", "iclr2025"))
    assert PointRecipe.preset("own", "context").labels == PseudoLabelSettings.own()
    with pytest.raises(ValueError, match="no paper's"):
        PointRecipe.preset("own", "context", "paper")
    with pytest.raises(ValueError, match="too short"):
        PointRecipe(window=40)
    with pytest.raises(ValueError, match="number of clips"):
        PointRecipe(rehearsal=-1)


def test_a_tuning_takes_as_many_steps_however_the_ticks_are_spread():
    for ticks in ([300] * 4, [300] * 11, [5000], [20, 700, 1500]):
        recipe = PointRecipe.tuning(ticks=ticks)
        windows = sum(1 if n <= recipe.window else n / recipe.window + 1 for n in ticks)
        assert recipe.epochs * np.ceil(windows / recipe.batch) == pytest.approx(150, rel=0.1)
    assert PointRecipe.tuning(ticks=[10_000] * 100).epochs == 3
    assert PointRecipe.tuning("casme2").loss.norm == 2.5


def test_event_files_need_tensorboard_and_say_so(videos, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FacespotError, match=r"facespot\[train\]"):
        train(videos, tiny(epochs=1), tmp_path, tensorboard=True)


def test_event_files_hold_every_term(videos, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is an optional extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(videos, tiny(epochs=2), tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [e.step for e in events.Scalars("loss/total")] == [0, 1]
