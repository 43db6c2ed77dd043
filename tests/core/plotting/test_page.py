"""Pages hold the regions exactly, fetch nothing, and say in a browser what lies under the pointer."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import tropnet as tn
from tropnet.plotting.solids import solids

NET = tn.Network.random([2, 6, 5, 2], skips=[], seed=4)
BOX = tn.Box([-2, -1], [1, 3])
SKIPPING = tn.Network.random([2, 5, 5, 5, 3], skips=[(1, 3)], seed=2)
# Duplicates, a dead neuron, parallel lines, a line along a side of the box.
DEGENERATE = tn.Network.mlp(
    [[[1, 0], [1, 0], [-2, 0], [0, 0], [0, 1], [1, 1]], [[1, 1, 0, 0, 1, -1], [0, 1, 1, 0, -1, 1]], [[1, 1]]],
    [[0, 0, 1, 0, 1, 0], [-0.5, 0.25], [0]],
)
SOLID = tn.Network.random([3, 5, 4, 1], seed=1)
CUBE = tn.Box(-2, 2)
EACH = pytest.mark.parametrize(
    "net", [NET, SKIPPING, DEGENERATE, SOLID], ids=["chain", "skips", "degenerate", "three inputs"]
)


class Fetched(HTMLParser):
    """What a page refers to by src, href and the like, and its inline scripts and data."""

    def __init__(self):
        super().__init__()
        self.references, self.data, self._inside = [], None, None

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.references += [found[key] for key in ("src", "href", "srcset", "action", "data") if key in found]
        self._inside = found.get("id") if tag == "script" else None

    def handle_data(self, data):
        if self._inside == "data":
            self.data = json.loads(data)
            self._inside = None


@pytest.fixture
def page(tmp_path):
    """Return what writes a page and reads it again: its text, the data that it holds, and where it is."""

    def write(regions, **options):
        path = tmp_path / "page.html"
        tn.write_page(regions, path, **options)
        text = path.read_text(encoding="utf-8")
        read = Fetched()
        read.feed(text)
        assert all(reference.startswith("data:") for reference in read.references)
        return text, read.data, path

    return write


def unpacked(packed):
    """Return an array that a page holds."""
    return np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["type"]).newbyteorder("<"))


def parts(data):
    """Return the corners of each region that a page holds."""
    points, offsets = unpacked(data["points"]), unpacked(data["offsets"])
    return np.split(points.reshape(-1, data["dimension"]), offsets[1:-1])


def in_order(points):
    return sorted(map(tuple, points.tolist()))


@pytest.mark.parametrize(
    "net", [NET, SKIPPING, DEGENERATE, SOLID], ids=["chain", "skips", "degenerate", "three inputs"]
)
def test_the_page_holds_the_regions(net, page):
    """Corners, patterns, maps, sizes and neighbours in the file are those of the regions, to the last bit."""
    regions = tn.enumerate_regions(net, CUBE if net is SOLID else BOX, facets=True)
    _, data, _ = page(regions)
    points, offsets = regions.vertices()
    for found, exact in zip(parts(data), np.split(points, offsets[1:-1]), strict=True):
        assert in_order(found) == in_order(exact)
    weights, biases = regions.affine_maps()
    held = {"weights": weights, "biases": biases, "sizes": regions.volumes(), "patterns": regions.packed}
    for name, expected in held.items():
        assert (unpacked(data[name]) == expected.ravel()).all()
    found = {frozenset(pair) for pair in zip(unpacked(data["first"]), unpacked(data["second"]), strict=True)}
    assert found == {frozenset(edge) for edge in tn.adjacency_graph(regions).edges}


def test_faces_bound_their_polyhedra():
    """Seen from outside faces run counterclockwise, and the tetrahedra over them have the exact volumes."""
    regions = tn.enumerate_regions(SOLID, CUBE)
    shapes = solids(regions)
    centres = shapes.centres()
    volumes = np.zeros(len(regions))
    for face, owner in zip(shapes.faces(), shapes.owner, strict=True):
        corners = face - centres[owner]
        parts = np.linalg.det([[corners[0], corners[k], corners[k + 1]] for k in range(1, len(corners) - 1)])
        assert (parts > 0).all()
        volumes[owner] += parts.sum() / 6
    assert volumes == pytest.approx([float(region.volume()) for region in regions], rel=1e-9)
    assert len(shapes.owner) == len(regions.facets().rows)


@pytest.mark.parametrize("net", [NET, SOLID], ids=["two inputs", "three inputs"])
def test_layers(net, page):
    """On what belongs to a layer some neuron of it vanishes; every facet between two regions is there once."""
    regions = tn.enumerate_regions(net, BOX if net is NET else CUBE, facets=True)
    _, data, _ = page(regions)
    ends = np.cumsum(net.widths)
    n_parts = 0
    for k, layer in enumerate(data["layers"]):
        if net is NET:
            middles = unpacked(layer["segments"]).reshape(-1, 2, 2).mean(axis=1)
        else:
            faces = solids(regions).faces()
            middles = np.array([faces[i].mean(axis=0) for i in unpacked(layer["faces"])])
        z = np.abs(net.pre_activations(middles))[:, ends[k] - net.widths[k] : ends[k]]
        assert (z.min(axis=1) < 1e-9).all()
        n_parts += len(middles)
    assert n_parts == len(tn.adjacency_graph(regions).edges) > 20


def test_colours(page):
    """Adjacent regions have different colours; numbers are shades between the least and the greatest."""
    regions = tn.enumerate_regions(NET, BOX, facets=True)
    groups = unpacked(page(regions)[1]["groups"])
    assert all(groups[a] != groups[b] for a, b in tn.adjacency_graph(regions).edges)
    data = page(regions, color="area")[1]
    areas, groups = np.log10(regions.volumes()), unpacked(data["groups"])
    assert (data["colour_scale"]["low"], data["colour_scale"]["high"]) == (areas.min(), areas.max())
    assert groups[np.argmin(areas)] == 0
    assert groups[np.argmax(areas)] == 63
    assert (np.diff(groups[np.argsort(areas)].astype(int)) >= 0).all()
    classes = page(regions, color="class")[1]["classes"]
    points = np.random.default_rng(0).uniform([-2, -1], [1, 3], size=(50, 2))
    assert [each["name"] for each in classes] == [f"class {k}" for k in np.unique(np.argmax(NET(points), axis=1))]


def test_an_unbounded_region_ends_at_the_view(page):
    """On the whole plane every corner lies in the view, or is a vertex; infinite areas have a colour of their own."""
    regions = tn.enumerate_regions(NET)
    _, data, _ = page(regions, view=tn.Box(-9, 9), color="area")
    for region, corners, group in zip(regions, parts(data), unpacked(data["groups"]), strict=True):
        assert region.is_bounded() or np.abs(corners).max(initial=0.0) <= 9
        assert (group == 64) == (not region.is_bounded())


def test_titles_are_escaped(page):
    """Nothing in the data can end the script that holds it."""
    text, _, _ = page(tn.enumerate_regions(NET, BOX))
    holder = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert "<" not in holder[1]


def test_what_no_page_is_written_of(tmp_path):
    """Other numbers of inputs, unbounded polyhedra, and what is for two inputs, are refused, and no file is left."""
    path = tmp_path / "page.html"
    four = tn.enumerate_regions(tn.Network.random([4, 3, 1], seed=0), tn.Box(-1, 1))
    with pytest.raises(tn.ShapeError, match="2 or 3 inputs, got 4; restrict"):
        tn.write_page(four, path)
    with pytest.raises(tn.DomainError, match="enumerate in a Box"):
        tn.write_page(tn.enumerate_regions(SOLID), path)
    with pytest.raises(ValueError, match=r"a page must be a \.html or \.htm file, got 'map\.png'"):
        tn.write_page(tn.enumerate_regions(SOLID), "map.png")
    bounded = tn.enumerate_regions(SOLID, CUBE)
    for options in ({"color": "class"}, {"boundary": True}, {"view": CUBE}):
        with pytest.raises(tn.ShapeError, match="the network has 3"):
            tn.write_page(bounded, path, **options)
    with pytest.raises(ValueError, match="shrink must lie in 0 to 1"):
        tn.write_page(bounded, path, shrink=1.0)
    with pytest.raises(ValueError, match="got 'blue'"):
        tn.write_page(bounded, path, color="blue")
    with pytest.raises(tn.ShapeError, match="output must lie in 0"):
        tn.write_page(bounded, path, output=1)
    with pytest.raises(tn.ShapeError, match="polyhedra need a network with 3 inputs"):
        solids(four)
    assert list(tmp_path.iterdir()) == []


def said_of(regions, i, graph):
    """Return what the panel must say of a region, from the region itself."""
    net, region = regions.network, regions[i]
    lines = []
    for k, (row, bias) in enumerate(zip(region.affine.weight, region.affine.bias, strict=True)):
        terms = [f"{'-' if value < 0 else '+'} {abs(value):.6g} x{j + 1}" for j, value in enumerate(row)]
        sign = "-" if bias < 0 else "+"
        lines.append(f"y{k + 1 if net.n_outputs > 1 else ''} = {' '.join(terms)} {sign} {abs(bias):.6g}")
    layer = np.repeat(np.arange(len(net.widths)), net.widths)
    place = np.concatenate([np.arange(width) for width in net.widths])
    near = []
    for other in sorted(graph[i]):
        flips = np.flatnonzero(region.pattern != regions[other].pattern)
        near.append(f"{other} ({' '.join(f'{layer[j] + 1}.{place[j] + 1}' for j in flips)})")
    bits = ["".join("01"[int(bit)] for bit in part) for part in net.split_pattern(region.pattern)]
    return [
        [f"{k + 1}: {part}" for k, part in enumerate(bits)],
        lines,
        [f"{float(region.volume()):.6g}"],
        [", ".join(near)],
    ]


def numbers_apart(text):
    """Return the words of a text that are no numbers, and the numbers."""
    words, numbers = [], []
    for word in text.split():
        try:
            numbers.append(float(word))
        except ValueError:
            words.append(word)
    return words, numbers


@pytest.mark.parametrize(
    "net", [NET, SKIPPING, DEGENERATE, SOLID], ids=["chain", "skips", "degenerate", "three inputs"]
)
def test_the_panel_is_right_of_every_region(net, page, browser):
    """In a browser the panel's lines for each region are its pattern, map, size and neighbours."""
    regions = tn.enumerate_regions(net, CUBE if net is SOLID else BOX, facets=True)
    browser.open(page(regions)[2])
    graph = tn.adjacency_graph(regions)
    said = browser.value(f"[...Array({len(regions)}).keys()].map(i => Object.values(tropnet.describe(i)))")
    for i, (pattern, affine, size, near) in enumerate(said):
        expected = said_of(regions, i, graph)
        assert (pattern, near) == (expected[0], expected[3])
        for found, right in zip(affine + size, expected[1] + expected[2], strict=True):
            (words, values), (right_words, right_values) = numbers_apart(found), numbers_apart(right)
            assert words == right_words
            assert values == pytest.approx(right_values, rel=1e-5, abs=1e-12)
    assert browser.problems == []


