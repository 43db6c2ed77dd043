"""Do skip connections make more activation regions? LR Table 1 and sections 6.2-6.3, and what they leave open.

Four parts: the six rows of Table 1 reproduced; their sensitivity to initialisation, domain and input dimension; a
control that separates the skip from the signal it adds; and section 6.3's explanation measured, the fraction of
existing cells that each neuron's hyperplane cuts.

    python -m analysis.skip_vs_regions --quick
    python -m analysis.skip_vs_regions --networks 2000
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import tropnet as tn
from analysis import skip_vs_regions_figures as figures
from analysis import study

NAME = "skip_vs_regions"
INITS = ("torch", "kaiming_uniform", "kaiming_normal", "glorot_uniform", "zero_bias")
HALF_WIDTHS = (1.0, 10.0, 100.0, None)
CONTROL_ARMS = ("none", "added", "averaged", "scaled")
_CALIBRATION_POINTS = 2_000
_BLOCK_NETWORKS = 50


@dataclass(frozen=True)
class Config:
    """Everything that determines the numbers.

    Attributes
    ----------
    networks
        Networks per arm in the reproduction, the control and the mechanism.
    sensitivity_networks
        Networks per arm in each cell of the sensitivity study.
    published_networks
        Networks per arm in the paper; also the size of its sampling distributions.
    resamples
        Bootstrap resamples for intervals and sampling distributions.
    gamma_resamples
        Parametric-bootstrap samples for the Kolmogorov-Smirnov p (each needs a fit).
    sensitivity_shapes
        (hidden layers, neurons per layer) of the sensitivity study.
    seed
        Root of all seeds.
    """

    networks: int = 2_000
    sensitivity_networks: int = 100
    published_networks: int = 50
    resamples: int = 2_000
    gamma_resamples: int = 199
    sensitivity_shapes: tuple[tuple[int, int], ...] = ((5, 4), (3, 4))
    seed: int = 20_250_915


@dataclass(frozen=True)
class Arm:
    """One arm of one comparison: a distribution of networks and a domain.

    Attributes
    ----------
    layers, neurons, n_inputs
        Shape: `layers` hidden layers of `neurons`.
    skips
        Pairs (k, l).
    mode
        "none"; "added": nu_{l-1} + nu_k; "averaged": their mean; "scaled": no skip, but the weights of the layers that
        had one are scaled so that their input has the second moment it has with the skip added.
    init
        One of `INITS`.
    half_width
        The domain is [-half_width, half_width]^n_inputs; None is all of R^n.
    stream
        Arms of one stream draw the same weights (paired), others independent ones.
    """

    layers: int
    neurons: int
    skips: tuple[tuple[int, int], ...] = ()
    mode: str = "none"
    init: str = "torch"
    half_width: float | None = 10.0
    n_inputs: int = 2
    stream: int = 0


@dataclass(frozen=True)
class Block:
    """Networks number `first`, ..., `first + n - 1` of an arm."""

    arm: Arm
    first: int
    n: int
    seed: int


def draw(arm: Arm, index: int, seed: int) -> tn.Network:
    """Return network number `index` of an arm."""
    rng = np.random.default_rng([seed, arm.stream, arm.layers, arm.neurons, arm.n_inputs, index])
    widths = [arm.n_inputs, *[arm.neurons] * arm.layers, 1]
    init = "torch" if arm.init == "zero_bias" else arm.init
    plain = tn.Network.random(widths, init=init, seed=rng)
    weights = [layer.weights[k] for k, layer in enumerate(plain.layers)]
    biases = [layer.bias * (arm.init != "zero_bias") for layer in plain.layers]
    match arm.mode:
        case "none":
            return tn.Network.mlp(weights, biases)
        case "added":
            return tn.Network.mlp(weights, biases, skips=arm.skips)
        case "averaged":
            # The mean of nu_{l-1} and all nu_k: divide the weights, not the bias, by the number of terms.
            terms = [1 + sum(target == index for _, target in arm.skips) for index in range(1, len(weights) + 1)]
            halved = [weight / n for weight, n in zip(weights, terms, strict=True)]
            return tn.Network.mlp(halved, biases, skips=arm.skips)
        case "scaled":
            return tn.Network.mlp(_scaled(weights, biases, arm, rng), biases)
    raise ValueError(f"mode must be one of {CONTROL_ARMS}, got {arm.mode!r}.")


def _scaled(
    weights: list[np.ndarray], biases: list[np.ndarray], arm: Arm, rng: np.random.Generator
) -> list[np.ndarray]:
    """Scale the weights of layers with a skip so that their input's second moment is that of the skip network."""
    x = rng.uniform(-arm.half_width, arm.half_width, (_CALIBRATION_POINTS, arm.n_inputs))
    with_skips, without, scaled = [x], x, []
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        sources = [index - 1, *(k for k, target in arm.skips if target == index)]
        signal = sum(with_skips[k] for k in sources)
        moment = np.mean(without**2)
        factor = np.sqrt(np.mean(signal**2) / moment) if len(sources) > 1 and moment > 0 else 1.0
        scaled.append(weight * factor)
        with_skips.append(np.maximum(signal @ weight.T + bias, 0))
        without = np.maximum(without @ scaled[-1].T + bias, 0)
    return scaled


