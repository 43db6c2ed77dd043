"""What the paper says about its maps, as numbers: density, bending, symmetry, repetition, sizes of regions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

import tropnet as tn
from analysis.region_maps.config import Config
from analysis.shared.functions import FUNCTIONS, grid
from tropnet.plotting.polygons import polygons
from tropnet.polyhedral_complex.adjacency import find_edges

# Regions are grouped by the larger coordinate of their centre: rings of equal width around the centre of the square.
N_RINGS = 4
_STEP = 0.02  # of the points along the sides, whose number per cell stands for their length
_WINDOW_BINS = 8
_PERIOD = 2 * np.pi

Array = NDArray[Any]


def network(weights: list[Any], biases: list[Any]) -> tn.Network:
    """Return a trained network from its weights and biases."""
    return tn.Network.mlp([np.array(weight) for weight in weights], [np.array(bias) for bias in biases])


def measured(net: tn.Network, config: Config) -> dict[str, Any]:
    """Return all measures of one network, trained or not."""
    half = config.half_width
    regions = tn.enumerate_regions(net, tn.Box(-half, half), facets=True)
    points, lengths = boundary_points(regions, half)
    cells = histogram(points, lengths, (-half, half), config.cells_per_side)
    return {
        "regions": len(regions),
        "bending": {name: rank_correlation(cells, bending(name, config)) for name in FUNCTIONS},
        "symmetry": float(np.mean([rank_correlation(cells, image) for image in images(cells)])),
        "repetition": repetition(points, lengths),
        "peaks": peaks(net),
        "places_per_later_pattern": places_per_pattern(regions, len(net.layers[0].bias)),
        **sizes(regions, half),
    }


# --- where the boundaries of the regions are


def boundary_points(regions: tn.Regions, half_width: float) -> tuple[Array, Array]:
    """Return points along all sides between regions, shape (n, 2), and the length that each stands for."""
    shapes = polygons(regions)
    start, end = shapes.points, shapes.points[shapes.following]
    inside = (np.abs(start + end) < 2 * half_width * (1 - 1e-9)).all(axis=1)
    start, end = start[inside], end[inside]
    length = np.hypot(*(end - start).T)
    counts = np.ceil(length / _STEP).astype(int)
    side = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(side)) - (np.cumsum(counts) - counts)[side]
    share = ((number + 0.5) / counts[side])[:, None]
    # Either region has the side.
    return (1 - share) * start[side] + share * end[side], length[side] / counts[side] / 2


def histogram(points: Array, weights: Array, span: tuple[float, float], n_bins: int) -> Array:
    """Return sums of weights in the cells of a square, shape (n_bins, n_bins)."""
    edges = np.linspace(*span, n_bins + 1)
    return np.histogram2d(*points.T, bins=(edges, edges), weights=weights)[0]


def rank_correlation(one: Array, other: Array) -> float:
    """Return Spearman's correlation of two maps, 0 where one is the same everywhere."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(stats.spearmanr(one.ravel(), other.ravel())[0])


def bending(name: str, config: Config) -> Array:
    """Return how much a function bends in each cell: the mean norm of its second differences at points 0.1 apart.

    The points keep off the axes and off the edges of the cells, so that the map is as symmetric as the function.
    """
    half, n = config.half_width, config.cells_per_side
    points = grid(half + 0.1, 10, 0.05)
    side = round(len(points) ** 0.5)
    values = FUNCTIONS[name](points).reshape(side, side)
    xx = values[2:, 1:-1] - 2 * values[1:-1, 1:-1] + values[:-2, 1:-1]
    yy = values[1:-1, 2:] - 2 * values[1:-1, 1:-1] + values[1:-1, :-2]
    xy = (values[2:, 2:] - values[2:, :-2] - values[:-2, 2:] + values[:-2, :-2]) / 4
    norm = np.sqrt(xx**2 + yy**2 + 2 * xy**2).ravel()
    inner = points.reshape(side, side, 2)[1:-1, 1:-1].reshape(-1, 2)
    return histogram(inner, norm, (-half, half), n) / histogram(inner, np.ones(len(inner)), (-half, half), n)


# --- symmetry and repetition


def images(cells: Array) -> list[Array]:
    """Return the seven images of a map under the other symmetries of the square."""
    turned = [np.rot90(cells, k) for k in range(4)]
    return [*turned[1:], *(image.T for image in turned)]


def repetition(points: Array, lengths: Array) -> float:
    """Return how much the nine squares of side 2 pi around the peaks and valleys of phi_3 look alike.

    It is the mean of Spearman's correlation of the density of boundaries in 8 x 8 bins, over the 36 pairs of squares.
    """
    n = 3 * _WINDOW_BINS
    cells = histogram(points, lengths, (-1.5 * _PERIOD, 1.5 * _PERIOD), n)
    parts = [
        cells[i : i + _WINDOW_BINS, j : j + _WINDOW_BINS]
        for i in range(0, n, _WINDOW_BINS)
        for j in range(0, n, _WINDOW_BINS)
    ]
    pairs = [rank_correlation(parts[i], parts[j]) for i in range(9) for j in range(i)]
    return float(np.mean(pairs))


def peaks(net: tn.Network) -> int:
    """Return how many of the nine peaks and valleys of phi_3 a network has.

    It has one if, in the square of side 2 pi around it, its own largest (smallest) value lies within a fourth of the
    side of the centre and is at least half as high (deep).
    """
    ticks = np.linspace(-np.pi, np.pi, 65)
    square = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2)
    found = 0
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            height = FUNCTIONS["phi_3"](np.array([[i, j]]) * _PERIOD)[0]
            values = np.sign(height) * net(square + np.array([i, j]) * _PERIOD)[:, 0]
            best = int(np.argmax(values))
            found += bool(np.abs(square[best]).max() <= _PERIOD / 4 and values[best] >= abs(height) / 2)
    return found


def places_per_pattern(regions: tn.Regions, n_first: int) -> float:
    """Return in how many separate places a pattern of the layers after the first occurs, on average over the patterns.

    One place is a connected set of regions that share the pattern. If the first layer folds the plane, what later
    layers do once appears in several places; 1 is no repetition.
    """
    edges = find_edges(regions)
    _, later = np.unique(regions.patterns[:, n_first:], axis=0, return_inverse=True)
    later = later.ravel()
    same = later[edges.first] == later[edges.second]
    links = coo_array((np.ones(same.sum()), (edges.first[same], edges.second[same])), (len(regions),) * 2)
    n_places = connected_components(links, directed=False)[0]
    return float(n_places / (later.max() + 1))


# --- sizes


def sizes(regions: tn.Regions, half_width: float) -> dict[str, list[float | None]]:
    """Return, by ring from the centre outwards, regions per unit of area, their median area, and how uneven it is.

    Uneven is the standard deviation of the areas over their mean. A ring without centres of regions has None.
    """
    areas = regions.volumes()
    ring = np.abs(polygons(regions).centres()).max(axis=1) / half_width * N_RINGS
    ring = np.minimum(ring.astype(int), N_RINGS - 1)
    width = 2 * half_width / N_RINGS
    found: dict[str, list[float | None]] = {"per_area": [], "median_area": [], "uneven": []}
    for number in range(N_RINGS):
        own = areas[ring == number]
        found["per_area"].append(len(own) / (width**2 * (2 * number + 1)))
        found["median_area"].append(float(np.median(own)) if len(own) else None)
        found["uneven"].append(float(own.std() / own.mean()) if len(own) else None)
    return found
