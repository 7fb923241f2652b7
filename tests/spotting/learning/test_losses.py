"""Losses: the authors' values and gradients, the paper's equations by hand, and finiteness everywhere."""

import math

import numpy as np
import pytest
import torch
from facespot.models.gim import GIMOutput
from facespot.spotting.intervals import Point
from facespot.spotting.learning.losses import (
    LossSettings,
    action_loss,
    apex_focal,
    apex_targets,
    contrast_sample,
    contrastive_loss,
    intensity_loss,
    point_loss,
    smooth_loss,
)
from facespot.spotting.learning.pseudo_labels import PseudoLabels, PseudoLabelSettings, pseudo_labels
from facespot.spotting.learning.release_loss import DATASET_WEIGHTS, reference_loss, release_terms
from golden import golden_cases, load_golden, points_of
from hypothesis import given, settings
from hypothesis import strategies as st

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def golden_batch(case):
    arrays = load_golden(case)
    tensors = {k: torch.from_numpy(arrays[k]) for k in ("feat", "attn_feat", "intensity", "apex")}
    leaves = {k: tensors[k].requires_grad_() for k in ("feat", "intensity", "apex")}
    output = GIMOutput(tensors["feat"], tensors["attn_feat"], tensors["intensity"][..., 0], tensors["apex"])
    targets = [
        pseudo_labels(
            output.intensity[b, :n],
            output.attention[b, :n],
            points_of(arrays["frame_label"][b, :n]),
            int(arrays["epoch"]),
            PseudoLabelSettings.reference(),
        )
        for b, n in enumerate(arrays["video_len"])
    ]
    return arrays, output, targets, leaves


@pytest.mark.parametrize("case", golden_cases("losses"))
def test_targets_match_the_authors(case):
    arrays, output, targets, _ = golden_batch(case)
    samples = []
    for b, target in enumerate(targets):
        np.testing.assert_allclose(target.labels, arrays[f"pseudo_label.{b}"][:, 1:], **TOLERANCE)
        np.testing.assert_array_equal(target.neutral, arrays[f"negatives.{b}"])
        if f"apex_target.{b}" in arrays:
            assert target.apex is not None
            np.testing.assert_array_equal(apex_targets(target), arrays[f"apex_target.{b}"])
        samples.append(contrast_sample(output.features[b, : len(target)].detach(), target))
    features, classes, intensity = (torch.cat(parts).numpy() for parts in zip(*samples, strict=True))
    ours = np.lexsort((*features.T[:2], classes))  # the authors list the same ticks in another order
    theirs = np.lexsort((*arrays["con_features"].T[:2], arrays["con_labels"]))
    np.testing.assert_array_equal(classes[ours], arrays["con_labels"][theirs])
    np.testing.assert_array_equal(features[ours], arrays["con_features"][theirs])
    np.testing.assert_allclose(intensity[ours], arrays["con_intensity"][theirs], **TOLERANCE)


@pytest.mark.parametrize(
    ("case", "dataset"),
    [(c, d) for c in golden_cases("losses") for d in DATASET_WEIGHTS if f"total.{d}" in load_golden(c)],
)
def test_values_and_gradients_match_the_authors(case, dataset):
    arrays, output, targets, leaves = golden_batch(case)
    loss = reference_loss(output, targets, DATASET_WEIGHTS[dataset])
    names = {k for k in arrays if k.split("_")[0] in ("mse", "smooth", "reward", "focal")}
    assert names == set(loss.videos)
    for name, values in loss.videos.items():
        np.testing.assert_allclose(values.detach(), arrays[name], **TOLERANCE, err_msg=name)
    np.testing.assert_allclose(loss.norm.item(), arrays["norm"], **TOLERANCE)
    np.testing.assert_allclose(loss.contrastive.item(), arrays["contrastive"], **TOLERANCE)
    np.testing.assert_allclose(loss.total.item(), arrays[f"total.{dataset}"], **TOLERANCE)
    skipping = reference_loss(output, targets, DATASET_WEIGHTS[dataset], skip_nan=True)
    np.testing.assert_allclose(skipping.total.item(), arrays[f"total_skipnan.{dataset}"], **TOLERANCE)
    terms = release_terms(output, targets, DATASET_WEIGHTS[dataset])
    total = terms.pop("total").item()
    np.testing.assert_allclose(total, arrays[f"total_skipnan.{dataset}"], **TOLERANCE)
    np.testing.assert_allclose(sum(term.item() for term in terms.values()), total, **TOLERANCE)
    for total in (loss.total, skipping.total):
        grads = torch.autograd.grad(total, list(leaves.values()), retain_graph=True, allow_unused=True)
        for (name, leaf), grad in zip(leaves.items(), grads, strict=True):
            grad = torch.zeros_like(leaf) if grad is None else grad
            expected = arrays[f"grad_{name}.{dataset}"]
            scale = np.abs(expected).max()  # the contrastive gradients are tiny; 1e-5 absolute would not see them
            np.testing.assert_allclose(grad, expected, rtol=1e-5, atol=2e-5 * scale, err_msg=name)


