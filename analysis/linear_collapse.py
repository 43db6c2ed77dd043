"""Linear CNNs on MNIST and their collapse to one affine map: AR Fig. 1 and section 5.2, and what its 98.7 % is.

A single-layer perceptron, a three-layer linear CNN with a skip, and ResNet34 without activations: with average pooling,
which makes it affine in eval mode, and with its max-pool left in. Both are also evaluated with batch norm in training
mode. The affine ones are collapsed by `tropnet.collapse` and compared with the one affine map: the predictions on all
test images, and their time. Beside them the best affine classifier, a convex problem.

    python -m analysis.linear_collapse --quick
    python -m analysis.linear_collapse --resnet-epochs 2
    python -m analysis.linear_collapse --summarise

A stopped run goes on where it was; --summarise reports on what has been trained so far.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analysis import datasets, study
from analysis import linear_collapse_figures as figures
from analysis.linear_collapse_evaluation import affine_limit, collapsed, readings, time_predictions, verdict
from analysis.linear_collapse_networks import LinearResNet34, SkipCNN, perceptron
from analysis.linear_collapse_training import Data, Recipe, Training, resume, schedule, train

NAME = "linear_collapse"
NETWORKS = ("perceptron", "cnn", "resnet34_average", "resnet34_max")
_SIZE = 28


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    recipe
        How every network is trained.
    epochs
        Of the perceptron and of the three-layer CNN; the paper has 10.
    resnet_epochs
        Of each ResNet34.
    rounds
        How often each prediction is timed.
    limit_iterations
        Of L-BFGS, for the best affine classifier; a multiple of ten.
    """

    recipe: Recipe = field(default_factory=Recipe)
    epochs: int = 10
    resnet_epochs: int = 10
    rounds: int = 5
    limit_iterations: int = 300


def builders(recipe: Recipe) -> dict[str, Callable[[], nn.Module]]:
    """Return what makes each network, with random weights."""
    return {
        "perceptron": lambda: perceptron(_SIZE),
        "cnn": lambda: SkipCNN(_SIZE, recipe.channels),
        "resnet34_average": lambda: LinearResNet34("average", recipe.width),
        "resnet34_max": lambda: LinearResNet34("max", recipe.width),
    }


def load(split: str, n: int | None, device: str, folder: Path | None) -> Data:
    """Return the first `n` images of a part of MNIST, in [0, 1], on the device."""
    images = datasets.load("mnist", split, folder=folder)
    pixels = torch.from_numpy(images.pixels[:n]).to(device, torch.float32) / 255
    return Data(pixels, torch.from_numpy(images.labels[:n]).to(device))


def trainings(config: Config, cache: Path) -> dict[str, Training]:
    """Return every network as far as it has been trained."""
    return {name: resume(name, build, config.recipe, cache) for name, build in builders(config.recipe).items()}


def run(config: Config, *, cache: Path, folder: Path | None = None, train_more: bool = True) -> dict[str, Any]:
    """Train what is missing, unless told not to, and return the results on what is there.

    The same configuration gives the same numbers, except times, on one machine.
    """
    recipe = config.recipe
    images = load("train", recipe.n_train, recipe.device, folder)
    test = load("test", recipe.n_test, recipe.device, folder)
    networks = trainings(config, cache)
    wanted = {name: config.resnet_epochs if "resnet" in name else config.epochs for name in NETWORKS}
    if train_more:
        done = {name: len(training.history) for name, training in networks.items()}
        for epoch, name in schedule(done, wanted):
            entry = train(networks[name], images, test, recipe)
            found = ", ".join(f"{mode} {value:.4f}" for mode, value in entry["accuracy"].items())
            print(f"{name}, epoch {epoch}: loss {entry['loss']:.4f}, {found}; {entry['seconds']:.0f} s", flush=True)
    limit = affine_limit(images, test, config.limit_iterations)
    return {**summarise(config, networks, test), "affine_limit": limit}


