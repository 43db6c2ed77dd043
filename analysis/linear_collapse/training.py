"""Training several networks side by side, epoch by epoch, so that a stopped run resumes to the same weights."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from analysis.linear_collapse.config import Recipe
from analysis.shared.checkpoints import restore, save
from analysis.shared.mnist import Data
from tropnet.errors import NonFiniteError
from tropnet.progress import Update, track

__all__ = ["Training", "accuracy", "resume", "schedule", "train"]


@dataclass
class Training:
    """A network in training.

    Attributes
    ----------
    name, model, optimiser
        The network and what trains it.
    order
        Draws the order of the images, on the CPU: the only random numbers after the initial weights.
    history
        What `train` found after each epoch.
    path
        Its checkpoint.
    """

    name: str
    model: nn.Module
    optimiser: torch.optim.Optimizer
    order: torch.Generator
    path: Path
    history: list[dict[str, Any]] = field(default_factory=list)


def schedule(done: Mapping[str, int], wanted: Mapping[str, int]) -> list[tuple[int, str]]:
    """Return the epochs still to be run as (epoch, network): all networks' first epochs, then all second ones, ...

    Examples
    --------
    >>> schedule({"a": 1}, {"a": 2, "b": 3})
    [(1, 'b'), (2, 'a'), (2, 'b'), (3, 'b')]
    """
    last = max(wanted.values(), default=0)
    return [
        (epoch, name)
        for epoch in range(1, last + 1)
        for name, n_epochs in wanted.items()
        if done.get(name, 0) < epoch <= n_epochs
    ]


def resume(name: str, build: Callable[[], nn.Module], recipe: Recipe, cache: Path) -> Training:
    """Return a network as its checkpoint has it, or with its initial weights if there is none.

    Checkpoints of different recipes do not meet: the recipe is part of the path.

    Raises
    ------
    FileFormatError
        The checkpoint is damaged.
    """
    recipe_text = json.dumps(dataclasses.asdict(recipe), sort_keys=True)
    path = cache / hashlib.sha256(recipe_text.encode()).hexdigest()[:16] / f"{name}.checkpoint"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build()
    model.to(recipe.device)
    optimiser = torch.optim.SGD(model.parameters(), lr=recipe.learning_rate)
    training = Training(name, model, optimiser, torch.Generator().manual_seed(recipe.seed), path)

    def put(state: dict[str, Any]) -> None:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        training.order.set_state(state["order"])
        training.history = state["history"]

    restore(path, name, put)
    return training


def train(training: Training, data: Data, test: Data, recipe: Recipe) -> dict[str, Any]:
    """Train for one epoch, evaluate, write the checkpoint, and return the entry that was added to the history.

    Returns
    -------
    dict
        epoch; loss and train_accuracy, means over the epoch while training; accuracy on the test images in "eval" mode
        and, if there is batch norm, by the statistics of each batch of 64 as in training ("batch"); seconds.

    Raises
    ------
    NonFiniteError
        The loss is NaN or infinite; the checkpoint of the epoch before stays.
    """
    begin = time.perf_counter()
    epoch = len(training.history) + 1
    with track(f"{training.name}, epoch {epoch}", "steps", enabled=True) as update:
        loss, train_accuracy = _descend(training, data, recipe, update)
    found = {"eval": accuracy(training.model, test, recipe.batch)}
    if any(isinstance(module, nn.BatchNorm2d) for module in training.model.modules()):
        found["batch"] = accuracy(training.model, test, recipe.batch, batch_statistics=True)
    entry = {
        "epoch": epoch,
        "loss": loss,
        "train_accuracy": train_accuracy,
        "accuracy": found,
        "seconds": time.perf_counter() - begin,
    }
    training.history.append(entry)
    state = {
        "model": training.model.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "order": training.order.get_state(),
        "history": training.history,
    }
    save(state, training.path)
    return entry


def _descend(training: Training, data: Data, recipe: Recipe, update: Update) -> tuple[float, float]:
    """Run the steps of one epoch and return the mean loss and accuracy of the batches before their steps."""
    training.model.train()
    n = len(data.labels)
    batches = torch.randperm(n, generator=training.order).split(recipe.batch)
    total, correct = 0.0, 0
    for step, chosen in enumerate(batches, start=1):
        rows = chosen.to(data.images.device)
        labels = data.labels[rows]
        training.optimiser.zero_grad()
        logits = training.model(data.images[rows])
        loss = functional.cross_entropy(logits, labels)
        value = float(loss.detach())
        if not -float("inf") < value < float("inf"):
            raise NonFiniteError(
                f"the loss of {training.name} must be finite, got {value} at epoch {len(training.history) + 1}, step"
                f" {step} of {len(batches)}. Lower the learning rate, now {recipe.learning_rate}."
            )
        loss.backward()
        training.optimiser.step()
        total += value * len(rows)
        correct += int((logits.detach().argmax(1) == labels).sum())
        update(step, step / len(batches))
    return total / n, correct / n


def accuracy(model: nn.Module, data: Data, batch: int, *, batch_statistics: bool = False) -> float:
    """Return the fraction of images classified correctly; the model is not changed.

    Parameters
    ----------
    batch_statistics
        Leave the model in training mode, so that batch norm normalises by the statistics of the batch it is given.
    """
    # In training mode batch norm also moves its stored statistics; those of a copy.
    model = copy.deepcopy(model).train(batch_statistics)
    correct = 0
    with torch.no_grad():
        for images, labels in zip(data.images.split(batch), data.labels.split(batch), strict=True):
            correct += int((model(images).argmax(1) == labels).sum())
    return correct / len(data.labels)
