"""`Spotter`: the shipped weights, chunks, segments, filters and files that do not fit."""

import dataclasses
from dataclasses import replace
from importlib.resources import as_file, files
from itertools import pairwise
from typing import get_args

import facespot.spotting.readers.ensemble as ensemble
import numpy as np
import pytest
import torch
from facespot.errors import WeightsError
from facespot.extract.features import FaceFeatures
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS
from facespot.extract.regions import ROI_MIRROR
from facespot.extract.timebase import Timebase
from facespot.models.auw_gcn import AUWGCN, AUWGCNConfig
from facespot.models.checkpoint import load_checkpoint, save_checkpoint
from facespot.models.context import ContextConfig, ContextSpotter, pack_ensemble, unpack_ensemble
from facespot.models.gim import GIMSpotter, GIMSpotterConfig
from facespot.models.shipped import MODELS, shipped_weights
from facespot.models.spotformer import SpotFormerConfig
from facespot.spotting.decoding import DecodingSettings, decode
from facespot.spotting.intervals import EXPRESSION_TYPES, Interval
from facespot.spotting.judging.metrics import VideoIntervals, evaluate
from facespot.spotting.many import spot_many
from facespot.spotting.readers.authors_decoding import SAMM_LV, decode_reference
from facespot.spotting.readers.auw_decoding import AuwDecoding
from facespot.spotting.readers.base import Curves, Decoding
from facespot.spotting.simulation.anatomy import mirror_index
from facespot.spotting.spotter import DEFAULT_WEIGHTS, Spotter, spot
from facespot.spotting.voting import VotingSettings
from facespot.weights.train import LABORATORY_VOTING, VOTING
from simulated import laboratory_clip, swaying

SMALL = ContextConfig(width=8, dilations=(1, 2, 4))


def untrained(seed=0, config=SMALL):
    torch.manual_seed(seed)
    return ContextSpotter(config).state_dict()


def save(path, states, config=SMALL, **changes):
    """An ensemble as a checkpoint file; changes: to its configuration, None to leave an entry out."""
    networks, state = pack_ensemble([(config, one) for one in states])
    settings = networks | {"voting": {"min_confidence": [0.7, 0.7]}} | changes
    save_checkpoint(path, "context", {k: v for k, v in settings.items() if v is not None}, state)
    return path


@pytest.fixture(scope="module")
def shipped():
    return Spotter.load(device="cpu")


@pytest.fixture(scope="module")
def clips():
    return [laboratory_clip(seed) for seed in (2, 3, 4, 5)]


@pytest.fixture(scope="module")
def features(clips):
    return clips[0][0]


def f1(spotter, clips, min_confidence=None):
    found = [spotter.intervals(features, min_confidence)[0] for features, _ in clips]
    return evaluate(VideoIntervals(truth, mine) for (_, truth), mine in zip(clips, found, strict=True)).overall.f1


def part(features, start, stop):
    return FaceFeatures(
        features.snippets[start:stop],
        features.landmarks[start:stop],
        features.segment[start:stop],
        Timebase(np.arange(stop - start) / 30.0),
    )


def test_the_shipped_weights_find_what_random_ones_do_not(shipped, clips, tmp_path):
    assert sum(len(truth) for _, truth in clips) >= 12
    random = Spotter.load(save(tmp_path / "w", [untrained(config=ContextConfig())], ContextConfig()), "cpu")
    best = max(f1(random, clips, confidence) for confidence in (None, 0.5, 0.3, 0.1))
    assert f1(shipped, clips) > best + 0.3


def test_curves_are_probabilities_and_say_where_expressions_are(shipped, clips):
    inside_scores, outside_scores = [], []
    for features, truth in clips:
        curves = shipped.curves(features)
        n = features.timebase.n_ticks
        assert curves.intensity.shape == (n,)
        assert curves.scores.shape == curves.reach.shape == (n, 2)
        assert curves.speaking.shape == (n,)
        assert min(curves.intensity.min(), curves.scores.min(), curves.speaking.min()) >= 0
        assert max(curves.intensity.max(), curves.scores.max(), curves.speaking.max()) <= 1
        inside = np.zeros(n, bool)
        for interval in truth:
            inside[interval.onset : interval.offset + 1] = True
        inside_scores.append(curves.scores.sum(axis=1)[inside])
        outside_scores.append(curves.scores.sum(axis=1)[~inside])
    assert np.concatenate(inside_scores).mean() > 4 * np.concatenate(outside_scores).mean()


