"""Hyperplane arrangements as networks of one layer: those of the encyclopedia of sequences, and one-layer CNNs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product
from math import comb, prod, sqrt

import numpy as np
from numpy.typing import ArrayLike

import tropnet as tn

Size = tuple[int, int, int]


def arrangement(rows: ArrayLike, offsets: ArrayLike) -> tn.Network:
    """Return a network of one hidden layer whose activation regions are the cells of the planes rows @ x + offsets."""
    normals = np.asarray(rows, dtype=np.float64)
    hidden = tn.Layer({0: normals}, np.asarray(offsets, dtype=np.float64))
    return tn.Network([hidden, tn.Layer({1: np.ones((1, len(normals)))}, np.zeros(1))])


def subsets(d: int) -> list[list[int]]:
    """Return the nonempty subsets of 0, ..., d - 1."""
    return [[i for i in range(d) if number >> i & 1] for number in range(1, 2**d)]


def resonance(d: int) -> tn.Network:
    """Return the resonance arrangement: a plane through 0 for each nonempty set, where its coordinates sum to 0."""
    rows = np.zeros((2**d - 1, d))
    for row, members in zip(rows, subsets(d), strict=True):
        row[members] = 1
    return arrangement(rows, np.zeros(len(rows)))


def resonance_slice(d: int, k: int) -> tuple[tn.Network, tn.Polytope]:
    """Return the resonance arrangement where k of d + 1 coordinates are positive, scaled; see `resonance_by_symmetry`.

    The positive ones sum to 1 and the others to -1, so the domain is the product of two simplices, of dimension d - 1;
    the last coordinate of each is left out.
    """
    coordinates, constants = np.zeros((d + 1, d - 1)), np.zeros(d + 1)
    for first, last, sign in ((0, k - 1, 1.0), (k, d, -1.0)):
        free = slice(first - (sign < 0), last - (sign < 0))
        coordinates[range(first, last), range(free.start, free.stop)] = sign
        coordinates[last, free], constants[last] = -sign, sign
    sets = [members for members in subsets(d) if 1 < len(members) < d]
    rows = [coordinates[members].sum(axis=0) for members in sets]
    signs = np.where(np.arange(d + 1) < k, 1.0, -1.0)
    domain = tn.Polytope(-signs[:, None] * coordinates, signs * constants)
    return arrangement(rows, [constants[members].sum() for members in sets]), domain


def resonance_by_symmetry(d: int) -> dict[str, int]:
    """Count the resonance arrangement by the signs of its coordinates, for d >= 3.

    With x_0 = -(x_1 + ... + x_d) the planes are those where a set of the d + 1 coordinates sums to 0, as its complement
    then does: every permutation of the coordinates keeps them, and so does x -> -x. Hence the number of cells where
    certain k coordinates are positive and the others negative depends on k only, and is the same for d + 1 - k.
    """
    counts = {}
    for k in range(1, (d + 1) // 2 + 1):
        net, domain = resonance_slice(d, k)
        counts[k] = int(tn.count_regions(net, domain))
    cells = sum(comb(d + 1, k) * counts[min(k, d + 1 - k)] for k in range(1, d + 1))
    return {"cells": cells, "counted": sum(counts.values())}


def shi_threshold(n: int) -> tn.Network:
    """Return the Shi-threshold arrangement: x_i + x_j = 0 and x_i + x_j = 1 for i < j, in R^n."""
    rows, offsets = [], []
    for pair in combinations(range(n), 2):
        row = np.zeros(n)
        row[list(pair)] = 1
        rows += [row, row]
        offsets += [0, -1]
    return arrangement(rows, offsets)


# --- convolutions


def receptive_fields(size: Size, kernel: tuple[int, int], stride: int) -> list[list[int]]:
    """Return which entries of an input (height, width, channels) each position of a filter reads; no padding."""
    height, width, channels = size
    cells = np.arange(height * width * channels).reshape(size)
    return [
        cells[top : top + kernel[0], left : left + kernel[1]].ravel().tolist()
        for top in range(0, height - kernel[0] + 1, stride)
        for left in range(0, width - kernel[1] + 1, stride)
    ]


def random_cnn(size: Size, kernel: tuple[int, int], stride: int, channels: Iterable[int], seed: int) -> tn.Network:
    """Draw a CNN without padding: weights and biases normal, as the code of Xiong et al. draws them.

    The outputs of a layer are ordered by position, then by filter, as `receptive_fields` numbers the next input.
    """
    rng = np.random.default_rng(seed)
    layers: list[tn.Layer] = []
    for n in channels:
        fields = receptive_fields(size, kernel, stride)
        scale = sqrt(2 / (prod(kernel) * n))
        filters, biases = rng.normal(0, scale, (n, prod(kernel) * size[2])), rng.normal(0, scale, n)
        weights = np.zeros((len(fields), n, prod(size)))
        for block, field in zip(weights, fields, strict=True):
            block[:, field] = filters
        layers.append(tn.Layer({len(layers): weights.reshape(-1, prod(size))}, np.tile(biases, len(fields))))
        size = ((size[0] - kernel[0]) // stride + 1, (size[1] - kernel[1]) // stride + 1, n)
    output = tn.Layer({len(layers): np.ones((1, layers[-1].width))}, np.zeros(1))
    return tn.Network([*layers, output])


def cnn_maximum(size: Size, kernel: tuple[int, int], stride: int, n: int) -> int:
    """Return the maximum of Xiong et al., Theorem 2, for a CNN of one layer with n filters.

    It is the sum of prod_p C(n, t_p) over all t >= 0, one for each position p, whose sum over any set of positions is
    at most the number of entries that these read.
    """
    fields = [set(field) for field in receptive_fields(size, kernel, stride)]
    room = [(members, len(set().union(*(fields[p] for p in members)))) for members in subsets(len(fields))]
    ranges = [range(min(n, len(field)) + 1) for field in fields]
    return sum(
        prod(comb(n, own) for own in t)
        for t in product(*ranges)
        if all(sum(t[p] for p in members) <= most for members, most in room)
    )


def two_layer_bounds(size: Size, kernel: tuple[int, int], stride: int, channels: tuple[int, int]) -> tuple[int, int]:
    """Return the lower and the upper bound of Xiong et al., Theorem 5, on the maximum of a CNN of two layers."""
    first, second = channels
    height, width = ((size[i] - kernel[i]) // stride + 1 for i in (0, 1))
    inner = (height, width, size[2])
    n_outputs = len(receptive_fields(inner, kernel, stride)) * second
    lower = cnn_maximum(inner, kernel, stride, second) * (first // size[2]) ** (height * width * size[2])
    upper = cnn_maximum(size, kernel, stride, first) * sum(comb(n_outputs, i) for i in range(prod(size) + 1))
    return lower, upper
