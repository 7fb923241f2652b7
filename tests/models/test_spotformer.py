"""SpotFormer against the authors' outputs, and what must hold without them."""

import numpy as np
import pytest
import torch
from facespot.benchmarks.authors_forward import AuthorsSpotFormer
from facespot.models import folded as folded_module
from facespot.models import spotformer
from facespot.models.folded import FoldedSpotFormer
from facespot.models.spotformer import SpotFormer, SpotFormerConfig, from_authors_state
from golden import golden_cases, golden_is_rounded, load_golden, strip_prefix

TOLERANCE = 2e-3 if golden_is_rounded() else 2e-5


def golden_model(arrays):
    dim, heads, dim_head, mlp_dim = map(int, arrays["cfg"])
    model = SpotFormer(SpotFormerConfig(dim, heads, dim_head, mlp_dim, embedding_dropout=0.0))
    model.load_state_dict(from_authors_state({k: torch.from_numpy(v) for k, v in strip_prefix(arrays, "sd.").items()}))
    return model


@pytest.mark.parametrize("case", golden_cases("spotformer"))
def test_matches_the_authors_in_evaluation(case):
    arrays = load_golden(case)
    with torch.no_grad():
        out = golden_model(arrays).eval()(torch.from_numpy(arrays["x"]))
    np.testing.assert_allclose(out, arrays["out_eval"], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("case", golden_cases("spotformer"))
def test_matches_the_authors_in_training_with_running_statistics(case):
    arrays = load_golden(case)
    model = golden_model(arrays).train()
    out = model(torch.from_numpy(arrays["x"]))
    np.testing.assert_allclose(out.detach(), arrays["out_train_nodropout"], rtol=TOLERANCE, atol=TOLERANCE)
    after = from_authors_state({k: torch.from_numpy(v) for k, v in strip_prefix(arrays, "train_after.").items()})
    assert len(after) == 6
    for name, expected in after.items():
        np.testing.assert_allclose(model.state_dict()[name], expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("case", golden_cases("spotformer"))
def test_the_folded_encoder_matches_the_authors(case):
    arrays = load_golden(case)
    folded = FoldedSpotFormer(golden_model(arrays).eval())
    np.testing.assert_allclose(
        folded(torch.from_numpy(arrays["x"])), arrays["out_eval"], rtol=TOLERANCE, atol=TOLERANCE
    )


@pytest.mark.parametrize("case", golden_cases("spotformer"))
def test_the_forward_that_is_timed_as_the_authors_is_theirs(case):
    arrays = load_golden(case)
    model = AuthorsSpotFormer(*map(int, arrays["cfg"])).eval()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in strip_prefix(arrays, "sd.").items()})
    with torch.no_grad():
        out = model(torch.from_numpy(arrays["x"]))
    np.testing.assert_allclose(out, arrays["out_eval"], rtol=TOLERANCE, atol=TOLERANCE)