def pointed_at(browser, points):
    """Return the region that is highlighted with the pointer at each of some points of a map."""
    found = []
    for x, y in points:
        at = browser.value(
            f"(() => {{ const f = tropnet.frame(), b = document.getElementById('plot').getBoundingClientRect();"
            f" return [b.left + f.u({x}), b.top + f.v({y})]; }})()"
        )
        browser.move_pointer(*at)
        found.append(browser.value("tropnet.highlighted()"))
    return found


@pytest.mark.parametrize("color", ["pattern", "output", "class"])
def test_the_region_under_the_pointer(color, page, browser):
    """The region that holds the point under the pointer is highlighted and described, and nothing is fetched."""
    regions = tn.enumerate_regions(SKIPPING, BOX, facets=True)
    _, _, path = page(regions, color=color, boundary=True)
    browser.requests.clear()
    browser.open(path)
    # Away from boundaries by more than a pixel: the pointer is at whole ones.
    balls = regions.chebyshev_balls()
    order = np.argsort(-balls.radii)[:12]
    assert pointed_at(browser, balls.centres[order]) == order.tolist()
    assert browser.value("document.querySelector('#region h2').textContent") == f"Region {order[-1]}"
    browser.move_pointer(5, 5)
    assert browser.value("tropnet.highlighted()") is None
    assert browser.requests == [path.as_uri()]
    assert browser.problems == []


