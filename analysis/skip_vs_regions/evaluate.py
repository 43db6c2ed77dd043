"""What follows from the counts: the table reproduced, its sensitivity, the control, the mechanism; a summary."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from analysis.skip_vs_regions.arms import control_arms
from analysis.skip_vs_regions.config import Config

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


# --- the four parts


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


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = ["layers x neurons, skips: mean with (published), mean without (published), one-sided p at n = 50"]
    for row in record["reproduction"]["rows"]:
        p, c = row["published"], row["comparison"]
        skips = ", ".join(f"{k}-{target}" for k, target in row["skips"])
        lines.append(
            f"{p['layers']} x {p['neurons']}, {skips}: {c['mean_with']:.1f} ({p['mean_with']}),"
            f" {c['mean_without']:.1f} ({p['mean_without']}), {row['as_published']['p_one_sided']:.1e}"
        )
    for name in ("joint_test", "joint_test_other_reading"):
        test = record["reproduction"][name]
        lines.append(f"{name.replace('_', ' ')}: chi2 = {test['chi2']:.1f} on {test['df']}, p = {test['p']:.3f}")
    for row in record["control"]:
        shares = ", ".join(f"{mode} {share:.0%}" for mode, share in row["share_of_the_effect"].items())
        lines.append(f"{row['layers']} x {row['neurons']}: share of the effect kept by {shares}")
    return "\n".join(lines)
