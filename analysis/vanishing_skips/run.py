"""Train the networks of every arm, with their regions counted along the way, and afterwards with the weights held."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

import tropnet as tn
from analysis.shared.blocks import run_blocks
from analysis.shared.functions import phi_1
from analysis.shared.main import Job
from analysis.vanishing_skips.config import ARMS, Config
from analysis.vanishing_skips.evaluate import comparisons, summary
from tropnet.homotopy import LinearSkipStrength, WeightedChain, remove_skips, set_skip_strength


@dataclass(frozen=True)
class Run:
    """One network of one arm."""

    config: Config
    arm: str
    trial: int


def run(config: Config, job: Job) -> dict[str, Any]:
    """Train and count every network, and compare the arms."""
    runs = [Run(config, arm, trial) for trial in range(config.trials) for arm in ARMS]
    records = run_blocks(measured, runs, job.cache, workers=job.workers, description="training")
    arms = {arm: summary([records[run] for run in runs if run.arm == arm]) for arm in ARMS}
    return {"arms": arms, "comparisons": comparisons(arms)}


# --- one network


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
    return tn.count_regions(tn.from_torch(module), tn.Box(-config.half_width, config.half_width))


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
    targets, wanted = (torch.from_numpy(phi_1(points.numpy())[:, None]) for points in (train, test))
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
    nets = []
    for t in strengths:
        set_skip_strength(module, t)
        nets.append(tn.from_torch(module))
    counts = tn.count_regions(nets, tn.Box(-config.half_width, config.half_width))
    return {"t": strengths, "regions": counts.tolist()}


def compiled(config: Config, module: nn.Module, points: np.ndarray) -> dict[str, Any]:
    """Return the size of the search tree of the network without its skips, and how far its values are off."""
    net = tn.from_torch(remove_skips(module))
    predict = tn.compile_regions(net, tn.Box([-config.half_width] * 2, config.half_width))
    with torch.no_grad():
        expected = module(torch.from_numpy(points)).numpy()
    return {**predict.size._asdict(), "skips": len(net.skips), "error": float(np.abs(predict(points) - expected).max())}