def count_block(block: Block) -> dict[str, Any]:
    """Enumerate a block; return the counts, and the number of cells before each neuron (and after the last).

    The cells before neuron j are the distinct prefixes of length j of the patterns: each has interior, and neuron j
    cuts as many of them as prefixes of length j + 1 are more.
    """
    arm = block.arm
    domain = None if arm.half_width is None else tn.Box(-arm.half_width, arm.half_width)
    counts, cells = [], []
    for index in range(block.first, block.first + block.n):
        regions = tn.enumerate_regions(draw(arm, index, block.seed), domain)
        patterns = regions.patterns
        counts.append(len(regions))
        ordered = patterns[np.lexsort(patterns.T[::-1])]
        # In lexicographic order two neighbours part at their first difference, and there a new prefix begins.
        parting = np.argmax(ordered[1:] != ordered[:-1], axis=1)
        new = np.bincount(parting + 1, minlength=patterns.shape[1] + 1)
        cells.append((1 + np.cumsum(new)).tolist())
    return {"counts": counts, "cells": cells}


# --- the design


def table_rows() -> list[dict[str, Any]]:
    """Return the published rows with our arms: with skips (both readings where there are two) and without."""
    rows = []
    for row in study.published("lr_table_1")["rows"]:
        shape = {"layers": row["layers"], "neurons": row["neurons"]}
        readings = [tuple(map(tuple, reading)) for reading in (row["skips"], row["other_reading"]) if reading]
        for number, skips in enumerate(readings):
            rows.append(
                {
                    "published": row,
                    "skips": skips,
                    "first_reading": number == 0,
                    "with": Arm(**shape, skips=skips, mode="added", stream=1),
                    "without": Arm(**shape, stream=0),
                }
            )
    return rows


def sensitivity_cells(config: Config) -> list[dict[str, Any]]:
    """Return the cells of the sensitivity study: the same weights with and without the skips."""
    skips = {(row["layers"], row["neurons"]): row["skips"] for row in study.published("lr_table_1")["rows"]}
    cells = []
    for shape, n_inputs, init, half_width in product(config.sensitivity_shapes, (2, 3), INITS, HALF_WIDTHS):
        common = {"layers": shape[0], "neurons": shape[1], "init": init, "half_width": half_width, "n_inputs": n_inputs}
        pairs = tuple(map(tuple, skips[shape]))
        # Without biases a network is positively homogeneous: every box around 0, and R^d, has the same cells.
        drawn = {**common, "half_width": 10.0} if init == "zero_bias" else common
        cells.append(
            {
                **common,
                "with": Arm(**drawn, skips=pairs, mode="added", stream=2),
                "without": Arm(**drawn, stream=2),
            }
        )
    return cells


def control_arms(row: dict[str, Any]) -> dict[str, Arm]:
    """Return the four arms of the control for one row of the table, on the same weights."""
    shape = {"layers": row["published"]["layers"], "neurons": row["published"]["neurons"]}
    return {mode: Arm(**shape, skips=row["skips"], mode=mode, stream=3) for mode in CONTROL_ARMS}


