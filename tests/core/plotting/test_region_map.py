"""Region maps show what the regions are, one polygon each."""

import sys

import networkx as nx
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.path import Path

import tropnet as tn
from tropnet.geometry.polyhedron import Polyhedron
from tropnet.plotting.colours import FILLS, colouring
from tropnet.polyhedral_complex.adjacency import find_edges

NET = tn.Network.random([2, 6, 5, 2], skips=[], seed=4)
BOX = tn.Box([-2, -1], [1, 3])
SKIPPING = tn.Network.random([2, 5, 5, 5, 3], skips=[(1, 3)], seed=2)
# Duplicates, a dead neuron, parallel lines, a line along a side of the box.
DEGENERATE = tn.Network.mlp(
    [[[1, 0], [1, 0], [-2, 0], [0, 0], [0, 1], [1, 1]], [[1, 1, 0, 0, 1, -1], [0, 1, 1, 0, -1, 1]], [[1, 1]]],
    [[0, 0, 1, 0, 1, 0], [-0.5, 0.25], [0]],
)


def drawn(regions, **options):
    """Return the polygons and the values of a region map."""
    ax = tn.plot_regions(regions, **options)
    (collection,) = ax.collections
    return [path.vertices[:-1] for path in collection.get_paths()], collection.get_array()


