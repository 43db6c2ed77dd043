"""What `analysis.linear_collapse` finds on trained networks: collapse and agreement, prediction times, the verdict."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

import tropnet as tn
from analysis.shared.affine_classifier import share_right
from analysis.shared.mnist import Data, outputs
from analysis.shared.timing import microseconds

__all__ = ["READINGS", "agreement", "as_module", "collapsed", "readings", "time_predictions", "verdict"]

# What "ResNet34 without ReLU" can mean: the pooling, and the statistics of batch norm when it is evaluated.
READINGS = {
    "affine": ("resnet34_average", "eval"),
    "max-pool": ("resnet34_max", "eval"),
    "batch statistics": ("resnet34_average", "batch"),
    "max-pool and batch statistics": ("resnet34_max", "batch"),
}
# Seeds, initial weights and what else the paper does not state move an epoch's accuracy by less than this.
MARGIN = 0.01

Histories = Mapping[str, list[dict[str, Any]]]


def collapsed(model: nn.Module, test: Data, batch: int) -> tuple[dict[str, Any], tn.AffineMap | None]:
    """Collapse a network in eval mode, on the CPU, and compare predictions, or say why it is refused.

    Predictions are compared on the device of the images, where float32 is float32: without TF32.

    Returns
    -------
    record : dict
        refused: the message, for a network that is not affine. Else seconds, n_images, accuracy of the map, and
        `agreement` with the network in float64 and in float32. For networks with batch norm also refused_in_training:
        the message of the same network in training mode.
    affine : AffineMap or None
        The map.
    """
    shape = tuple(test.images.shape[1:])
    record: dict[str, Any] = {}
    if any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        record["refused_in_training"] = _refusal(copy.deepcopy(model).train(), shape)
    begin = time.perf_counter()
    try:
        affine = tn.collapse(model, shape)
    except tn.UnsupportedModuleError as error:
        return {**record, "refused": str(error)}, None
    record["seconds"] = time.perf_counter() - begin
    device, images = test.images.device, Data(test.images.double(), test.labels)
    model = copy.deepcopy(model).to(device)
    double, single = as_module(affine, torch.float64).to(device), as_module(affine).to(device)
    record["n_images"] = len(test.labels)
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
        record["accuracy"] = share_right(outputs(double, images.images, batch), test.labels)
        record["float32"] = agreement(model, single, test, batch)
        record["float64"] = agreement(model.double(), double, images, batch)
    return record, affine


def _refusal(model: nn.Module, shape: tuple[int, ...]) -> str | None:
    try:
        tn.collapse(model, shape)
    except tn.UnsupportedModuleError as error:
        return str(error)
    return None


def as_module(affine: tn.AffineMap, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Return an affine map as what the paper calls a single-layer perceptron.

    Examples
    --------
    >>> as_module(tn.AffineMap([[1.0, 2.0]], [3.0]))(torch.tensor([[[[1.0, 1.0]]]])).tolist()
    [[6.0]]
    """
    dense = affine.to_dense()
    linear = nn.Linear(dense.n_inputs, dense.n_outputs, dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(dense.weight))
        linear.bias.copy_(torch.tensor(dense.bias))
    return nn.Sequential(nn.Flatten(), linear).eval()


def agreement(one: nn.Module, other: nn.Module, data: Data, batch: int) -> dict[str, Any]:
    """Compare two networks on all images.

    Returns
    -------
    dict
        disagreeing: images given another class; largest_difference of an output, and largest_output of `one`.
    """
    first, second = outputs(one, data.images, batch), outputs(other, data.images, batch)
    return {
        "disagreeing": int((first.argmax(1) != second.argmax(1)).sum()),
        "largest_difference": float((first - second).abs().max()),
        "largest_output": float(first.abs().max()),
    }


# --- times


