"""Region maps show what the regions are, one polygon each."""

import numpy as np
import pytest

import tropnet as tn

NET = tn.Network.random([2, 6, 5, 2], skips=[], seed=4)
BOX = tn.Box([-2, -1], [1, 3])


def drawn(regions, **options):
    """Return the polygons and the values of a region map."""
    ax = tn.plot_regions(regions, **options)
    (collection,) = ax.collections
    return [path.vertices[:-1] for path in collection.get_paths()], collection.get_array()


def area(polygon):
    """Return the signed area, positive counterclockwise."""
    x, y = polygon.T
    return 0.5 * (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()


@pytest.mark.parametrize("facets", [False, True])
def test_polygons_are_the_regions(facets):
    """Each polygon holds its region's exact vertices, counterclockwise, and has its exact area and value."""
    regions = tn.enumerate_regions(NET, BOX, facets=facets)
    polygons, values = drawn(regions, output=1)
    assert len(polygons) == len(regions) > 10
    for region, polygon, value in zip(regions, polygons, values, strict=True):
        exact = region.vertices()
        assert sorted(map(tuple, polygon.round(9))) == sorted(map(tuple, exact.round(9)))
        assert area(polygon) == pytest.approx(region.volume())
        assert value == pytest.approx(NET(exact.mean(axis=0))[1])


def test_nothing_to_draw():
    """No regions give an empty map."""
    regions = tn.enumerate_regions(NET, BOX)
    none = tn.Regions(NET, BOX, regions.packed[:0], regions.packed_cuts[:0], regions.witnesses[:0])
    assert drawn(none)[0] == []


def test_what_cannot_be_drawn():
    """Unbounded regions, other dimensions and outputs that are not there are refused."""
    with pytest.raises(tn.DomainError, match=r"region \d+ is unbounded; enumerate in a Box"):
        tn.plot_regions(tn.enumerate_regions(NET))
    with pytest.raises(tn.ShapeError, match="2 inputs, got 1"):
        tn.plot_regions(tn.enumerate_regions(tn.Network.random([1, 2, 1], seed=0), tn.Box(-1, 1)))
    with pytest.raises(tn.ShapeError, match=r"output must lie in 0, \.\.\., 1, got 2"):
        tn.plot_regions(tn.enumerate_regions(NET, BOX), output=2)
