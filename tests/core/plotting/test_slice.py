"""Regions of a network of many inputs in a plane through three points."""

import numpy as np
import pytest

import tropnet as tn

NET = tn.Network.random([7, 10, 10, 3], seed=5)
POINTS = np.random.default_rng(0).normal(size=(3, 7))


def test_the_plane_is_that_of_the_points():
    """Corners stand where the points are, at their distances, and polygons are those of the restricted network."""
    ax = tn.plot_slice(NET, POINTS)
    polygons, markers = ax.collections
    at = markers.get_offsets()
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.hypot(*(at[i] - at[j])) == pytest.approx(np.linalg.norm(POINTS[i] - POINTS[j]))
    # Any affine map of the plane that sends the markers to the points sends what is drawn to regions of the network.
    lift = np.linalg.solve(np.column_stack([at, np.ones(3)]), POINTS)
    paths = polygons.get_paths()
    centres = np.array([path.vertices[:-1].mean(axis=0) for path in paths])
    patterns = NET.activation_pattern(np.column_stack([centres, np.ones(len(centres))]) @ lift)
    assert len(np.unique(patterns, axis=0)) == len(paths) > 10


def test_classes_boundary_and_images():
    """Options of the region map are passed on; images stand beside their corners."""
    ax = tn.plot_slice(
        NET, POINTS, color="class", boundary=True, images=np.zeros((3, 4, 5)), names=("cat", "dog", "eel")
    )
    assert ax.get_xlabel() == "from cat towards dog"
    assert len(ax.artists) == 3


def test_what_is_no_plane():
    """Points on a line, or of another space, are refused."""
    with pytest.raises(tn.ShapeError, match="must not lie on one line"):
        tn.plot_slice(NET, [POINTS[0], POINTS[1], 2 * POINTS[1] - POINTS[0]])
    with pytest.raises(tn.ShapeError, match=r"three points of shape \(3, 7\)"):
        tn.plot_slice(NET, POINTS[:2])
    with pytest.raises(tn.ShapeError, match="images must be three"):
        tn.plot_slice(NET, POINTS, images=np.zeros((2, 4, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ("A", "B")}, "names must be three"),
        ({"margin": -0.1}, "margin must be a number of at least 0"),
        ({"margin": np.inf}, "margin must be a number of at least 0"),
        ({"margin": "wide"}, "margin must be a number of at least 0"),
        ({"images": 3}, "images must be three"),
        ({"images": np.zeros((3, 16))}, r"images must have shape \(3, height, width\)"),
        ({"images": np.zeros((3, 4, 4, 2))}, r"images must have shape \(3, height, width\)"),
    ],
)
def test_arguments_are_checked(options, message):
    """One line says which argument is wrong."""
    with pytest.raises(ValueError, match=message):
        tn.plot_slice(NET, POINTS, **options)


def test_one_input_has_no_plane():
    """The message names what draws a network of one input."""
    with pytest.raises(tn.ShapeError, match="at least 2 inputs, got 1; plot_function"):
        tn.plot_slice(tn.Network.random([1, 3, 1], seed=0), [[0], [1], [2]])


def test_an_option_that_does_not_exist():
    """The message names the function that was called."""
    with pytest.raises(TypeError, match="plot_slice has no argument 'foo'; those of plot_regions are color, output"):
        tn.plot_slice(NET, POINTS, foo=1)
