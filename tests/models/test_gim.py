"""The two branches against the authors' outputs, and the spotter made of them."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from facespot.extract.motion.geometry import GEOMETRY_CHANNELS
from facespot.models.context import ContextConfig, ContextSpotter
from facespot.models.folded import FoldedSpotFormer
from facespot.models.gim import (
    GIM,
    GIMSpotter,
    GIMSpotterConfig,
    TwoBranchNetwork,
    heads_from_authors_state,
    trim,
)
from facespot.models.spotformer import SpotFormerConfig
from golden import golden_cases, load_golden, strip_prefix


@pytest.mark.parametrize("case", golden_cases("twobranch"))
def test_matches_the_authors(case):
    arrays = load_golden(case)
    heads = GIM(256).eval()
    state = heads_from_authors_state({k: torch.from_numpy(v) for k, v in strip_prefix(arrays, "sd.").items()})
    rows = len(state["attend.bias"])  # of the attention layer, which the vectors may hold in part
    with torch.no_grad():
        for name, value in heads.state_dict().items():
            value[: len(state[name])] = state[name]
        out = heads(torch.from_numpy(arrays["x"]))
        intensity = heads.to_intensity(torch.from_numpy(arrays["attn_feat"]))[..., 0].sigmoid()
    np.testing.assert_allclose(out.attention[..., :rows], arrays["attn_feat"][..., :rows], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(intensity, arrays["intensity"][..., 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(out.class_scores, arrays["apex"], rtol=1e-5, atol=1e-5)
    if rows == 256:
        np.testing.assert_allclose(out.intensity, intensity, rtol=1e-5, atol=1e-5)


def test_release_dropout_leaves_intensities_at_one_half():
    torch.manual_seed(0)
    out = GIM(16, logit_dropout=0.7).train()(torch.randn(1, 4000, 16))
    assert (out.intensity == 0.5).float().mean() == pytest.approx(0.7, abs=0.03)
    assert (out.class_scores == 0.5).float().mean() == pytest.approx(0.7, abs=0.03)
    plain = GIM(16).train()(torch.randn(1, 4000, 16))
    assert (plain.intensity == 0.5).float().mean() < 0.01
    assert (plain.attention == 0).float().mean() == pytest.approx(0.7, abs=0.03)


def test_initialisation():
    torch.manual_seed(0)
    heads = GIM(64)
    assert all((p == 0).all() for name, p in heads.named_parameters() if name.endswith("bias"))
    bound = (6 / 64) ** 0.5
    assert 0.95 * bound < heads.attend.weight.abs().max() <= bound


def test_action_scores_are_probabilities_and_apex_scores_independent():
    torch.manual_seed(0)
    features = torch.randn(2, 30, 8)
    action = GIM(8, "iclr2025").eval()(features).class_scores
    torch.testing.assert_close(action.sum(-1), torch.ones(2, 30))
    apex = GIM(8, "journal").eval()(features).class_scores
    assert (apex.sum(-1) - 1).abs().max() > 0.1
    with pytest.raises(ValueError, match="variant"):
        GIM(8, "other")


def test_spotter_ignores_invalid_ticks():
    torch.manual_seed(0)
    spotter = GIMSpotter().eval()
    snippets = torch.randn(2, 7, 17, 10, 2)
    valid = torch.ones(2, 7, dtype=torch.bool)
    valid[1, 4:] = False
    with torch.no_grad():
        batch = spotter(snippets, valid)
        alone = spotter(snippets[1:, :4])
    assert batch.intensity.shape == (2, 7)
    assert batch.class_scores.shape == (2, 7, 2)
    trimmed = trim(batch, 1, 4)
    for name in ("features", "attention", "intensity", "class_scores"):
        torch.testing.assert_close(getattr(trimmed, name), getattr(alone, name), rtol=1e-5, atol=1e-6)


def answered(network, ticks=9):
    generator = torch.Generator().manual_seed(0)
    snippets = 0.02 * torch.randn(2, ticks, 17, 10, 2, generator=generator)
    geometry = 0.05 * torch.randn(2, ticks, len(GEOMETRY_CHANNELS), generator=generator)
    with torch.no_grad():
        return network(snippets, geometry)


def test_ours_is_a_member_of_the_family_with_boundary_heads():
    torch.manual_seed(0)
    ours = ContextSpotter(ContextConfig(width=8, dilations=(1, 2))).eval()
    out, raw = answered(ours.branches), answered(ours)
    assert isinstance(ours, TwoBranchNetwork)
    assert (ours.reads_geometry, ours.tells_boundaries, ours.tells_speaking) == (True, True, True)
    for name in ("intensity", "class_scores", "quality", "speaking"):
        assert torch.equal(getattr(out, name), getattr(raw, name).sigmoid())
    assert torch.equal(out.reach, raw.reach)
    assert out.features.shape == out.attention.shape == (2, 9, 8)
    silent = ContextSpotter(ContextConfig(width=8, dilations=(1,), speaking=False)).eval()
    assert not silent.tells_speaking
    assert answered(silent.branches).speaking is None


def test_the_papers_is_a_member_of_the_family_without_them():
    torch.manual_seed(0)
    papers = GIMSpotter(GIMSpotterConfig(SpotFormerConfig(8, 2, 4, 8))).eval()
    out, plain = answered(papers.branches), answered(lambda snippets, geometry: papers(snippets))
    assert isinstance(papers, TwoBranchNetwork)
    assert (papers.reach_ticks, papers.reads_geometry, papers.tells_boundaries, papers.tells_speaking) == (0,) + (
        False,
    ) * 3
    assert torch.equal(out.intensity, plain.intensity)
    assert out.reach is out.quality is out.speaking is None
    folded = answered(papers.folded().branches)
    assert isinstance(papers.encoder, FoldedSpotFormer)
    torch.testing.assert_close(folded.class_scores, out.class_scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        GIMSpotterConfig(),
        GIMSpotterConfig.paper("iclr2025"),
        GIMSpotterConfig(logit_dropout=0.7),
        GIMSpotterConfig(SpotFormerConfig(8, 2, 4, 8), dropout=0.1),
    ],
)
def test_configuration_survives_json(config):
    assert GIMSpotterConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_unknown_configuration_is_refused():
    with pytest.raises(TypeError, match="depth"):
        GIMSpotterConfig.from_dict(dataclasses.asdict(GIMSpotterConfig()) | {"depth": 3})
    with pytest.raises(KeyError, match="two branches"):
        heads_from_authors_state({"other.weight": torch.zeros(1)})
