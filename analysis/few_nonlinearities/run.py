"""Train what is missing, stage by stage, and measure every network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from analysis.few_nonlinearities.config import MAIN, VARIANTS, Config
from analysis.few_nonlinearities.evaluate import accuracies, regions, time_predictions
from analysis.few_nonlinearities.training import base, from_scratch, run_path, stages
from analysis.shared.affine_classifier import affine_limit
from analysis.shared.blocks import kept
from analysis.shared.main import Job
from analysis.shared.mnist import Data, load, outputs
from analysis.shared.results import RESULTS


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train what is missing and return the results; the same configuration gives the same numbers, except times."""
    recipe, cache = config.recipe, job.cache
    images = load("train", recipe.n_train, "cpu", job.data)
    test = load("test", config.n_test, "cpu", job.data)
    seeds = {str(seed): one_seed(config, seed, images, test, cache) for seed in config.seeds}
    for seed in config.scratch_seeds:
        seeds[str(seed)]["variants"]["from scratch"] = scratch(config, seed, images, test, cache)
    first = config.seeds[0]
    full = base(recipe, first, images, cache)
    models = stages(recipe, MAIN, first, images, full, cache)
    names = [str(share) for share in recipe.shares]
    return {
        "n_neurons": sum(next(iter(seeds.values()))["full"]["neurons"]),
        "shares": list(recipe.shares),
        "seeds": seeds,
        "times": time_predictions(full, dict(zip(names, models, strict=True)), test, config.rounds),
        "affine_limit": affine_limit(images, test, config.limit_iterations),
        "affine_of_all_images": affine_of_all_images(),
        "not_run": not_run(config),
    }


def one_seed(config: Config, seed: int, images: Data, test: Data, cache: Path) -> dict[str, Any]:
    """Return what comes of one full network: itself, and each variant after each stage."""
    recipe = config.recipe
    full = base(recipe, seed, images, cache)
    classes = outputs(full, test.images).argmax(1)

    def measured(model: nn.Module, name: str, *, with_regions: bool) -> dict[str, Any]:
        return _measured(config, model, classes, test, (cache, seed, name), with_regions=with_regions)

    found: dict[str, Any] = {"full": measured(full, "full", with_regions=True), "variants": {}}
    print(f"seed {seed}, full network: {found['full']['accuracy']:.4f}", flush=True)
    for variant in VARIANTS:
        models = stages(recipe, variant, seed, images, full, cache)
        counted = variant.distilled and variant.gradual
        rows = [measured(model, f"{variant.name}, {index}", with_regions=counted) for index, model in enumerate(models)]
        found["variants"][variant.name] = rows
        print(f"seed {seed}, {variant.name}:", *(f"{row['accuracy']:.4f}" for row in rows), flush=True)
    return found


def scratch(config: Config, seed: int, images: Data, test: Data, cache: Path) -> list[dict[str, Any]]:
    """Return what comes of networks from scratch with the nonlinear neurons of the first variant after each stage."""
    recipe = config.recipe
    full = base(recipe, seed, images, cache)
    classes = outputs(full, test.images).argmax(1)
    models = from_scratch(recipe, seed, images, stages(recipe, MAIN, seed, images, full, cache), cache)
    rows = [
        _measured(config, model, classes, test, (cache, seed, f"scratch, {index}"), with_regions=False)
        for index, model in enumerate(models)
    ]
    print(f"seed {seed}, from scratch:", *(f"{row['accuracy']:.4f}" for row in rows), flush=True)
    return rows


def _measured(
    config: Config, model: nn.Module, classes: Tensor, test: Data, where: tuple[Path, int, str], *, with_regions: bool
) -> dict[str, Any]:
    cache, seed, name = where
    path = run_path(cache, config.recipe, seed, f"{name}, measured on {config.n_test}, {config.n_segments}.json")
    return kept(
        path,
        lambda: {
            **accuracies(model, classes, test),
            **(regions(model, test, config.n_segments) if with_regions else {}),
        },
    )


def affine_of_all_images() -> float | None:
    """Return the best accuracy of an affine classifier of all training images, as analysis.linear_collapse found it."""
    path = RESULTS / "linear_collapse.json"
    return json.loads(path.read_text())["affine_limit"]["best_accuracy"] if path.exists() else None


def not_run(config: Config) -> list[str]:
    """Return in words what a reader may look for and these results do not have."""
    missing = [] if config.recipe.n_train is None else [f"all training images: the first {config.recipe.n_train:,}"]
    without = [str(seed) for seed in config.seeds if seed not in config.scratch_seeds]
    if without:
        missing.append(f"networks from scratch for seeds {', '.join(without)}")
    missing.append("prediction times on a GPU")
    return missing
