"""`ContextSpotter`: shapes, what it reads, how far it looks."""

import json
from dataclasses import replace

import pytest
import torch
from facespot.extract.motion.geometry import FIRST_CHANNELS, GEOMETRY_CHANNELS
from facespot.models.context import ContextConfig, ContextSpotter, mirror_inputs
from facespot.models.context_config import MAX_REACH_TICKS

SMALL = ContextConfig(width=8, dilations=(1, 3, 2), dropout=0.0)


def network(config=SMALL):
    torch.manual_seed(0)
    return ContextSpotter(config).eval()


def inputs(ticks, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        0.02 * torch.randn(batch, ticks, 17, 10, 2, generator=generator),
        0.05 * torch.randn(batch, ticks, len(GEOMETRY_CHANNELS), generator=generator),
    )


def answers(net, snippets, geometry):
    with torch.no_grad():
        out = net(snippets, geometry)
    return torch.cat([out.intensity[..., None], out.class_scores, out.reach, out.quality[..., None]], dim=-1)


@pytest.mark.parametrize("ticks", [1, 2, 7, 8, 33])
def test_every_tick_is_answered(ticks):
    out = network()(*inputs(ticks, batch=3))
    assert out.intensity.shape == out.quality.shape == (3, ticks)
    assert out.class_scores.shape == out.reach.shape == (3, ticks, 2)
    assert out.reach.min() > 0
    assert out.reach.max() < MAX_REACH_TICKS
    assert out.speaking.shape == (3, ticks)
    assert out.features is None
    assert out.attention is None


def test_features_on_request_change_no_answer():
    net, (snippets, geometry) = network(), inputs(9)
    out = net(snippets, geometry, with_features=True)
    assert out.features.shape == out.attention.shape == (1, 9, SMALL.width)
    assert torch.equal(out.features[:, 0], out.features[:, 1])
    assert not torch.equal(out.features[:, 1], out.features[:, 2])
    assert torch.equal(out.reach, net(snippets, geometry).reach)


def test_clips_of_a_batch_do_not_mix():
    net, (snippets, geometry) = network(), inputs(20, batch=2)
    both = answers(net, snippets, geometry)
    assert torch.allclose(both[:1], answers(net, snippets[:1], geometry[:1]), atol=1e-5)
    assert torch.allclose(both[1:], answers(net, snippets[1:], geometry[1:]), atol=1e-5)


@pytest.mark.parametrize("tick", [60, 61])
def test_an_answer_depends_on_the_ticks_within_reach_only(tick):
    net = network()
    reach = net.reach_ticks
    seen, other = inputs(120), inputs(120, seed=1)
    asked = answers(net, *seen)[:, tick]

    def replaced(chosen):
        mixed = [torch.where(chosen.view(1, -1, *[1] * (a.ndim - 2)), b, a) for a, b in zip(seen, other, strict=True)]
        return answers(net, *mixed)[:, tick]

    distance = (torch.arange(120) - tick).abs()
    assert torch.allclose(replaced(distance > reach), asked, atol=1e-6)
    # The limit is no looser than the pairing of ticks makes it.
    assert not torch.allclose(replaced(distance > reach - 3), asked, atol=1e-6)


@pytest.mark.parametrize("cut", [30, 64])
def test_a_clip_may_be_cut_into_chunks_with_margins(cut):
    net, (snippets, geometry) = network(), inputs(101)
    whole = answers(net, snippets, geometry)
    margin = net.reach_ticks + net.reach_ticks % 2
    first = answers(net, snippets[:, : cut + margin], geometry[:, : cut + margin])[:, :cut]
    low = max(cut - margin, 0)
    second = answers(net, snippets[:, low:], geometry[:, low:])[:, cut - low :]
    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-5)


@pytest.mark.parametrize(("flow", "geometry"), [(True, False), (False, True)])
def test_a_network_reads_only_what_it_was_configured_for(flow, geometry):
    net = network(ContextConfig(width=8, dilations=(1,), flow=flow, geometry=geometry))
    seen, other = inputs(12), inputs(12, seed=1)
    asked = answers(net, *seen)
    assert torch.equal(answers(net, seen[0], other[1]), asked) == flow
    assert torch.equal(answers(net, other[0], seen[1]), asked) == geometry