def blocks_of(arm: Arm, n: int, seed: int) -> list[Block]:
    """Cut an arm into blocks."""
    return [Block(arm, first, min(_BLOCK_NETWORKS, n - first), seed) for first in range(0, n, _BLOCK_NETWORKS)]


# --- statistics


def compare(with_: np.ndarray, without: np.ndarray, rng: np.random.Generator, resamples: int) -> dict[str, Any]:
    """Compare two independent samples: means, Mann-Whitney U with both p, and P(with > without) with an interval."""
    U = stats.mannwhitneyu(with_, without, alternative="two-sided")
    one = stats.mannwhitneyu(with_, without, alternative="greater")
    effects = [_superiority(rng.choice(with_, len(with_)), rng.choice(without, len(without))) for _ in range(resamples)]
    return {
        "n": len(with_),
        "mean_with": float(np.mean(with_)),
        "mean_without": float(np.mean(without)),
        "standard_error_with": float(stats.sem(with_)),
        "standard_error_without": float(stats.sem(without)),
        "U": float(U.statistic),
        "p_two_sided": float(U.pvalue),
        "p_one_sided": float(one.pvalue),
        "superiority": _superiority(with_, without),
        "superiority_interval": np.quantile(effects, [0.025, 0.975]).tolist(),
    }


def _superiority(a: np.ndarray, b: np.ndarray) -> float:
    """P(a > b) + P(a = b) / 2, which is U / (n_a n_b)."""
    ordered = np.sort(b)
    below = np.searchsorted(ordered, a, side="left") + np.searchsorted(ordered, a, side="right")
    return float(below.mean() / (2 * len(b)))


def holm(p: list[float]) -> list[float]:
    """Adjust p-values by Holm's step-down method."""
    order = np.argsort(p)
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * np.asarray(p)[order])
    out = np.empty(len(p))
    out[order] = np.minimum(adjusted, 1)
    return out.tolist()


def gamma_fit(sample: np.ndarray, rng: np.random.Generator, resamples: int) -> dict[str, Any]:
    """Fit a shifted Gamma; Kolmogorov-Smirnov p as if the parameters were known, and by parametric bootstrap."""
    parameters = stats.gamma.fit(sample)
    plain = stats.kstest(sample, "gamma", parameters)
    larger = 0
    for _ in range(resamples):
        # Counts are whole numbers; rounding the draws keeps the bootstrap from calling the data's ties a misfit.
        drawn = np.round(stats.gamma.rvs(*parameters, size=len(sample), random_state=rng))
        larger += stats.kstest(drawn, "gamma", stats.gamma.fit(drawn)).statistic >= plain.statistic
    return {
        "shape": float(parameters[0]),
        "shift": float(parameters[1]),
        "scale": float(parameters[2]),
        "ks": float(plain.statistic),
        "ks_p_as_published": float(plain.pvalue),
        "ks_p_bootstrap": (larger + 1) / (resamples + 1),
    }


def place_published(
    row: dict[str, Any], with_: np.ndarray, without: np.ndarray, rng: np.random.Generator, config: Config
) -> dict[str, Any]:
    """Say where the published means and U fall among samples of the published size drawn from ours."""
    n = config.published_networks
    draws = [(rng.choice(with_, n), rng.choice(without, n)) for _ in range(config.resamples)]
    simulated = {
        "mean_with": [a.mean() for a, _ in draws],
        "mean_without": [b.mean() for _, b in draws],
        "U": [_superiority(a, b) * n * n for a, b in draws],
    }
    return {name: float(np.mean(np.asarray(values) <= row[name])) for name, values in simulated.items()}


def joint_test(rows: list[dict[str, Any]], n_published: int) -> dict[str, float]:
    """Test all published means at once: the sum of z^2 over rows and arms is chi-squared if ours are the truth.

    The variance of a difference is s^2 (1 / n_published + 1 / n); s is estimated by our sample.
    """
    z = []
    for row in rows:
        for arm in ("with", "without"):
            ours = row["comparison"]
            variance = ours[f"standard_error_{arm}"] ** 2 * (ours["n"] / n_published + 1)
            z.append((row["published"][f"mean_{arm}"] - ours[f"mean_{arm}"]) / np.sqrt(variance))
    statistic = float(np.sum(np.square(z)))
    return {"chi2": statistic, "df": len(z), "p": float(stats.chi2.sf(statistic, len(z))), "z": np.round(z, 3).tolist()}


