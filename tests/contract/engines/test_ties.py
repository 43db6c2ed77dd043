"""Exact ties are ordinary: lattices, grids of weights, pruned and duplicated neurons; and what no prime settles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.contract.engines.cases import Case
from tests.contract.engines.engines import ENGINES, Candidate
from tests.contract.engines.laws import check_regions
from tropnet import Box, Domain, Network, enumerate_regions

COMPILED = [tested for tested in ENGINES if tested.engine.compiled]


def lattice(seed: int) -> Network:
    """Return max(min(f1, f2), min(f3, f4)) of affine functions, as ReLUs: min(f, g) = g - relu(g - f), and g twice."""
    rng = np.random.default_rng(seed)
    f = rng.integers(-3, 4, (4, 3)).astype(float)
    first = np.vstack([f[1] - f[0], f[1], -f[1], f[3] - f[2], f[3], -f[3]])
    least = np.array([[-1.0, 1, -1, 0, 0, 0], [0, 0, 0, -1, 1, -1]])
    second = np.vstack([least[0] - least[1], least[1], -least[1]])
    return Network.mlp([first[:, :2], second, [[1.0, 1, -1]]], [first[:, 2], np.zeros(3), [0.0]])


def on_a_grid(seed: int, n_inputs: int = 2, width: int = 5) -> Network:
    """Return a network whose weights are of eight bits, and so coarse that hyperplanes meet."""
    rng = np.random.default_rng(seed)
    widths = [n_inputs, width, width, 1]
    weights = [rng.integers(-4, 5, (m, n)) / 4 for n, m in pairwise(widths)]
    return Network.mlp(weights, [rng.integers(-4, 5, m) / 4 for m in widths[1:]])


def pruned(seed: int) -> Network:
    """Return a network without half of its weights and with no biases in the second layer."""
    net = Network.random([2, 6, 6, 1], seed=seed)
    rng = np.random.default_rng(seed)
    weights = [next(iter(layer.weights.values())) for layer in net.layers]
    kept = [weight * (rng.random(weight.shape) < 0.5) for weight in weights]
    return Network.mlp(kept, [net.layers[0].bias, np.zeros(6), [0.0]])


def duplicated(seed: int) -> Network:
    """Return a network whose layers hold each neuron twice, or as its opposite."""
    net = Network.random([2, 3, 3, 1], seed=seed)
    first, second, last = (next(iter(layer.weights.values())) for layer in net.layers)
    return Network.mlp(
        [np.vstack([first, -first]), np.vstack([np.hstack([second, second])] * 2), np.hstack([last, last])],
        [np.concatenate([net.layers[0].bias, -net.layers[0].bias]), np.tile(net.layers[1].bias, 2), [0.0]],
    )


NETWORKS = {"lattice": lattice, "grid": on_a_grid, "pruned": pruned, "duplicated": duplicated}


@pytest.mark.parametrize("tested", COMPILED, ids=lambda tested: tested.name)
@pytest.mark.parametrize("domain", [None, Box(-2, 2)], ids=["plane", "box"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_ties_are_settled_by_the_kernel(tested: Candidate, domain: Domain | None, kind: str) -> None:
    """Networks all of ties have the regions of clipped polygons, and next to nothing is left to Python's integers."""
    n_decisions = n_exact = 0
    for seed in range(4):
        net = NETWORKS[kind](seed)
        if not tested.takes(net, domain):
            continue
        regions = enumerate_regions(net, domain, engine=tested.engine)
        check_regions(Case(kind, net, domain), regions)
        n_decisions += regions.stats["decisions"]
        n_exact += regions.stats["settled_exactly"]
    assert n_decisions > 100
    assert n_exact <= n_decisions / 50


# Coincident hyperplanes after ten layers of weights so fine that integers are longer than all primes together.
FINE = 2.0**-900
TOO_FINE = Network.mlp(
    [*[[[1, FINE], [-FINE, 1]]] * 10, [[1, FINE], [-1, -FINE], [FINE, 1], [2 * FINE, 2], [1, 1]], np.ones((1, 5))],
    [*[[1, 1]] * 10, [-13, 13, -14, -28, -25], [0]],
)


@pytest.mark.parametrize("tested", COMPILED, ids=lambda tested: tested.name)
def test_what_the_primes_do_not_settle_is_settled_over_the_integers(tested: Candidate) -> None:
    """Where integers are longer than all primes together, Python decides: the regions are right, and it is reported."""
    case = Case("too fine", TOO_FINE, None)
    regions = enumerate_regions(case.net, engine=tested.engine)
    check_regions(case, regions)
    assert regions.stats["uncertain"] >= regions.stats["settled_exactly"] > 0
    assert regions.stats["seconds_exact"] > 0


@pytest.mark.parametrize("tested", COMPILED, ids=lambda tested: tested.name)
@pytest.mark.parametrize("n_inputs", [2, 3])
def test_hyperplanes_that_nearly_meet(tested: Candidate, n_inputs: int) -> None:
    """Hyperplanes through one point but for the last bit of a bias are told from those that do meet."""
    rng = np.random.default_rng(n_inputs)
    rows = rng.integers(-3, 4, (n_inputs + 2, n_inputs)).astype(float)
    for biases in (np.zeros(len(rows)), np.ones(len(rows)) @ np.diag(rows.sum(axis=1))):
        for wrong in (0, 1, 2):
            bias = biases.copy()
            bias[:wrong] = np.nextafter(bias[:wrong], 1.0)
            net = Network.mlp([rows, np.ones((1, len(rows)))], [bias, [0.0]])
            if tested.takes(net, None):
                check_regions(Case("nearly", net, None), enumerate_regions(net, engine=tested.engine))
