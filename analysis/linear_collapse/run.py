"""Train the networks epoch by epoch, then collapse, compare and time them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis.linear_collapse.config import NAME, Config, Recipe
from analysis.linear_collapse.evaluate import collapsed, readings, time_predictions, verdict
from analysis.linear_collapse.networks import LinearResNet34, SkipCNN, perceptron
from analysis.linear_collapse.training import Training, resume, schedule, train
from analysis.shared.affine_classifier import affine_limit
from analysis.shared.main import Job
from analysis.shared.mnist import Data, load
from analysis.shared.results import published

NETWORKS = ("perceptron", "cnn", "resnet34_average", "resnet34_max")
_SIZE = 28


def builders(recipe: Recipe) -> dict[str, Callable[[], nn.Module]]:
    """Return what makes each network, with random weights."""
    return {
        "perceptron": lambda: perceptron(_SIZE),
        "cnn": lambda: SkipCNN(_SIZE, recipe.channels),
        "resnet34_average": lambda: LinearResNet34("average", recipe.width),
        "resnet34_max": lambda: LinearResNet34("max", recipe.width),
    }


def trainings(config: Config, cache: Path) -> dict[str, Training]:
    """Return every network as far as it has been trained."""
    return {name: resume(name, build, config.recipe, cache) for name, build in builders(config.recipe).items()}


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train what is missing, unless told not to, and return the results on what is there.

    The same configuration gives the same numbers, except times, on one machine.
    """
    recipe = config.recipe
    images = load("train", recipe.n_train, recipe.device, job.data)
    test = load("test", recipe.n_test, recipe.device, job.data)
    networks = trainings(config, job.cache)
    wanted = {name: config.resnet_epochs if "resnet" in name else config.epochs for name in NETWORKS}
    if job.train_more:
        done = {name: len(training.history) for name, training in networks.items()}
        for epoch, name in schedule(done, wanted):
            entry = train(networks[name], images, test, recipe)
            found = ", ".join(f"{mode} {value:.4f}" for mode, value in entry["accuracy"].items())
            print(f"{name}, epoch {epoch}: loss {entry['loss']:.4f}, {found}; {entry['seconds']:.0f} s", flush=True)
    limit = affine_limit(images, test, config.limit_iterations)
    return {**summarise(config, networks, test), "affine_limit": limit}


def summarise(config: Config, networks: dict[str, Training], test: Data) -> dict[str, Any]:
    """Collapse, compare and time the networks as they are, and say which reading reaches the published accuracy."""
    in_print = published(NAME)
    trained = {name: training for name, training in networks.items() if training.history}
    models = {name: copy.deepcopy(training.model).cpu().eval() for name, training in trained.items()}
    collapses, maps = {}, {}
    for name, model in models.items():
        collapses[name], maps[name] = collapsed(model, test, config.recipe.batch)
    histories = {name: training.history for name, training in trained.items()}
    return {
        "published": in_print,
        "networks": {
            name: {
                "parameters": sum(p.numel() for p in training.model.parameters()),
                "epochs": len(training.history),
                "history": training.history,
                "collapse": collapses[name],
            }
            for name, training in trained.items()
        },
        "readings": readings(histories),
        "verdict": verdict(histories, in_print["accuracy"]["resnet34"]),
        "times": time_predictions(models, maps, test, config.recipe.batch, config.rounds, config.timed_on),
        "not_run": not_run(networks, in_print["setup"]["epochs"]),
    }


def not_run(networks: dict[str, Training], n_published: int) -> list[str]:
    """Return in words what the paper has and these results do not."""
    missing = [
        f"{name}: epochs {len(training.history) + 1} to {n_published}"
        for name, training in networks.items()
        if len(training.history) < n_published
    ]
    if not torch.cuda.is_available():
        missing.append("prediction times on a GPU: there is none on this machine")
    return missing