def test_every_point_is_found(page, browser):
    """The search in the grid gives the region of each of many random points."""
    regions = tn.enumerate_regions(SKIPPING, BOX, facets=True)
    browser.open(page(regions)[2])
    points = np.random.default_rng(0).uniform([-2, -1], [1, 3], size=(500, 2))
    found = browser.value(f"{points.tolist()}.map(p => tropnet.locate(...p))")
    assert (regions.patterns[found] == SKIPPING.activation_pattern(points)).all()
    assert browser.value("tropnet.locate(-2.5, 0)") is None


def test_layers_are_switched_on_one_after_the_other(page, browser):
    """Each step of the slider shows one layer more, and what is drawn changes."""
    regions = tn.enumerate_regions(NET, BOX, facets=True)
    browser.open(page(regions)[2])
    shots = []
    for step in range(3):
        browser.value(
            f"(s => Plotly.restyle('plot', ...s.args).then(() => 0))"
            f"(document.getElementById('plot').layout.sliders[0].steps[{step}])"
        )
        browser.wait()
        layers = "document.getElementById('plot')._fullData.filter(t => t.name && t.name.startsWith('layer'))"
        assert browser.value(f"{layers}.map(t => t.visible === true)") == [k < step for k in range(2)]
        shots.append(browser.value("document.getElementById('map').toDataURL()"))
    assert len(set(shots)) == 3


