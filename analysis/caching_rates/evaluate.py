"""What `analysis.caching_rates` finds in trained arms: the test of Table 2, and section 7.1's observations as numbers.

All functions take arrays and return what JSON holds; NaN, where nothing is to be averaged, becomes None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.caching_rates.training import N_CLASSES, Findings
from analysis.shared.statistics import superiority

__all__ = [
    "ALPHA",
    "ARMS",
    "by_class",
    "centroid_distances",
    "compare",
    "dataset_pairs",
    "fit",
    "fit_by_setting",
    "network_sizes",
    "overview",
    "separation",
    "verdict",
]

ARMS = ("with", "without")
ALPHA = 0.05

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def overview(found: Findings, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return what Table 2 has of an arm, and the same of every network.

    Returns
    -------
    dict
        networks, test_images, how many; accuracy and cached, the number of cached images, means over networks;
        cached_deviation, the standard deviation of these numbers; rate, the share of the images that is cached;
        training_regions, the mean number of regions that hold training images; accuracy_cached and accuracy_uncached,
        of the cached and of the other images of all networks; seconds; cached_counts and accuracies of each network.
    """
    counts, right = found.cached.sum(axis=1), found.predicted == labels
    return {
        "networks": len(counts),
        "accuracy": float(right.mean()),
        "test_images": len(labels),
        "cached": float(counts.mean()),
        "cached_deviation": _deviation(counts),
        "rate": float(found.cached.mean()),
        "training_regions": float(found.n_regions.mean()),
        "accuracy_cached": _share(right, found.cached),
        "accuracy_uncached": _share(right, ~found.cached),
        "seconds": round(found.seconds, 1),
        "cached_counts": counts.tolist(),
        "accuracies": np.round(right.mean(axis=1), 6).tolist(),
    }


def compare(with_: Sequence[int], without: Sequence[int]) -> dict[str, Any]:
    """Test numbers of cached images as Table 2 does.

    Returns
    -------
    dict
        U of the sample with skips; p, one-sided, for the alternative that networks without skips have more; p_contrary
        for the opposite alternative; superiority, P(without > with) + P(equal) / 2.

    Examples
    --------
    >>> compare([1, 2, 3], [4, 5, 6])
    {'U': 0.0, 'p': 0.05, 'p_contrary': 1.0, 'superiority': 1.0}
    """
    less = stats.mannwhitneyu(with_, without, alternative="less")
    greater = stats.mannwhitneyu(with_, without, alternative="greater")
    return {
        "U": float(less.statistic),
        "p": float(less.pvalue),
        "p_contrary": float(greater.pvalue),
        "superiority": superiority(without, with_),
    }


def fit(arm: dict[str, Any], published: dict[str, Any], side: str, n_published: int) -> dict[str, Any]:
    """Return how far print is from ours: the accuracy, and z of the mean number of cached images.

    The variance of a difference of means is s^2 (1 / n + 1 / n_published); s is estimated by our sample.
    """
    error = math.sqrt(1 / arm["networks"] + 1 / n_published) * (arm["cached_deviation"] or 0.0)
    difference = published[f"cached_{side}"] - arm["cached"]
    return {
        "accuracy_difference": round(published[f"accuracy_{side}"] - arm["accuracy"], 6),
        "cached_z": difference / error if error else None,
    }


