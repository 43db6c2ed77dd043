"""Both papers together: skips that vanish while a network trains, and how many linear regions it has then.

Networks of one size learn phi_1(x, y) = sin(log|x| + log|y|) from the same initial weights in three ways: with skips
whose strength t goes from 1/2 to 0 in the first half of the epochs, with skips of t = 1/2 throughout, and without.
Their activation regions on the square are counted exactly along the way, and afterwards while t goes to 0 with the
weights held. Those whose skips vanished lose them (`remove_skips`) and are compiled into search trees.

    python -m analysis.vanishing_skips --quick
    python -m analysis.vanishing_skips
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn

import tropnet as tn
from analysis import study
from analysis import vanishing_skips_figures as figures
from tropnet.homotopy import LinearSkipStrength, WeightedChain, remove_skips, set_skip_strength

NAME = "vanishing_skips"
ARMS = ("vanishing", "static", "none")


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    trials
        Networks per arm; a trial starts all arms from the same weights.
    epochs
        Full-batch steps of Adam.
    learning_rate
        Of Adam.
    layers, neurons
        Hidden layers, and neurons of each.
    skips
        Pairs (k, l) as in the papers.
    strength
        t of the static skips, and where the vanishing ones start.
    half_width, spacing
        The square, and the spacing of the training grid, which keeps off the axes; test points lie between.
    n_strengths
        Values of t at which trained networks are counted with the weights held.
    seed
        Root of all seeds.
    """

    trials: int = 10
    epochs: int = 4_000
    learning_rate: float = 0.01
    layers: int = 5
    neurons: int = 10
    skips: tuple[tuple[int, int], ...] = ((1, 3), (2, 4))
    strength: float = 0.5
    half_width: float = 10.0
    spacing: float = 0.25
    n_strengths: int = 11
    seed: int = 20_240_807


