"""The compiled predictor: size, domain, files and errors; that it is the network: test_predictions_are_exact.py."""

from __future__ import annotations

import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tropnet as tn
from tropnet.archives import archive_bytes, read_archive
from tropnet.prediction import descent, predictor
from tropnet.prediction.grid import Grid, cover
from tropnet.prediction.tree import balanced_tree, shared

# On [-1, 1]: |x|, in two regions with different maps.
ABSOLUTE = tn.Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]])
BOX = tn.Box(-1.0, 1.0)


def uniform(d: int, n: int = 500, half_width: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).uniform(-half_width, half_width, (n, d))


def no_network(predict: tn.CompiledPredictor) -> tn.CompiledPredictor:
    """Return a predictor that may not ask the network."""
    predict.network = None
    return predict


CASES = {
    "line": (tn.Network.random([1, 20, 1], seed=0), tn.Box(-5, 5)),
    "plane": (tn.Network.random([2, 16, 16, 3], seed=0), tn.Box(-5, [5.0, 7.0])),
    "plane with skips": (tn.Network.random([2, 8, 8, 8, 1], [(1, 3)], seed=1), tn.Box(-5, 5)),
    "leaky": (tn.Network.random([2, 12, 1], slopes=(0.1, 1.0), seed=2), tn.Box(-5, 5)),
    "all of the plane": (tn.Network.random([2, 8, 8, 1], seed=3), None),
    "triangle": (tn.Network.random([2, 8, 8, 1], seed=3), tn.Polytope([[-1, 0], [0, -1], [1, 1]], [5, 5, 5])),
    "space": (tn.Network.random([3, 8, 8, 2], seed=4), tn.Box(-5, 5)),
    "five inputs": (tn.Network.random([5, 8, 4, 1], seed=5), tn.Box(-1, 1)),
    "half a space": (tn.Network.random([4, 6, 4, 1], seed=6), tn.Box(-1, np.inf)),
    "no hidden layer": (tn.Network.mlp([np.ones((1, 2))], [np.ones(1)]), BOX),
    "dead": (tn.Network.mlp([np.zeros((3, 2)), np.ones((1, 3))], [-np.ones(3), np.ones(1)]), BOX),
}


@pytest.mark.parametrize("name", CASES)
def test_random_points_need_no_network(name):
    """The tree itself answers wherever a point is not within rounding of a hyperplane."""
    net, domain = CASES[name]
    x = uniform(net.n_inputs, half_width=4)
    predict = tn.compile_regions(net, domain)
    inside = predict.domain.contains(x)
    assert inside.any()
    assert no_network(predict)(x[inside]) == pytest.approx(net(x[inside]), rel=1e-12, abs=1e-12)


def test_a_point_on_a_hyperplane_is_left_to_the_network():
    """At 0 no comparison is certain, and the value is still right."""
    predict = tn.compile_regions(ABSOLUTE, BOX)
    assert predict([0.0]).tolist() == [0.0]
    with pytest.raises(TypeError):
        no_network(predict)([0.0])


@pytest.mark.parametrize("name", CASES)
def test_the_plain_tree_leads_every_witness_to_its_region(name):
    """R regions, R - 1 nodes; the descent from the root ends at the region that a point lies in."""
    regions = tn.enumerate_regions(*CASES[name])
    tree = balanced_tree(regions, np.arange(len(regions)))
    assert tree.children.shape == (len(regions) - 1, 2)
    for i, x in enumerate(regions.witnesses):
        node = int(tree.roots[0])
        while node >= 0:
            *a, c, _, _ = tree.functions[tree.asks[node]]
            node = int(tree.children[node, int(a @ x + c > 0)])
        assert ~node == i