def fit_by_setting(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how near every setting of what the paper does not state comes to print, by data set.

    Returns
    -------
    list of dict
        chi2, the sum of z^2 of the mean numbers of cached images over rows and arms, chi-squared on df if ours were the
        paper's networks (s is estimated, so with few networks the p is too small); p; accuracy_difference, the root of
        the mean square.
    """
    out = []
    known = [row for row in table if row["fit"]]
    for name in _distinct((row["dataset"], tuple(row["pixels"]), row["batch"]) for row in known):
        chosen = [row for row in known if (row["dataset"], tuple(row["pixels"]), row["batch"]) == name]
        fits = [row["fit"][side] for row in chosen for side in ARMS if row["fit"][side]["cached_z"] is not None]
        chi2 = sum(entry["cached_z"] ** 2 for entry in fits)
        differences = [row["fit"][side]["accuracy_difference"] for row in chosen for side in ARMS]
        out.append(
            {
                "dataset": name[0],
                "pixels": list(name[1]),
                "batch": name[2],
                "networks": min(row[side]["networks"] for row in chosen for side in ARMS),
                "chi2": chi2,
                "df": len(fits),
                "p": float(stats.chi2.sf(chi2, len(fits))) if fits else None,
                "accuracy_difference": float(np.sqrt(np.mean(np.square(differences)))),
            }
        )
    return out


def verdict(published: dict[str, Any] | None, with_: float, without: float, p: float) -> str:
    """Return in words how a row compares with print.

    Examples
    --------
    >>> verdict({"reject": True}, 10.0, 20.0, 0.001)
    'reproduced: fewer with skips, significant in print and here'
    >>> verdict({"reject": True}, 20.0, 10.0, 0.999)
    'not reproduced: significant in print, here not fewer with skips'
    """
    fewer, significant = with_ < without, p < ALPHA
    direction = "fewer with skips" if fewer else "not fewer with skips"
    if published is None:
        return f"{direction}, {'significant' if significant else 'not significant'}; nothing in print"
    if published["reject"] and fewer:
        here = "and here" if significant else "but not here"
        return f"{'reproduced' if significant else 'direction only'}: fewer with skips, significant in print {here}"
    if published["reject"]:
        return "not reproduced: significant in print, here not fewer with skips"
    if significant:
        return "differs: not significant in print, here fewer with skips and significant"
    return f"reproduced: not significant in print and here ({direction})"


# --- section 7.1 (a): by class


def by_class(found: Findings, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return the caching rate of the images of every class, true and predicted.

    Returns
    -------
    dict
        For "true" and "predicted": rate, of all images of all networks (None where there are none); deviation of the
        rates of the networks; spread, the largest rate less the smallest. lowest_and_highest: the true classes with
        these rates. agreement: the share of the pairs of networks and classes in which a network orders two classes as
        the mean does.
    """
    true = np.broadcast_to(labels, found.cached.shape)
    record: dict[str, Any] = {"true": _rates(found.cached, true), "predicted": _rates(found.cached, found.predicted)}
    known = [label for label, rate in enumerate(record["true"]["rate"]) if rate is not None]
    per_network = _class_rates(found.cached, true)[:, known]
    mean = per_network.mean(axis=0)
    record["lowest_and_highest"] = [known[mean.argmin()], known[mean.argmax()]]
    first, second = np.triu_indices(len(known), 1)
    expected = np.sign(mean[first] - mean[second])
    same = np.sign(per_network[:, first] - per_network[:, second]) == expected
    record["agreement"] = float(same[:, expected != 0].mean()) if expected.any() else None
    return record


def _rates(cached: Bools, classes: NDArray[np.integer[Any]]) -> dict[str, Any]:
    pooled = [_share(cached, classes == label) for label in range(N_CLASSES)]
    per_network = _class_rates(cached, classes)
    known = [rate for rate in pooled if rate is not None]
    return {
        "rate": pooled,
        "deviation": [_deviation(column[~np.isnan(column)]) for column in per_network.T],
        "spread": max(known) - min(known),
    }


def _class_rates(cached: Bools, classes: NDArray[np.integer[Any]]) -> Floats:
    """Return the rate of every network and class, NaN where a network has no image of a class."""
    rates = np.full((len(cached), N_CLASSES), np.nan)
    for label in range(N_CLASSES):
        members = classes == label
        sizes = members.sum(axis=1)
        np.divide((cached & members).sum(axis=1), sizes, out=rates[:, label], where=sizes > 0)
    return rates


# --- section 7.1 (b): distance to the centroids


def centroid_distances(
    points: Floats, labels: NDArray[np.int64], test_points: Floats, test_labels: NDArray[np.int64]
) -> Floats:
    """Return the Euclidean distance of every test point to the mean of the training points of its class."""
    means = [points[labels == label].mean(axis=0) for label in range(N_CLASSES)]
    return np.linalg.norm(test_points - np.array(means)[test_labels], axis=1)


def separation(cached: Bools, distances: Floats, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Compare the distances of cached and uncached images in every network that has both.

    Returns
    -------
    dict
        networks: those that have both; mean_cached, mean_uncached: mean distances, over networks; area: P(an uncached
        image is farther than a cached one), that is the area under the ROC curve, as mean, deviation and share of
        networks above 1/2, with one-sided p of Wilcoxon's signed-rank test against 1/2 over networks, and p_contrary
        of the other side; cliffs_delta, 2 area - 1; within: the same for pairs of one class, which leaves out that
        some classes are cached more.
    """
    both = cached.any(axis=1) & ~cached.all(axis=1)
    cached = cached[both]
    record: dict[str, Any] = {"networks": int(both.sum())}
    if not both.any():
        return record
    record["mean_cached"] = _share(np.broadcast_to(distances, cached.shape), cached, each=True)
    record["mean_uncached"] = _share(np.broadcast_to(distances, cached.shape), ~cached, each=True)
    pairs, won = _pairs_won(cached, distances)
    record |= _areas(won / pairs)
    parts = [_pairs_won(cached[:, labels == label], distances[labels == label]) for label in np.unique(labels)]
    pairs, won = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    record["within"] = _areas(won[pairs > 0] / pairs[pairs > 0])
    return record


def _pairs_won(cached: Bools, distances: Floats) -> tuple[Floats, Floats]:
    """Return per network the pairs (uncached, cached), and those in which the uncached image is farther; ties half."""
    ranks = stats.rankdata(distances)
    n_uncached = (~cached).sum(axis=1)
    won = (~cached) @ ranks - n_uncached * (n_uncached + 1) / 2
    return (n_uncached * cached.sum(axis=1)).astype(np.float64), won


def _areas(areas: Floats) -> dict[str, Any]:
    if not len(areas):
        return {"area": None}
    p, p_contrary = 1.0, 1.0
    if (areas != 0.5).any():
        p, p_contrary = (float(stats.wilcoxon(areas - 0.5, alternative=side).pvalue) for side in ("greater", "less"))
    mean = float(areas.mean())
    return {
        "area": mean,
        "cliffs_delta": 2 * mean - 1,
        "deviation": _deviation(areas),
        "share_above_half": float((areas > 0.5).mean()),
        "p": p,
        "p_contrary": p_contrary,
    }


# --- section 7.1 (c) and (d): by size and by data set, from the rows of the table


def network_sizes(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the caching rate by size in every setting and arm, and P(a smaller network has more than the next)."""
    out = []
    for setting in _distinct((row["dataset"], tuple(row["pixels"]), row["batch"]) for row in table):
        chosen = [row for row in table if (row["dataset"], tuple(row["pixels"]), row["batch"]) == setting]
        chosen.sort(key=lambda row: row["layers"] * row["neurons"])
        for side in ARMS:
            counts = [row[side]["cached_counts"] for row in chosen]
            out.append(
                {
                    "dataset": setting[0],
                    "pixels": list(setting[1]),
                    "batch": setting[2],
                    "arm": side,
                    "shapes": [[row["layers"], row["neurons"]] for row in chosen],
                    "rate": [row[side]["rate"] for row in chosen],
                    "training_regions": [row[side]["training_regions"] for row in chosen],
                    "smaller_has_more": [superiority(a, b) for a, b in pairwise(counts)],
                }
            )
    return out


def dataset_pairs(table: list[dict[str, Any]], reference: str = "mnist") -> list[dict[str, Any]]:
    """Return the caching rate by data set for every shape, range of pixels, batch and arm, with numbers of networks.

    Beside it P(a network of `reference` has the larger rate).
    """
    out = []
    for shape in _distinct(map(_setting_of_a_shape, table)):
        chosen = [row for row in table if _setting_of_a_shape(row) == shape]
        for side in ARMS:
            rates = {row["dataset"]: np.divide(row[side]["cached_counts"], row[side]["test_images"]) for row in chosen}
            others = [name for name in rates if name != reference] if reference in rates else []
            out.append(
                {
                    "layers": shape[0],
                    "neurons": shape[1],
                    "pixels": list(shape[2]),
                    "batch": shape[3],
                    "arm": side,
                    "networks": {name: len(values) for name, values in rates.items()},
                    "rate": {name: float(values.mean()) for name, values in rates.items()},
                    f"{reference}_has_more": {name: superiority(rates[reference], rates[name]) for name in others},
                }
            )
    return out


def _setting_of_a_shape(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["layers"], row["neurons"], tuple(row["pixels"]), row["batch"]


def _distinct(values: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(values))


# ---


def _share(values: NDArray[Any], chosen: Bools, *, each: bool = False) -> float | None:
    """Return the mean of the chosen values: of all rows together, or the mean of the means of each row."""
    if not chosen.any():
        return None
    if each:
        return float(np.mean((values * chosen).sum(axis=1) / chosen.sum(axis=1)))
    return float(values[chosen].mean())


def _deviation(values: NDArray[Any]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
