"""The measures of region maps, on maps where they are known."""

from __future__ import annotations

import numpy as np
import pytest

import tropnet as tn
from analysis.region_maps import measures
from analysis.region_maps.config import QUICK, Config
from analysis.region_maps.evaluate import depths_compared, learners, median, observations
from analysis.region_maps.training import first_network, trained, trainings
from analysis.shared.functions import FUNCTIONS, grid, sampled

BOX = tn.Box(-10, 10)


def lines(normals, offsets):
    """Return a network with one hidden layer, whose neurons vanish on the given lines."""
    return tn.Network.mlp([normals, np.ones((1, len(normals)))], [offsets, [0.0]])


def test_boundaries_are_measured_once():
    """Two lines across the square, one along an axis and the diagonal: their lengths, on them, and no side of it."""
    regions = tn.enumerate_regions(lines([[1.0, 0.0], [1.0, -1.0]], [0.0, 0.0]), BOX, facets=True)
    points, lengths = measures.boundary_points(regions, 10.0)
    assert lengths.sum() == pytest.approx(20 + 20 * 2**0.5)
    on_axis, on_diagonal = np.abs(points[:, 0]) < 1e-9, np.abs(points[:, 0] - points[:, 1]) < 1e-9
    assert (on_axis | on_diagonal).all()
    assert lengths[on_axis & ~on_diagonal].sum() == pytest.approx(20, abs=0.1)
    cells = measures.histogram(points, lengths, (-10, 10), 4)
    assert cells.sum() == pytest.approx(lengths.sum())
    assert cells[0, 3] == 0


def test_bending_is_where_functions_bend():
    """Of phi_1 at the axes, of phi_2 at its tip; all four are as symmetric as the square."""
    cells = {name: measures.bending(name, Config()) for name in FUNCTIONS}
    assert np.unravel_index(np.argmax(cells["phi_2"]), (20, 20)) in {(i, j) for i in (9, 10) for j in (9, 10)}
    rows = cells["phi_1"].mean(axis=1)
    assert set(np.argsort(rows)[-2:]) == {9, 10}
    for each in cells.values():
        assert all(np.allclose(each, image, rtol=1e-6) for image in measures.images(each))


def test_symmetries_of_the_square_are_seven_and_itself():
    """All images of a map without symmetry differ."""
    cells = np.arange(9.0).reshape(3, 3)
    found = {tuple(image.ravel()) for image in [cells, *measures.images(cells)]}
    assert len(found) == 8


def test_repetition_is_one_where_all_squares_are_alike():
    """The same points around each of the nine centres; without order it is about nothing."""
    rng = np.random.default_rng(0)
    once = rng.uniform(-np.pi, np.pi, (200, 2))
    centres = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]) * 2 * np.pi
    points = (once[None] + centres[:, None]).reshape(-1, 2)
    assert measures.repetition(points, np.ones(len(points))) == pytest.approx(1)
    scattered = rng.uniform(-3 * np.pi, 3 * np.pi, (1800, 2))
    assert abs(measures.repetition(scattered, np.ones(1800))) < 0.2


def test_peaks_are_counted():
    """phi_3 has nine, half of it too, a third of it none, nothing none."""
    for factor, expected in ((1, 9), (0.5, 9), (0.3, 0), (0, 0), (-1, 0)):
        assert measures.peaks(lambda x, f=factor: 1.0001 * f * FUNCTIONS["phi_3"](x)[:, None]) == expected


def test_folded_patterns_are_in_several_places():
    """Of the second layer of relu(|x| - 1), active is in two places and inactive in one."""
    net = tn.Network.mlp([[[1.0, 0.0], [-1.0, 0.0]], [[1.0, 1.0]], [[1.0]]], [[0.0, 0.0], [-1.0], [0.0]])
    regions = tn.enumerate_regions(net, BOX, facets=True)
    assert len(regions) == 4
    assert measures.places_per_pattern(regions, 2) == 1.5


