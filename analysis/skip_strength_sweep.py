"""How the strength of skips decides what a network learns in its first two epochs on MNIST: AR Fig. 2.

ResNet34, and the variants whose curves the paper only describes: ResNet18 and shallow CNNs. One network for each
strength t and trial, the skips static; the accuracy on the test images after each epoch, beside the published points.

    python -m analysis.skip_strength_sweep --device cuda
    python -m analysis.skip_strength_sweep --reduced
    python -m analysis.skip_strength_sweep --quick
    python -m analysis.skip_strength_sweep --reduced --summarise

The first is the paper's; --reduced is for a CPU. A stopped run goes on where it was; --summarise trains nothing and
reports on the networks that are done.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from analysis import skip_strength_sweep_figures as figures
from analysis import study
from analysis.linear_collapse import load, provenance
from analysis.skip_runs import Recipe, Run, finished, interval, published_curve, reductions, train_all

NAME = "skip_strength_sweep"
# The published curves that an architecture is drawn beside: a figure, and its curves after the first and last epoch.
# What exactly the three shallow networks were is not stated; "shallow" fits the 3-layer linear CNN of Fig. 1.
PUBLISHED = {
    "resnet34": {"t_vs_accuracy_resnet34": ("validation, first epoch", "validation, last epoch")},
    "resnet18": {"t_vs_accuracy_resnet18": ("validation, first epoch", "validation, last epoch")},
    "cnn3": {"t_vs_accuracy_shallow_relu": ("first epoch", "last epoch")},
    "cnn3_linear": {
        "t_vs_accuracy_shallow": ("validation, first epoch", "validation, last epoch"),
        "t_vs_accuracy_shallow_linear": ("first epoch", "last epoch"),
    },
}
_COARSE = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
_N_PUBLISHED_EPOCHS = 2
_N_PUBLISHED_TRIALS = 5


@dataclass(frozen=True)
class Plan:
    """The networks of one architecture: one for each strength and trial."""

    architecture: str
    recipe: Recipe
    strengths: tuple[float, ...]
    trials: int = _N_PUBLISHED_TRIALS
    epochs: int = _N_PUBLISHED_EPOCHS


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers: the profile's name, and a plan for each architecture."""

    profile: str
    plans: tuple[Plan, ...]


def full(device: str) -> Config:
    """Return the paper's profile: all images, 5 trials, 2 epochs, the published strengths."""
    strengths = tuple(published_curve("t_vs_accuracy_resnet34", "validation, first epoch")[0])
    return Config("full", tuple(Plan(name, Recipe(device=device), strengths) for name in PUBLISHED))


def reduced(device: str) -> Config:
    """Return a profile for one CPU core: about a quarter of an hour."""
    narrow = Recipe(n_train=3_000, n_test=2_000, width=16, batch=32, learning_rate=0.02, device=device)
    shallow = Recipe(n_train=10_000, n_test=2_000, device=device)
    return Config(
        "reduced",
        (
            Plan("resnet34", narrow, _COARSE, trials=2),
            Plan("resnet18", narrow, _COARSE, trials=2),
            Plan("cnn3", shallow, _COARSE, trials=2),
            Plan("cnn3_linear", shallow, _COARSE, trials=2),
        ),
    )


def quick(device: str) -> Config:
    """Return a profile that shows that everything runs: seconds."""
    recipe = Recipe(n_train=64, n_test=50, width=2, channels=2, device=device)
    return Config("quick", tuple(Plan(name, recipe, (0.0, 1.0), trials=1) for name in PUBLISHED))


def runs(config: Config) -> list[Run]:
    """Return all networks to train: the first trial of every strength, then the second, ..."""
    return [
        Run(plan.architecture, plan.recipe, (t,), plan.epochs, trial)
        for trial in range(max(plan.trials for plan in config.plans))
        for plan in config.plans
        if trial < plan.trials
        for t in plan.strengths
    ]


