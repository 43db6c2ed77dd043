"""The graph of a network over one or two inputs."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import tropnet as tn


def test_broken_line():
    """The line passes through the function, and bends exactly where regions meet."""
    net = tn.Network.random([1, 6, 5, 2], seed=3)
    ax = tn.plot_function(net, tn.Box(-4, 4), output=1)
    x, y = ax.lines[0].get_xydata().T
    assert (x[0], x[-1]) == (-4.0, 4.0)
    assert y == pytest.approx(net(x[:, None])[:, 1])
    breaks = tn.regions_on_segment(net, [-4.0], [4.0]).breakpoints
    assert x == pytest.approx(-4 + 8 * np.asarray(breaks))
    markers = np.concatenate([line.get_xdata() for line in ax.lines[1:]])
    assert np.sort(markers) == pytest.approx(x[1:-1])


def test_surface():
    """Each piece of the surface is as high as the network at its corners, and the axes hold all of them."""
    net = tn.Network.random([2, 6, 5, 1], seed=3)
    box = tn.Box(-1, 1)
    ax = tn.plot_function(net, box)
    (surface,) = ax.collections
    heights = [net(region.vertices())[:, 0] for region in tn.enumerate_regions(net, box)]
    assert np.asarray(surface.get_array()) == pytest.approx([each.mean() for each in heights])
    assert ax.get_zlim() == pytest.approx((min(map(min, heights)), max(map(max, heights))))


def test_constant_network():
    """A network without a breakpoint is one straight piece."""
    ax = tn.plot_function(tn.Network.mlp([[[0.0]], [[1.0]]], [[1.0], [0.0]]), tn.Box(0, 1))
    assert ax.lines[0].get_xydata().tolist() == [[0.0, 1.0], [1.0, 1.0]]
    tn.plot_function(tn.Network.mlp([[[0.0, 0.0]], [[1.0]]], [[1.0], [0.0]]), tn.Box(0, 1))


def test_what_has_no_graph():
    """More inputs, unbounded boxes, missing outputs and flat axes are refused."""
    with pytest.raises(tn.ShapeError, match="1 or 2 inputs, got 3"):
        tn.plot_function(tn.Network.random([3, 2, 1], seed=0), tn.Box(-1, 1))
    with pytest.raises(tn.DomainError, match="bounded and"):
        tn.plot_function(tn.Network.random([1, 2, 1], seed=0), tn.Box(0, np.inf))
    for box in (tn.Box(0.5, 0.5), tn.Polytope([[1.0], [-1.0]], [1.0, 1.0]), None):
        with pytest.raises(tn.DomainError, match="low < high in one input or two"):
            tn.plot_function(tn.Network.random([1, 2, 1], seed=0), box)
    with pytest.raises(tn.ShapeError, match="output must lie in"):
        tn.plot_function(tn.Network.random([1, 2, 1], seed=0), tn.Box(0, 1), output=1)
    with pytest.raises(tn.ShapeError, match="projection='3d'"):
        tn.plot_function(tn.Network.random([2, 2, 1], seed=0), tn.Box(0, 1), Figure().add_subplot())


def test_arguments_are_checked():
    """One line says which argument is wrong, or that the box is too large."""
    net = tn.Network.random([1, 3, 2], seed=0)
    with pytest.raises(TypeError, match=r"net must be a tropnet\.Network, got str"):
        tn.plot_function("net", tn.Box(-1, 1))
    with pytest.raises(tn.ShapeError, match=r"output must lie in 0, \.\.\., 1, got True"):
        tn.plot_function(net, tn.Box(-1, 1), output=True)
    with pytest.raises(ValueError, match="cmap must be the name"):
        tn.plot_function(tn.Network.random([2, 3, 1], seed=0), tn.Box(-1, 1), cmap="nowhere")
    with pytest.raises(tn.DomainError, match="too far to draw"):
        tn.plot_function(net, tn.Box(-1.7e308, 1.7e308))


def test_inputs_that_the_box_fixes():
    """Over the free input x_2 of three, |x_2 - 0.3| + 0.1 has one breakpoint; over two of them it is a surface."""
    net = tn.Network.mlp([[[0, 1, -1], [0, -1, 1]], [[1, 1]]], [[0, 0], [0.1]])
    ax = tn.plot_function(net, tn.Box([0.7, -1, 0.3], [0.7, 2, 0.3]))
    assert ax.get_xlabel() == "$x_2$"
    assert ax.lines[0].get_xydata() == pytest.approx(np.array([[-1, 1.4], [0.3, 0.1], [2, 1.8]]))
    assert ax.lines[1].get_label() == "layer 1"
    surface = tn.plot_function(net, tn.Box([0.7, -1, -1], [0.7, 1, 1]))
    assert (surface.get_xlabel(), surface.get_ylabel(), surface.get_zlim()) == ("$x_2$", "$x_3$", (0.1, 2.1))