def test_sizes_are_taken_ring_by_ring():
    """Three strips, the middle one around the centre; rings without regions have no size."""
    regions = tn.enumerate_regions(lines([[1.0, 0.0], [1.0, 0.0]], [1.0, -1.0]), BOX, facets=True)
    found = measures.sizes(regions, 10.0)
    assert found["per_area"] == pytest.approx([1 / 25, 0, 2 / 125, 0])
    assert found["median_area"] == pytest.approx([40, None, 180, None])
    assert found["uneven"] == pytest.approx([0, None, 0, None])
    assert median([None, 1.0, 3.0]) == 2.0
    assert median([None]) is None


def test_constant_maps_go_with_nothing():
    """A correlation that is not defined counts as none."""
    assert measures.rank_correlation(np.zeros((2, 2)), np.arange(4.0).reshape(2, 2)) == 0


def test_trained_networks_come_back_from_their_numbers():
    """The file holds weights and biases; the network made from them has the error that was found."""
    training = trainings(QUICK)[1]
    found = trained(training)
    net = measures.network(found["weights"], found["biases"])
    assert net.widths == (5,) * 5
    points, values, _ = sampled(training.function, grid(training.half_width, training.per_unit))
    assert ((net(points)[:, 0] - values) ** 2).mean() == pytest.approx(found["error"], rel=1e-5)
    assert first_network(training).loss(points, values) > found["error"]


def test_networks_that_learnt_nothing_are_left_out():
    """Of the measures after training, not of the errors; without any that learnt there is no mean."""

    def trial(value):
        rings = {name: [value, None, value, value] for name in ("per_area", "median_area", "uneven")}
        names = ("regions", "symmetry", "repetition", "peaks", "places_per_later_pattern")
        return {**dict.fromkeys(names, value), "bending": dict.fromkeys(FUNCTIONS, value / 10), **rings}

    rows = [
        {
            "function": function,
            "depth": depth,
            "variance": 2.0,
            "errors": [1.0, 1.99] if depth == 2 else [2.0, 2.0],
            "untrained": [trial(1.0), trial(3.0)],
            "trained": [trial(9.0), trial(2.0)],
        }
        for function in FUNCTIONS
        for depth in (2, 5)
    ]
    assert [len(learners(row)) for row in rows[:2]] == [1, 0]
    shallow, deep = observations(rows)[:2]
    assert (shallow["learnt"], deep["learnt"], shallow["with_nine_peaks"]) == (1, 0, 1)
    assert shallow["unexplained"] == {"median": pytest.approx((0.5 + 0.995) / 2), "best": 0.5}
    assert shallow["trained"]["regions"]["mean"] == 9
    assert shallow["untrained"]["regions"]["mean"] == 2
    assert shallow["trained"]["median_area"] == [9, None, 9, 9]
    assert shallow["bending_by_others"] == {
        "n": 3,
        **dict.fromkeys(("mean", "low", "high"), pytest.approx(0.9)),
    }
    assert deep["trained"]["bending"]["mean"] is None
    compared = depths_compared(rows)[0]
    assert compared["depths"] == [2, 5]
    assert compared["p_bending"] is None


def test_the_study_is_the_papers(quick):
    """All functions and depths are in the results, each before and after training, and the summary names them."""
    found = quick("region_maps")
    rows = found.record["networks"]
    assert [(row["function"], row["depth"]) for row in rows] == [(f, depth) for f in FUNCTIONS for depth in (2, 5)]
    assert all(len(row["trained"]) == len(row["untrained"]) == QUICK.trials for row in rows)
    assert found.text.count("unexplained") == len(rows)
    assert found.record["dropped_points"] == {"phi_1": 41, "phi_2": 0, "phi_3": 0, "phi_4": 0}
    assert (found.out / "results" / "region_maps.md").read_text().count("| phi_4 | 5") == 5
    assert Config().epochs == 20_000