def test_a_network_that_reads_nothing_is_refused():
    with pytest.raises(ValueError, match="flow, geometry or both"):
        ContextSpotter(ContextConfig(flow=False, geometry=False))


def test_checkpoints_from_before_there_was_a_choice_keep_their_network():
    old = {"width": 8, "dilations": [1, 3, 2], "dropout": 0.0, "flow": True, "geometry": True}
    net = network(ContextConfig.from_dict(old))
    assert net.config.channels == FIRST_CHANNELS
    assert net.geometry_in.in_features == 2 * 3 * len(FIRST_CHANNELS)
    out = net(*inputs(9))
    assert out.speaking is None
    assert out.reach.max() < 160
    # And what was not there then makes no difference.
    snippets, geometry = inputs(9)
    geometry[..., len(FIRST_CHANNELS) :] = 1.0
    assert torch.equal(net(snippets, geometry).intensity, out.intensity)


def test_a_network_reads_the_channels_it_names():
    net = network(replace(SMALL, channels=("chin_y", "yaw")))
    snippets, geometry = inputs(9)
    asked = answers(net, snippets, geometry)
    for name in GEOMETRY_CHANNELS:
        changed = geometry.clone()
        changed[..., GEOMETRY_CHANNELS.index(name)] += 0.1
        assert torch.equal(answers(net, snippets, changed), asked) == (name not in ("chin_y", "yaw"))
    with pytest.raises(ValueError, match="not in tuple"):
        ContextSpotter(replace(SMALL, channels=("ear_wiggle",)))


def test_configurations_survive_json():
    config = ContextConfig(width=12, dilations=(1, 5), dropout=0.3, flow=False)
    assert ContextConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_mirror_image_of_the_mirror_image_is_the_face():
    snippets, geometry = inputs(6, batch=2)
    flipped = mirror_inputs(snippets, geometry)
    assert not torch.equal(flipped[0], snippets)
    assert not torch.equal(flipped[1], geometry)
    back = mirror_inputs(*flipped)
    assert torch.equal(back[0], snippets)
    assert torch.equal(back[1], geometry)


def test_a_mirror_swaps_sides_and_turns_sideways_motion_round():
    snippets, geometry = torch.zeros(1, 1, 17, 10, 2), torch.zeros(1, 1, len(GEOMETRY_CHANNELS))
    snippets[..., 0, :] = torch.tensor([0.1, 0.2])  # outer brow on the left
    geometry[..., GEOMETRY_CHANNELS.index("yaw")] = 0.3
    geometry[..., GEOMETRY_CHANNELS.index("pitch")] = 0.4
    mirrored, turned = mirror_inputs(snippets, geometry)
    assert mirrored[0, 0, 3, 5].tolist() == pytest.approx([-0.1, 0.2])
    assert not mirrored[..., 0, :].any()
    assert turned[0, 0, GEOMETRY_CHANNELS.index("yaw")] == pytest.approx(-0.3)
    assert turned[0, 0, GEOMETRY_CHANNELS.index("pitch")] == pytest.approx(0.4)


def test_a_mirror_rounds_nothing_where_learning_computes_in_few_bits():
    snippets, geometry = inputs(6, batch=2)
    exact = mirror_inputs(snippets, geometry)
    with torch.autocast("cpu", torch.bfloat16):
        mirrored = mirror_inputs(snippets, geometry)
    assert all(torch.equal(a, b) for a, b in zip(mirrored, exact, strict=True))


def test_parameter_names_stay_as_shipped_checkpoints_have_them():
    names = {name.split(".")[0] for name in network().state_dict()}
    assert names == {"flow_in", "geometry_in", "blocks", "norm", "head"}
    assert {n.split(".", 2)[2] for n in network().state_dict() if n.startswith("blocks.0.")} == {
        f"{layer}.{part}" for layer in ("norm", "temporal", "mix") for part in ("weight", "bias")
    }