def test_the_tree_is_balanced():
    """A fan of parallel hyperplanes is searched by halves, where the order of the neurons would take 63 steps."""
    net = tn.Network.mlp([np.ones((63, 1)), np.arange(1.0, 64.0)[None]], [-np.arange(63.0), [0.0]])
    regions = tn.enumerate_regions(net)
    counts = np.empty(64, dtype=np.int64)
    tree = balanced_tree(regions, np.arange(64))
    rows = tree.functions[tree.asks][:, :3]
    descent.count_comparisons(regions.witnesses, rows, tree.children, tree.roots, np.empty((0, 3, 1)), counts)
    assert counts.tolist() == [6] * 64


def test_equal_subtrees_are_stored_once():
    """A network that ignores a hyperplane keeps no node for it, and equal maps are one."""
    net = tn.Network.mlp([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0]]], [[0.0, 0.0], [0.0]])
    size = tn.compile_regions(net).size
    assert (size.n_regions, size.n_maps) == (4, 2)
    regions = tn.enumerate_regions(net)
    tree = shared(balanced_tree(regions, np.array([0 if region.pattern[0] else 1 for region in regions])))
    assert tree.children.tolist() == [[~1, ~0]]
    assert tree.functions[tree.asks[0]][:3].tolist() == [1.0, 0.0, 0.0]