@dataclass(frozen=True)
class Run:
    """One network of one arm."""

    config: Config
    arm: str
    trial: int


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write its results and draw them."""
    parser = argparse.ArgumentParser(prog=f"python -m analysis.{NAME}", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute, for a look; not for the results")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=study.RESULTS, help="folder of the results (default: %(default)s)")
    parser.add_argument(
        "--figures", type=Path, default=study.FIGURES, help="folder of the figure (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    config = Config(trials=2, epochs=200, spacing=1.0) if options.quick else Config()
    runs = [Run(config, arm, trial) for trial in range(config.trials) for arm in ARMS]
    records = study.run_blocks(
        measured, runs, options.out / ".cache" / NAME, workers=options.workers, description="training"
    )
    record = study.provenance(config)
    record["versions"]["torch"] = torch.__version__
    record |= {"arms": {arm: summary([records[run] for run in runs if run.arm == arm]) for arm in ARMS}}
    record |= {"comparisons": comparisons(record["arms"])}
    path = options.out / f"{NAME}.json"
    study.write_json(path, record)
    print(table(record))
    print(f"wrote {path} and {figures.draw(path, options.figures)}")


# --- one network


def phi_1(points: np.ndarray) -> np.ndarray:
    """Return sin(log|x| + log|y|), shape (n, 1), at points (n, 2) off the axes."""
    return np.sin(np.log(np.abs(points)).sum(axis=1, keepdims=True))


def grids(config: Config) -> tuple[torch.Tensor, torch.Tensor]:
    """Return training points and test points: cell centres of a grid, and a quarter of the spacing beside them."""
    ticks = np.arange(-config.half_width + config.spacing / 2, config.half_width, config.spacing)
    train = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    return torch.from_numpy(train), torch.from_numpy(train + config.spacing / 4)


def network(config: Config, trial: int) -> nn.Sequential:
    """Draw the network of a trial, with skips of strength 0."""
    torch.manual_seed(config.seed + trial)
    widths = [2, *[config.neurons] * config.layers]
    hidden = [nn.Sequential(nn.Linear(n, m), nn.ReLU()) for n, m in pairwise(widths)]
    layers = [*hidden, nn.Linear(config.neurons, 1)]
    return nn.Sequential(WeightedChain(layers, config.skips, t=0.0)).double()


def n_regions(config: Config, module: nn.Module) -> int:
    """Return the number of activation regions in the square, exactly."""
    return tn.count_regions(tn.from_torch(module), tn.Box([-config.half_width] * 2, config.half_width))


def milestones(config: Config) -> list[int]:
    """Return the epochs after which regions are counted: the first few, and twenty more."""
    return sorted(
        {0, config.epochs // 100, config.epochs // 40, *np.linspace(0, config.epochs, 21).astype(int).tolist()}
    )


def measured(run: Run) -> dict[str, Any]:
    """Train one network; return errors and regions along the way, and regions while t goes to 0 afterwards."""
    torch.set_num_threads(1)
    config = run.config
    module = network(config, run.trial)
    schedule = None
    if run.arm == "vanishing":
        schedule = LinearSkipStrength(module, config.strength, config.epochs // 2)
    elif run.arm == "static":
        set_skip_strength(module, config.strength)
    train, test = grids(config)
    targets, wanted = (torch.from_numpy(phi_1(points.numpy())) for points in (train, test))
    optimizer = torch.optim.Adam(module.parameters(), lr=config.learning_rate)
    path: dict[str, list[float]] = {"epoch": [], "t": [], "regions": [], "train_error": [], "test_error": []}
    counted = set(milestones(config))
    for epoch in range(config.epochs + 1):
        if epoch in counted:
            with torch.no_grad():
                errors = [nn.functional.mse_loss(module(x), y).item() for x, y in ((train, targets), (test, wanted))]
            row = (epoch, float(module[0].t), n_regions(config, module), *errors)
            for name, value in zip(path, row, strict=True):
                path[name].append(value)
        if epoch == config.epochs:
            break
        optimizer.zero_grad()
        nn.functional.mse_loss(module(train), targets).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
    found: dict[str, Any] = {"path": path}
    if run.arm == "vanishing":
        found["compiled"] = compiled(config, module, test.numpy())
    found["held"] = held(config, module)
    return found


def held(config: Config, module: nn.Module) -> dict[str, list[float]]:
    """Return regions of a trained network at strengths from the highest to 0, the weights held."""
    strengths = np.linspace(config.strength, 0, config.n_strengths).tolist()
    counts = []
    for t in strengths:
        set_skip_strength(module, t)
        counts.append(n_regions(config, module))
    return {"t": strengths, "regions": counts}


def compiled(config: Config, module: nn.Module, points: np.ndarray) -> dict[str, Any]:
    """Return the size of the search tree of the network without its skips, and how far its values are off."""
    net = tn.from_torch(remove_skips(module))
    predict = tn.compile_regions(net, tn.Box([-config.half_width] * 2, config.half_width))
    with torch.no_grad():
        expected = module(torch.from_numpy(points)).numpy()
    return {**predict.size._asdict(), "skips": len(net.skips), "error": float(np.abs(predict(points) - expected).max())}


# --- all of them


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all trials of an arm in arrays."""
    paths = [record["path"] for record in records]
    found = {
        "epoch": paths[0]["epoch"],
        "t": paths[0]["t"],
        **{name: [path[name] for path in paths] for name in ("regions", "train_error", "test_error")},
        "held": {"t": records[0]["held"]["t"], "regions": [record["held"]["regions"] for record in records]},
    }
    if "compiled" in records[0]:
        found["compiled"] = [record["compiled"] for record in records]
    return found


def comparisons(arms: dict[str, Any]) -> list[dict[str, Any]]:
    """Return, for each pair of arms, regions at the start and the end and errors at the end, with a paired test."""
    rows = []
    for one, other in (("vanishing", "none"), ("static", "none"), ("vanishing", "static")):
        for measure, when in (("regions", "start"), ("regions", "end"), ("test_error", "end")):
            at = {"start": 0, "end": -1}[when]
            a, b = (np.array([trial[at] for trial in arms[arm][measure]], dtype=np.float64) for arm in (one, other))
            rows.append(
                {
                    "measure": measure,
                    "when": when,
                    "arms": [one, other],
                    "means": [float(a.mean()), float(b.mean())],
                    "medians": [float(np.median(a)), float(np.median(b))],
                    "larger_in": int((a > b).sum()),
                    "trials": len(a),
                    # Wilcoxon's signed ranks, two-sided; equal networks differ in nothing.
                    "p": float(stats.wilcoxon(a, b).pvalue) if (a != b).any() else 1.0,
                }
            )
    return rows


def table(record: dict[str, Any]) -> str:
    """Return the comparisons as text."""
    lines = []
    for row in record["comparisons"]:
        one, other = row["arms"]
        lines.append(
            f"{row['measure']} at the {row['when']}: {one} {row['means'][0]:.4g}, {other} {row['means'][1]:.4g},"
            f" larger with {one} in {row['larger_in']} of {row['trials']} trials, p = {row['p']:.2g}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