def time_predictions(
    models: Mapping[str, nn.Module],
    maps: Mapping[str, tn.AffineMap | None],
    test: Data,
    batch: int,
    rounds: int,
    devices: Sequence[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Time each affine network and its collapse on all test images, in batches, float32, data already in place.

    Returns
    -------
    dict
        By device ("cpu", and "cuda" if there is one, unless others are given) and network: microseconds per image
        before and after, medians over rounds that take turns, and their ratio, the median of the ratios inside a round;
        all rounds too.
    """
    devices = devices or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    found: dict[str, dict[str, Any]] = {}
    for device in devices:
        batches = [images.to(device) for images in test.images.split(batch)]
        pairs = {
            name: (copy.deepcopy(models[name]).to(device), as_module(affine).to(device))
            for name, affine in maps.items()
            if affine is not None
        }
        times: dict[str, list[list[float]]] = {name: [] for name in pairs}
        for _ in range(rounds):
            for name, pair in pairs.items():
                times[name].append([microseconds(model, batches) for model in pair])
        found[device] = {name: _medians(rows) for name, rows in times.items()}
    return found


def _medians(rows: list[list[float]]) -> dict[str, Any]:
    before, after = zip(*rows, strict=True)
    return {
        "before": statistics.median(before),
        "after": statistics.median(after),
        "ratio": statistics.median(a / b for a, b in rows),
        "rounds": rows,
    }


# --- the verdict


def readings(histories: Histories) -> dict[str, list[float]]:
    """Return the accuracies after each epoch, on the test images, of every reading that was run."""
    return {
        reading: [entry["accuracy"][mode] for entry in histories[name]]
        for reading, (name, mode) in READINGS.items()
        if name in histories
    }


def verdict(histories: Histories, published: list[float]) -> dict[str, Any]:
    """Say which readings reach the published accuracies of the linearised ResNet34.

    They are compared after the last epoch that all readings and the paper have: a reading reaches the published
    accuracy if it is above it, or below by no more than `MARGIN`. Being above is no objection: the paper states neither
    optimiser nor initial weights, so its networks may learn more slowly.

    Returns
    -------
    dict
        epoch (None if there is none), published, margin, accuracy and difference of each reading, reached (a list of
        readings), text.
    """
    found = readings(histories)
    epoch = min([len(published), *map(len, found.values())]) if len(found) == len(READINGS) else 0
    if not epoch:
        return {"epoch": None, "reached": [], "text": "No verdict: not every ResNet34 was trained for an epoch."}
    target = published[epoch - 1]
    accuracy = {reading: values[epoch - 1] for reading, values in found.items()}
    reached = [reading for reading, value in accuracy.items() if value >= target - MARGIN]
    values = ", ".join(f"{reading} {value:.2%}" for reading, value in accuracy.items())
    return {
        "epoch": epoch,
        "published": target,
        "margin": MARGIN,
        "accuracy": accuracy,
        "difference": {reading: round(value - target, 6) for reading, value in accuracy.items()},
        "reached": reached,
        "text": (
            f"After epoch {epoch} of {len(published)}, published {target:.2%}: {values}."
            f" Reached, to {100 * MARGIN:g} point: {', '.join(reached) or 'by none'}."
        ),
    }


def summary(record: dict[str, Any]) -> str:
    """Return the results as a short text."""
    lines = []
    for name, network in record["networks"].items():
        found = ", ".join(f"{mode} {value:.4f}" for mode, value in network["history"][-1]["accuracy"].items())
        lines.append(f"{name}: {network['epochs']} epochs, {found}")
        collapse = network["collapse"]
        if "refused" in collapse:
            lines.append(f"  not collapsed: {collapse['refused']}")
        else:
            lines.append(
                f"  collapsed: {collapse['float64']['disagreeing']} of {collapse['n_images']} predictions differ,"
                f" outputs by {collapse['float64']['largest_difference']:.1e}"
            )
    for device, rows in record["times"].items():
        lines += [
            f"{device}, {name}: {row['before']:.3g} us per image, collapsed {row['after']:.3g}, x {row['ratio']:.3g}"
            for name, row in rows.items()
        ]
    limit = record["affine_limit"]
    lines.append(f"best affine classifier: {limit['accuracy']:.4f}, at its best iteration {limit['best_accuracy']:.4f}")
    lines.append(record["verdict"]["text"])
    lines += [f"not run: {what}" for what in record["not_run"]]
    return "\n".join(lines)
