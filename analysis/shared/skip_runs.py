"""Training runs of the second paper's networks with skips of a strength: what determines one, and training it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.shared.main import DATA, DEVICE, SUMMARISE, THREADS, Arguments, Job
from analysis.shared.mnist import Data, load
from analysis.shared.results import published, write_json
from tropnet.homotopy import ListSkipStrength, Trainer, remove_skips, resnet18, resnet34, skip_cnn
from tropnet.progress import track

__all__ = [
    "ARCHITECTURES",
    "ARGUMENTS",
    "Recipe",
    "Run",
    "finished",
    "published_curve",
    "reductions",
    "train",
    "train_all",
]

# Without padding the shallow ones resample what their skip carries, as the paper's figures 6 and 7 do.
ARCHITECTURES: Mapping[str, Any] = {
    "resnet34": lambda recipe, t: resnet34(t=t, width=recipe.width),
    "resnet18": lambda recipe, t: resnet18(t=t, width=recipe.width),
    "cnn3": lambda recipe, t: skip_cnn(3, t=t, channels=recipe.channels, padded=False),
    "cnn3_linear": lambda recipe, t: skip_cnn(3, t=t, channels=recipe.channels, padded=False, activation=nn.Identity),
}
# The options of the studies that train them.
ARGUMENTS: Arguments = {**DEVICE, **THREADS, **DATA, **SUMMARISE}
_N_PUBLISHED_TRAIN = 60_000
_N_PUBLISHED_TEST = 10_000


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    n_train, n_test
        The first so many images of each part of MNIST; None takes all, as the paper does.
    width, channels
        Channels of the first stage of a ResNet, and of the convolutions of a shallow CNN.
    learning_rate, batch
        Of plain stochastic gradient descent on the cross-entropy; the paper states the batch only.
    device
        As PyTorch names it.
    """

    n_train: int | None = None
    n_test: int | None = None
    width: int = 64
    channels: int = 8
    learning_rate: float = 0.01
    batch: int = 64
    device: str = "cpu"


@dataclass(frozen=True)
class Run:
    """Everything that determines the weights of one network.

    Attributes
    ----------
    architecture
        A key of `ARCHITECTURES`.
    recipe
        How it is trained.
    strengths
        Strength of the skips in each epoch, the last one in all epochs from then on: one value is a static skip.
    epochs
        Number of epochs.
    trial
        Seed of the initial weights and of the order of the images: runs of one trial begin with the same weights.
    """

    architecture: str
    recipe: Recipe
    strengths: tuple[float, ...]
    epochs: int
    trial: int


def train(run: Run, data: Data, test: Data, cache: Path) -> dict[str, Any]:
    """Train one network, from where an earlier call was stopped, and return what was found.

    Returns
    -------
    dict
        history: the entries of `Trainer.fit`, of which "accuracy" is taken while training and "validation_accuracy" on
        the test images, as in the paper. If the last strength is 0, removed_accuracy: on the test images, after
        `remove_skips`.
    """
    path = _path(run, cache)
    found = finished(run, cache)
    if found is not None:
        return found
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.trial)
        model = ARCHITECTURES[run.architecture](run.recipe, run.strengths[0]).to(run.recipe.device)
    trainer = _trainer(model, run, path.with_suffix(""))
    history = trainer.fit((data.images, data.labels), (test.images, test.labels), epochs=run.epochs)
    found = {"history": history}
    if history[-1]["t"] == 0:
        removed = _trainer(remove_skips(model), run, None)
        found["removed_accuracy"] = removed.evaluate((test.images, test.labels))["accuracy"]
    write_json(path, found)
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)  # the weights, which nothing reads any more
    return found


def _trainer(model: nn.Module, run: Run, directory: Path | None) -> Trainer:
    optimizer = torch.optim.SGD(model.parameters(), lr=run.recipe.learning_rate)
    schedulers = [ListSkipStrength(model, run.strengths)] if directory is not None else []
    return Trainer(
        model, optimizer, schedulers, directory=directory, seed=run.trial, batch_size=run.recipe.batch, progress=True
    )


def finished(run: Run, cache: Path) -> dict[str, Any] | None:
    """Return what `train` found in an earlier run, None if it is not done."""
    path = _path(run, cache)
    return json.loads(path.read_text()) if path.exists() else None


def train_all(runs: Iterable[Run], job: Job) -> None:
    """Train what is not there yet, in order, unless no more is to be trained."""
    part = functools.cache(lambda split, n, device: load(split, n, device, job.data))
    todo = [run for run in runs if finished(run, job.cache) is None] if job.train_more else []
    with track("networks", "runs", enabled=True) as update:
        for n, run in enumerate(todo, start=1):
            recipe = run.recipe
            data, test = part("train", recipe.n_train, recipe.device), part("test", recipe.n_test, recipe.device)
            last = train(run, data, test, job.cache)["history"][-1]
            print(
                f"{run.architecture}, t = {run.strengths[0]:g}{'...' if len(run.strengths) > 1 else ''}, trial"
                f" {run.trial}: {last['validation_accuracy']:.4f}",
                flush=True,
            )
            update(n, n / len(todo))


def _path(run: Run, cache: Path) -> Path:
    text = json.dumps(dataclasses.asdict(run), sort_keys=True)
    return cache / f"{run.architecture}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def reductions(architecture: str, recipe: Recipe) -> list[str]:
    """Return in words what a recipe has less of than the full one; nothing for that.

    Examples
    --------
    >>> reductions("resnet18", Recipe(n_train=1000, width=16))
    ['1,000 of 60,000 training images', 'width 16 of 64']
    """
    found = []
    if recipe.n_train is not None:
        found.append(f"{recipe.n_train:,} of {_N_PUBLISHED_TRAIN:,} training images")
    if recipe.n_test is not None:
        found.append(f"{recipe.n_test:,} of {_N_PUBLISHED_TEST:,} test images")
    if architecture.startswith("resnet") and recipe.width != Recipe.width:
        found.append(f"width {recipe.width} of {Recipe.width}")
    if recipe.batch != Recipe.batch:
        found.append(f"batch {recipe.batch} instead of {Recipe.batch}")
    if recipe.learning_rate != Recipe.learning_rate:
        found.append(f"learning rate {recipe.learning_rate:g} instead of {Recipe.learning_rate:g}")
    return found


def published_curve(figure: str, curve: str) -> tuple[list[float], list[float]]:
    """Return abscissas and accuracies of a curve of a published figure, by the first."""
    points = sorted(published("cnn_figures")["figures"][figure][curve])
    return [x for x, _ in points], [y for _, y in points]
