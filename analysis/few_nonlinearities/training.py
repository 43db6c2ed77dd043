"""Neurons of a small CNN that lose their nonlinearity while training goes on, stage by stage, each kept in a file."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from analysis.few_nonlinearities.config import Recipe, Variant
from analysis.shared.checkpoints import restore, save
from analysis.shared.mnist import Data, outputs
from tropnet.errors import NonFiniteError
from tropnet.homotopy.models.activations import ActivationSlope, LinearActivationSlope, activation_slopes

__all__ = [
    "CRITERIA",
    "base",
    "cnn",
    "from_scratch",
    "kept_neurons",
    "leaving",
    "run_path",
    "stages",
]

N_CLASSES = 10


def cnn(channels: int) -> nn.Sequential:
    """Return the network: two strided convolutions with an `ActivationSlope` each, and a linear layer; 28x28 input.

    Examples
    --------
    >>> cnn(8)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    return nn.Sequential(
        nn.Conv2d(1, channels, 5, stride=3, padding=1),
        ActivationSlope((channels, 9, 9)),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        ActivationSlope((channels, 5, 5)),
        nn.Flatten(),
        nn.Linear(25 * channels, N_CLASSES),
    )


def kept_neurons(model: nn.Module) -> dict[str, int]:
    """Return the number of neurons of slope other than 1, by activation."""
    return {name: int((part.slope != 1).sum()) for name, part in activation_slopes(model).items()}


# --- which neurons go first


def _by_ambiguity(z: Tensor, _: int, __: torch.Generator) -> Tensor:
    share = (z > 0).double().mean(0)
    return torch.minimum(share, 1 - share)


def _by_negative_part(z: Tensor, _: int, __: torch.Generator) -> Tensor:
    return z.clamp(max=0).double().square().mean(0)


def _by_chance(z: Tensor, _: int, generator: torch.Generator) -> Tensor:
    return torch.rand(z.shape[1:], generator=generator, dtype=torch.float64)


def _by_layer(z: Tensor, layer: int, generator: torch.Generator) -> Tensor:
    return layer + _by_chance(z, layer, generator)