def paired_ratio(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, resamples: int) -> dict[str, Any]:
    """Return the ratio of means of two paired samples with a bootstrap interval."""
    picks = rng.integers(len(a), size=(resamples, len(a)))
    ratios = a[picks].mean(axis=1) / b[picks].mean(axis=1)
    return {"ratio": float(a.mean() / b.mean()), "interval": np.quantile(ratios, [0.025, 0.975]).tolist()}


def cut_fractions(cells: np.ndarray, layers: int) -> list[float]:
    """Return per layer the fraction of (existing cell, neuron) pairs that are cut, pooled over networks."""
    before, cuts = cells[:, :-1], np.diff(cells, axis=1)
    shape = (len(cells), layers, -1)
    return (cuts.reshape(shape).sum(axis=(0, 2)) / before.reshape(shape).sum(axis=(0, 2))).tolist()


# --- the study


def run(config: Config, *, workers: int = 2, cache: Path | None = None) -> dict[str, Any]:
    """Run the study and return its results; the same configuration gives the same numbers."""
    rows, cells = table_rows(), sensitivity_cells(config)
    blocks = []
    for row in rows:
        arms = [row["with"], row["without"], *control_arms(row).values()]
        blocks += [block for arm in arms for block in blocks_of(arm, config.networks, config.seed)]
    for cell in cells:
        for arm in (cell["with"], cell["without"]):
            blocks += blocks_of(arm, config.sensitivity_networks, config.seed)
    done = study.run_blocks(
        count_block, blocks, cache or study.RESULTS / ".cache" / NAME, workers=workers, description="counting"
    )

    def gather(arm: Arm, n: int, what: str) -> np.ndarray:
        return np.concatenate([done[block][what] for block in blocks_of(arm, n, config.seed)])

    rng = np.random.default_rng([config.seed, 99])
    return {
        "reproduction": reproduction(rows, gather, rng, config),
        "sensitivity": [sensitivity(cell, gather, rng, config) for cell in cells],
        "control": [control(row, gather, rng, config) for row in rows if row["first_reading"]],
        "mechanism": [mechanism(row, gather, config) for row in rows if row["first_reading"]],
    }


def reproduction(rows: list[dict[str, Any]], gather: Any, rng: np.random.Generator, config: Config) -> dict[str, Any]:
    """Part 1: Table 1, at the published size and at ours."""
    out = []
    for row in rows:
        with_, without = (gather(row[arm], config.networks, "counts") for arm in ("with", "without"))
        n = config.published_networks
        out.append(
            {
                "published": row["published"],
                "skips": row["skips"],
                "first_reading": row["first_reading"],
                "as_published": compare(with_[:n], without[:n], rng, config.resamples),
                "comparison": compare(with_, without, rng, config.resamples),
                "gamma_with": gamma_fit(with_[:n], rng, config.gamma_resamples),
                "gamma_without": gamma_fit(without[:n], rng, config.gamma_resamples),
                "published_quantile": place_published(row["published"], with_, without, rng, config),
                "counts_with": with_.tolist(),
                "counts_without": without.tolist(),
            }
        )
    first = [row for row in out if row["first_reading"]]
    for name in ("as_published", "comparison"):
        for side in ("p_one_sided", "p_two_sided"):
            for row, p in zip(first, holm([row[name][side] for row in first]), strict=True):
                row[name][f"{side}_holm"] = p
    other = [row if row["first_reading"] else None for row in out]
    second = [
        next((r for r in out if not r["first_reading"] and r["published"] == row["published"]), row)
        for row in other
        if row is not None
    ]
    return {
        "rows": out,
        "joint_test": joint_test(first, config.published_networks),
        "joint_test_other_reading": joint_test(second, config.published_networks),
    }