def area(polygon):
    """Return the signed area, positive counterclockwise."""
    x, y = polygon.T
    return 0.5 * (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()


def same_corners(found, exact):
    """Whether two sets of corners are the same within rounding."""
    return sorted(map(tuple, found.round(7) + 0.0)) == sorted(map(tuple, exact.round(7) + 0.0))


@pytest.mark.parametrize("facets", [False, True])
def test_polygons_are_the_regions(facets):
    """Each polygon holds its region's exact vertices, counterclockwise, and has its exact area and value."""
    regions = tn.enumerate_regions(NET, BOX, facets=facets)
    polygons, values = drawn(regions, output=1)
    assert len(polygons) == len(regions) > 10
    for region, polygon, value in zip(regions, polygons, values, strict=True):
        exact = region.vertices()
        assert same_corners(polygon, exact)
        assert area(polygon) == pytest.approx(region.volume())
        assert value == pytest.approx(NET(exact.mean(axis=0))[1])


@pytest.mark.parametrize("net", [NET, SKIPPING, DEGENERATE], ids=["chain", "skips", "degenerate"])
def test_unbounded_regions_end_at_the_view(net):
    """What is drawn of an unbounded region is its exact intersection with the view; bounded ones are whole."""
    view = tn.Box([-3, -2], [2, 4])
    regions = tn.enumerate_regions(net)
    sides = view.integer_rows
    polygons, _ = drawn(regions, view=view)
    expected = []
    for region in regions:
        if region.is_bounded():
            expected.append(region.vertices())
        else:
            part = Polyhedron(np.concatenate([region.integer_rows, sides]))
            corners = part.vertices()
            if len(corners) > 2:
                expected.append(corners)
    assert len(polygons) == len(expected) > 5
    for polygon, exact in zip(polygons, expected, strict=True):
        assert same_corners(np.unique(polygon.round(9), axis=0), exact)
        assert area(polygon) > 0


def test_without_a_box_the_view_shows_the_middle():
    """The default view of all of R^2 is bounded and holds most corners."""
    regions = tn.enumerate_regions(NET)
    ax = tn.plot_regions(regions)
    corners = regions.vertices().points
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    inside = (corners[:, 0] >= x0) & (corners[:, 0] <= x1) & (corners[:, 1] >= y0) & (corners[:, 1] <= y1)
    assert inside.mean() > 0.8
    line = tn.plot_regions(tn.enumerate_regions(tn.Network.mlp([[[1, 0]], [[1]]], [[5], [0]])))
    assert line.get_xlim()[0] < -5 < line.get_xlim()[1]


def test_where_a_person_sits_the_figure_is_shown(monkeypatch):
    """At a prompt, as in a notebook, pyplot knows the figure; in a program nothing keeps it."""
    net = tn.Network.random([2, 3, 1], seed=0)
    shown = []
    for prompt in (False, True):
        if prompt:
            monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
        figure = tn.plot_regions(tn.enumerate_regions(net, tn.Box(-1, 1))).figure
        solid = tn.plot_function(net, tn.Box(-1, 1)).figure
        shown.append([pyplot.fignum_exists(each.number) for each in (figure, solid) if hasattr(each, "number")])
    assert shown == [[], [True, True]]
    pyplot.close("all")


def test_what_the_fill_tells():
    """Areas and gradients are exact ones, numbers of one's own are taken as they are."""
    regions = tn.enumerate_regions(SKIPPING, BOX)
    assert np.asarray(drawn(regions, color="area")[1]) == pytest.approx(regions.volumes())
    gradients = [np.linalg.norm(region.affine.weight[2]) for region in regions]
    assert np.asarray(drawn(regions, color="gradient", output=2)[1]) == pytest.approx(gradients)
    own = np.arange(len(regions), dtype=float)
    assert np.asarray(drawn(regions, color=own)[1]) == pytest.approx(own)


@pytest.mark.parametrize("color", ["pattern", "affine"])
@pytest.mark.parametrize("net", [NET, SKIPPING, DEGENERATE], ids=["chain", "skips", "degenerate"])
def test_adjacent_regions_differ(net, color):
    """Regions that share a facet have different colours; with "affine" iff their linear regions differ."""
    regions = tn.enumerate_regions(net, BOX)
    (collection,) = tn.plot_regions(regions, color=color).collections
    colours = collection.get_facecolors()
    edges = find_edges(regions)
    apart = (colours[edges.first] != colours[edges.second]).any(axis=1)
    expected = np.ones(len(apart), dtype=bool)
    if color == "affine":
        labels = tn.linear_regions(regions).labels
        expected = labels[edges.first] != labels[edges.second]
    assert len(apart) > 5
    assert (apart == expected).all()


def test_a_graph_that_needs_more_colours_gets_them():
    """Of a complete graph on more nodes than there are fills, all numbers differ."""
    n = len(FILLS) + 3
    first, second = np.triu_indices(n, 1)
    assert sorted(colouring(n, first, second).tolist()) == list(range(n))


@pytest.mark.parametrize("seed", range(3))
def test_classes_are_where_the_outputs_say(seed):
    """Every point of the view lies in polygons of its class only."""
    net = tn.Network.random([2, 6, 6, 3], seed=seed)
    ax = tn.plot_regions(tn.enumerate_regions(net, BOX), color="class")
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    points = np.random.default_rng(seed).uniform([-2, -1], [1, 3], size=(300, 2))
    classes = np.argmax(net(points), axis=1)
    for name, collection in zip(names, ax.collections, strict=True):
        covered = np.any([path.contains_points(points) for path in collection.get_paths()], axis=0)
        assert (covered == (classes == int(name.removeprefix("class ")))).all()


def test_one_output_has_two_classes():
    """Class 1 is where the only output is positive."""
    net = tn.Network.mlp([[[1, 0]], [[1]]], [[0], [-0.5]])
    ax = tn.plot_regions(tn.enumerate_regions(net, BOX), color="class")
    positive = [path.vertices[:-1] for path in ax.collections[1].get_paths()]
    assert len(positive) == 1
    assert same_corners(positive[0], np.array([[0.5, -1], [1, -1], [1, 3], [0.5, 3]]))


@pytest.mark.parametrize("domain", [BOX, None], ids=["box", "plane"])
@pytest.mark.parametrize("net", [NET, SKIPPING], ids=["chain", "skips"])
def test_hyperplanes(net, domain):
    """Lines of layer l: some neuron of it vanishes there and none of an earlier layer; every facet is drawn once."""
    regions = tn.enumerate_regions(net, domain)
    view = tn.Box(-4, 4) if domain is None else None
    ax = tn.plot_hyperplanes(regions, view=view)
    ends = np.cumsum(net.widths)
    n_lines = 0
    for number, collection in enumerate(ax.collections):
        for line in collection.get_segments():
            z = np.abs(net.pre_activations(line.mean(axis=0)))
            own = z[ends[number] - net.widths[number] : ends[number]]
            assert own.min() < 1e-9 * max(1.0, z.max())
        n_lines += len(collection.get_segments())
    if domain is BOX:
        assert n_lines == len(find_edges(regions).first)


def test_layers_can_be_chosen():
    """Only the layers asked for are drawn."""
    ax = tn.plot_hyperplanes(tn.enumerate_regions(NET, BOX), layers=[2], legend=False)
    assert [collection.get_label() for collection in ax.collections] == ["layer 2"]
    with pytest.raises(tn.ShapeError, match=r"layers must lie in 1, \.\.\., 2, got 3"):
        tn.plot_hyperplanes(tn.enumerate_regions(NET, BOX), layers=[3])


@pytest.mark.parametrize("domain", [BOX, None], ids=["box", "plane"])
def test_boundary(domain):
    """On every line that is drawn two outputs tie for the first place; in a box each piece is drawn."""
    net = tn.Network.random([2, 6, 6, 3], seed=1)
    boundary = tn.decision_boundary(tn.enumerate_regions(net, domain))
    ax = tn.plot_boundary(boundary, view=tn.Box(-1e4, 1e4) if domain is None else None)
    (collection,) = ax.collections
    segments = collection.get_segments()
    assert len(segments) == len(boundary) > 3
    for line in segments:
        for share in (0.1, 0.5, 0.9):
            y = np.sort(net(line[0] + share * (line[1] - line[0])))
            assert y[-1] - y[-2] < 1e-9 * max(1.0, np.abs(line).max())


def test_graph():
    """A line for every pair of regions that share a facet, from centre to centre."""
    regions = tn.enumerate_regions(NET, BOX)
    graph = tn.adjacency_graph(regions)
    for ax in (tn.plot_graph(regions), tn.plot_graph(regions, graph)):
        lines, points = ax.collections
        centres = np.array([region.vertices().mean(axis=0) for region in regions])
        assert np.asarray(points.get_offsets()) == pytest.approx(centres)
        found = {frozenset(map(tuple, line.round(7).tolist())) for line in lines.get_segments()}
        assert found == {frozenset(map(tuple, centres[list(edge)].round(7).tolist())) for edge in graph.edges}
    other = tn.adjacency_graph(tn.enumerate_regions(SKIPPING, BOX))
    with pytest.raises(tn.ShapeError, match="the numbers of the"):
        tn.plot_graph(regions, other)


def test_data():
    """Points are laid over the map, one collection for each class."""
    points = np.random.default_rng(0).normal(size=(10, 2))
    labels = np.arange(10) % 2
    ax = tn.plot_regions(tn.enumerate_regions(NET, BOX), data=points, labels=labels)
    assert np.asarray(ax.collections[1].get_offsets()) == pytest.approx(points[labels == 0])
    assert np.asarray(ax.collections[2].get_offsets()) == pytest.approx(points[labels == 1])


def test_axes_of_ones_own():
    """Axes that are passed in are drawn into and returned; no window or current figure is made."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    before = plt.get_fignums()
    ax = Figure().add_subplot()
    regions = tn.enumerate_regions(NET, BOX)
    assert tn.plot_regions(regions, ax) is ax
    assert tn.plot_hyperplanes(regions, ax) is ax
    assert plt.get_fignums() == before


def test_nothing_to_draw():
    """No regions give an empty map."""
    regions = tn.enumerate_regions(NET, BOX)
    none = tn.Regions(NET, BOX, regions.packed[:0], regions.packed_cuts[:0], regions.witnesses[:0])
    assert drawn(none)[0] == []


def test_what_cannot_be_drawn():
    """Other dimensions, outputs and shapes that do not fit are refused."""
    with pytest.raises(tn.ShapeError, match="2 inputs, got 1"):
        tn.plot_regions(tn.enumerate_regions(tn.Network.random([1, 2, 1], seed=0), tn.Box(-1, 1)))
    regions = tn.enumerate_regions(NET, BOX)
    with pytest.raises(tn.ShapeError, match=r"output must lie in 0, \.\.\., 1, got 2"):
        tn.plot_regions(regions, output=2)
    with pytest.raises(tn.ShapeError, match="one number for each region"):
        tn.plot_regions(regions, color=[1.0])
    with pytest.raises(ValueError, match="got 'blue'"):
        tn.plot_regions(regions, color="blue")
    with pytest.raises(tn.ShapeError, match=r"data must have shape \(n, 2\)"):
        tn.plot_regions(regions, data=[1.0, 2.0])
    with pytest.raises(tn.ShapeError, match=r"labels must have shape \(1,\)"):
        tn.plot_regions(regions, data=[[1.0, 2.0]], labels=[0, 1])
    with pytest.raises(tn.DomainError, match="view must be bounded"):
        tn.plot_regions(tn.enumerate_regions(NET), view=tn.Box(0, np.inf))


@pytest.mark.parametrize("seed", range(3))
def test_polygons_cover_the_box(seed):
    """A random point of the box lies in exactly one polygon, that of its pattern."""
    regions = tn.enumerate_regions(tn.Network.random([2, 8, 8, 1], seed=seed), BOX)
    polygons, _ = drawn(regions)
    points = np.random.default_rng(seed).uniform([-2, -1], [1, 3], size=(200, 2))
    inside = np.array([Path(polygon).contains_points(points) for polygon in polygons])
    assert (inside.sum(axis=0) == 1).all()
    assert (regions.patterns[np.argmax(inside, axis=0)] == regions.network.activation_pattern(points)).all()


def filled(net, domain=BOX):
    """Return the area that each class has on the map."""
    ax = tn.plot_regions(tn.enumerate_regions(net, domain), color="class")
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    sums = [sum(area(path.vertices[:-1]) for path in part.get_paths()) for part in ax.collections]
    return dict(zip(names, sums, strict=True))


@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e60])
def test_where_outputs_are_equal_the_first_is_the_class(scale):
    """A ReLU that is off leaves outputs that tie on half of the map: they belong to the first class, once."""
    box = tn.Box([-scale, -scale], [scale, 3 * scale])
    whole = 8 * scale**2
    one = tn.Network.mlp([[[1, 0]], [[1]]], [[0], [0]])
    assert filled(one, box) == pytest.approx({"class 0": whole / 2, "class 1": whole / 2})
    two = tn.Network.mlp([[[1, 0]], [[-1], [1], [1]]], [[0], [0, 0, 0]])
    assert filled(two, box) == pytest.approx({"class 0": whole / 2, "class 1": whole / 2})
    constant = tn.Network.mlp([[[1, 0]], [[0], [0]]], [[0], [0, 0]])
    assert filled(constant, box) == pytest.approx({"class 0": whole})


def test_a_class_that_is_only_touched_is_not_shown():
    """Where outputs are equal along a line only, no class is added to map and legend."""
    absolute = tn.Network.mlp([[[1, 0.7], [-1, -0.7]], [[1, 1]]], [[-0.3, 0.3], [0]])
    assert list(filled(absolute)) == ["class 1"]
    negative = tn.Network.mlp([[[1, 0.7], [-1, -0.7]], [[-1, -1]]], [[-0.3, 0.3], [0]])
    assert list(filled(negative)) == ["class 0"]


def test_areas_that_underflow_have_no_place_on_a_logarithmic_scale():
    """The map of a box of side 1e-200 is drawn, with the areas left out."""
    net = tn.Network.mlp([[[1, 0], [0, 1]], [[1, 1]]], [[0, 0], [0]])
    ax = tn.plot_regions(tn.enumerate_regions(net, tn.Box(-1e-200, 1e-200)), color="area")
    ax.figure.draw_without_rendering()
    assert len(ax.collections[0].get_paths()) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": 1.0}, "output must lie in 0, ..., 1, got 1.0"),
        ({"output": True}, "output must lie in"),
        ({"cmap": "nowhere"}, "cmap must be the name of a Matplotlib colour map, such as 'viridis', got 'nowhere'"),
        ({"view": (-1, 1)}, "the view must be a Box"),
        ({"view": tn.Polytope([[1, 0]], [1])}, "the view must be a Box"),
        ({"view": tn.Box([0, 0, 0], 1)}, "the view must have 2 coordinates"),
        ({"view": tn.Box(0, np.inf)}, "the view must be bounded"),
        ({"view": tn.Box([0, 0], [0, 1])}, "low < high in both coordinates"),
        ({"data": [[0, 0]], "labels": ["a"]}, "labels must be integers"),
        ({"data": [[0, 0]], "labels": [0.5]}, "labels must be integers"),
        ({"labels": [0]}, "data is None"),
        ({"ax": "left"}, "ax must be Matplotlib's Axes"),
    ],
)
@pytest.mark.parametrize("domain", [BOX, None], ids=["box", "plane"])
def test_arguments_are_checked(domain, options, message):
    """One line says which argument is wrong, for bounded and for other domains."""
    with pytest.raises((ValueError, TypeError)) as caught:
        tn.plot_regions(tn.enumerate_regions(NET, domain), **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_arguments_of_the_other_maps_are_checked():
    """Regions, layers, graphs and axes that are something else are named."""
    from matplotlib.figure import Figure

    regions = tn.enumerate_regions(NET, BOX)
    for draw in (tn.plot_regions, tn.plot_hyperplanes, tn.plot_graph):
        with pytest.raises(TypeError, match="regions must be what enumerate_regions returns, got Network"):
            draw(NET)
        with pytest.raises(tn.ShapeError, match="flat axes"):
            draw(regions, ax=Figure().add_subplot(projection="3d"))
        with pytest.raises(tn.ShapeError, match="axes of x and y, got axes made with projection='polar'"):
            draw(regions, ax=Figure().add_subplot(projection="polar"))
    with pytest.raises(TypeError, match="boundary must be what decision_boundary returns, got Regions"):
        tn.plot_boundary(regions)
    for layers in (1, "1", [1.5], [3]):
        with pytest.raises(tn.ShapeError, match="layers must"):
            tn.plot_hyperplanes(regions, layers=layers)
    assert len(tn.plot_hyperplanes(regions, layers=iter([1, 2])).collections) == 2
    for edges in ([("a", "b")], [((0, 0), (0, 1))], [(0, len(regions))]):
        with pytest.raises(tn.ShapeError, match="numbers of the"):
            tn.plot_graph(regions, nx.Graph(edges))


@pytest.mark.parametrize(("box", "aspect"), [(BOX, 1.0), (tn.Box([-1e6, -1e-6], [1e6, 1e-6]), "auto")])
def test_one_scale_unless_the_map_would_be_a_line(box, aspect):
    """Lengths of both coordinates compare, but not where one would be too short to be seen."""
    regions = tn.enumerate_regions(NET, box)
    for draw in (tn.plot_regions, tn.plot_hyperplanes, tn.plot_graph):
        assert draw(regions).get_aspect() == aspect


def test_one_region_is_called_one():
    """The title of a network without boundaries in the box is in the singular."""
    regions = tn.enumerate_regions(tn.Network.mlp([[[1, 0]], [[1]]], [[9], [0]]), BOX)
    assert tn.plot_regions(regions).get_title() == "1 activation region"


def inside(ax, points):
    """Whether all points are seen."""
    limits = np.array([ax.get_xlim(), ax.get_ylim()])
    return ((points > limits[:, 0]) & (points < limits[:, 1])).all()


def test_an_unbounded_map_shows_its_data():
    """All points are seen, in what is drawn into the same axes later, too; a view that is given stays."""
    regions, data = tn.enumerate_regions(NET), [[1e3, 1e3], [-9, 3]]
    ax = tn.plot_regions(regions, data=data)
    assert inside(ax, data)
    for draw in (tn.plot_hyperplanes, tn.plot_graph):
        assert inside(draw(regions, ax=ax), data)
    assert inside(tn.plot_boundary(tn.decision_boundary(regions), ax), data)
    assert tn.plot_regions(regions, data=data, view=BOX).get_xlim() == (-2, 1)
    with pytest.raises(tn.DomainError, match="too far to draw"):
        tn.plot_regions(regions, data=[[1e200, 0]])


def test_an_unbounded_boundary_is_seen():
    """Of x_1 + x_2 + 5 = 0, a whole line, the point nearest to 0, on a map that lacks it, too."""
    linear = tn.Network.mlp([[[1.0, 2.0], [0.0, 1.0]]], [[5.0, 0.0]])
    regions = tn.enumerate_regions(linear)
    boundary = tn.decision_boundary(regions)
    for ax in (tn.plot_boundary(boundary), tn.plot_boundary(boundary, tn.plot_regions(regions))):
        assert inside(ax, [[-2.5, -2.5]])
        (ends,) = ax.collections[-1].get_segments()
        assert ends.sum(axis=1) == pytest.approx([-5, -5])
        assert np.ptp(ends) > 0.1
    many = tn.decision_boundary(tn.enumerate_regions(SKIPPING))
    assert inside(tn.plot_boundary(many), np.concatenate([many.vertices(i) for i in range(len(many))]))


def test_inputs_that_the_domain_fixes():
    """A map over the free inputs 2 and 4 is that of the network on their plane."""
    net = tn.Network.mlp([[[3, 1, 2, 0], [0, 0, 5, 1], [0, 1, 0, 1]], [[1, 1, -1], [2, -1, 0]]], [[0, 0, 0], [0, 1]])
    # With 0.3 and 0.7 fixed, rows 1 and 2 are x_2 + 2.3 and x_4 + 3.5, up to rounding.
    plane = tn.Network.mlp([[[1, 0], [0, 1], [1, 1]], [[1, 1, -1], [2, -1, 0]]], [[2.3, 3.5, 0], [0, 1]])
    flat = tn.enumerate_regions(net, tn.Box([0.3, -4, 0.7, -5], [0.3, 4, 0.7, 5]))
    full = tn.enumerate_regions(plane, tn.Box([-4, -5], [4, 5]))
    assert len(flat) == len(full) == 7
    for draw, of in (
        (tn.plot_regions, lambda r: r),
        (tn.plot_hyperplanes, lambda r: r),
        (tn.plot_graph, lambda r: r),
        (tn.plot_boundary, tn.decision_boundary),
    ):
        found, wanted = draw(of(flat)), draw(of(full))
        assert (found.get_xlabel(), found.get_ylabel()) == ("$x_2$", "$x_4$")
        assert found.get_xlim() == (-4, 4)
        one, other = (
            sorted(sorted((path.vertices.round(7) + 0.0).tolist()) for path in ax.collections[0].get_paths())
            for ax in (found, wanted)
        )
        assert one == other
    assert [text.get_text() for text in tn.plot_hyperplanes(flat).get_legend().get_texts()] == ["layer 1"]


def test_the_legend_covers_nothing():
    """It lies below the axes and their label."""
    regions = tn.enumerate_regions(NET, BOX)
    for ax in (tn.plot_hyperplanes(regions), tn.plot_regions(regions, color="class")):
        ax.figure.draw_without_rendering()
        assert ax.get_legend().get_window_extent().y1 <= ax.xaxis.label.get_window_extent().y0
