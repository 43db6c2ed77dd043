"""Few nonlinearities, AR section 6: ReLU neurons of a small CNN that turn affine while it trains, and are folded away.

The slope of chosen neurons for negative values goes from 0 to 1 in stages, until half, a quarter, ..., none of the
neurons is nonlinear. Those go first that are least ambiguous on the training images, or whose negative part is smallest
there, or those of the first layer, or random ones; with distillation from the full network or by the labels alone;
gradually or at once. Beside them the full network trained on for as long, networks trained from scratch with the same
nonlinear neurons, and the best affine classifier. What is left is folded by `Network.without_affine_neurons`: accuracy,
regions around the test images, prediction time.

    python -m analysis.few_nonlinearities --quick
    python -m analysis.few_nonlinearities

A stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analysis import few_nonlinearities_figures as figures
from analysis import study
from analysis.few_nonlinearities_evaluation import accuracies, regions, time_predictions
from analysis.few_nonlinearities_training import Recipe, Variant, base, from_scratch, outputs, run_path, stages
from analysis.linear_collapse import load, provenance
from analysis.linear_collapse_evaluation import affine_limit
from analysis.linear_collapse_training import Data

NAME = "few_nonlinearities"
MAIN = Variant("negative part", distilled=True)
VARIANTS = (
    MAIN,
    Variant("random", distilled=True),
    Variant("ambiguity", distilled=True),
    Variant("layer", distilled=True),
    Variant("negative part", distilled=False),
    Variant("random", distilled=False),
    Variant("negative part", distilled=True, gradual=False),
    # Nothing leaves: what training for longer does.
    Variant("none", distilled=False),
)


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    recipe
        How networks are trained.
    seeds
        One full network each.
    scratch_seeds
        Those with networks from scratch too, of the nonlinear neurons of the first variant and as many epochs.
    n_test, n_segments
        Test images, None for all; segments between two of them.
    rounds
        How often each prediction is timed.
    limit_iterations
        Of L-BFGS, for the best affine classifier; a multiple of ten.
    """

    recipe: Recipe = field(default_factory=Recipe)
    seeds: tuple[int, ...] = (0, 1, 2)
    scratch_seeds: tuple[int, ...] = (0,)
    n_test: int | None = None
    n_segments: int = 12
    rounds: int = 7
    limit_iterations: int = 300


def run(config: Config, *, cache: Path, folder: Path | None = None) -> dict[str, Any]:
    """Train what is missing and return the results; the same configuration gives the same numbers, except times."""
    recipe = config.recipe
    images = load("train", recipe.n_train, "cpu", folder)
    test = load("test", config.n_test, "cpu", folder)
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
    return _kept(
        path,
        lambda: {
            **accuracies(model, classes, test),
            **(regions(model, test, config.n_segments) if with_regions else {}),
        },
    )


def _kept(path: Path, function: Callable[[], Any]) -> Any:
    """Return what an earlier run wrote, or the value of the function, written."""
    if not path.exists():
        study.write_json(path, function())
    return json.loads(path.read_text())


def affine_of_all_images() -> float | None:
    """Return the best accuracy of an affine classifier of all training images, as analysis.linear_collapse found it."""
    path = study.RESULTS / "linear_collapse.json"
    return json.loads(path.read_text())["affine_limit"]["best_accuracy"] if path.exists() else None


def not_run(config: Config) -> list[str]:
    """Return in words what a reader may look for and these results do not have."""
    missing = [] if config.recipe.n_train is None else [f"all training images: the first {config.recipe.n_train:,}"]
    without = [str(seed) for seed in config.seeds if seed not in config.scratch_seeds]
    if without:
        missing.append(f"networks from scratch for seeds {', '.join(without)}")
    missing.append("prediction times on a GPU")
    return missing


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write `results/few_nonlinearities.json`, draw the figure from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=Config.seeds, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of PyTorch (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder with the MNIST files (default: TROPNET_DATA, else fetched)")
    parser.add_argument("--quick", action="store_true", help="two stages of a narrow network on 1,000 images")
    parser.add_argument("--out", type=Path, default=study.ROOT, help="where results/ and paper_figures/ are")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    config = Config(seeds=tuple(options.seeds))
    if options.quick:
        recipe = dataclasses.replace(
            Recipe(), channels=2, n_train=1_000, base_epochs=1, passage_epochs=1, settle_epochs=1, shares=(0.1, 0.0)
        )
        config = Config(recipe, (0,), n_test=500, n_segments=2, rounds=2, limit_iterations=10)
    results = run(config, cache=options.out / "results" / ".cache" / NAME, folder=options.data)
    path = options.out / "results" / f"{NAME}.json"
    study.write_json(path, {**provenance(config), **results})
    figures.draw(path, options.out / "paper_figures")
    print(summary(results))


def summary(results: dict[str, Any]) -> str:
    """Return the results as a short text: means over the seeds."""
    shares, seeds = results["shares"], results["seeds"].values()
    lines = [f"full network: {_mean(seed['full']['accuracy'] for seed in seeds):.4f}"]
    lines.append("nonlinear neurons left: " + ", ".join(f"{share:.0%}" for share in shares))
    names = dict.fromkeys(name for seed in seeds for name in seed["variants"])
    for name in names:
        rows = [seed["variants"][name] for seed in seeds if name in seed["variants"]]
        values = (_mean(row[index]["accuracy"] for row in rows) for index in range(len(shares)))
        lines.append(f"{name} ({len(rows)} seeds): " + " ".join(f"{value:.4f}" for value in values))
    for name, row in results["times"].items():
        lines.append(f"time, {name}: {row['microseconds']:.3g} us per image, x {row['ratio']:.3g}")
    limit = results["affine_limit"]
    lines.append(f"best affine classifier: {limit['accuracy']:.4f}, at its best iteration {limit['best_accuracy']:.4f}")
    return "\n".join([*lines, *(f"not run: {what}" for what in results["not_run"])])


def _mean(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found)


if __name__ == "__main__":
    main()
