"""The study of printed counts: its arrangements and formulas against brute force, its maxout network against itself."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

import tropnet as tn
from analysis.published_counts import arrangements, growth, maxout
from analysis.published_counts.config import CNNS, QUICK, SHAPES, Config
from analysis.published_counts.evaluate import attained, facets_by_size
from analysis.published_counts.facets import Block
from analysis.shared.results import published


def test_arrangements_have_the_planes_that_are_printed():
    """Their neurons vanish where a set of coordinates sums to 0; where two sum to 0 or 1."""
    points = np.array(list(product(range(-2, 3), repeat=3)), dtype=np.float64)
    hidden = arrangements.resonance(3).layers[0]
    sums = [points[:, members].sum(axis=1) for members in arrangements.subsets(3)]
    assert np.array_equal(points @ hidden.weights[0].T + hidden.bias, np.transpose(sums))
    hidden = arrangements.shi_threshold(3).layers[0]
    pairs = [points[:, i] + points[:, j] - c for i, j in ((0, 1), (0, 2), (1, 2)) for c in (0, 1)]
    assert np.array_equal(points @ hidden.weights[0].T + hidden.bias, np.transpose(pairs))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_slice_of_a_resonance_arrangement_is_one_of_its_cones(k):
    """Its cells are those of the arrangement where the first k of d + 1 coordinates are positive and the rest not."""
    d = 4
    net, domain = arrangements.resonance_slice(d, k)
    regions = tn.enumerate_regions(arrangements.resonance(d))
    full = np.column_stack([regions.witnesses, -regions.witnesses.sum(axis=1)])
    inside = (np.sign(full) == np.where(np.arange(d + 1) < k, 1, -1)).all(axis=1)
    assert tn.count_regions(net, domain) == inside.sum()


def test_a_cnn_is_a_convolution():
    """Its layer is PyTorch's convolution with the same filters; outputs go by position, then by filter."""
    size, kernel = (3, 4, 2), (2, 3)
    net = arrangements.random_cnn(size, kernel, 1, [3], seed=0)
    x = np.random.default_rng(1).normal(size=(5, 24))
    values = torch.from_numpy(x.reshape(5, *size)).permute(0, 3, 1, 2)
    fields = arrangements.receptive_fields(size, kernel, 1)
    first = net.layers[0]
    filters = torch.from_numpy(first.weights[0][:3][:, fields[0]].reshape(3, *kernel, 2)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.conv2d(values, filters, torch.from_numpy(first.bias[:3].copy())).permute(0, 2, 3, 1)
    assert np.allclose(x @ first.weights[0].T + first.bias, expected.reshape(5, -1).numpy())


def test_filters_that_commute_make_rows_dependent():
    """Two filters in the plane: f * g = g * f is a relation of their rows, so the formula is one too large."""
    size, kernel, stride, numbers = next(own for own in CNNS if own[0] == (3, 3, 1))
    assert 2 in numbers
    rows = arrangements.random_cnn(size, kernel, stride, [2], seed=3).layers[0].weights[0]
    fields = arrangements.receptive_fields(size, kernel, stride)
    f, g = (rows[i][fields[0]] for i in (0, 1))
    relation = np.ravel(np.column_stack([g, -f]))
    assert np.abs(relation @ rows).max() < 1e-12
    assert arrangements.cnn_maximum(size, kernel, stride, 2) == 2**8


def test_the_formula_for_cnns_is_zaslavskys_where_a_filter_reads_everything():
    """One position; and disjoint positions multiply."""
    for n in (1, 3, 5):
        whole = tn.zaslavsky_bound(n, 2)
        assert arrangements.cnn_maximum((1, 2, 1), (1, 2), 1, n) == whole
        assert arrangements.cnn_maximum((1, 4, 1), (1, 2), 2, n) == whole**2
    assert arrangements.two_layer_bounds((1, 4, 1), (1, 2), 1, (2, 3)) == (40 * 2**3, 55 * 57)


def test_the_maxout_network_is_lowered_to_the_same_function():
    """Its outputs are those of maxima, and its pattern tells which argument is largest."""
    parameters = maxout.drawn(np.random.RandomState(5), 2, 3)
    net = maxout.lowered(parameters)
    x = np.random.default_rng(0).uniform(-3, 3, (50, 2))
    values, largest = x, []
    for weights, biases in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        arguments = np.einsum("nkm,pm->pnk", weights, values) + biases
        values = arguments.max(axis=2)
        largest.append(arguments.argmax(axis=2) == 1)
    assert np.allclose(net(x), values @ parameters[-2].T + parameters[-1])
    pattern = net.activation_pattern(x)[:, ~net.affine_neurons]
    assert np.array_equal(pattern, np.concatenate(largest, axis=1))


def test_linear_pieces_join_neighbours_of_one_slope():
    """Pieces of the pattern where no output changes its slope are one piece of the function."""
    assert growth.linear_pieces(np.array([[1.0, 0.0]])) == 1
    assert growth.linear_pieces(np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 2.0], [0.0, 2.0], [1.0, 2.0]])) == 4


def test_distributions_of_facets_are_pooled():
    """Means, modes and the least number of facets are those of each network; the distribution that of all."""
    blocks = [Block(2, 4, 1, trial) for trial in (0, 1)]
    (row,) = facets_by_size(
        blocks, [{"before": [0, 0, 2, 2], "after": [0, 1, 0, 3]}, {"before": [0, 0, 4], "after": [1]}]
    )
    assert row["before"].pop("skewness") == pytest.approx([0.0, 0.0])
    assert row["before"] == {
        "regions": [4, 4],
        "means": [2.5, 2.0],
        "least": 2,
        "modes": [2, 2],
        "unimodal": [True, True],
        "distribution": [0, 0, 6, 2],
    }
    assert (row["after"]["unimodal"], row["after"]["least"], row["after"]["modes"]) == ([False, True], 0, [3, 0])


def test_the_study_compares_with_print(quick):
    """The exact counts are those printed, CNNs miss the formula where filters commute, and every claim has a row."""
    found = quick("published_counts")
    record, known = found.record, published("counts")
    assert [row["cells"] for row in record["resonance"]] == list(known["resonance"]["cells"].values())[:4]
    assert [row["cells"] for row in record["resonance_by_symmetry"]] == [32, 370]
    assert [row["cells"] for row in record["shi_threshold"]] == [3, 27, 345]
    assert record["maxout_plane"] == {"regions": 216, "linear_regions": 216, "pieces": 30}
    assert [row["input"] for row in record["cnn"] if not attained(row)] == [[3, 3, 1], [3, 3, 1]]
    assert len(record["growth"]["trained"]) == len(SHAPES)
    assert {"equal", "confirmed"} <= {row["verdict"] for row in record["claims"]}
    table = (found.out / "results" / "published_counts.md").read_text()
    assert all(f"| {row['ours']} |" in table for row in record["claims"])
    assert (Config().resonance, Config().maxout_epochs, QUICK.growth.bias) == (7, 10, 1e-3)
