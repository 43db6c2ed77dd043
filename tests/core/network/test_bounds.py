"""Upper bounds on the number of regions: the published sums, and never less than what is counted."""

import itertools
from math import comb, prod

import numpy as np
import pytest

import tropnet as tn

RELU, LEAKY, FOLD, AFFINE, DEAD = (0, 1), (0.1, 1), (-1, 1), (1, 1), (0, 0)


def published_montufar(d, widths):
    """Multiply over layers the sum over k <= min(n_0, ..., n_l) of C(n_l, k), term by term."""
    return prod(sum(comb(n, k) for k in range(min(d, *widths[: index + 1]) + 1)) for index, n in enumerate(widths))


def published_serra(d, widths):
    """Theorem 1 of Serra, Tjandraatmadja and Ramalingam, every (j_1, ..., j_L) visited."""
    total = 0
    for inactive in itertools.product(*(range(n + 1) for n in widths)):
        left = [n - j for n, j in zip(widths, inactive, strict=True)]
        if all(j <= min(d, *left[:index], widths[index]) for index, j in enumerate(inactive)):
            total += prod(map(comb, widths, inactive))
    return total


def network(d, layers, seed):
    """Draw a random network from (sources, slopes) per hidden layer; slopes hold one pair per neuron."""
    rng = np.random.default_rng(seed)
    widths = [d, *(len(slopes) for _, slopes in layers)]
    hidden = [
        tn.Layer({k: rng.normal(size=(n, widths[k])) for k in sources}, rng.normal(size=n), np.array(slopes, float))
        for n, (sources, slopes) in zip(widths[1:], layers, strict=True)
    ]
    return tn.Network([*hidden, tn.Layer({len(layers): np.ones((1, widths[-1]))}, np.zeros(1))], d)


@pytest.mark.parametrize(
    ("d", "widths"), [(1, [4]), (3, [5]), (2, [3, 4]), (4, [2, 6, 3]), (3, [1, 5, 5]), (5, [4, 3, 4, 5]), (2, [3] * 5)]
)
def test_chains_give_the_published_sums(d, widths):
    """On chains of ReLU layers both bounds are the printed formulas."""
    bounds = tn.region_bounds(tn.Network.random([d, *widths, 1], seed=0))
    assert bounds == (
        2 ** sum(widths),
        prod(tn.zaslavsky_bound(n, d) for n in widths),
        published_montufar(d, widths),
        published_serra(d, widths),
    )


@pytest.mark.parametrize("widths", [[5], [2, 3], [3, 4, 2, 6]])
def test_one_input_gives_the_published_product(widths):
    """With one input and at least two neurons a layer Serra et al.'s bound is the product of n_l + 1."""
    assert tn.region_bounds(tn.Network.random([1, *widths, 1], seed=0)).serra == prod(n + 1 for n in widths)


def test_zaslavsky_values():
    """Known numbers of cells: pizza cuts, cake cuts, 20 hyperplanes in six dimensions; all signs when n <= d."""
    assert [tn.zaslavsky_bound(n, 2) for n in range(6)] == [1, 2, 4, 7, 11, 16]
    assert [tn.zaslavsky_bound(n, 3) for n in range(6)] == [1, 2, 4, 8, 15, 26]
    assert tn.zaslavsky_bound(20, 6) == 60_460
    assert tn.zaslavsky_bound(4, 9) == 2**4
    assert tn.zaslavsky_bound(7, 0) == 1
    with pytest.raises(ValueError, match="must not be negative"):
        tn.zaslavsky_bound(-1, 2)


@pytest.mark.parametrize(("d", "n"), [(1, 6), (2, 7), (3, 6), (4, 3)])
def test_one_generic_layer_attains_every_bound(d, n):
    """One layer of hyperplanes in general position has as many regions as the bounds allow."""
    net = network(d, [([0], [RELU] * n)], seed=1)
    trivial, *bounds = tn.region_bounds(net)
    assert bounds == [tn.count_regions(net, engine="lp")] * 3
    assert trivial == 2**n


