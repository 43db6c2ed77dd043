"""Training runs of the second paper's networks with skips of a strength: what determines one, and training it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.shared.main import DATA, DEVICE, SUMMARISE, THREADS, Arguments, Job, workers
from analysis.shared.mnist import Data, load
from analysis.shared.results import published, read_json, write_json
from tropnet.homotopy import ListSkipStrength, Trainer, remove_skips, resnet18, resnet34, skip_cnn
from tropnet.progress import track

__all__ = [
    "ARCHITECTURES",
    "ARGUMENTS",
    "Recipe",
    "Run",
    "finished",
    "published_curve",
    "reached",
    "reductions",
    "train",
    "train_all",
]

# Without padding the shallow ones resample what their skip carries, as the paper's equations (6) and (7) do.
ARCHITECTURES: Mapping[str, Any] = {
    "resnet34": lambda recipe, t: resnet34(t=t, width=recipe.width),
    "resnet18": lambda recipe, t: resnet18(t=t, width=recipe.width),
    "cnn3": lambda recipe, t: skip_cnn(3, t=t, channels=recipe.channels, padded=False),
    "cnn3_linear": lambda recipe, t: skip_cnn(3, t=t, channels=recipe.channels, padded=False, activation=nn.Identity),
}
# The options of the studies that train them.
ARGUMENTS: Arguments = {
    **DEVICE,
    "--mixed-precision": {
        "choices": ("bfloat16", "float16"),
        "metavar": "TYPE",
        "help": "of torch.autocast: bfloat16 or float16 (default: none, all in float32)",
    },
    **THREADS,
    **workers(1),
    **DATA,
    **SUMMARISE,
}
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
    mixed_precision
        The type of torch.autocast, "bfloat16" or "float16"; None computes in float32.
    """

    n_train: int | None = None
    n_test: int | None = None
    width: int = 64
    channels: int = 8
    learning_rate: float = 0.01
    batch: int = 64
    device: str = "cpu"
    mixed_precision: str | None = None


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


def train(run: Run, data: Data, test: Data, cache: Path, *, progress: bool = True) -> dict[str, Any]:
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
    trainer = _trainer(model, run, path.with_suffix(""), progress=progress)
    history = trainer.fit((data.images, data.labels), (test.images, test.labels), epochs=run.epochs)
    found = {"history": history}
    if history[-1]["t"] == 0:
        removed = _trainer(remove_skips(model), run, None, progress=False)
        found["removed_accuracy"] = removed.evaluate((test.images, test.labels))["accuracy"]
    write_json(path, found)
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)  # the weights, which nothing reads any more
    return found


def _trainer(model: nn.Module, run: Run, directory: Path | None, *, progress: bool) -> Trainer:
    optimizer = torch.optim.SGD(model.parameters(), lr=run.recipe.learning_rate)
    schedulers = [ListSkipStrength(model, run.strengths)] if directory is not None else []
    precision = run.recipe.mixed_precision
    return Trainer(
        model,
        optimizer,
        schedulers,
        directory=directory,
        seed=run.trial,
        batch_size=run.recipe.batch,
        mixed_precision=None if precision is None else getattr(torch, precision),
        progress=progress,
    )


def finished(run: Run, cache: Path) -> dict[str, Any] | None:
    """Return what `train` found in an earlier run, None if it is not done."""
    path = _path(run, cache)
    return read_json(path) if path.exists() else None


def reached(run: Run, cache: Path) -> dict[str, Any] | None:
    """Return what `train` found, of a run under way the history of its epochs that are done; None if there are none."""
    log = _path(run, cache).with_suffix("") / "log.json"
    found = finished(run, cache)
    if found is not None or not log.exists():
        return found
    return {"history": read_json(log)["epochs"]}


def train_all(runs: Iterable[Run], job: Job) -> None:
    """Train what is not there yet, in order, unless no more is to be trained; several at once by `job.workers`.

    On a GPU networks of this size wait for their kernels to be launched, so that some processes share it with profit.
    Of several at once, one that fails does not stop the others: its error is raised when they are done.
    """
    todo = [run for run in runs if finished(run, job.cache) is None] if job.train_more else []
    with track("networks", "runs", enabled=True) as update:
        for n, (run, found) in enumerate(_trained(todo, job), start=1):
            print(
                f"{run.architecture}, t = {run.strengths[0]:g}{'...' if len(run.strengths) > 1 else ''}, trial"
                f" {run.trial}: {found['history'][-1]['validation_accuracy']:.4f}",
                flush=True,
            )
            update(n, n / len(todo))


def _trained(todo: list[Run], job: Job) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Yield runs as they are done."""
    if min(job.workers, len(todo)) <= 1:
        yield from ((run, _train_on_mnist(run, job, progress=True)) for run in todo)
        return
    failures = []
    with _pool(min(job.workers, len(todo))) as pool:
        futures = {pool.submit(_train_on_mnist, run, job, progress=False): run for run in todo}
        try:
            for future in as_completed(futures):
                if future.exception() is None:
                    yield futures[future], future.result()
                else:
                    failures.append(future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for future in failures:
        future.result()


def _pool(n: int) -> Executor:
    # CUDA cannot be used in a process that was forked from one that has asked for it.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(n, context, torch.set_num_threads, (torch.get_num_threads(),))


def _train_on_mnist(run: Run, job: Job, *, progress: bool) -> dict[str, Any]:
    recipe = run.recipe
    data = _mnist("train", recipe.n_train, recipe.device, job.data)
    return train(run, data, _mnist("test", recipe.n_test, recipe.device, job.data), job.cache, progress=progress)


_mnist = functools.lru_cache(maxsize=4)(load)  # training and test images, in two sizes


def _path(run: Run, cache: Path) -> Path:
    record = dataclasses.asdict(run)
    if run.recipe.mixed_precision is None:  # runs that were kept before there was a choice
        del record["recipe"]["mixed_precision"]
    text = json.dumps(record, sort_keys=True)
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
    if recipe.mixed_precision is not None:
        found.append(f"mixed precision ({recipe.mixed_precision})")
    return found


def published_curve(figure: str, curve: str) -> tuple[list[float], list[float]]:
    """Return abscissas and accuracies of a curve of a published figure, by the first."""
    points = sorted(published("cnn_figures")["figures"][figure][curve])
    return [x for x, _ in points], [y for _, y in points]
