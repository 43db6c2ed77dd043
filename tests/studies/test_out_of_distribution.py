"""The study of out-of-distribution scores: its parts by hand, and its quick profile on generated images."""

from itertools import pairwise

import numpy as np
import pytest

import tropnet as tn
from analysis.out_of_distribution.config import NAME, Recipe
from analysis.out_of_distribution.evaluate import interval, shares
from analysis.out_of_distribution.networks import Block, moons, reduced, train
from analysis.out_of_distribution.run import ring, strangeness
from analysis.shared.statistics import superiority
from tests.studies.generated import N_TEST


def test_auroc_counts_pairs_with_ties_as_halves():
    """AUROC is the share of pairs that the score orders rightly, equal ones counting half."""
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(0, 4, 50), rng.integers(1, 6, 30)
    pairs = np.sign(outside[:, None] - inside[None])
    assert superiority(outside, inside) == pytest.approx((pairs + 1).mean() / 2)
    assert superiority(np.zeros(4), np.zeros(3)) == 0.5
    assert superiority(np.ones(4), np.zeros(3)) == 1.0


def test_strangeness_is_one_minus_the_largest_probability():
    """For two outputs it is a logistic function of their distance, also where the largest probability rounds to 1."""
    net = tn.Network.mlp([[[1.0], [0.0]]], [[0.0, 0.0]])
    found = strangeness(net, np.array([[0.0], [1.0], [100.0]]))
    assert found == pytest.approx([0.5, 1 / (1 + np.e), np.exp(-100)])


def test_reduced_network_is_the_network_on_what_it_reads():
    """Outputs and patterns of images are those of the whole network, and all images are in the box."""
    net = tn.Network.random([30, 5, 5, 5, 2], skips=[(1, 3)], seed=0)
    small, basis, box = reduced(net)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.random((50, 30)), rng.integers(0, 2, (50, 30)), np.zeros((1, 30)), np.ones((1, 30))])
    assert small.n_inputs == 5
    assert small(x @ basis) == pytest.approx(net(x), abs=1e-12)
    assert np.array_equal(small.activation_pattern(x @ basis), net.activation_pattern(x))
    assert box.contains(x @ basis).all()
    corners = np.concatenate([(basis.T > 0), (basis.T < 0)]).astype(float) @ basis
    assert box.high == pytest.approx(corners.max(axis=0), rel=1e-6)
    assert box.low == pytest.approx(corners.min(axis=0), rel=1e-6)


def test_training_is_seeded_and_learns():
    """The same seed gives the same weights; the moons are told apart."""
    x, y = moons(300, np.random.default_rng(0))
    blocks = [Block("moons", "uniform", 2, 8, (), seed, Recipe()) for seed in (0, 0, 1)]
    one, same, other = (train(x, y, block, epochs=20, rate=0.01) for block in blocks)
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert (one(x).argmax(axis=1) == y).mean() > 0.85


def test_ring_goes_round():
    """Consecutive corners of a convex polygon turn left."""
    angle = np.random.default_rng(0).permutation(np.arange(7))
    corners = np.array(ring(np.column_stack([np.cos(angle), 2 * np.sin(angle)])))
    sides = [q - p for p, q in pairwise([*corners, *corners[:2]])]
    assert all(a[0] * b[1] - a[1] * b[0] > 0 for a, b in pairwise(sides))


def test_intervals_and_shares():
    """Student's interval of three values; none of one; counts of several networks become one distribution."""
    assert interval([1.0, 2.0, 3.0]) == {"mean": 2.0, "low": pytest.approx(-0.484138), "high": pytest.approx(4.484138)}
    assert interval([1.0]) == {"mean": 1.0, "low": None, "high": None}
    assert shares([[1, 1], [0, 1, 1]]) == [0.25, 0.5, 0.25]


def test_quick_profile(quick, again, capsys):
    """The quick profile trains and scores; a second run reads what is there."""
    found = quick(NAME)
    assert found.text.count(": done\n") == 8
    first = found.record
    rows = {(row["inside"], row["shape"]): row for row in first["rows"]}
    assert len(rows) == len(first["rows"]) == 6
    assert rows["mnist", "2 x 4"]["enumerated"]
    assert rows["mnist", "2 x 4"]["exact"] == rows["moons", "3 x 16"]["exact"] == 1
    assert rows["mnist", "2 x 4"]["n_points"] == [N_TEST, N_TEST]
    assert rows["fashion-mnist", "2 x 12, skips 1-3"]["n_points"] == [10, 10]
    for row in rows.values():
        assert sum(row["flips"]["outside"]) == pytest.approx(1, abs=1e-5)
        assert row["flips"]["inside"][0] == pytest.approx(row["cached"]["inside"], abs=1e-5)
        assert all(0 <= own["mean"] <= 1 for own in row["auroc"].values())
    moon_map = first["moons"]
    assert len(moon_map["polygons"]) == len(moon_map["flips"]) == rows["moons", "3 x 16"]["n_regions"][0]
    second = again(NAME, found.out)
    assert second == {**first, "command": second["command"]}
    assert "done" not in capsys.readouterr().out