def summarise(config: Config, cache: Path) -> dict[str, Any]:
    """Return the results on the networks that are done, beside the published ones, and what was not run."""
    architectures, missing = {}, []
    for plan in config.plans:
        rows = []
        for t in plan.strengths:
            trials = [Run(plan.architecture, plan.recipe, (t,), plan.epochs, trial) for trial in range(plan.trials)]
            found = [record for record in (finished(run, cache) for run in trials) if record]
            if found:
                rows.append({"t": t, **_accuracies([record["history"] for record in found])})
        n_done = sum(row["n_trials"] for row in rows)
        n_wanted = len(plan.strengths) * plan.trials
        if n_done < n_wanted:
            missing.append(f"{plan.architecture}: {n_wanted - n_done} of the {n_wanted} networks of this profile")
        reasons = _reductions(plan)
        if reasons:
            missing.append(f"{plan.architecture} as published; run here: {', '.join(reasons)}")
        architectures[plan.architecture] = {"reduced": reasons, "rows": rows, "shape": _shape(rows)}
    if not torch.cuda.is_available():
        missing.append("anything on a GPU: there is none on this machine")
    return {"architectures": architectures, "not_run": missing}


def _accuracies(histories: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the accuracies on the test images after the first and the last epoch, and while training in the last."""
    kinds = {"first": (0, "validation_accuracy"), "last": (-1, "validation_accuracy"), "train": (-1, "accuracy")}
    found: dict[str, Any] = {"n_trials": len(histories)}
    for name, (index, key) in kinds.items():
        values = [history[index][key] for history in histories]
        found[name] = {**interval(values), "trials": values}
    return found


def _reductions(plan: Plan) -> list[str]:
    found = reductions(plan.architecture, plan.recipe)
    if plan.trials < _N_PUBLISHED_TRIALS:
        found.append(f"{plan.trials} of {_N_PUBLISHED_TRIALS} trials")
    if len(plan.strengths) < len(published_curve("t_vs_accuracy_resnet18", "validation, first epoch")[0]):
        found.append(f"{len(plan.strengths)} strengths")
    return found


def _shape(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Say where the accuracy after the last epoch is largest, and how much smaller it is without and with skips alone.

    Returns
    -------
    dict or None
        best_t and best, the largest mean; at_0, at_0_5 (the row nearest to 1/2) and at_1, each a mean, where there is
        such a row. None without rows.
    """
    if not rows:
        return None
    means = {row["t"]: row["last"]["mean"] for row in rows}
    best = max(means, key=lambda t: means[t])
    middle = min(means, key=lambda t: abs(t - 0.5))
    return {
        "best_t": best,
        "best": means[best],
        "at_0": means.get(0.0),
        "middle_t": middle,
        "at_middle": means[middle],
        "at_1": means.get(1.0),
    }


def published() -> dict[str, Any]:
    """Return the published points, by architecture, figure and epoch."""
    return {
        architecture: {
            figure: dict(zip(("first", "last"), (published_curve(figure, curve) for curve in curves), strict=True))
            for figure, curves in figures_.items()
        }
        for architecture, figures_ in PUBLISHED.items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write `results/skip_strength_sweep.json`, draw the figure from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    profiles = parser.add_mutually_exclusive_group()
    profiles.add_argument("--reduced", action="store_true", help="fewer images, strengths and trials, narrower ResNets")
    profiles.add_argument("--quick", action="store_true", help="tiny networks on 200 images")
    parser.add_argument("--device", default=Recipe.device, help="cpu, cuda, ... (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of PyTorch (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder with the MNIST files (default: TROPNET_DATA, else fetched)")
    parser.add_argument("--summarise", action="store_true", help="train nothing: report on the networks done so far")
    parser.add_argument("--out", type=Path, default=study.ROOT, help="where results/ and paper_figures/ are")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = (quick if options.quick else reduced if options.reduced else full)(options.device)
    cache = options.out / "results" / ".cache" / NAME
    if not options.summarise:
        train_all(runs(config), lambda *part: load(*part, options.data), cache)
    results = summarise(config, cache)
    path = options.out / "results" / f"{NAME}.json"
    study.write_json(path, {**provenance(config), **results, "published": published()})
    figures.draw(path, options.out / "paper_figures")
    print(summary(config, results))


def summary(config: Config, results: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = [f"profile: {config.profile}"]
    for name, record in results["architectures"].items():
        for row in record["rows"]:
            lines.append(
                f"{name}, t = {row['t']:g}: {row['first']['mean']:.4f} after the first epoch,"
                f" {row['last']['mean']:.4f} after the last ({row['n_trials']} trials)"
            )
    lines += [f"not run: {what}" for what in results["not_run"]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