def some_snippets(batch=1, length=9, seed=0):
    return torch.randn(batch, length, 17, 10, 2, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("config", [SpotFormerConfig(), SpotFormerConfig.paper(), SpotFormerConfig(7, 3, 5, 2)])
def test_any_width(config):
    assert SpotFormer(config).eval()(some_snippets(2, 3)).shape == (2, 3, config.dim)


def test_paper_size_has_the_published_number_of_parameters():
    n_parameters = sum(p.numel() for p in SpotFormer(SpotFormerConfig.paper()).parameters())
    assert n_parameters == 3_166_208 - 256  # less the embedding row that the release never reads


@torch.no_grad()
def test_chunks_change_nothing(monkeypatch):
    torch.manual_seed(0)
    model = SpotFormer().eval()
    snippets = some_snippets(2, 11)
    whole = model(snippets)
    monkeypatch.setattr(spotformer, "CHUNK", 4)
    torch.testing.assert_close(model(snippets), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", [SpotFormerConfig(embedding_dropout=0.0), SpotFormerConfig(7, 1, 7, 5, 0.0)])
def test_training_in_chunks_has_the_same_answers_gradients_and_statistics(config, monkeypatch):
    def step(chunk):
        monkeypatch.setattr(spotformer, "TRAINING_CHUNK", chunk)
        torch.manual_seed(0)
        model = SpotFormer(config).double().train()
        snippets = some_snippets(2, 11).double()
        out = model(snippets)
        (out * torch.linspace(0, 1, out.numel()).view_as(out).double()).sum().backward()
        return out.detach(), [p.grad for p in model.parameters()], model.state_dict()

    whole, parts = step(1000), step(4)
    torch.testing.assert_close(parts[0], whole[0])
    torch.testing.assert_close(parts[1], whole[1], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(parts[2], whole[2])


def test_training_keeps_only_what_flows_between_the_layers(monkeypatch):
    """The published size takes 5 MB of activations a snippet, if autograd keeps what it likes."""
    config, snippets = SpotFormerConfig(dim=16, heads=2, dim_head=8, mlp_dim=16), some_snippets(1, 24)

    def kept(chunk):
        monkeypatch.setattr(spotformer, "TRAINING_CHUNK", chunk)
        found = {}

        def keep(tensor):
            found[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no other gets its place
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = SpotFormer(config).train()(snippets)
        assert out.requires_grad
        return sum(tensor.untyped_storage().nbytes() for tensor in found.values())

    tokens = 24 * 170 * config.dim * 4
    assert kept(4) < 7 * tokens
    assert kept(1000) > 20 * tokens


@pytest.mark.parametrize("training", [False, True])
def test_invalid_snippets_change_nothing(training):
    torch.manual_seed(0)
    model = SpotFormer(SpotFormerConfig(embedding_dropout=0.0)).train(training)
    snippets = some_snippets(2, 6)
    valid = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 0, 1, 1, 1, 1]], dtype=torch.bool)
    first = model(snippets, valid)
    snippets[~valid] = 1e3
    second = model(snippets, valid)
    torch.testing.assert_close(first, second)
    assert (first[~valid] == 0).all()
    alone = model(snippets[valid][None])[0]
    torch.testing.assert_close(first[valid], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", [SpotFormerConfig(), SpotFormerConfig(7, 1, 7, 5)])
def test_the_folded_encoder_answers_as_the_trained_one(config, monkeypatch):
    torch.manual_seed(0)
    model = SpotFormer(config).train()
    for _ in range(3):
        model(some_snippets(1, 20, seed=3) + 0.5)  # running statistics that are not those of a fresh network
    model.eval()
    monkeypatch.setattr(folded_module, "CHUNK", 4)
    monkeypatch.setattr(folded_module, "CHUNK_LATE", 7)
    folded = folded_module.FoldedSpotFormer(model)
    snippets, valid = some_snippets(2, 11), torch.ones(2, 11, dtype=torch.bool)
    valid[0, 3:7] = False
    with torch.no_grad():
        torch.testing.assert_close(folded(snippets, valid), model(snippets, valid), rtol=1e-5, atol=1e-5)
    assert folded(snippets[:, :0]).shape == (2, 0, config.dim)
    with pytest.raises(ValueError, match=r"\(B, L, 17, 10, 2\)"):
        folded(torch.zeros(1, 5, 16, 10, 2))


def test_no_valid_snippet_gives_zeros():
    out = SpotFormer().eval()(some_snippets(1, 4), torch.zeros(1, 4, dtype=torch.bool))
    assert out.shape == (1, 4, 48)
    assert (out == 0).all()


def test_every_parameter_learns():
    model = SpotFormer().train()
    model(some_snippets(2, 8)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(B, L, 17, 10, 2\)"):
        SpotFormer()(torch.zeros(1, 5, 16, 10, 2))
    with pytest.raises(ValueError, match="at least 1"):
        SpotFormerConfig(dim=0)
    with pytest.raises(KeyError, match="not a parameter"):
        from_authors_state({"unknown.weight": torch.zeros(1)})
