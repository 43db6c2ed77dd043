"""The study of printed counts: its arrangements and formulas against brute force, its maxout network against itself."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
import torch

import tropnet as tn
from analysis.published_counts import arrangements, growth, maxout
from analysis.published_counts.config import CNNS, QUICK, SHAPES, Config
from analysis.published_counts.evaluate import attained, claims, facets_by_size
from analysis.published_counts.facets import Block
from analysis.shared.results import RESULTS, published


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
    assert {"equal", "equal to the formula", "confirmed"} <= {row["verdict"] for row in record["claims"]}
    table = (found.out / "results" / "published_counts.md").read_text()
    assert all(f"| {row['ours']} |" in table for row in record["claims"])
    assert (Config().resonance, Config().maxout_epochs, QUICK.growth.bias) == (7, 10, 1e-3)


# --- verdicts

# Where a claim stands among all.
(RESONANCE, SHI, FLAT, PLANE, TWO_LAYERS, MAXOUT_PLANE, START, MIDDLE, END) = range(9)
ALONG, ALONG_DEPTH, ALONG_TRAINING, ACROSS, ACROSS_DEPTH, ACROSS_TRAINING, MEANS, SHAPE = range(9, 17)
SKIPS = next(i for i, (_, skips) in enumerate(SHAPES) if skips)
COMMUTE = "f * g = g * f"


def _cnn(size, filters, formula):
    return {
        "input": size,
        "filter": [2, 2],
        "stride": 1,
        "filters": filters,
        "formula": formula,
        "counts": [formula] * 2,
    }


def _as_printed():
    """Return a small record in which everything is as print says it."""
    known = published("counts")
    cells = {name: {int(d): n for d, n in known[name]["cells"].items()} for name in ("resonance", "shi_threshold")}
    shapes, measures = [growth.shape_of(*shape) for shape in SHAPES], growth.MEASURES
    degrees = {name: 2 if name in growth.PLANES else 1 for name in measures}
    part = {"regions": [1000, 1000, 9], "means": [3.5, 3.5, 4.0], "least": 2, "modes": [2, 3, 3]}
    part |= {"unimodal": [True] * 3, "skewness": [0.5] * 3}
    run = {"counts": known["maxout"]["mnist"]} | {name: known["maxout"][name] for name in ("loss", "accuracy")}
    record = {
        "resonance": [{"d": d, "cells": cells["resonance"][d]} for d in (1, 2, 3)],
        "resonance_by_symmetry": [{"cells": cells["resonance"][d], "counted": 5} for d in (3, 4)],
        "shi_threshold": [{"n": n, "cells": cells["shi_threshold"][n]} for n in (2, 3)],
        "cnn": [_cnn([1, 3, 1], 2, 15), _cnn([3, 3, 1], 2, 256), _cnn([3, 3, 2], 2, 256)],
        "two_layers": {"lower": 320, "upper": 3135, "networks": 3, "counts": [108, 486, 998]},
        "maxout_plane": known["maxout"]["plane"] | {"linear_regions": 216},
        "maxout_mnist": [run] * 3,
        "growth": {
            "at_start": [{"shape": s, "neurons": 24} | {name: {"mean": 9.0} for name in measures} for s in shapes],
            "exponents": [{"shape": shape} | degrees for shape in shapes],
            "by_depth": [{"shape": shape, "neurons": 24} | dict.fromkeys(measures, 1.0) for shape in shapes],
            "epochs": [0, 1],
            "trained": [
                {"shape": shape, "neurons": 24} | {f"{name}_to_start": [{"mean": 1.0}] * 2 for name in measures}
                for shape in shapes
            ],
        },
        "facets": [{"dimension": 2, "width": 4, "depth": 1, "before": part, "after": part}],
    }
    return json.loads(json.dumps(record))  # no two places share an object


def _verdicts(changes):
    """Return the verdicts on the record as printed, with values changed where their keys lead."""
    record = _as_printed()
    for keys, value in changes.items():
        *way, last = keys
        place = record
        for key in way:
            place = place[key]
        assert place[last] != value
        place[last] = value
    return [row["verdict"] for row in claims(record)]


def test_all_that_is_as_printed_is_equal_or_confirmed():
    """No verdict has an exception, and those with a threshold name it."""
    grows, hardly, stays = (
        f"confirmed: all {what}, with skips too"
        for what in (
            "powers within 15 % of {}",
            "mean counts within 25 % of those of two layers",
            "mean counts within a factor of 3 of those at the start",
        )
    )
    assert _verdicts({}) == [
        *("equal", "equal", "equal to the formula", "equal to the formula"),
        *("consistent: the largest found lies between", "equal", "equal", "equal", "equal"),
        *(grows.format(1), hardly, stays, grows.format(2), hardly, stays),
        *("confirmed", "confirmed"),
    ]


def _mnist(changes):
    return {("maxout_mnist", run, "counts", epoch, name): 1 for run, epoch, name in changes}


@pytest.mark.parametrize(
    ("changes", "claim", "verdict"),
    [
        ({("resonance", 2, "cells"): 31}, RESONANCE, "**not equal**"),
        ({("resonance_by_symmetry", 1, "cells"): 371}, RESONANCE, "**not equal**"),
        ({("shi_threshold", 0, "cells"): 4}, SHI, "**not equal**"),
        ({("cnn", 0, "counts", 1): 14}, FLAT, "**not equal to the formula**"),
        ({("cnn", 1, "counts", 0): 255}, PLANE, f"**not attained** in 1 of 2 sizes ... {COMMUTE}"),
        ({("cnn", 2, "counts", 0): 255}, PLANE, "**not attained** in 1 of 2 sizes"),
        ({("cnn", 1, "counts", 1): 257}, PLANE, "**above the formula**"),
        ({("two_layers", "counts", 2): 3136}, TWO_LAYERS, "**above the bound**"),
        (
            {("two_layers", "counts", 1): 319, ("two_layers", "counts", 2): 319},
            TWO_LAYERS,
            "consistent: below the upper bound",
        ),
        ({("maxout_plane", "regions"): 215}, MAXOUT_PLANE, "**not equal**"),
        ({("maxout_plane", "pieces"): 31}, MAXOUT_PLANE, "**not equal**"),
        (_mnist([(0, 0, "regions")]), START, "**not equal** from the seed; perturbed, equal in 2 of 2 runs ..."),
        (_mnist([(2, 0, "pieces")]), START, "equal; perturbed, equal in 1 of 2 runs: rounding decides"),
        (_mnist([(0, 1, "pieces")]), MIDDLE, "**not equal** from the seed; perturbed, equal in 2 of 2 runs ..."),
        (_mnist([(1, 2, "regions")]), END, "equal; perturbed, equal in 1 of 2 runs: rounding decides"),
        (_mnist([(run, 2, "regions") for run in (1, 2)]), END, "equal; perturbed, equal in 0 of 2 runs ..."),
        (_mnist([(run, 2, "regions") for run in (0, 1, 2)]), END, "**not equal**"),
        ({("facets", 0, "after", "means", 1): 4.01}, MEANS, "**not confirmed**: the mean is above 2 d in 1 of 6"),
        ({("facets", 0, "before", "least"): 1}, MEANS, "**not confirmed**: some region has fewer than min(n_1, d)"),
        ({("facets", 0, "after", "skewness", 0): -0.1}, SHAPE, "**not confirmed**: 1 of 4 do not skew to the right"),
        ({("facets", 0, "after", "modes", 1): 1}, SHAPE, "**not confirmed**: 1 of 4 peak elsewhere"),
        ({("facets", 0, "after", "modes", 1): 5}, SHAPE, "**not confirmed**: 1 of 4 peak elsewhere"),
        (
            {("facets", 0, "after", "modes", 1): 1, ("facets", 0, "before", "modes", 1): 4},
            SHAPE,
            "**not confirmed**: 1 of 4 peak elsewhere; 1 of 4 peak at 2 d itself",
        ),
        ({("facets", 0, "after", "modes", 1): 4}, SHAPE, "confirmed, except that 1 of 4 peak at 2 d itself"),
        ({("facets", 0, "after", "unimodal", 1): False}, SHAPE, "confirmed, except that 1 of 4 are not unimodal"),
        (
            {("facets", 0, when, "unimodal", i): False for when, i in (("before", 0), ("before", 1), ("after", 0))},
            SHAPE,
            "**not confirmed**: 3 of 4 are not unimodal",
        ),
        (
            {("facets", 0, when, "regions", i): 999 for when in ("before", "after") for i in (0, 1)},
            SHAPE,
            "not counted",
        ),
    ],
)
def test_a_count_that_differs_changes_its_verdict_only(changes, claim, verdict):
    """The verdict on what is changed takes its other branch, and all others stay."""
    _one_changes(changes, claim, verdict)


def _one_changes(changes, claim, verdict):
    before, after = _verdicts({}), _verdicts(changes)
    assert [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new] == [claim]
    start, dots, end = verdict.partition(" ...")
    assert after[claim].startswith(start)
    assert end.strip() in after[claim]
    assert dots or after[claim] == verdict


@pytest.mark.parametrize("shape", [1, SKIPS], ids=["plain", "skips"])
@pytest.mark.parametrize(
    ("measure", "first"),
    [("from_origin_linear", ALONG), ("between_images_linear", ALONG), *((name, ACROSS) for name in growth.PLANES)],
)
@pytest.mark.parametrize("sign", [-1, 1], ids=["less", "more"])
def test_growth_beyond_its_threshold_is_not_confirmed(shape, measure, first, sign):
    """Powers, deeper networks and training are each seen, on either side, and skips apart from the others."""
    degree = 2 if first == ACROSS else 1
    for step, keys, edge, what in (
        (0, ("exponents", shape, measure), degree * (1 + 0.15 * sign), f"powers within 15 % of {degree}"),
        (1, ("by_depth", shape, measure), 1 + 0.25 * sign, "mean counts within 25 % of those of two layers"),
        (
            2,
            ("trained", shape, f"{measure}_to_start", 1, "mean"),
            3.0**sign,
            "mean counts within a factor of 3 of those at the start",
        ),
    ):
        verdict = (
            f"confirmed: all {what}; **not with skips**" if shape == SKIPS else f"**not confirmed**: not all {what}"
        )
        _one_changes({("growth", *keys): edge * (1 + 0.01 * sign)}, first + step, verdict)
        assert _verdicts({("growth", *keys): edge * (1 - 0.01 * sign)}) == _verdicts({})


def test_losses_that_are_printed_are_compared():
    """To three digits: of the run from the seed, and of those that are perturbed."""
    record = _as_printed()
    for run, name in ((0, "loss"), (1, "accuracy")):
        record["maxout_mnist"][run][name][3] += 1e-3
    assert claims(record)[END]["ours"].endswith("as printed: from the seed no, perturbed in 1 of 2")


def test_committed_claims_are_those_of_their_record():
    """The verdicts under version control are what the code says about the numbers beside them."""
    record = json.loads((RESULTS / "published_counts.json").read_text())
    assert record["claims"] == claims(record)