def summarise(config: Config, networks: dict[str, Training], test: Data) -> dict[str, Any]:
    """Collapse, compare and time the networks as they are, and say which reading reaches the published accuracy."""
    published = study.published(NAME)
    trained = {name: training for name, training in networks.items() if training.history}
    models = {name: copy.deepcopy(training.model).cpu().eval() for name, training in trained.items()}
    test = Data(test.images.cpu(), test.labels.cpu())
    collapses, maps = {}, {}
    for name, model in models.items():
        collapses[name], maps[name] = collapsed(model, test, config.recipe.batch)
    histories = {name: training.history for name, training in trained.items()}
    return {
        "published": published,
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
        "verdict": verdict(histories, published["accuracy"]["resnet34"]),
        "times": time_predictions(models, maps, test, config.recipe.batch, config.rounds),
        "not_run": not_run(networks, published["setup"]["epochs"]),
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


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write `results/linear_collapse.json`, draw the figure from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=Config.epochs, help="of each network (default: %(default)s)")
    parser.add_argument("--resnet-epochs", type=int, help="of each ResNet34, which take longest (default: --epochs)")
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="of weights and order (default: %(default)s)")
    parser.add_argument("--device", default=Recipe.device, help="cpu, cuda, ... (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of PyTorch (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder with the MNIST files (default: TROPNET_DATA, else fetched)")
    parser.add_argument("--quick", action="store_true", help="one epoch of narrow networks on 2,000 images")
    parser.add_argument("--summarise", action="store_true", help="train nothing: report on the epochs done so far")
    parser.add_argument("--out", type=Path, default=study.ROOT, help="where results/ and paper_figures/ are")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    recipe = Recipe(seed=options.seed, device=options.device)
    config = Config(recipe, options.epochs, options.resnet_epochs or options.epochs)
    if options.quick:
        recipe = dataclasses.replace(recipe, n_train=2_000, n_test=1_000, width=8, channels=4)
        config = Config(recipe, epochs=1, resnet_epochs=1, rounds=2, limit_iterations=10)
    cache = options.out / "results" / ".cache" / NAME
    results = run(config, cache=cache, folder=options.data, train_more=not options.summarise)
    path = options.out / "results" / f"{NAME}.json"
    study.write_json(path, {**provenance(config), **results})
    figures.draw(path, options.out / "paper_figures")
    print(summary(results))


def provenance(config: Config) -> dict[str, Any]:
    """Return what `study.provenance` does, and PyTorch's part in it."""
    record = study.provenance(config)
    record["versions"]["torch"] = torch.__version__
    record["threads"] = torch.get_num_threads()
    if torch.cuda.is_available():
        record["gpu"] = torch.cuda.get_device_name()
    return record


def summary(results: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = []
    for name, network in results["networks"].items():
        found = ", ".join(f"{mode} {value:.4f}" for mode, value in network["history"][-1]["accuracy"].items())
        lines.append(f"{name}: {network['epochs']} epochs, {found}")
        collapse = network["collapse"]
        if "refused" in collapse:
            lines.append(f"  not collapsed: {collapse['refused']}")
        else:
            lines.append(
                f"  collapsed: {collapse['float64']['disagreeing']} of {collapse['n_images']} predictions differ,"
                f" outputs by {collapse['float64']['largest_difference']:.1e}"
            )
    for device, rows in results["times"].items():
        lines += [
            f"{device}, {name}: {row['before']:.3g} us per image, collapsed {row['after']:.3g}, x {row['ratio']:.3g}"
            for name, row in rows.items()
        ]
    limit = results["affine_limit"]
    lines.append(f"best affine classifier: {limit['accuracy']:.4f}, at its best iteration {limit['best_accuracy']:.4f}")
    lines.append(results["verdict"]["text"])
    lines += [f"not run: {what}" for what in results["not_run"]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