def sensitivity(cell: dict[str, Any], gather: Any, rng: np.random.Generator, config: Config) -> dict[str, Any]:
    """Part 2, one cell: the ratio of mean counts with and without the skips."""
    n = config.sensitivity_networks
    with_, without = (gather(cell[arm], n, "counts") for arm in ("with", "without"))
    return {
        "layers": cell["layers"],
        "neurons": cell["neurons"],
        "n_inputs": cell["n_inputs"],
        "init": cell["init"],
        "half_width": cell["half_width"],
        "n": n,
        "mean_with": float(with_.mean()),
        "mean_without": float(without.mean()),
        "superiority": _superiority(with_, without),
        **paired_ratio(with_, without, rng, config.resamples),
    }


def control(row: dict[str, Any], gather: Any, rng: np.random.Generator, config: Config) -> dict[str, Any]:
    """Part 3, one row: each arm's mean count relative to no skip, on the same weights."""
    arms = control_arms(row)
    counts = {mode: gather(arm, config.networks, "counts") for mode, arm in arms.items()}
    relative = {
        mode: {
            "mean": float(sample.mean()),
            **paired_ratio(sample, counts["none"], rng, config.resamples),
        }
        for mode, sample in counts.items()
    }
    gain = relative["added"]["mean"] - relative["none"]["mean"]
    return {
        "layers": row["published"]["layers"],
        "neurons": row["published"]["neurons"],
        "skips": row["skips"],
        "n": config.networks,
        "arms": relative,
        "share_of_the_effect": {
            mode: (relative[mode]["mean"] - relative["none"]["mean"]) / gain for mode in ("averaged", "scaled")
        },
    }


def mechanism(row: dict[str, Any], gather: Any, config: Config) -> dict[str, Any]:
    """Part 4, one row: fraction of existing cells that a neuron's hyperplane cuts, by layer and arm."""
    layers = row["published"]["layers"]
    return {
        "layers": layers,
        "neurons": row["published"]["neurons"],
        "skips": row["skips"],
        "n": config.networks,
        "cut_fraction": {
            mode: cut_fractions(gather(arm, config.networks, "cells"), layers)
            for mode, arm in control_arms(row).items()
        },
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write `results/skip_vs_regions.json`, draw the figures from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=Config.networks, help="networks per arm (default: %(default)s)")
    parser.add_argument(
        "--sensitivity-networks", type=int, default=Config.sensitivity_networks, help="default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=Config.seed, help="root seed (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a small profile: seconds instead of minutes")
    parser.add_argument("--out", type=Path, default=study.ROOT, help="where results/ and paper_figures/ are")
    options = parser.parse_args(arguments)
    if options.quick:
        config = Config(
            networks=10,
            sensitivity_networks=2,
            published_networks=10,
            resamples=50,
            gamma_resamples=2,
            sensitivity_shapes=((3, 4),),
            seed=options.seed,
        )
    else:
        config = Config(
            networks=options.networks,
            sensitivity_networks=options.sensitivity_networks,
            published_networks=min(50, options.networks),
            seed=options.seed,
        )
    results = run(config, workers=options.workers, cache=options.out / "results" / ".cache" / NAME)
    path = options.out / "results" / f"{NAME}.json"
    study.write_json(path, {**study.provenance(config), **results})
    figures.draw(path, options.out / "paper_figures")
    print(summary(results))


def summary(results: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = ["layers x neurons, skips: mean with (published), mean without (published), one-sided p at n = 50"]
    for row in results["reproduction"]["rows"]:
        p, c = row["published"], row["comparison"]
        skips = ", ".join(f"{k}-{target}" for k, target in row["skips"])
        lines.append(
            f"{p['layers']} x {p['neurons']}, {skips}: {c['mean_with']:.1f} ({p['mean_with']}),"
            f" {c['mean_without']:.1f} ({p['mean_without']}), {row['as_published']['p_one_sided']:.1e}"
        )
    for name in ("joint_test", "joint_test_other_reading"):
        test = results["reproduction"][name]
        lines.append(f"{name.replace('_', ' ')}: chi2 = {test['chi2']:.1f} on {test['df']}, p = {test['p']:.3f}")
    for row in results["control"]:
        shares = ", ".join(f"{mode} {share:.0%}" for mode, share in row["share_of_the_effect"].items())
        lines.append(f"{row['layers']} x {row['neurons']}: share of the effect kept by {shares}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