def target_of(labels, neutral, apex=None):
    return PseudoLabels(torch.tensor(labels), apex, torch.tensor(neutral, dtype=torch.int64))


HAND = target_of([[0.8, 0.0], [0.0, 0.0], [0.6, 0.4], [0.0, 0.0], [0.0, 0.9]], [1])
HAND_A = torch.tensor([0.5, 0.1, 0.7, 0.9, 0.2])


def test_intensity_loss_by_hand():
    both = ((0.7 - 0.6) ** 2 + (0.7 - 0.4) ** 2) / 2
    expected = ((0.5 - 0.8) ** 2 + 0.1**2 + both + (0.2 - 0.9) ** 2) / 4
    assert intensity_loss(HAND_A, HAND).item() == pytest.approx(expected)

    def bce(a, y):
        return -y * math.log(a) - (1 - y) * math.log(1 - a)

    expected = (bce(0.5, 0.8) + bce(0.1, 0) + (bce(0.7, 0.6) + bce(0.7, 0.4)) / 2 + bce(0.2, 0.9)) / 4
    assert intensity_loss(HAND_A, HAND, "bce").item() == pytest.approx(expected)


def test_smoothness_takes_absolute_differences():
    assert smooth_loss(HAND_A).item() == pytest.approx((0.4 + 0.6 + 0.2 + 0.7) / 4)
    assert smooth_loss(HAND_A[:1]).item() == 0.0


def test_action_loss_by_hand():
    scores = torch.tensor([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.5, 0.5], [0.2, 0.8]])
    expression = -(math.log(0.9 * 0.5) + math.log(0.6 * 0.7) + math.log(0.8 * 0.2)) / 3
    neutral = -(math.log(1 - 0.3 * 0.1) + math.log(1 - 0.7 * 0.1)) / 2
    assert action_loss(HAND_A, scores, HAND).item() == pytest.approx(expression + neutral)


def test_contrastive_loss_by_hand():
    features = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [-1.0, 0.2]], dtype=torch.float64)
    classes, labels = torch.tensor([1, 1, 0, 0]), torch.tensor([0.9, 0.6, 0.0, 0.0], dtype=torch.float64)
    expected = 0.0
    for i in range(4):
        mass = {}
        for e in range(4):
            gap = abs(labels[i] - labels[e]).item()
            weight = 1 - gap if classes[i] == classes[e] else gap
            mass[e] = weight * math.exp((features[i] @ features[e]).item() / 0.5)
        own = [q for q in range(4) if q != i and classes[q] == classes[i]]
        denominator = sum(mass[e] for e in range(4) if e != i)
        expected -= sum(math.log(mass[q] / denominator) for q in own) / len(own)
    assert contrastive_loss(features, classes, labels, 0.5).item() == pytest.approx(expected)
    alone = contrastive_loss(features[1:3], classes[1:3], labels[1:3], 0.5)
    assert alone.item() == 0.0


def test_equal_intensities_of_two_classes_do_not_break_the_contrast():
    features = torch.randn(4, 3, requires_grad=True)
    loss = contrastive_loss(1e3 * features, torch.tensor([1, 1, 2, 2]), torch.ones(4), 0.5)
    (grad,) = torch.autograd.grad(loss, features)
    assert loss.isfinite()
    assert grad.isfinite().all()


def test_apex_targets_and_their_loss():
    labels = torch.zeros(30, 2)
    labels[10, 0] = labels[11, 0] = 1.0
    apex = torch.zeros(30, 2, dtype=torch.bool)
    apex[9:12, 0] = True
    target = PseudoLabels(labels, apex, torch.tensor([25]))
    judged = apex_targets(target)
    assert (judged[:, 0] == 1).nonzero()[:, 0].tolist() == [9, 10, 11]
    assert (judged[:, 0] == 0).nonzero()[:, 0].tolist() == [*range(4, 9), *range(12, 18), 25]
    assert (judged[:, 1] == 0).nonzero()[:, 0].tolist() == [*range(4, 18), 25]
    apart = PseudoLabels(labels, apex.roll(12, dims=0), torch.tensor([25]))  # its label was lost to another point
    assert (apex_targets(apart)[:, 0] == 1).nonzero()[:, 0].tolist() == [21, 22, 23]
    scores = torch.full((30,), 0.5)
    positive, negative = -0.9 * 0.5 * math.log(0.5 + 1e-5), -0.1 * 0.25 * math.log(0.5 + 1e-5)
    expected = (3 * positive + 12 * negative) / 30
    assert apex_focal(scores, judged[:, 0], 0.9).item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="stage 3"):
        apex_targets(PseudoLabels(labels, None, torch.tensor([25])))


