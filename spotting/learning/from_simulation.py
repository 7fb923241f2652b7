"""Learning a `ContextSpotter` from full intervals and intensity curves, which only simulation can give.

Learning from one point per expression, the paper's subject, is in `pseudo_labels` and `losses`; it trains the same
network too.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...extract.features import SNIPPET_REACH, SNIPPET_STEPS
from ...extract.regions import ROI_NAMES
from ...models.context import ContextConfig, ContextOutput, ContextSpotter, mirror_inputs
from ..simulation.corpus import ClipBatch
from ..simulation.stage import Event
from .optimisers import make_optimiser
from .states import read_state, write_state

_EDGE_SHARE = 0.15  # of an expression at either end, where even annotators differ
_EDGE_WEIGHT = 0.15
_NOISE_SEED = 0
_NO_HIT, _SURE_HIT = 0.4, 0.6  # IoU between which an interval becomes a hit; the protocol's bound is the middle


@dataclass(frozen=True, eq=False)
class Targets:
    """What n clips of T ticks should be answered with, all float32.

    classes: (n, T, 2) 1 for the class (macro, micro) of the tick's expression. weight: (n, T) say of the tick in the
    class loss. reach: (n, T, 2) ticks to onset and offset. inside: (n, T) 1 in an expression. intensity: (n, T) 0..1.
    speaking: (n, T) 1 where the face is talking.
    """

    classes: Tensor
    weight: Tensor
    reach: Tensor
    inside: Tensor
    intensity: Tensor
    speaking: Tensor

    def pick(self, rows: np.ndarray) -> "Targets":
        """The targets of some clips."""
        index = torch.from_numpy(rows)
        return Targets(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def to(self, device: torch.device | str) -> "Targets":
        """The same on another device."""
        return Targets(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def make_targets(events: Sequence[Sequence[Event]], intensity: np.ndarray, speaking: np.ndarray) -> Targets:
    """Targets of n clips of T ticks from their events, intensity (n, T) and speaking (n, T).

    Where two expressions overlap, the shorter one has the ticks.
    """
    n, ticks = intensity.shape
    classes = np.zeros((n, ticks, 2), np.float32)
    weight = np.ones((n, ticks), np.float32)
    reach = np.zeros((n, ticks, 2), np.float32)
    inside = np.zeros((n, ticks), np.float32)
    for row, clip in enumerate(events):
        for event in sorted(clip, key=lambda e: e.onset - e.offset):
            span = slice(event.onset, event.offset + 1)
            length = event.offset - event.onset + 1
            edge = max(1, round(_EDGE_SHARE * length))
            classes[row, span] = [event.type == "macro", event.type == "micro"]
            weight[row, span] = 1.0
            weight[row, event.onset : event.onset + edge] = _EDGE_WEIGHT
            weight[row, event.offset - edge + 1 : event.offset + 1] = _EDGE_WEIGHT
            reach[row, span, 0] = np.arange(length)
            reach[row, span, 1] = np.arange(length)[::-1]
            inside[row, span] = 1.0
    arrays = (classes, weight, reach, inside, intensity.astype(np.float32), speaking.astype(np.float32))
    return Targets(*(torch.from_numpy(a) for a in arrays))


def class_loss(scores: Tensor, classes: Tensor, weight: Tensor) -> Tensor:
    """Focal cross-entropy (exponent 0.5). scores: (..., 2) logits; classes: (..., 2) 0 or 1; weight: (...) of ticks."""
    surprise = (classes - torch.sigmoid(scores)).abs().detach().sqrt()
    entropy = F.binary_cross_entropy_with_logits(scores, classes, reduction="none")
    # The constant makes up for the factor of a mean surprise.
    return (entropy * surprise * weight[..., None]).mean() / 0.175


def interval_loss(output: ContextOutput, target: Targets) -> dict[str, Tensor]:
    """Terms of the loss; their sum is minimised.

    class: `class_loss`, in which the ends weigh less. reach: 1 - IoU of each tick's own interval.
    intensity: mean squared error, the paper's eq. 9 with the true curve. quality: cross-entropy against how much of
    a hit the tick's interval is, 0 up to an IoU of 0.4 and 1 from 0.6 on. speaking: cross-entropy, from networks that
    tell.
    """
    n_inside = target.inside.sum() + 1
    shared = torch.minimum(output.reach, target.reach).sum(-1) + 1
    joint = torch.maximum(output.reach, target.reach).sum(-1) + 1
    iou = shared / joint
    hit = ((iou.detach() - _NO_HIT) / (_SURE_HIT - _NO_HIT)).clamp(0, 1)
    quality = F.binary_cross_entropy_with_logits(output.quality, hit, reduction="none")
    terms = {
        "class": class_loss(output.class_scores, target.classes, target.weight),
        "reach": 0.5 * ((1 - iou) * target.inside).sum() / n_inside,
        "intensity": (torch.sigmoid(output.intensity) - target.intensity).square().mean(),
        "quality": 0.25 * (quality * target.inside).sum() / n_inside,
    }
    if output.speaking is not None:
        terms["speaking"] = 0.1 * F.binary_cross_entropy_with_logits(output.speaking, target.speaking)
    return terms


@dataclass(frozen=True)
class SupervisedRecipe:
    """Training of one network.

    ticks_per_step: clips times ticks of a batch. rate, warmup_steps, weight_decay: of AdamW, the rate falling as a
    cosine. average: decay of the moving average of the weights. flow_dropout: share of clips whose flow is zeroed, so
    that geometry is learnt too. gain: spread (natural logarithm) of a random factor on the flow. noise: largest
    standard deviation (IOD) of noise added to it. glitches: share of clips in which tracks slip (`_glitches`).
    film_share: of the batches, those that are of films, where there are any.
    """

    steps: int = 6000
    ticks_per_step: int = 5120
    rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.02
    average: float = 0.998
    flow_dropout: float = 0.08
    gain: float = 0.15
    noise: float = 0.001
    glitches: float = 0.0
    film_share: float = 0.4


def _glitches(shape: tuple[int, int], share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """In which of n clips of T ticks tracks slip, (k,), and what that adds to their snippets, (k, T, 17, 10, 2).

    A track that lost its patch of skin jitters or sits beside it for a while, in one region or two. What one picture
    displaces is shared by every displacement that starts or ends in that picture.
    """
    n, ticks = shape
    slipping = np.flatnonzero(rng.random(n) < share)
    slip = np.zeros((len(slipping), ticks, len(ROI_NAMES), 2), np.float32)
    for moved in slip:
        for _ in range(1 + rng.poisson(ticks / 60)):
            start, length = int(rng.integers(ticks)), int(np.exp(rng.uniform(np.log(2), np.log(60))))
            stop = min(start + length, ticks)
            size = np.exp(rng.uniform(np.log(0.01), np.log(0.12)))
            # Neighbouring regions slip together now and then.
            roi = int(rng.integers(len(ROI_NAMES)))
            rois = [roi] if rng.random() < 0.75 else [roi, (roi + 1) % len(ROI_NAMES)]
            if rng.random() < 0.6:
                jitter = rng.normal(size=(stop - start, len(rois), 2)) * (
                    rng.random((stop - start, 1, 1)) < rng.random()
                )
            else:
                jitter = np.broadcast_to(rng.normal(size=(1, len(rois), 2)), (stop - start, len(rois), 2))
            moved[start:stop, rois] += size * jitter
    here = np.arange(ticks)
    reference = np.clip(here - SNIPPET_REACH, 0, ticks - 1)
    target = np.clip(here[:, None] - SNIPPET_REACH + np.arange(SNIPPET_STEPS), 0, ticks - 1)
    return slipping, slip[:, target] - slip[:, reference][:, :, None]


def _augment(
    snippets: Tensor, geometry: Tensor, noise: Tensor, recipe: SupervisedRecipe, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Clips (n, T, 17, 10, 2) and (n, T, G) as another camera, another face or a mirror might show them.

    noise: more normal numbers than there are displacements, in one line. Changes the clips.
    """
    n = len(snippets)

    def column(values: Tensor) -> Tensor:
        return values.view(-1, 1, 1, 1, 1)

    snippets.mul_(column(torch.exp(torch.randn(n, generator=generator) * recipe.gain)))
    flip = torch.rand(n, generator=generator) < 0.5
    snippets[flip], geometry[flip] = mirror_inputs(snippets[flip], geometry[flip])
    amount = column(torch.rand(n, generator=generator)) * recipe.noise
    # Another stretch of the same noise every time: drawing it anew would take as long as a layer of the network.
    at = int(torch.randint(len(noise) - snippets.numel(), (), generator=generator))
    snippets.addcmul_(noise[at : at + snippets.numel()].view(snippets.shape), amount)
    keep = torch.rand(n, generator=generator) >= recipe.flow_dropout
    return snippets.mul_(column(keep)), geometry