def test_twenty_thousand_regions(page, browser):
    """A page of 2 * 10**4 regions is drawn, and finds the regions of points."""
    regions = tn.enumerate_regions(tn.Network.random([2, 64, 64, 64, 1], seed=0), tn.Box(-20, 20), facets=True)
    assert len(regions) > 15_000
    text, _, path = page(regions, color="affine")
    assert len(text) < 12_000_000
    browser.requests.clear()
    browser.open(path)
    points = np.random.default_rng(0).uniform(-20, 20, size=(300, 2))
    found = browser.value(f"{points.tolist()}.map(p => tropnet.locate(...p))")
    assert (regions.patterns[found] == regions.network.activation_pattern(points)).all()
    assert browser.requests == [path.as_uri()]
    assert browser.problems == []


def test_the_picture_of_a_map(page, browser):
    """The button's PNG holds the colour of every region where it lies, black axes on white, three pixels to each."""
    regions = tn.enumerate_regions(NET, BOX, facets=True)
    browser.requests.clear()
    _, data, path = page(regions)
    browser.open(path)
    titles = "[...document.querySelectorAll('#plot .modebar-btn')].map(b => b.dataset.title)"
    assert browser.value(f"{titles}.filter(t => /PNG|png/.test(t))") == ["Download picture as PNG"]
    balls = regions.chebyshev_balls()
    large = np.flatnonzero(balls.radii > 0.03)
    width, places = browser.value(
        f"(at => [document.getElementById('plot').getBoundingClientRect().width,"
        f" {balls.centres[large].tolist()}.map(([x, y]) => [at.u(x), at.v(y)])])(tropnet.frame())"
    )
    content = base64.b64decode(browser.value("tropnet.picture()").removeprefix("data:image/png;base64,"))
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert picture.shape[1] == round(3 * width)
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert (picture[:, : round(3 * min(u for u, _ in places)) - 30].max(axis=2) < 128).any()
    colours = [[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in data["colours"]]
    expected = [colours[group] for group in unpacked(data["groups"])[large].tolist()]
    assert [picture[round(3 * v), round(3 * u)].tolist() for u, v in places] == expected
    assert browser.requests == [path.as_uri()]
    assert browser.problems == []


def test_polyhedra_in_a_browser(page, browser):
    """The polyhedra are drawn, one of them is under the pointer, and nothing is fetched."""
    regions = tn.enumerate_regions(SOLID, CUBE, facets=True)
    _, _, path = page(regions, color="gradient")
    browser.requests.clear()
    browser.open(path)
    browser.value(
        "void (window.hovered = new Promise(done => {"
        " document.getElementById('plot').on('plotly_hover', event => done(event.points[0].pointNumber));"
        " let left = 600; const frame = () => left-- ? requestAnimationFrame(frame) : done(null); frame(); }))"
    )
    browser.move_pointer(480, 380)
    corner = browser.value("window.hovered")
    owner = int(np.searchsorted(regions.vertices().offsets, corner, side="right")) - 1
    assert browser.value("tropnet.highlighted()") == owner
    assert browser.value("document.querySelector('#region h2').textContent") == f"Region {owner}"
    assert browser.requests == [path.as_uri()]
    assert browser.problems == []


@pytest.mark.parametrize("color", ["output", "area"])
def test_a_single_value_has_the_colour_that_its_scale_says(color, tmp_path):
    """It stands in the middle of the scale, which is marked."""
    net = tn.Network.mlp([[[0, 0]], [[0]]], [[-1], [3]])
    tn.write_page(tn.enumerate_regions(net, tn.Box(-1, 1)), tmp_path / "page.html", color=color)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    scale = json.loads(re.search(r'"colour_scale": (\{.*?\})', text)[1])
    value = 3 if color == "output" else np.log10(4)
    assert (scale["low"] + scale["high"]) / 2 == pytest.approx(value)
    assert color == "output" or scale["ticks"][0]
