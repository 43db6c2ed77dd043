"""Skips that vanish while ResNet34 trains against skips that stay, on MNIST: AR Fig. 3.

The static skip of strength 1/2, the published schedules (the second as printed and as corrected), and as a control no
skip at all; 5 trials of 10 epochs. Runs of one trial begin with the same weights and see the images in the same order,
so schedules are compared with the static skip by the paired differences of the accuracy after the last epoch.

    python -m analysis.static_vs_scheduled --device cuda
    python -m analysis.static_vs_scheduled --reduced
    python -m analysis.static_vs_scheduled --quick
    python -m analysis.static_vs_scheduled --reduced --summarise

The first is the paper's; --reduced is for a CPU. A stopped run goes on where it was; --summarise trains nothing and
reports on the networks that are done.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from analysis import static_vs_scheduled_figures as figures
from analysis import study
from analysis.linear_collapse import load, provenance
from analysis.skip_runs import Recipe, Run, finished, interval, published_curve, reductions, train_all
from tropnet.homotopy import PUBLISHED_SCHEDULES

NAME = "static_vs_scheduled"
STATIC = "static, t = 0.5"
CONTROL = "no skips, t = 0"
SETTINGS: Mapping[str, tuple[float, ...]] = {STATIC: (0.5,), **PUBLISHED_SCHEDULES, CONTROL: (0.0,)}
# The published curve that a setting is drawn beside.
PUBLISHED = {
    STATIC: "static t=0.5",
    "from 0.9": "scheduled from 0.9",
    "from 0.5, as printed": "scheduled from 0.5",
}
_FIGURE = "static_vs_scheduled_t"
_N_PUBLISHED_TRIALS = 5
_N_PUBLISHED_EPOCHS = 10


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    profile
        Its name.
    architectures
        Of the networks; the paper has ResNet34.
    recipe
        How they are trained.
    trials
        Networks for each setting.
    epochs
        Of each network. The schedules end with 0 in the tenth; with fewer they would not.
    """

    profile: str
    architectures: tuple[str, ...] = ("resnet34",)
    recipe: Recipe = field(default_factory=Recipe)
    trials: int = _N_PUBLISHED_TRIALS
    epochs: int = _N_PUBLISHED_EPOCHS


def full(device: str) -> Config:
    """Return the paper's profile: ResNet34, all images, 5 trials."""
    return Config("full", recipe=Recipe(device=device))


def reduced(device: str) -> Config:
    """Return a profile for one CPU core: about a quarter of an hour."""
    recipe = Recipe(n_train=2_000, n_test=1_000, width=16, batch=32, learning_rate=0.02, device=device)
    return Config("reduced", recipe=recipe)


def quick(device: str) -> Config:
    """Return a profile that shows that everything runs: seconds."""
    return Config("quick", ("cnn3",), Recipe(n_train=64, n_test=50, width=2, channels=2, device=device), trials=2)


def runs(config: Config) -> list[Run]:
    """Return all networks to train: the first trial of every setting, then the second, ..."""
    return [
        Run(architecture, config.recipe, strengths, config.epochs, trial)
        for trial in range(config.trials)
        for architecture in config.architectures
        for strengths in SETTINGS.values()
    ]


def summarise(config: Config, cache: Path) -> dict[str, Any]:
    """Return the results on the networks that are done, and what was not run."""
    done = {run: finished(run, cache) for run in runs(config)}
    found = {run: record for run, record in done.items() if record}
    missing = []
    if len(found) < len(done):
        missing.append(f"{len(done) - len(found)} of the {len(done)} networks of this profile")
    reasons = _reductions(config)
    if reasons:
        missing.append(f"Fig. 3 as published; run here: {', '.join(reasons)}")
    if not torch.cuda.is_available():
        missing.append("anything on a GPU: there is none on this machine")
    return {
        "architectures": {name: summarise_architecture(name, found) for name in config.architectures},
        "reduced": reasons,
        "not_run": missing,
    }


