"""The arms that are compared: distributions of networks with and without skips, drawn and counted in blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

import tropnet as tn
from analysis.shared.results import published
from analysis.skip_vs_regions.config import Config

INITS = ("torch", "kaiming_uniform", "kaiming_normal", "glorot_uniform", "zero_bias")
HALF_WIDTHS = (1.0, 10.0, 100.0, None)
CONTROL_ARMS = ("none", "added", "averaged", "scaled")
_CALIBRATION_POINTS = 2_000
_BLOCK_NETWORKS = 50


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
    for row in published("lr_table_1")["rows"]:
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
    skips = {(row["layers"], row["neurons"]): row["skips"] for row in published("lr_table_1")["rows"]}
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