def test_the_size_of_chunks_changes_nothing(shipped, features, monkeypatch):
    whole = shipped.curves(features)
    for size in (100, 202):
        monkeypatch.setattr(ensemble, "CHUNK_TICKS", size)
        chunked = shipped.curves(features)
        assert chunked.intensity == pytest.approx(whole.intensity, abs=1e-5)
        assert chunked.scores == pytest.approx(whole.scores, abs=1e-5)
        assert chunked.reach == pytest.approx(whole.reach, abs=1e-3)


def test_a_mirrored_face_has_the_same_expressions(shipped, features):
    mirrored = dataclasses.replace(
        features,
        snippets=features.snippets[:, :, list(ROI_MIRROR)] * [-1, 1],
        landmarks=features.landmarks[:, mirror_index()] * [-1, 1, 1] + [2000, 0, 0],
    )
    one, two = shipped.curves(features), shipped.curves(mirrored)
    assert two.intensity == pytest.approx(one.intensity, abs=1e-3)
    assert two.scores == pytest.approx(one.scores, abs=1e-3)


def test_segments_are_judged_apart(shipped, features):
    segment = np.zeros(480, np.int32)
    segment[200:207] = -1
    segment[207:] = 1
    cut = dataclasses.replace(features, segment=segment)
    curves = shipped.curves(cut)
    for start, stop in ((0, 200), (207, 480)):
        alone = shipped.curves(part(features, start, stop))
        assert curves.scores[start:stop] == pytest.approx(alone.scores, abs=1e-5)
        assert curves.intensity[start:stop] == pytest.approx(alone.intensity, abs=1e-5)
    assert not curves.scores[200:207].any()
    for interval in shipped.intervals(cut)[0]:
        assert interval.offset < 200 or interval.onset >= 207


def test_a_video_without_a_usable_face_has_no_spots(shipped, features):
    nowhere = dataclasses.replace(features, segment=np.full(480, -1, np.int32))
    result = shipped.spot(nowhere)
    assert result.spots == ()
    assert result.coverage == 0.0
    assert not result.intensity.any()