WIRINGS = {
    "chain": [[0], [1], [2]],
    "skip": [[0], [1], [1, 2]],
    "input everywhere": [[0], [0, 1], [0, 2]],
    "dense": [[0], [1], [1, 2], [1, 2, 3]],
    "two branches": [[0], [0], [1, 2]],
    "two branches, far apart": [[0], [0], [2], [1, 3]],
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wiring", WIRINGS)
def test_never_less_than_the_count(wiring, seed):
    """Whatever the wiring, the widths and the slopes, no network has more regions than its bounds, in order."""
    rng = np.random.default_rng([seed, len(wiring)])
    kinds = [[RELU], [RELU, LEAKY, FOLD], [RELU, LEAKY, AFFINE, DEAD]][seed]
    layers = [
        (sources, [kinds[i] for i in rng.integers(len(kinds), size=rng.integers(1, 5))]) for sources in WIRINGS[wiring]
    ]
    net = network(int(rng.integers(1, 4)), layers, seed)
    trivial, zaslavsky, montufar, serra = tn.region_bounds(net)
    assert tn.count_regions(net, engine="lp") <= serra <= montufar <= zaslavsky <= trivial


def test_skips_lift_the_bottleneck_and_a_detour_does_not():
    """A layer that reads the input past a narrow one sees d dimensions; one that reads it twice sees what it sees."""
    wide, narrow = [RELU] * 6, [RELU]

    def third(sources):
        return tn.region_bounds(network(3, [([0], narrow), ([1], wide), (sources, wide)], seed=0))

    chain = third([2])
    assert chain.montufar == 2 * 7 * 7
    assert third([1, 2]) == chain
    assert third([0, 2]).montufar == 2 * 7 * tn.zaslavsky_bound(6, 3)
    branches = tn.region_bounds(network(3, [([0], narrow), ([0], narrow), ([1, 2], wide)], seed=0))
    assert branches.montufar == 2 * 2 * tn.zaslavsky_bound(6, 2)
    assert branches.serra == tn.zaslavsky_bound(6, 2) + 2 * tn.zaslavsky_bound(6, 1) + 1


def test_published_forms_fail_where_the_extension_holds():
    """With a skip from the input, or absolute values, more regions occur than the chain formula would allow."""
    skip = network(2, [([0], [RELU]), ([0, 1], [RELU] * 6)], seed=0)
    assert published_montufar(2, [1, 6]) < tn.count_regions(skip, engine="lp") <= tn.region_bounds(skip).serra
    folded = network(2, [([0], [FOLD] * 2), ([1], [FOLD] * 6)], seed=3)
    assert published_serra(2, [2, 6]) < tn.count_regions(folded, engine="lp") <= tn.region_bounds(folded).serra


def test_slopes_decide_what_a_neuron_does():
    """Leaky neurons keep the dimension, affine ones also never cut, and constant ones do neither."""
    after = [RELU] * 5

    def serra(first):
        return tn.region_bounds(network(2, [([0], first), ([1], after)], seed=0)).serra

    z2, z1 = tn.zaslavsky_bound(5, 2), tn.zaslavsky_bound(5, 1)
    assert serra([RELU] * 2) == z2 + 2 * z1 + 1
    assert serra([(1, 0)] * 2) == serra([RELU] * 2)
    assert serra([LEAKY] * 2) == 4 * z2
    assert serra([RELU, LEAKY]) == 2 * z2 + 2 * z1
    assert serra([AFFINE] * 2) == z2
    assert serra([AFFINE, DEAD]) == z1
    assert serra([DEAD] * 2) == 1


def test_many_open_skips_stay_bounded():
    """Merging states when there are many gives a bound still, and the bounds keep their order."""
    net = tn.Network.random([6, *[6] * 7, 1], skips=[(1, 3), (2, 5), (1, 6), (3, 7), (2, 4)], seed=0)
    fine = tn.region_bounds(net)
    coarse = tn.region_bounds(net, max_states=4)
    assert fine.serra <= coarse.serra <= coarse.montufar == fine.montufar


def test_networks_without_hidden_layers_have_one_region():
    """An affine network has one region."""
    assert tn.region_bounds(tn.Network.mlp([np.eye(2)], [np.zeros(2)])) == (1, 1, 1, 1)


def test_no_network():
    """Anything else is refused by name."""
    with pytest.raises(tn.UnsupportedModuleError):
        tn.region_bounds([2, 3])


def test_no_states():
    """At least one state is kept."""
    with pytest.raises(ValueError, match="max_states must be an integer of at least 1, got 0"):
        tn.region_bounds(tn.Network.random([2, 3, 1], seed=0), max_states=0)
