"""Learning on a card and in half precision. What needs no card runs on the CPU as well; the rest skips without one."""

from dataclasses import replace

import pytest
import torch
from facespot.errors import FacespotError
from facespot.models.device import training_dtype
from facespot.models.spotformer import SpotFormer, SpotFormerConfig
from facespot.spotting.intervals import Point
from facespot.spotting.learning.from_points import PointTrainer, train
from facespot.spotting.learning.point_videos import PointVideo
from small_set import clip, tiny

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.cuda,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
    ],
)
DEVICES = ["cpu", CUDA]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def videos():
    found = []
    for seed in range(2):
        features, events = clip(seed)
        points = tuple(sorted({Point(e.apex, e.type) for e in events}))
        found.append(PointVideo("own", f"p{seed}", f"v{seed}", features, points))
    return found


def recipe(network="journal", precision="float32", epochs=2):
    found = tiny(network, epochs, batch=2, precision=precision)
    # Dropout draws other numbers on another device.
    return replace(found, encoder=replace(found.encoder, embedding_dropout=0.0))


def without_dropout(trainer):
    for module in trainer.networks.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return trainer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("network", "precision"), [("journal", "float32"), ("journal", "bf16"), ("context", "bf16")])
def test_a_step_moves_every_weight_it_can_and_keeps_them_float32(videos, device, network, precision):
    trainer = PointTrainer(videos, recipe(network, precision), device=device)
    before = {name: p.detach().clone() for name, p in trainer.networks.named_parameters()}
    assert torch.tensor(trainer.run_epoch().terms["total"]).isfinite()
    moved = 0
    for name, p in trainer.networks.named_parameters():
        assert p.dtype == torch.float32
        assert p.device.type == device
        assert p.isfinite().all()
        moved += not torch.equal(p, before[name])
    assert moved > 0.7 * len(before)


@pytest.mark.parametrize("device", DEVICES)
def test_half_precision_is_used_and_near_single(videos, device):
    losses = {}
    for precision in ("float32", "bf16"):
        trainer = without_dropout(PointTrainer(videos, recipe(precision=precision), device=device))
        losses[precision] = trainer.run_epoch().terms["total"]
    assert losses["bf16"] != losses["float32"]
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.05, abs=0.02)


@pytest.mark.parametrize(
    ("device", "precision"),
    [("cpu", "bf16"), *(pytest.param("cuda", each, marks=CUDA.marks) for each in ("float32", "bf16", "fp16"))],
)
def test_a_training_resumes_as_if_it_had_not_stopped(videos, device, precision, tmp_path):
    whole = train(videos, recipe(precision=precision), tmp_path / "whole", device=device)
    first = PointTrainer(videos, recipe(precision=precision), device=device)
    first.run_epoch()
    first.save_state(tmp_path / "state")
    second = PointTrainer(videos, recipe(precision=precision), device=device)
    second.load_state(tmp_path / "state")
    second.run_epoch()
    second.save_weights(tmp_path / "parts.safetensors")
    assert (tmp_path / "parts.safetensors").read_bytes() == whole.read_bytes()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_fp16_scales_its_gradients(videos):
    trainer = PointTrainer(videos, recipe(precision="fp16"), device="cuda")
    trainer.run_epoch()
    assert trainer._scaler.is_enabled()
    assert all(p.isfinite().all() for p in trainer.networks.parameters())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("network", ["journal", "context"])
def test_processor_and_card_agree(videos, network):
    trained = {}
    for device in ("cpu", "cuda"):
        trainer = without_dropout(PointTrainer(videos, recipe(network), device=device))
        loss = trainer.run_epoch().terms["total"]
        trained[device] = loss, {name: value.cpu() for name, value in trainer.networks.state_dict().items()}
    assert trained["cuda"][0] == pytest.approx(trained["cpu"][0], rel=1e-3, abs=1e-3)
    torch.testing.assert_close(trained["cuda"][1], trained["cpu"][1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_chunks_agree_with_one_piece_in_half_precision_too(device, monkeypatch):
    def step(chunk):
        monkeypatch.setattr("facespot.models.spotformer.TRAINING_CHUNK", chunk)
        torch.manual_seed(0)
        model = SpotFormer(SpotFormerConfig(embedding_dropout=0.0)).train().to(device)
        snippets = torch.randn(1, 11, 17, 10, 2, generator=torch.Generator().manual_seed(0)).to(device)
        with torch.autocast(device, torch.bfloat16):
            out = model(snippets).float()
        out.square().mean().backward()
        return out.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])

    (whole, gradient), (parts, of_parts) = step(1000), step(4)
    assert (parts - whole).norm() < 0.05 * whole.norm()
    assert (of_parts - gradient).norm() < 0.1 * gradient.norm()


def test_a_precision_that_the_device_lacks_is_refused(videos):
    assert training_dtype("float32", torch.device("mps")) is None
    with pytest.raises(FacespotError, match="--precision bf16 or float32"):
        PointTrainer(videos, recipe(precision="fp16"), device="cpu")
    with pytest.raises(FacespotError, match="does not compute in bf16"):
        training_dtype("bf16", torch.device("mps"))
    with pytest.raises(ValueError, match="precision must be one of"):
        recipe(precision="fp8")