def random_output(lengths, seed=0, extreme=False):
    generator = torch.Generator().manual_seed(seed)
    b, t = len(lengths), max(lengths)
    a, s = torch.rand(b, t, generator=generator), torch.rand(b, t, 2, generator=generator)
    if extreme:
        a, s = a.round(), s.round()
    leaves = [torch.randn(b, t, 5, generator=generator) * 30, torch.randn(b, t, 5, generator=generator), a, s]
    return GIMOutput(*(leaf.requires_grad_() for leaf in leaves))


def targets_for(output, lengths, points, epoch):
    return [
        pseudo_labels(output.intensity[b, :n], output.attention[b, :n], points[b], epoch) for b, n in enumerate(lengths)
    ]


@pytest.mark.parametrize("variant", ["journal", "iclr2025"])
@pytest.mark.parametrize("epoch", [0, 2, 40])
def test_total_is_the_weighted_sum_and_padding_never_counts(variant, epoch):
    lengths, points = [40, 25], [[Point(10, "macro"), Point(30, "micro")], [Point(12, "micro")]]
    output = random_output(lengths)
    targets = targets_for(output, lengths, points, epoch)
    weights = LossSettings.cas_me2()
    terms = point_loss(output, targets, variant, weights)
    classes = terms["apex"] if variant == "journal" else terms["action"]
    expected = terms["intensity"] + classes + terms["smooth"] + terms["norm"] + terms["contrastive"]
    assert terms["total"].item() == pytest.approx(expected.item())
    plain = point_loss(output, targets, variant, LossSettings(smooth=1.0, norm=1.0, contrastive=1.0))
    for name, weight in (("smooth", 0.1), ("norm", 2.5), ("contrastive", 1.4e-4)):
        assert terms[name].item() == pytest.approx(weight * plain[name].item())
    assert (classes == 0) == (variant == "journal" and epoch < 5)
    assert terms["contrastive"] > 0
    singles = [point_loss(random_slice(output, b, n), [targets[b]], variant, weights) for b, n in enumerate(lengths)]
    for name in terms:
        mean = sum(single[name].item() for single in singles) / 2
        assert terms[name].item() == pytest.approx(mean, rel=1e-5), name


def random_slice(output, b, n):
    parts = (output.features, output.attention, output.intensity, output.class_scores)
    return GIMOutput(*(part[b : b + 1, :n].detach() for part in parts))


def test_options_change_what_they_name():
    output = random_output([50])
    targets = targets_for(output, [50], [[Point(20, "macro")]], 40)
    plain = point_loss(output, targets, "journal", LossSettings.samm_lv())
    without = point_loss(output, targets, "journal", LossSettings(contrastive=0.0))
    assert (without["contrastive"] == 0) & (plain["contrastive"] > 0)
    bce = point_loss(output, targets, "journal", LossSettings(intensity="bce"))
    assert bce["intensity"] != plain["intensity"]
    with pytest.raises(ValueError, match="intensity"):
        LossSettings(intensity="mae")
    with pytest.raises(ValueError, match="2 targets for 1"):
        point_loss(output, targets * 2, "journal")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 999), st.sampled_from(["macro", "micro"])), max_size=8),
    st.lists(st.integers(1, 60), min_size=1, max_size=3),
    st.sampled_from([0, 3, 5, 50]),
    st.sampled_from(["journal", "iclr2025"]),
    st.sampled_from(["mse", "bce"]),
    st.booleans(),
)
def test_losses_and_gradients_are_always_finite(raw, lengths, epoch, variant, intensity, extreme):
    output = random_output(lengths, extreme=extreme)
    points = [[Point(t % n, kind) for t, kind in raw[b::2]] for b, n in enumerate(lengths)]
    targets = targets_for(output, lengths, points, epoch)
    terms = point_loss(output, targets, variant, LossSettings(intensity=intensity))
    assert all(term.isfinite() for term in terms.values())
    assert terms["total"] >= 0
    leaves = (output.features, output.intensity, output.class_scores)
    for grad in torch.autograd.grad(terms["total"], leaves, allow_unused=True):
        assert grad is None or grad.isfinite().all()
