"""What `analysis.few_nonlinearities` finds on networks: accuracy, folding, regions around data, prediction times."""

from __future__ import annotations

import copy
import statistics
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import tropnet as tn
from analysis.few_nonlinearities.training import kept_neurons
from analysis.shared.mnist import Data, outputs
from analysis.shared.timing import microseconds
from tropnet.homotopy.models.activations import ActivationSlope

__all__ = ["accuracies", "folded", "plain", "regions", "segments", "time_predictions"]


def folded(model: nn.Module) -> tn.Network:
    """Return the network of the nonlinear neurons only, in float64."""
    return tn.from_torch(model, (1, 28, 28)).without_affine_neurons()


def accuracies(model: nn.Module, full_classes: Tensor, test: Data) -> dict[str, Any]:
    """Return what the network does on the test images, and that its folded form does the same.

    Returns
    -------
    dict
        neurons: those left, by activation. accuracy; agreement, the fraction of images given the class that the full
        network gives them. widths of the folded network and its products, the weights that are not zero. folding:
        largest_difference of its outputs and the module's in float64, and disagreeing, the images they class otherwise.
    """
    classes = outputs(model, test.images).argmax(1)
    net = folded(model)
    double = outputs(copy.deepcopy(model).double(), test.images.double())
    own = torch.tensor(net(test.images.double().flatten(1).numpy()))
    return {
        "neurons": list(kept_neurons(model).values()),
        "accuracy": float((classes == test.labels).double().mean()),
        "agreement": float((classes == full_classes).double().mean()),
        "widths": list(net.widths),
        "products": int(sum(np.count_nonzero(_dense(w)) for layer in net.layers for w in layer.weights.values())),
        "folding": {
            "largest_difference": float((double - own).abs().max()),
            "disagreeing": int((double.argmax(1) != own.argmax(1)).sum()),
        },
    }


def _dense(weight: Any) -> Any:
    return weight.data if hasattr(weight, "indptr") else weight


def segments(test: Data, n: int) -> list[tuple[Any, Any]]:
    """Return the ends of `n` segments: the test images 0 and 1, 2 and 3, ..., flattened, float64."""
    points = test.images[: 2 * n].double().flatten(1).numpy()
    return list(zip(points[::2], points[1::2], strict=True))


def regions(model: nn.Module, test: Data, n_segments: int) -> dict[str, Any]:
    """Count regions around the data: activation patterns of the test images, and regions met between two of them.

    Returns
    -------
    dict
        patterns: how many different ones the test images have, of n_images. on_segments: regions that each segment
        meets, exact.
    """
    net = folded(model)
    patterns = net.activation_pattern(test.images.double().flatten(1).numpy())
    return {
        "patterns": len(np.unique(np.packbits(patterns, axis=1), axis=0)) if net.n_neurons else 1,
        "n_images": len(test.labels),
        "on_segments": [len(tn.regions_on_segment(net, *ends)) for ends in segments(test, n_segments)],
    }


# --- times


def plain(model: nn.Sequential) -> nn.Sequential:
    """Return the full network with nn.ReLU for its activations, all of slope 0: the honest baseline."""
    return nn.Sequential(*(nn.ReLU() if isinstance(part, ActivationSlope) else part for part in model))


def time_predictions(full: nn.Sequential, models: dict[str, nn.Module], test: Data, rounds: int) -> dict[str, Any]:
    """Time the full CNN and folded networks on all test images, in batches of 64, float32, data already in place.

    Returns
    -------
    dict
        full: microseconds per image, the median over rounds, and the rounds; the folded networks likewise, with ratio:
        the median of the full network's time over theirs inside a round, in which all take turns.
    """
    timed: dict[str, tuple[nn.Module, list[Tensor]]] = {"full": (plain(full).eval(), list(test.images.split(64)))}
    flat = list(test.images.flatten(1).split(64))
    for name, model in models.items():
        timed[name] = (tn.to_torch(folded(model)).float(), flat)
    found: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        for name, (module, batches) in timed.items():
            found[name].append(microseconds(module, batches))
    return {
        name: {
            "microseconds": statistics.median(times),
            "ratio": statistics.median(a / b for a, b in zip(found["full"], times, strict=True)),
            "rounds": times,
        }
        for name, times in found.items()
    }


# --- in words


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text: means over the seeds."""
    shares, seeds = record["shares"], record["seeds"].values()
    lines = [f"full network: {_mean(seed['full']['accuracy'] for seed in seeds):.4f}"]
    lines.append("nonlinear neurons left: " + ", ".join(f"{share:.0%}" for share in shares))
    names = dict.fromkeys(name for seed in seeds for name in seed["variants"])
    for name in names:
        rows = [seed["variants"][name] for seed in seeds if name in seed["variants"]]
        values = (_mean(row[index]["accuracy"] for row in rows) for index in range(len(shares)))
        lines.append(f"{name} ({len(rows)} seeds): " + " ".join(f"{value:.4f}" for value in values))
    for name, row in record["times"].items():
        lines.append(f"time, {name}: {row['microseconds']:.3g} us per image, x {row['ratio']:.3g}")
    limit = record["affine_limit"]
    lines.append(f"best affine classifier: {limit['accuracy']:.4f}, at its best iteration {limit['best_accuracy']:.4f}")
    return "\n".join([*lines, *(f"not run: {what}" for what in record["not_run"])])


def _mean(values: Any) -> float:
    found = list(values)
    return sum(found) / len(found)