class ClipSampler:
    """Batches of simulated clips, augmented and with slipping tracks.

    corpus: clips by their length in ticks; a length is drawn as often as its share of all ticks.
    """

    def __init__(self, corpus: Mapping[int, ClipBatch], recipe: SupervisedRecipe):
        self._corpus, self._recipe = corpus, recipe
        self._targets = {
            ticks: make_targets(batch.events, batch.intensity, batch.speaking) for ticks, batch in corpus.items()
        }
        longest = max(max(4 * ticks, recipe.ticks_per_step) for ticks in corpus)
        self._noise = torch.randn(
            2 * longest * SNIPPET_STEPS * len(ROI_NAMES) * 2, generator=torch.Generator().manual_seed(_NOISE_SEED)
        )
        self._lengths = list(corpus)
        share = np.array([len(corpus[t]) * t for t in self._lengths], float)
        self._share = share / share.sum()

    def draw(self, rng: np.random.Generator, generator: torch.Generator) -> tuple[Tensor, Tensor, Targets]:
        """Snippets (n, T, 17, 10, 2), geometry (n, T, G) and targets of one batch."""
        ticks = int(rng.choice(self._lengths, p=self._share))
        batch = self._corpus[ticks]
        rows = np.sort(rng.integers(len(batch), size=max(4, self._recipe.ticks_per_step // ticks)))
        snippets, geometry = (torch.from_numpy(part[rows]).float() for part in (batch.snippets, batch.geometry))
        if self._recipe.glitches:
            slipping, slip = _glitches(snippets.shape[:2], self._recipe.glitches, rng)
            snippets[slipping] += torch.from_numpy(slip)
        snippets, geometry = _augment(snippets, geometry, self._noise, self._recipe, generator)
        return snippets, geometry, self._targets[ticks].pick(rows)


def train_supervised(
    corpus: dict[int, ClipBatch],
    config: ContextConfig,
    recipe: SupervisedRecipe,
    seed: int,
    device: torch.device | str = "cpu",
    start: Mapping[str, Tensor] | None = None,
    state: Path | None = None,
    films: Mapping[int, ClipBatch] | None = None,
) -> Iterator[tuple[int, dict[str, float], ContextSpotter]]:
    """Train one network on simulated clips; yields (step, mean loss terms since the last, averaged network) about a
    hundred times, the last step always among them.

    corpus: clips by their length in ticks. The averaged network (exponential moving average, timm's ModelEmaV3) is the
    one to keep. films: more clips, of performances that went through pixels (`simulation.films`); by the recipe's share
    a batch is of these alone. start: tensors to begin from instead of random ones. state: file to keep the training in
    whenever it yields; one that was interrupted goes on there, yields first what it last yielded, and ends with the
    same network.
    Same seed and machine, same result. Raises WeightsError as `read_state` for a state that is damaged or another's.
    """
    from ...models.compat import import_timm

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    clips = ClipSampler(corpus, recipe)
    filmed = ClipSampler(films, recipe) if films else None
    net = ContextSpotter(config).to(device)
    if start is not None:
        net.load_state_dict(start)
    average = import_timm("timm.utils").ModelEmaV3(net, decay=recipe.average, use_warmup=True)
    optimizer = make_optimiser(net.parameters(), recipe.rate, recipe.weight_decay)
    schedule = import_timm("timm.scheduler").CosineLRScheduler(
        optimizer,
        t_initial=recipe.steps,
        warmup_t=recipe.warmup_steps,
        warmup_lr_init=1e-6,
        t_in_epochs=False,
        lr_min=1e-6,
    )
    report_every = max(recipe.steps // 100, 1)
    sums: dict[str, float] = {}
    reported = 0
    identity = "" if state is None else _identity([corpus, films or {}], config, recipe, seed, start)
    learners = {"network": net, "average": average.module, "optimizer": optimizer}
    if state is not None and state.exists():
        kept = read_state(state, identity, "cpu")
        for name, learner in learners.items():
            learner.load_state_dict(kept[name])
        rng.bit_generator.state = json.loads(kept["rng"])
        generator.set_state(kept["generator"])
        torch.set_rng_state(kept["torch"])
        reported = kept["step"]
        yield reported, kept["terms"], average.module
    for step in range(reported + 1, recipe.steps + 1):
        source = filmed if filmed is not None and rng.random() < recipe.film_share else clips
        snippets, geometry, target = source.draw(rng, generator)
        target = target.to(device)
        net.train()
        terms = interval_loss(net(snippets.to(device), geometry.to(device)), target)
        optimizer.zero_grad(set_to_none=True)
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step_update(step)
        average.update(net, step=step)
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + float(term.detach())
        if step % report_every == 0 or step == recipe.steps:
            means = {name: value / (step - reported) for name, value in sums.items()}
            sums, reported = {}, step
            if state is not None:
                random = {"rng": json.dumps(rng.bit_generator.state), "generator": generator.get_state()}
                random["torch"] = torch.get_rng_state()
                states = {name: learner.state_dict() for name, learner in learners.items()}
                write_state(state, identity, {"step": step, "terms": means, **random, **states})
            yield step, means, average.module


def _identity(
    corpora: Sequence[Mapping[int, ClipBatch]],
    config: ContextConfig,
    recipe: SupervisedRecipe,
    seed: int,
    start: Mapping[str, Tensor] | None,
) -> str:
    """Digest of what a training starts from; the clips' curves stand for all that there is of them."""
    digest = hashlib.sha256(json.dumps([asdict(config), asdict(recipe), seed], sort_keys=True).encode())
    for corpus in corpora:
        for ticks, batch in sorted(corpus.items()):
            digest.update(f"{ticks} {len(batch)}".encode())
            digest.update(np.ascontiguousarray(batch.intensity))
            digest.update(np.ascontiguousarray(batch.speaking))
    for name, tensor in sorted((start or {}).items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
