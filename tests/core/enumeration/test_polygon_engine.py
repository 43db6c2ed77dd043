"""The polygon engine against clipped polygons and the vertex engine: ties, slivers, lattices, many lines in a point."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.planar import planar_patterns
from tropnet import Box, Domain, Network, Polytope, Regions, count_regions, enumerate_regions
from tropnet.arrays.patterns import unpack
from tropnet.enumeration.engines.polygon.engine import PolygonEngine
from tropnet.network.domain import as_domain
from tropnet.regions.row_index import RowIndex

TINY = PolygonEngine(pool=0, buffer=1, steps=1)
OCTAGON = np.array([[1, 0], [2, 1], [0, 1], [-2, 1], [-1, 0], [-2, -1], [0, -1], [2, -1]]) * 1.0
DOMAINS: dict[str, Domain | None] = {
    "plane": None,
    "box": Box([-2.0, -1.0], [1.0, 3.0]),
    "sliver": Box([0.0, 0.0], [1.0, 2.0**-40]),
    "needle far out": Box([2.0**20, -1.0], [2.0**20 + 2.0**-20, 2.0]),
    "octagon": Polytope(OCTAGON, np.full(8, 3.0)),
    "repeated sides": Polytope(np.repeat(OCTAGON[::2], 2, axis=0), np.repeat([1.0, 2.0, 1.0, 2.0], 2)),
    "wedge": Polytope([[-1.0, 0.0], [0.0, -1.0]], [1.0, 2.0]),
    "strip": Polytope([[0.0, 1.0], [0.0, -1.0], [-1.0, 0.0]], [1.0, 0.0, 1.0]),
}


def drawn_network(seed: int) -> Network:
    """Return a small network with two inputs, most of them with many ties."""
    rng = np.random.default_rng(seed)
    depth, width = int(rng.integers(1, 4)), int(rng.integers(2, 5))
    entries = [
        lambda shape: rng.integers(-2, 3, shape) * 1.0,
        lambda shape: rng.integers(-3, 4, shape) / 8.0,
        lambda shape: np.round(rng.normal(size=shape), 1),
        lambda shape: rng.normal(size=shape),
    ][seed % 4]
    weights = [entries((width, 2)), *(entries((width, width)) for _ in range(depth - 1)), np.ones((1, width))]
    biases = [entries((width,)) * (rng.random() < 0.7) for _ in range(depth)] + [np.zeros(1)]
    layer, (one, other) = rng.integers(depth), rng.integers(width, size=2)
    factor = rng.choice([1.0, -1.0, 2.0])
    # Coincident lines.
    weights[layer][one], biases[layer][one] = factor * weights[layer][other], factor * biases[layer][other]
    skips = [(k, m) for k in range(1, depth) for m in range(k + 2, depth + 1) if rng.random() < 0.5]
    slopes = [(0.0, 1.0), (0.25, 1.0), (-1.0, 1.0)][int(rng.integers(3))]
    return Network.mlp(weights, biases, skips=skips, slopes=slopes)


def patterns_of(regions: Regions) -> set[tuple[bool, ...]]:
    """Return the patterns, none of which comes twice."""
    patterns = set(map(tuple, regions.patterns.tolist()))
    assert len(patterns) == len(regions)
    return patterns


def n_facets(regions: Regions) -> dict[tuple[bool, ...], int]:
    """Return the number of facets by pattern."""
    counts = np.diff(regions.facets()[1]).tolist()
    return dict(zip(map(tuple, regions.patterns.tolist()), counts, strict=True))


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("seed", range(24))
def test_patterns_are_those_of_clipped_polygons(seed: int, name: str) -> None:
    """With ties of all kinds, in bounded and unbounded domains, in one go and with next to no room."""
    net, domain = drawn_network(100 * seed + len(name)), DOMAINS[name]
    try:
        regions = enumerate_regions(net, domain, engine="polygon", facets=True)
    except ValueError:
        # No line of the first layer makes the cells pointed, so that the vertex engine refuses as well.
        with pytest.raises(ValueError, match="engine 'vertex'"):
            enumerate_regions(net, domain, engine="vertex")
        return
    A, b = as_domain(domain, 2).halfspaces
    expected = planar_patterns(net, list(zip(map(tuple, A.tolist()), b.tolist(), strict=True)))
    assert patterns_of(regions) == expected
    assert count_regions(net, domain, engine="polygon") == len(expected)
    tiny = enumerate_regions(net, domain, engine=TINY, facets=True)
    assert tiny.patterns.tolist() == regions.patterns.tolist()
    assert n_facets(tiny) == n_facets(regions) == n_facets(enumerate_regions(net, domain, engine="vertex", facets=True))


@pytest.mark.parametrize("domain", [None, Box(-3, 3)], ids=["plane", "box"])
def test_many_lines_through_one_point(domain: Domain | None) -> None:
    """A pencil of n lines has 2 n sectors, each with two facets in the plane, however many lines meet."""
    n = 1500
    slopes = np.arange(1, n + 1.0)
    net = Network.mlp([np.column_stack([slopes, np.ones(n)]), np.ones((1, n))], [-slopes - 2.0, [0.0]])
    regions = enumerate_regions(net, domain, engine="polygon", facets=True)
    assert len(regions) == 2 * n == count_regions(net, domain, engine="polygon")
    if domain is None:
        assert set(n_facets(regions).values()) == {2}


def lattice(n_pieces: int, seed: int) -> Network:
    """Return a maximum of minima of two affine functions each, by layers of maxima of pairs."""
    rng = np.random.default_rng(seed)
    pieces = np.float32(rng.normal(size=(n_pieces, 3))).astype(np.float64)
    weights, biases, signs = [pieces[:, :2]], [pieces[:, 2]], [-1.0, 1.0, 1.0, 1.0, 1.0]
    read = np.eye(n_pieces)
    for sign in signs[: n_pieces.bit_length() - 1]:
        # max(a, b) = relu(a - b) + relu(b) - relu(-b), min(a, b) = -max(-a, -b).
        pairs = [sign * row for row in read.reshape(-1, 2, read.shape[1])]
        rows = np.concatenate([[a - b, b, -b] for a, b in pairs])
        if len(weights) == 1 and not biases[1:]:
            # Values of the first layer are affine: relu(z) - relu(-z).
            weights[0], biases[0] = np.repeat(weights[0], 2, axis=0), np.repeat(biases[0], 2)
            weights[0][1::2] *= -1
            biases[0][1::2] *= -1
            rows = np.repeat(rows, 2, axis=1) * np.tile([1.0, -1.0], rows.shape[1])
        weights.append(rows)
        biases.append(np.zeros(len(rows)))
        read = sign * np.kron(np.eye(len(pairs)), [[1.0, 1.0, -1.0]])
    return Network.mlp([*weights, read[:1]], [*biases, [0.0]])


@pytest.mark.parametrize("seed", range(3))
def test_lattices_need_no_long_arithmetic(seed: int) -> None:
    """Ties are everywhere in a maximum of minima; the kernel settles them all."""
    net, box = lattice(8, seed), Box(-2, 2)
    regions = enumerate_regions(net, box, engine="polygon")
    A, b = as_domain(box, 2).halfspaces
    assert patterns_of(regions) == planar_patterns(net, list(zip(map(tuple, A.tolist()), b.tolist(), strict=True)))
    assert regions.stats["uncertain"] > len(regions)
    assert regions.stats["settled_exactly"] == 0


def test_of_coincident_rows_the_first_is_named() -> None:
    """Neurons 1 and 2 have the line of neuron 0, and so has neuron 3 that of a side: neither bounds anything else."""
    net = Network.mlp(
        [[[1.0, 1.0], [-2.0, -2.0], [1.0, 1.0], [1.0, 0.0]], np.ones((1, 4))], [[-1.0, 2.0, -1.0, -1.0], [0.0]]
    )
    for domain, places in ((Box([0.0, 0.0], [1.0, 1.0]), {0, 4, 5, 6, 7}), (None, {0, 3})):
        regions = enumerate_regions(net, domain, engine="polygon", facets=True)
        n_places = RowIndex.of(net, as_domain(domain, 2)).n_places
        packed = regions.packed_facets
        assert packed is not None
        assert set(np.flatnonzero(unpack(packed, n_places).any(axis=0)).tolist()) == places