def summarise_architecture(name: str, found: Mapping[Run, dict[str, Any]]) -> dict[str, Any]:
    """Return accuracies by setting, and each setting compared with the static skip over the trials that have both.

    The comparisons are of the last epoch: on the test images after it, as in the paper, and on the training images
    while it lasts, which tells how far the training got.
    """
    by_setting = {
        setting: {
            run.trial: record for run, record in found.items() if (run.architecture, run.strengths) == (name, strengths)
        }
        for setting, strengths in SETTINGS.items()
    }
    settings = {
        setting: {
            "strengths": list(SETTINGS[setting]),
            "trials": {str(trial): _accuracies(record) for trial, record in records.items()},
            "epochs": _by_epoch(list(records.values())),
            **_removed(list(records.values())),
        }
        for setting, records in by_setting.items()
        if records
    }
    static = by_setting[STATIC]
    comparisons = {}
    for setting, records in by_setting.items():
        trials = sorted(set(records) & set(static))
        if setting != STATIC and trials:
            pairs = [(records[trial]["history"][-1], static[trial]["history"][-1]) for trial in trials]
            comparisons[setting] = {
                images: compare([ours[key] for ours, _ in pairs], [theirs[key] for _, theirs in pairs])
                for images, key in (("test", "validation_accuracy"), ("train", "accuracy"))
            }
    return {"settings": settings, "against_static": comparisons}


def _accuracies(record: dict[str, Any]) -> list[float]:
    return [entry["validation_accuracy"] for entry in record["history"]]


def _by_epoch(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [interval(list(values)) for values in zip(*map(_accuracies, records), strict=True)]


def _removed(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how far the accuracy without the skips in the program is from that at t = 0, the largest over trials."""
    if not all("removed_accuracy" in record for record in records):
        return {}
    changes = [abs(record["removed_accuracy"] - _accuracies(record)[-1]) for record in records]
    return {"largest_change_by_removal": max(changes)}


def compare(scheduled: list[float], static: list[float]) -> dict[str, Any]:
    """Compare accuracies of the same trials.

    Returns
    -------
    dict
        difference: `interval` of scheduled less static; differences; p_below, the one-sided p of Student's paired test
        of "scheduled is not below static", and p_below_exact, of the permutation test over all signs of the
        differences. p are None for a single trial, or if all differences are 0. beyond_noise: the interval is below 0.

    Examples
    --------
    >>> found = compare([0.5, 0.5, 0.5], [0.75, 0.625, 0.75])
    >>> found["differences"], found["p_below_exact"], found["beyond_noise"]
    ([-0.25, -0.125, -0.25], 0.125, True)
    """
    differences = np.subtract(scheduled, static)
    found = interval(differences.tolist())
    p, exact = None, None
    if len(differences) > 1 and differences.any():
        error = float(stats.sem(differences))
        # Equal differences have no error, and are as far from 0 as can be.
        p = float(stats.t.cdf(found["mean"] / error, len(differences) - 1)) if error else float(found["mean"] > 0)
        signs = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", alternative="less", n_resamples=np.inf
        )
        exact = float(signs.pvalue)
    return {
        "difference": found,
        "differences": differences.tolist(),
        "p_below": p,
        "p_below_exact": exact,
        "beyond_noise": found["high"] is not None and found["high"] < 0,
    }


def _reductions(config: Config) -> list[str]:
    found = reductions(config.architectures[0], config.recipe)
    if config.trials < _N_PUBLISHED_TRIALS:
        found.append(f"{config.trials} of {_N_PUBLISHED_TRIALS} trials")
    if config.epochs < _N_PUBLISHED_EPOCHS:
        found.append(f"{config.epochs} of {_N_PUBLISHED_EPOCHS} epochs")
    return found


def published() -> dict[str, Any]:
    """Return the published accuracies after each epoch, by setting."""
    return {setting: published_curve(_FIGURE, curve)[1] for setting, curve in PUBLISHED.items()}


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write `results/static_vs_scheduled.json`, draw the figure from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    profiles = parser.add_mutually_exclusive_group()
    profiles.add_argument("--reduced", action="store_true", help="fewer images, a narrower ResNet34")
    profiles.add_argument("--quick", action="store_true", help="tiny CNNs on 128 images")
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
        for setting, found in record["settings"].items():
            last = found["epochs"][-1]
            lines.append(f"{name}, {setting}: {last['mean']:.4f} after the last epoch, {last['n']} trials")
        for setting, comparisons in record["against_static"].items():
            lines += [
                f"{name}, {setting} less static, {images} images: {_difference(found)}"
                for images, found in comparisons.items()
            ]
    lines += [f"not run: {what}" for what in results["not_run"]]
    return "\n".join(lines)


def _difference(found: dict[str, Any]) -> str:
    difference = found["difference"]
    between = "" if difference["low"] is None else f" ({difference['low']:+.4f} to {difference['high']:+.4f})"
    return f"{difference['mean']:+.4f}{between}{', below beyond the noise' if found['beyond_noise'] else ''}"


if __name__ == "__main__":
    main()