def test_a_grid_makes_trees_shallower():
    """With the grid a region takes a few comparisons; its trees are those of the whole tree, cut to the boxes."""
    net, domain = CASES["plane"]
    size = tn.compile_regions(net, domain).size
    assert size.n_cells > 1000
    assert size.mean_depth < math.log2(size.n_regions) / 2
    assert size.multiplications < size.network_multiplications == 2 * 16 + 16 * 16 + 3 * 16
    regions = tn.enumerate_regions(net, domain)
    tree = balanced_tree(regions, np.arange(len(regions)))
    one = shared(cover(tree, Grid.over(domain.low * np.ones(2), domain.high, 1), 10_000))
    assert (one.roots[0], len(one.asks)) == (one.roots[1], len(tree.asks))
    assert cover(tree, Grid.over(domain.low * np.ones(2), domain.high, 1), len(tree.asks) // 2) is None


def test_input_is_what_a_network_takes():
    """Lists, integers, float32, single points, empty batches, slices that are not contiguous."""
    net, domain = CASES["plane"]
    predict = tn.compile_regions(net, domain)
    assert predict([1, 2]).shape == (3,)
    assert predict([1, 2]) == pytest.approx(net([1, 2]))
    assert predict(np.empty((0, 2))).shape == (0, 3)
    x = uniform(4, 20).astype(np.float32)
    assert predict(x[:, ::2]) == pytest.approx(net(x[:, ::2]), abs=1e-12)
    assert predict(np.asfortranarray(x[:, :2])) == pytest.approx(net(x[:, :2]), abs=1e-12)


@pytest.mark.parametrize("x", [[1.0], [[[1.0, 2.0]]], 1.0, np.zeros((2, 3)), np.zeros((1, 1, 2))])
def test_other_shapes_are_refused(x):
    """The message says what was required."""
    with pytest.raises(tn.ShapeError, match=r"x must have shape \(2,\) or \(n, 2\)"):
        tn.compile_regions(*CASES["plane"])(x)


@pytest.mark.parametrize("outside", ["raise", "network"])
@pytest.mark.parametrize("domain", [BOX, None])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_points_must_be_finite(bad, domain, outside):
    """NaN and infinities are in no domain, not even in R^d."""
    predict = tn.compile_regions(ABSOLUTE, domain, outside=outside)
    with pytest.raises(tn.NonFiniteError, match=r"x\[1\]\[0\]"):
        predict(np.array([[0.5], [bad]]))


def test_points_outside():
    """Refused with the place and what to do, or answered by the network; `outside` may change."""
    predict = tn.compile_regions(ABSOLUTE, BOX)
    with pytest.raises(tn.DomainError, match=r"\[-2.0\] at point 1 \(2 such points\).*outside='network'"):
        predict([[0.5], [-2.0], [3.0]])
    predict.outside = "network"
    assert predict([[0.5], [-2.0], [3.0]]).ravel().tolist() == [0.5, 2.0, 3.0]
    with pytest.raises(ValueError, match="'raise' or 'network', got 'zero'"):
        tn.compile_regions(ABSOLUTE, BOX, outside="zero")


def test_the_sides_of_the_domain_belong_to_it():
    """Corners, and the floats next to them."""
    net, domain = CASES["plane"]
    predict = tn.compile_regions(net, domain)
    corners = np.array([[-5.0, -5.0], [-5.0, 7.0], [5.0, -5.0], [5.0, 7.0]])
    for x in (corners, np.nextafter(corners, 0)):
        assert predict(x) == pytest.approx(net(x), abs=1e-12)
    with pytest.raises(tn.DomainError):
        predict(np.nextafter(corners, np.sign(corners) * 9))


def test_far_away_on_the_whole_space():
    """Beyond the grid, the whole tree answers; what overflows is the network's to report."""
    net, _ = CASES["all of the plane"]
    predict = tn.compile_regions(net)
    far = uniform(2) * 10.0 ** np.arange(-10, 240, 0.5)[:, None]
    assert predict(far) == pytest.approx(net(far), rel=1e-9)
    with pytest.raises(tn.NonFiniteError, match="overflows"):
        tn.compile_regions(tn.Network.mlp([[[8.0]], [[8.0]]], [[0.0], [0.0]]))([1e308])


def test_more_regions_than_wanted():
    """A limit, as a refusal that says what else there is."""
    with pytest.raises(tn.TooLargeError, match=r"max_regions = 10 .*CachedPredictor"):
        tn.compile_regions(*CASES["plane"], max_regions=10)
    some = tn.enumerate_regions(*CASES["plane"], max_regions=10)
    with pytest.raises(tn.TropnetError, match="needs all regions"):
        tn.CompiledPredictor.from_regions(some)


@pytest.mark.parametrize("name", CASES)
def test_files(name, tmp_path):
    """What is read is what was written: values, size, domain, what points outside do."""
    net, domain = CASES[name]
    predict = tn.compile_regions(net, domain, outside="network")
    predict.save(tmp_path / "tree.npz")
    again = tn.CompiledPredictor.load(tmp_path / "tree.npz")
    x = uniform(net.n_inputs, half_width=10)
    assert again(x).tolist() == predict(x).tolist()
    assert (again.size, again.outside, repr(again)) == (predict.size, "network", repr(predict))
    assert again.network.fingerprint == net.fingerprint


def test_files_of_other_kinds_are_refused(tmp_path):
    """A network is no predictor, and the other way round."""
    ABSOLUTE.save(tmp_path / "net.npz")
    with pytest.raises(tn.FileFormatError, match="must hold a tropnet compiled predictor, but it holds network"):
        tn.CompiledPredictor.load(tmp_path / "net.npz")
    with pytest.raises(FileNotFoundError):
        tn.CompiledPredictor.load(tmp_path / "none.npz")


DAMAGES = {
    "a child that does not exist": lambda arrays: arrays["children"].fill(9_999_999),
    "a leaf that does not exist": lambda arrays: arrays["children"].fill(-9_999_999),
    "a circle": lambda arrays: arrays["children"].fill(0),
    "a root that does not exist": lambda arrays: arrays["roots"].fill(9_999_999),
    "more cells than roots": lambda arrays: arrays["grids"][0, 2].fill(9_999),
    "a negative number of cells": lambda arrays: arrays["grids"][0, 2].fill(-arrays["grids"][0, 2, 0]),
    "nodes without rows": lambda arrays: arrays.update(rows=arrays["rows"][1:]),
    "no maps": lambda arrays: arrays.update(maps=arrays["maps"][:0]),
    "another type": lambda arrays: arrays.update(children=arrays["children"].astype(np.int64)),
    "a column too many": lambda arrays: arrays.update(maps=np.repeat(arrays["maps"], 2, axis=2)),
    "nothing": lambda arrays: arrays.clear(),
}


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused(damage, sealed, tmp_path):
    """A changed byte is noticed; what would lead the kernel astray, or in circles, also if it is sealed."""
    path = tmp_path / "tree.npz"
    tn.compile_regions(*CASES["plane"]).save(path)
    arrays = read_archive(path, "compiled predictor", 1)
    DAMAGES[damage](arrays)
    if sealed and arrays:
        header = json.loads(str(arrays["header"]))
        arrays["digest"] = np.array(predictor._digest(header, arrays["network"].tobytes(), arrays))
    path.write_bytes(archive_bytes("compiled predictor", 1, arrays))
    message = "do not fit together|do not match|tree does not fit|'digest'|'header'"
    with pytest.raises(tn.FileFormatError, match=f"damaged compiled predictor: .*({message})"):
        tn.CompiledPredictor.load(path)


def test_a_changed_number_is_noticed(tmp_path):
    """Also where the tree would still be one."""
    path = tmp_path / "tree.npz"
    tn.compile_regions(*CASES["plane"]).save(path)
    arrays = read_archive(path, "compiled predictor", 1)
    arrays["maps"][3, 0, 0] += 1
    path.write_bytes(archive_bytes("compiled predictor", 1, arrays))
    with pytest.raises(tn.FileFormatError, match="do not match their checksum"):
        tn.CompiledPredictor.load(path)


def test_sharp_corners_of_polytopes():
    """Within rounding of a side the network answers: beyond a sharp corner that is far from what the tree knows."""
    u, v, c = np.array([0.6, 0.8]), np.array([-0.8, 0.6]), np.array([7.3, -4.1])
    sharp = 1e-10
    A = np.array([v + sharp * u, -v + sharp * u, -u])
    domain = tn.Polytope(A, A @ c + [0, 0, 1])
    net = tn.Network.mlp([[u], [[1.0]]], [[-(u @ c) - 1e-12], [0.0]])
    predict = tn.compile_regions(net, domain)
    x = np.array([7.300004708559822, -4.099993721920237])
    assert domain.contains(x)
    assert predict(x) == pytest.approx(net(x), rel=1e-9)


def test_large_boxes_have_a_grid_for_what_is_busy():
    """Around the origin, where most regions are, a grid helps in a box a million times as large."""
    net = tn.Network.random([2, 16, 16, 1], seed=0)
    size = tn.compile_regions(net, tn.Box(-5e6, 5e6)).size
    assert size.mean_depth < 0.7 * math.log2(size.n_regions)
    predict = no_network(tn.compile_regions(net, tn.Box(-1e12, 1e12)))
    x = uniform(2, half_width=3)
    assert predict(x) == pytest.approx(net(x), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("d", [2, 3])
def test_long_strips_get_larger_boxes(d):
    """Parallel strips cross most boxes of a fine grid: the tree stays linear in the number of regions."""
    rng = np.random.default_rng(0)
    n = 3_000
    direction = rng.normal(size=d)
    net = tn.Network.mlp([np.tile(direction, (n, 1)), rng.normal(size=(1, n))], [np.sort(rng.uniform(-1, 1, n)), [0.0]])
    size = tn.compile_regions(net, tn.Box(np.zeros(d), 1)).size
    assert size.n_nodes < 50 * size.n_regions


def test_threads_share_a_predictor():
    """Eight threads at once get the network's values."""
    net, domain = CASES["plane"]
    predict = tn.compile_regions(net, domain)
    start = threading.Barrier(8)

    def work(seed: int) -> float:
        x = np.random.default_rng(seed).uniform(-5, 5, (3_000, 2))
        start.wait()
        return float(np.abs(predict(x) - net(x)).max())

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) < 1e-12