# From the pre-activations (n, *shape) of training images, and the number of the layer from 0, what is smallest in those
# that go first.
CRITERIA: dict[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {
    "ambiguity": _by_ambiguity,
    "negative part": _by_negative_part,
    "random": _by_chance,
    "layer": _by_layer,
}


def leaving(
    model: nn.Module, images: Tensor, criterion: str, n_left: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return which nonlinear neurons go so that `n_left` stay: bool, by activation; those of the smallest value.

    All layers compete. Ties go in the order of the neurons.
    """
    activations = activation_slopes(model)
    found: dict[str, Tensor] = {}
    hooks = [
        part.register_forward_pre_hook(lambda _, given, name=name: found.__setitem__(name, given[0].detach()))
        for name, part in activations.items()
    ]
    try:
        outputs(model, images, len(images))
    finally:
        for hook in hooks:
            hook.remove()
    values = torch.cat(
        [CRITERIA[criterion](found[name], layer, generator).flatten() for layer, name in enumerate(activations)]
    )
    nonlinear = torch.cat([part.slope.flatten() != 1 for part in activations.values()])
    n_leaving = max(int(nonlinear.sum()) - n_left, 0)
    order = torch.argsort(torch.where(nonlinear, values, math.inf), stable=True)
    chosen = torch.zeros(len(values), dtype=torch.bool)
    chosen[order[:n_leaving]] = True
    parts = chosen.split([part.slope.numel() for part in activations.values()])
    return {name: own.reshape(part.slope.shape) for (name, part), own in zip(activations.items(), parts, strict=True)}


# --- training


def base(recipe: Recipe, seed: int, data: Data, cache: Path) -> nn.Sequential:
    """Return the full network, trained on the labels, or as an earlier run has kept it."""
    return _anew(recipe, seed, data, recipe.base_epochs, run_path(cache, recipe, seed, "base.checkpoint"), {})


def from_scratch(
    recipe: Recipe, seed: int, data: Data, models: Sequence[nn.Module], cache: Path
) -> list[nn.Sequential]:
    """Return networks with the slopes of those after each stage, trained on the labels from random weights.

    Each is trained for as many epochs as the network whose slopes it has, the full network's included.
    """
    found = []
    for index, model in enumerate(models):
        n_epochs = recipe.base_epochs + (index + 1) * (recipe.passage_epochs + recipe.settle_epochs)
        slopes = {name: part.slope for name, part in activation_slopes(model).items()}
        path = run_path(cache, recipe, seed, f"scratch, {index}.checkpoint")
        found.append(_anew(recipe, seed, data, n_epochs, path, slopes))
    return found


def _anew(
    recipe: Recipe, seed: int, data: Data, n_epochs: int, path: Path, slopes: Mapping[str, Tensor]
) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = cnn(recipe.channels)
    if not restore(path, "this network", model.load_state_dict):
        for name, slope in slopes.items():
            activation_slopes(model)[name].slope.copy_(slope)
        generator = torch.Generator().manual_seed(seed)
        _descend(model, data, recipe, n_epochs, generator, rate=lambda done: (1 + math.cos(math.pi * done)) / 2)
        save(model.state_dict(), path)
    return model


def stages(
    recipe: Recipe, variant: Variant, seed: int, data: Data, full: nn.Module, cache: Path
) -> list[nn.Sequential]:
    """Return the network after each stage, from the full one on, trained or as an earlier run has kept it.

    Each stage draws random numbers of its own, so a stopped run goes on to the same weights.
    """
    teacher = outputs(full, data.images) if variant.distilled else None
    model = copy.deepcopy(full)
    n_neurons = sum(part.slope.numel() for part in activation_slopes(full).values())
    n_epochs = recipe.passage_epochs + recipe.settle_epochs
    found = []
    for index, share in enumerate(recipe.shares):
        path = run_path(cache, recipe, seed, f"{variant.name}, {index}.checkpoint")
        if not restore(path, "this network", model.load_state_dict):
            generator = torch.Generator().manual_seed(1_000 * (seed + 1) + index)
            chosen = {}
            if variant.criterion != "none":
                ranked = data.images[: recipe.n_ranked]
                chosen = leaving(model, ranked, variant.criterion, round(share * n_neurons), generator)
            n_steps = math.ceil(len(data.labels) / recipe.batch)
            passage = LinearActivationSlope(model, chosen, recipe.passage_epochs * n_steps if variant.gradual else 1)
            if not variant.gradual:
                passage.step()
            _descend(
                model,
                data,
                recipe,
                n_epochs,
                generator,
                rate=lambda done: min(1.0, (1 - done) * n_epochs / max(recipe.settle_epochs, 1)),
                passage=passage,
                teacher=teacher,
            )
            save(model.state_dict(), path)
        found.append(copy.deepcopy(model))
    return found


def _descend(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    n_epochs: int,
    generator: torch.Generator,
    *,
    rate: Callable[[float], float],
    passage: LinearActivationSlope | None = None,
    teacher: Tensor | None = None,
) -> None:
    """Train in place, with slopes on their passage; `rate` gives the factor of the learning rate by what is done."""
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    n_steps = n_epochs * math.ceil(len(data.labels) / recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step / n_steps))
    for _ in range(n_epochs):
        for rows in torch.randperm(len(data.labels), generator=generator).split(recipe.batch):
            optimiser.zero_grad()
            logits = model(data.images[rows])
            loss = functional.cross_entropy(logits, data.labels[rows])
            if teacher is not None:
                loss = (loss + _distance(logits, teacher[rows], recipe.temperature)) / 2
            if not math.isfinite(value := float(loss.detach())):
                raise NonFiniteError(
                    f"the loss must be finite, got {value}. Lower the learning rate, now {recipe.learning_rate}."
                )
            loss.backward()
            optimiser.step()
            schedule.step()
            if passage is not None:
                passage.step()


def _distance(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the Kullback-Leibler divergence of softened outputs, scaled so that gradients keep their size."""
    return temperature**2 * functional.kl_div(
        functional.log_softmax(logits / temperature, 1),
        functional.log_softmax(wanted / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )


# --- checkpoints


def run_path(cache: Path, recipe: Recipe, seed: int, name: str) -> Path:
    """Return where a file of this recipe and seed is kept: those of others do not meet it."""
    text = json.dumps([dataclasses.asdict(recipe), seed], sort_keys=True)
    return cache / hashlib.sha256(text.encode()).hexdigest()[:16] / name
