"""Bugs fixed: files of regions without regions, networks that did not pickle, values that could be changed."""

import copy
import pickle

import numpy as np
import pytest

import tropnet as tn

NET = tn.Network.random([2, 4, 4, 4, 1], skips=[(1, 3)], seed=1)


def test_no_regions_survive_parquet(tmp_path):
    """Regions without a region, as an early interrupt leaves them, were refused by their own checksum."""
    nothing = tn.enumerate_regions(
        NET, backend="exact", tolerances=tn.Tolerances(exact_pivots=0), on_undecided="collect"
    )
    assert len(nothing) == 0
    nothing.to_parquet(tmp_path / "nothing.parquet")
    again = tn.Regions.from_parquet(tmp_path / "nothing.parquet")
    assert len(again) == 0
    assert again.undecided == nothing.undecided == ((),)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])  # noqa: S301
def test_networks_and_regions_pickle(duplicate):
    """Networks were not picklable, which kept them from process pools."""
    assert duplicate(NET).fingerprint == NET.fingerprint
    regions = tn.enumerate_regions(NET, tn.Box(-1, 1))
    again = duplicate(regions)
    assert (again.packed == regions.packed).all()
    assert (again[0].A == regions[0].A).all()


def test_values_do_not_change():
    """A network's layers could be replaced and the columns of regions written to, past every cache and checksum."""
    with pytest.raises(AttributeError):
        NET.layers = ()
    regions = tn.enumerate_regions(NET, tn.Box(-1, 1))
    for array in (regions.packed, regions.packed_cuts, regions.witnesses, regions[0].A, regions[0].b):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_shared_matrices_stay_shared_in_files(tmp_path):
    """A skip's matrix was stored twice; equal but separate matrices stay separate."""
    NET.save(tmp_path / "net.npz")
    layer = tn.load(tmp_path / "net.npz").layers[2]
    assert layer.weights[1] is layer.weights[2]
    zeros = tn.Network(
        [
            tn.Layer({0: np.zeros((2, 2))}, np.zeros(2)),
            tn.Layer({0: np.zeros((2, 2)), 1: np.zeros((2, 2))}, np.zeros(2)),
        ]
    )
    zeros.save(tmp_path / "net.npz")
    layer = tn.load(tmp_path / "net.npz").layers[1]
    assert layer.weights[0] is not layer.weights[1]


def test_overflow_is_an_error_not_a_wrong_pattern():
    """Where the forward pass overflows, it gave NaN and a pattern that does not occur."""
    net = tn.Network.mlp([[[1e200]], [[1e200]], [[1e-300]]], [[0], [0], [0]])
    with pytest.raises(tn.NonFiniteError, match="layer 1 overflows float64 at point 0"):
        net([1e300])
    np.testing.assert_allclose(tn.CachedPredictor(net)([1e-150]), net([1e-150]))


def test_rows_of_a_polytope_count_as_given():
    """Rows that say nothing are left out, and the others were renumbered."""
    net = tn.Network.mlp([[[1.0, 0.0]]], [[0.0]])
    (region,) = tn.enumerate_regions(net, tn.Polytope([[0, 0], [1, 0], [0, 1]], [1, 5, np.inf]))
    assert region.rows.tolist() == [-2]
    with pytest.raises(tn.DomainError, match=r"rows \[1, 2\] of Polytope"):
        tn.enumerate_regions(net, tn.Polytope([[0, 0], [1, 0], [-1, 0]], [1, -1, 0]))


def test_a_model_is_refused_by_what_it_is():
    """Something else than a network gave an AttributeError from inside."""
    for call in (tn.enumerate_regions, tn.count_regions, tn.iter_regions, tn.CachedPredictor):
        with pytest.raises(
            tn.UnsupportedModuleError, match=r"must be a tropnet.Network, got builtins.str.*tropnet.load"
        ):
            call("net.npz")


def test_errors_with_partial_results_pickle():
    """An UndecidedError could not be unpickled, so it would not come back from another process."""
    for error in (tn.UndecidedError("two subtrees", 3), tn.EnumerationInterrupted(3)):
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (type(again), str(again), again.partial) == (type(error), str(error), 3)


def test_all_coordinates_are_kept_under_a_box_of_one_number(tmp_path):
    """Regions made by hand under a box that names no dimension lost all inputs but the first in a Parquet file."""
    regions = tn.enumerate_regions(NET, tn.Box(-1, 1))
    by_hand = tn.Regions(NET, tn.Box(-1, 1), regions.packed, regions.packed_cuts, regions.witnesses)
    by_hand.to_parquet(tmp_path / "regions.parquet")
    assert tn.Regions.from_parquet(tmp_path / "regions.parquet").witnesses.tolist() == regions.witnesses.tolist()