def test_confidence_and_types_filter(shipped, features):
    everything = shipped.spot(features, min_confidence=0.1).spots
    assert {spot.type for spot in everything} == {"macro", "micro"}
    middling = sorted(spot.confidence for spot in everything)[len(everything) // 2]
    few = shipped.spot(features, min_confidence=middling).spots
    # Where a weaker neighbour is left out, its stronger one may reach further.
    assert [(s.type, s.confidence) for s in few] == [
        (s.type, s.confidence) for s in everything if s.confidence >= middling
    ]
    assert 0 < len(few) < len(everything)
    for kind in ("macro", "micro"):
        for types in ([kind], kind):
            only = shipped.spot(features, min_confidence=0.1, types=types).spots
            assert only == tuple(spot for spot in everything if spot.type == kind)


def test_the_type_of_what_is_cut_off_has_no_probability(shipped, features, monkeypatch):
    settings = dataclasses.replace(shipped.reader._settings, type_spread=1.5)
    monkeypatch.setattr(shipped.reader, "_settings", settings)
    interval = Interval(10, 12, 24, "micro")
    whole = shipped.placed(interval, features.timebase, "none")
    assert whole.micro_probability == settings.micro_probability(15)
    assert shipped.placed(interval, features.timebase, "end").micro_probability is None
    found = shipped.spot(features, min_confidence=0.1).spots
    assert found
    for s in found:
        assert (s.micro_probability is None) == (s.cut_off != "none")
        if s.micro_probability is not None:
            assert (s.micro_probability > 0.5) == (s.type == "micro")


def test_each_type_may_have_its_own_least_confidence(shipped, features):
    everything = shipped.spot(features, min_confidence=0.1).spots
    for asked in ((1.0, 0.1), {"macro": 1.0, "micro": 0.1}):
        assert shipped.spot(features, min_confidence=asked).spots == tuple(s for s in everything if s.type == "micro")
    # What a dict does not name stays as the weights have it.
    result = shipped.spot(features, min_confidence={"micro": 0.1})
    assert result.min_confidence == (shipped.spot(features).min_confidence[0], 0.1)


def test_each_setting_has_its_own_least_confidence(shipped, features):
    assert [shipped.curves(f).setting for f in (features, swaying(features))] == ["laboratory", "anywhere"]
    laboratory = Spotter.load(model="laboratory", device="cpu").reader.min_confidence
    usual = shipped.reader.min_confidence
    assert laboratory[1] < usual[1]
    assert shipped.spot(features).min_confidence == laboratory
    assert shipped.spot(swaying(features)).min_confidence == usual
    # What is asked for holds in both, and what a dict leaves out stays as the setting has it.
    for recording, own in ((features, laboratory), (swaying(features), usual)):
        assert shipped.spot(recording, min_confidence=0.3).min_confidence == (0.3, 0.3)
        assert shipped.spot(recording, min_confidence={"macro": 0.3}).min_confidence == (0.3, own[1])
        kept, curves = shipped.intervals(recording)
        every = shipped.intervals(recording, 0.0)[0]
        least = dict(zip(EXPRESSION_TYPES, own, strict=True))
        # Of those that overlap ends are set between neighbours, of which more are there if less is asked for.
        surest = [(i.type, i.confidence) for i in every if i.confidence >= least[i.type]]
        assert [(i.type, i.confidence) for i in kept] == surest
        assert shipped.least_confidence(None, curves) == own


@pytest.mark.parametrize(
    "asked",
    [
        {"min_confidence": 2}, {"min_confidence": (0.5, -0.1)}, {"min_confidence": (0.5,)}, {"types": "mini"},
        {"min_confidence": {"mini": 0.5}}, {"types": []},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(shipped, features, asked):
    with pytest.raises(ValueError, match=r"min_confidence|type"):
        shipped.spot(features, **asked)


@pytest.mark.parametrize("confidence", ["0.5", None, (0.5, "0.5")])
def test_a_least_confidence_must_be_numbers(shipped, features, confidence):
    if confidence is None:
        swayed = swaying(features)
        assert shipped.spot(swayed, min_confidence=None).min_confidence == shipped.reader.min_confidence
        return
    with pytest.raises(TypeError, match="min_confidence"):
        shipped.spot(features, min_confidence=confidence)


def paper_weights(path):
    network = GIMSpotter(GIMSpotterConfig(SpotFormerConfig(8, 2, 4, 8)))
    config = dataclasses.asdict(network.config) | {"min_confidence": [0.9, 0.9]}
    save_checkpoint(path, "gim", config, network.state_dict())
    return path


def point_weights(path):
    return save(path, [untrained()], voting=None, min_confidence=[0.9, 0.9])


@pytest.mark.parametrize("weights", [paper_weights, point_weights])
def test_a_lower_confidence_than_the_weights_own_finds_more(weights, features, tmp_path, monkeypatch):
    spotter = Spotter.load(weights(tmp_path / "w"), "cpu")
    n = features.timebase.n_ticks
    intensity, scores = np.zeros(n, np.float32), np.zeros((n, 2), np.float32)
    intensity[100:140], scores[100:140, 0] = 0.55, 0.8
    monkeypatch.setattr(spotter, "curves", lambda features: Curves(intensity, scores))
    nothing = spotter.spot(features)
    assert nothing.spots == ()
    assert nothing.strongest == pytest.approx(0.55)
    assert "confidence 0.55; reported from 0.90 on" in nothing.hint()
    (found,) = spotter.spot(features, min_confidence=0.5).spots
    assert (found.onset_frame, found.offset_frame, found.type) == (100, 139, "macro")


def test_curves_can_be_decoded_as_the_paper_and_as_its_authors_do(shipped, features, tmp_path):
    paper, authors = (Spotter.load(device="cpu", decoding=name) for name in ("paper", "authors"))
    curves, segments = shipped.curves(features), features.segments()
    for spotter, expected in (
        (paper, decode(curves.intensity, curves.scores, DecodingSettings.paper(), segments)),
        (authors, decode_reference(curves.intensity, curves.scores, SAMM_LV, segments)),
    ):
        assert np.array_equal(spotter.curves(features).scores, curves.scores)
        assert expected
        assert spotter.reader.decode(curves, segments) == expected
        least = sorted(i.confidence for i in expected)[len(expected) // 2]
        kept = spotter.reader.decode(curves, segments, (least, least))
        assert 0 < len(kept) < len(expected)
        assert min(i.confidence for i in kept) >= least
        assert spotter.spot(features).provenance["decoding"] in ("paper", "authors")
    assert shipped.spot(features).provenance["decoding"] == "own"
    with pytest.raises(ValueError, match="decoding must be one of own, paper, authors, got 'best'"):
        Spotter.load(device="cpu", decoding="best")
    config = AUWGCNConfig(graph=4, width=8)
    state = AUWGCN(config).state_dict()
    save_checkpoint(
        tmp_path / "w", "auw-gcn", {"network": config.to_dict(), "decoding": dataclasses.asdict(AuwDecoding())}, state
    )
    with pytest.raises(WeightsError, match="paper decoding is for weights of two branches"):
        Spotter.load(tmp_path / "w", "cpu", "paper")


@pytest.fixture(scope="module")
def told(clips):
    """What each model says of two clips."""
    spotters = {model: Spotter.load(device="cpu", model=model) for model in MODELS}
    return {(model, id(f)): spotter.curves(f) for model, spotter in spotters.items() for f, _ in clips[:2]}


@pytest.mark.parametrize("decoding", get_args(Decoding))
@pytest.mark.parametrize("model", MODELS)
def test_a_least_confidence_means_the_same_for_every_model_and_decoding(model, decoding, clips, told, monkeypatch):
    spotter, clips = Spotter.load(device="cpu", decoding=decoding, model=model), clips[:2]
    monkeypatch.setattr(spotter, "curves", lambda features: told[model, id(features)])
    numbers = []
    for least in (0.0, 0.3, 0.6, 0.9, 1.0):
        found = [i for features, _ in clips for i in spotter.intervals(features, least)[0]]
        assert all(least <= i.confidence <= 1.0 for i in found)
        numbers.append(len(found))
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] > numbers[-1]
    # Of either type by itself.
    only = [i for features, _ in clips for i in spotter.intervals(features, {"macro": 0.0, "micro": 1.0})[0]]
    assert {i.type for i in only if i.confidence < 1.0} == {"macro"}


def test_models_are_chosen_by_name(features, tmp_path):
    paper = Spotter.load(device="cpu", model="gim").spot(features).provenance
    assert (paper["model"], paper["weights"], paper["architecture"]) == ("gim", "gim.safetensors", "gim")
    usual = Spotter.load(device="cpu", model="default").spot(features).provenance
    assert usual == Spotter.load(device="cpu").spot(features).provenance
    assert (usual["model"], usual["weights"]) == ("default", MODELS["laboratory"])
    own = Spotter.load(save(tmp_path / "w", [untrained()]), "cpu").spot(features).provenance
    assert "model" not in own
    for call in (Spotter.load, lambda **asked: spot("absent.mp4", **asked), lambda **asked: spot_many([], **asked)):
        with pytest.raises(ValueError, match="model must be one of default, laboratory, gim, got 'best'"):
            call(model="best")
        with pytest.raises(ValueError, match="weights and model"):
            call(weights=tmp_path / "w", model="gim")


def test_the_papers_model_finds_what_an_untrained_one_does_not(tmp_path):
    # Blinks move what it looks at, and on few clips its F1 is anything.
    clips = [laboratory_clip(seed) for seed in range(10)]
    papers = Spotter.load(device="cpu", model="gim")
    torch.manual_seed(0)
    network = GIMSpotter(GIMSpotterConfig(SpotFormerConfig(8, 2, 4, 8)))
    save_checkpoint(tmp_path / "w", "gim", dataclasses.asdict(network.config), network.state_dict())
    random = Spotter.load(tmp_path / "w", "cpu")
    assert f1(papers, clips) > max(f1(random, clips, confidence) for confidence in (0.0, 0.3)) + 0.25


def test_the_papers_model_looks_at_no_landmarks(features):
    papers = Spotter.load(device="cpu", model="gim")
    blind = dataclasses.replace(features, landmarks=np.full_like(features.landmarks, np.nan))
    assert np.array_equal(papers.curves(blind).intensity, papers.curves(features).intensity)
    assert papers.curves(features).reach is papers.curves(features).speaking is None


def test_spotted_intervals_are_tidy(shipped, features):
    segment = np.zeros(480, np.int32)
    segment[240:243] = -1
    segment[243:] = 1
    cut = dataclasses.replace(features, segment=segment)
    # As many as there can be, so that some touch.
    spots = shipped.spot(cut, min_confidence=0.0).spots
    assert len(spots) > 8
    for kind in ("macro", "micro"):
        mine = [s for s in spots if s.type == kind]
        assert all(a.offset_frame < b.onset_frame for a, b in pairwise(mine))
    assert all(s.onset_frame < s.apex_frame < s.offset_frame for s in spots)
    edges = {0: "start", 243: "start", 239: "end", 479: "end"}
    for s in spots:
        assert s.cut_off == edges.get(s.onset_frame, edges.get(s.offset_frame, "none"))


def test_a_chosen_face_is_told(shipped, features):
    told = {"options": {"face": "largest"}, "face_report": {"chosen": 1}}
    chosen = shipped.spot(dataclasses.replace(features, provenance=told), min_confidence=0.1)
    assert chosen.face == 1
    assert {row["face"] for row in chosen.rows()} == {1}
    usual = shipped.spot(dataclasses.replace(features, provenance=told | {"options": {"face": "longest"}}))
    assert usual.face is None
    assert "face" not in usual.columns


def test_spots_are_in_seconds_of_the_video(shipped, features):
    found, _ = shipped.intervals(features)
    spots = shipped.spot(features).spots
    assert [spot.onset_s for spot in spots] == [interval.onset / 30 for interval in found]
    assert [spot.offset_frame for spot in spots] == [interval.offset for interval in found]


def test_results_name_their_weights(shipped, features):
    provenance = shipped.spot(swaying(features)).provenance
    assert provenance["weights"] == DEFAULT_WEIGHTS
    assert provenance["architecture"] == "context"
    assert len(provenance["weights_sha256"]) == 64
    assert provenance["device"] == "cpu"


def test_results_tell_what_was_asked(shipped, features):
    macro, micro = shipped.reader.min_confidence
    assert shipped.spot(swaying(features)).provenance["min_confidence"] == {"macro": macro, "micro": micro}
    told = shipped.spot(features, min_confidence=0.9, types="micro").provenance
    assert told["min_confidence"] == {"macro": 0.9, "micro": 0.9}
    assert told["types"] == ["micro"]


def test_several_recordings_are_for_spot_many():
    with pytest.raises(TypeError, match="spot_many"):
        spot(["a.mp4", "b.mp4"])


def test_an_ensemble_answers_with_the_mean(features, tmp_path):
    states = [untrained(0), untrained(1)]
    both = Spotter.load(save(tmp_path / "both", states), "cpu").curves(features)
    one, two = (Spotter.load(save(tmp_path / "one", [state]), "cpu").curves(features) for state in states)
    assert not np.allclose(one.scores, two.scores, atol=0.01)
    assert both.scores == pytest.approx((one.scores + two.scores) / 2, abs=1e-5)
    assert both.reach == pytest.approx((one.reach + two.reach) / 2, abs=1e-3)


def test_the_networks_of_the_paper_spot_too(features, tmp_path):
    network = GIMSpotter(GIMSpotterConfig(SpotFormerConfig(8, 2, 4, 8)))
    save_checkpoint(tmp_path / "gim", "gim", dataclasses.asdict(network.config), network.state_dict())
    spotter = Spotter.load(tmp_path / "gim", "cpu")
    assert spotter.curves(features).reach is None
    result = spotter.spot(features, min_confidence=0.0)
    assert result.provenance["architecture"] == "gim"


def test_files_that_are_missing_damaged_or_of_other_models_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such"):
        Spotter.load(tmp_path / "absent", "cpu")
    intact = files("facespot.weights").joinpath(DEFAULT_WEIGHTS).read_bytes()
    damaged = tmp_path / "damaged"
    for contents in (
        intact[: len(intact) // 2],
        intact[:-9] + bytes([intact[-9] ^ 1]) + intact[-8:],
        b"",
        b"not weights at all",
    ):
        damaged.write_bytes(contents)
        with pytest.raises(WeightsError):
            Spotter.load(damaged, "cpu")
    save_checkpoint(tmp_path / "other", "spotnet", {}, {"a": torch.zeros(1)})
    with pytest.raises(WeightsError, match="'spotnet' model"):
        Spotter.load(tmp_path / "other", "cpu")


@pytest.mark.parametrize(
    "changes",
    [
        {"networks": [SMALL.to_dict() | {"width": 12}]},
        {"networks": [SMALL.to_dict() | {"heads": 3}]},
        {"networks": None},
        {"networks": [SMALL.to_dict()] * 2},
        {"networks": []},
        {"voting": {"min_certainty": 0.5}},
    ],
)
def test_checkpoints_of_networks_that_do_not_exist_here_are_refused(changes, tmp_path):
    with pytest.raises(WeightsError, match="cannot rebuild"):
        Spotter.load(save(tmp_path / "w", [untrained()], **changes), "cpu")


def test_the_shipped_network_reads_every_channel():
    """Weights of another list of channels would load as long as the sizes agree; these agree with the list."""
    with as_file(files("facespot.weights") / DEFAULT_WEIGHTS) as path:
        checkpoint = load_checkpoint(path)
    for network in unpack_ensemble(checkpoint.config, checkpoint.state):
        assert network.config.channels == GEOMETRY_CHANNELS


def test_the_shipped_weights_vote_as_their_recipe_says():
    worth = []
    for model, recipe in (("default", VOTING), ("laboratory", LABORATORY_VOTING)):
        with shipped_weights(model) as path:
            voting = VotingSettings.from_dict(load_checkpoint(path).config["voting"])
        assert replace(voting, confidence=None) == VotingSettings.from_dict(recipe)
        worth.append(voting.confidence)
    # What votes are worth is one for both.
    assert worth[0] == worth[1] is not None
