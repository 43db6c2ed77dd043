"""Robustness curves against dense grids and against the search around a point."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tropnet as tn

NET = tn.Network.random([2, 10, 10, 3], skips=[(1, 3)], seed=11)
BOX = tn.Box(-3, 3)
POINTS = np.random.default_rng(0).uniform(-2.5, 2.5, (6, 2))


@pytest.mark.parametrize("norm", [1, 2, math.inf])
def test_no_decision_changes_within_the_radius(norm: float) -> None:
    """On a fine grid the class is the same in the ball, and another one just past its point on the boundary."""
    curve = tn.robustness_curve(NET, POINTS, BOX, norm)
    axis = np.linspace(-3, 3, 301)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    classes = np.argmax(NET(grid), axis=1)
    for x, radius, target, point in zip(POINTS, curve.radii, curve.targets, curve.points, strict=True):
        own = int(np.argmax(NET(x)))
        distances = np.linalg.norm(grid - x, norm, axis=1)
        assert (classes[distances < radius] == own).all()
        assert np.linalg.norm(point - x, norm) == pytest.approx(radius)
        y = NET(point)
        assert y[target] == pytest.approx(y[own], abs=1e-9)
        assert tn.distance_to_boundary(NET, x, BOX, norm).distance == radius


def test_regions_around_a_point_agree() -> None:
    """The nearest piece of the boundary in the regions found by crossing facets is as far."""
    for x in POINTS:
        near = tn.regions_near(NET, x, BOX, max_regions=10_000)
        assert near.regions.complete
        own = int(np.argmax(NET(x)))
        corners, offsets = near.regions.vertices()
        y = NET(corners)
        changes = np.add.reduceat(y.max(axis=1) - y[:, own] > 1e-12, offsets[:-1]) > 0
        radius = tn.robustness_curve(NET, [x], BOX, 2).radii[0]
        assert changes.any() == math.isfinite(radius)


def test_share_is_the_certified_accuracy() -> None:
    """Points with another label count for nothing, whatever the radius."""
    right = np.argmax(NET(POINTS), axis=1)
    labels = right.copy()
    labels[0] = (labels[0] + 1) % 3
    curve = tn.robustness_curve(NET, POINTS, BOX, labels=labels)
    every = tn.robustness_curve(NET, POINTS, BOX)
    assert curve.radii[0] == 0
    assert curve.targets[0] == -1
    assert curve.radii[1:].tolist() == every.radii[1:].tolist()
    assert curve.share(0.0) == 5 / 6
    assert every.share([0.0, np.inf]).tolist() == [1.0, 0.0]
    middle = float(np.median(every.radii))
    assert every.share(middle) == (every.radii > middle).mean()
    with pytest.raises(tn.ShapeError, match=r"labels must have shape \(6,\), one per point, got \(2,\)"):
        tn.robustness_curve(NET, POINTS, labels=[0, 1])
    with pytest.raises(ValueError, match="norm must be 1, 2 or inf, got 3"):
        tn.robustness_curve(NET, POINTS, norm=3)


@pytest.mark.parametrize("exponent", [0, -100, -160, -200, -300])
def test_tiny_distances(exponent: int) -> None:
    """A boundary at 0 is as far as the point says, in every norm, though the square of that underflows."""
    net = tn.Network.mlp([[[1.0]], [[1.0]]], [[0.0], [0.0]], slopes=(1, 0.5))
    x = 10.0**exponent
    for norm in (1, 2, math.inf):
        assert tn.distance_to_boundary(net, [x], tn.Box(-1, 1), norm).distance == pytest.approx(x, rel=1e-12)
