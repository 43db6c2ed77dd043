"""Points at which predictions are hard, and what they are there, over the rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import tropnet as tn
from tests.oracles.exact import exact_layers, rationals
from tests.strategies import FloatArray


def exact_values(net: tn.Network, x: FloatArray) -> tuple[list[Fraction], FloatArray]:
    """Return the outputs at x over the rationals, and what rounding scales with: the same with absolute values."""
    outputs = [[(value,) for value in rationals(x)]]
    sizes = [np.abs(x)]
    for neurons, layer in zip(exact_layers(net), net.layers, strict=True):
        z = [neuron.pre_activation(outputs, 1) for neuron in neurons]
        outputs.append([neuron.output(value, value[0] > 0) for neuron, value in zip(neurons, z, strict=True)])
        size = sum((np.abs(weight) @ sizes[k] for k, weight in layer.weights.items()), start=np.abs(layer.bias))
        sizes.append(size * np.abs(layer.slopes).max(axis=1))
    return [value for (value,) in z], size


def hard_points(regions: tn.Regions, rng: np.random.Generator, n_points: int = 60) -> FloatArray:
    """Return points in the regions, at their vertices, on their facets, and a rounding or a little away from these."""
    inside = regions.witnesses
    corners, offsets = regions.vertices()
    owner = np.repeat(np.arange(len(regions)), np.diff(offsets))
    weights = rng.random(len(corners))[:, None]
    # Two corners of one region, often of one facet.
    other = np.clip(np.arange(len(corners)) + 1, 0, offsets[1:][owner] - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        between = weights * corners + (1 - weights) * inside[owner]
        near = np.concatenate([corners, (corners + corners[other]) / 2])
        shifted = [np.nextafter(near, side) for side in (np.inf, -np.inf)]
        every = np.concatenate([inside, between, near, *shifted, near + rng.normal(scale=1e-9, size=near.shape)])
    # What overflows is no point.
    every = every[(np.abs(every) < 1e300).all(axis=1)]
    return every[rng.permutation(len(every))[:n_points]]
