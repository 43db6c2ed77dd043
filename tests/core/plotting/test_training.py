"""Pictures of a training show the tables of its tracker, and regions in colours that stay."""

import base64
import json
import re
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import tropnet as tn
from tests.core.tracking.test_tracker import BOX, moving, tracked
from tropnet.plotting.colours import FILLS, fills
from tropnet.polyhedral_complex.adjacency import find_edges


@pytest.fixture(scope="module")
def tracker():
    """Five steps, one of them the first again."""
    return tracked(moving(4, size=0.08))


def colours_by_pattern(tracker, step):
    """Return the drawn colour of each pattern of a step."""
    regions = tracker.regions(step)
    (collection,) = tracker.plot_map(step).collections
    assert len(collection.get_paths()) == len(regions)
    return dict(zip(map(tuple, regions.patterns.tolist()), map(tuple, collection.get_facecolor()), strict=True))


def test_counts_are_drawn():
    """A curve for each layer, and births and deaths from the second step on; incomplete steps are marked."""
    nets = moving(6)
    limit = int(np.median([tn.count_regions(net, BOX) for net in nets]))
    tracker = tracked(nets, max_regions=limit)
    ax = tracker.plot()
    curves = {line.get_label(): line.get_xydata().T for line in ax.lines}
    assert list(curves) == ["layer 1", "layers 1-2", "all layers", "born", "gone"]
    for number, name in enumerate(("layer 1", "layers 1-2", "all layers")):
        assert np.array_equal(curves[name], [tracker.steps, tracker.counts_by_layer[:, number]])
    for name, values in (("born", tracker.births), ("gone", tracker.deaths)):
        known = np.where((values >= 0) & (tracker.steps > 0), values, np.nan)
        assert np.array_equal(curves[name][1], known, equal_nan=True)
    (marks,) = ax.collections
    assert marks.get_offsets()[:, 0].tolist() == tracker.steps[~tracker.complete].tolist()
    assert tracker.plot(ax) is ax


def test_a_pattern_keeps_its_colour(tracker):
    """At all steps at which it is there; at the first step neighbours differ."""
    colours = [colours_by_pattern(tracker, step) for step in range(len(tracker))]
    seen = {}
    for step in colours:
        for pattern, colour in step.items():
            assert seen.setdefault(pattern, colour) == colour
    assert len(seen) < sum(map(len, colours))
    regions = tracker.regions(0)
    edges = find_edges(regions)
    drawn = list(colours[0].values())
    assert all(drawn[i] != drawn[j] for i, j in zip(edges.first, edges.second, strict=True))


def test_new_regions_differ_from_all_their_neighbours(tracker):
    """A colour is chosen when a pattern first appears."""
    known = set(tracker.numbers(0).tolist())
    regions = tracker.regions(1)
    new = ~np.isin(tracker.numbers_of(regions), list(known))
    drawn = list(colours_by_pattern(tracker, 1).values())
    edges = find_edges(regions)
    pairs = [(i, j) for i, j in zip(edges.first, edges.second, strict=True) if new[i] or new[j]]
    assert pairs
    assert all(drawn[i] != drawn[j] for i, j in pairs)


def test_the_view_is_given_or_the_domain(tracker):
    """And the title says which step it is."""
    ax = tracker.plot_map(-1)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2, 1), (-1, 3))
    assert ax.get_title() == f"step 4: {tracker.counts[-1]} activation regions"
    assert tracker.plot_map(0, view=tn.Box(-1, 0)).get_xlim() == (-1, 0)


def test_an_animation_has_a_picture_for_each_step(tracker, tmp_path):
    """All of one size, each different from the one before."""
    tracker.write_animation(tmp_path / "small.gif", dpi=40)
    with Image.open(tmp_path / "small.gif") as image:
        pictures = []
        for frame in range(image.n_frames):
            image.seek(frame)
            pictures.append(np.asarray(image.convert("RGB")))
            assert image.info["duration"] == 250
    assert len(pictures) == len(tracker)
    assert {picture.shape for picture in pictures} == {(200, 200, 3)}
    assert all((one != other).any() for one, other in pairwise(pictures))


def test_animations_that_cannot_be_written(tracker, tmp_path, monkeypatch):
    """One line says what is missing, before anything is drawn, and no file is left."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"writing \.mp4 needs the program ffmpeg, which was not found"):
        tracker.write_animation(tmp_path / "moving.mp4")
    with pytest.raises(ValueError, match=r"an animation must be a \.gif or \.mp4 file, got 'moving\.avi'"):
        tracker.write_animation("moving.avi")
    with pytest.raises(FileNotFoundError):
        tracker.write_animation(tmp_path / "nowhere" / "moving.gif", dpi=20)
    assert list(tmp_path.iterdir()) == []


def test_networks_of_three_inputs_have_no_map():
    """The message says what a map needs."""
    three = tracked(moving(2, (3, 3, 1)), tn.Box(-1, 1), keep_networks=True)
    with pytest.raises(tn.ShapeError, match="a map needs a network with 2 inputs, got 3"):
        three.plot_map(0)


def decoded(values):
    """Return an array as Plotly writes it."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    return np.array(values, dtype=np.float64)


def test_the_page_shows_every_step_and_fetches_nothing(tracker, tmp_path):
    """Its polygons are those of the maps, in the same colours; no script, style or picture is loaded from elsewhere."""
    tracker.write_slider(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    outside = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)\s*=", outside)
    assert not re.search(r"<script[^>]*\bsrc\b", page)
    frames = json.loads(re.search(r"Plotly\.addFrames\(\s*'[^']*',\s*(\[.*\])\s*\)", page).group(1))
    assert [frame["name"] for frame in frames] == [str(step) for step in tracker.steps]
    for step, frame in enumerate(frames):
        found = {}
        for trace in frame["data"][:-1]:
            x, y = decoded(trace["x"]), decoded(trace["y"])
            for part in np.split(np.stack([x, y], axis=1), np.flatnonzero(np.isnan(x)) + 1):
                corners = part[:-1] if len(part) and np.isnan(part[-1, 0]) else part
                if len(corners):
                    assert np.array_equal(corners[0], corners[-1])
                    found[frozenset(map(tuple, corners.round(4).tolist()))] = trace["fillcolor"]
        (collection,) = tracker.plot_map(step).collections
        palette = {tuple(fills(np.array([k]))[0]): FILLS[k] for k in range(len(FILLS))}
        expected = {
            frozenset(map(tuple, path.vertices.astype(np.float32).round(4).tolist())): palette[tuple(colour[:3])]
            for path, colour in zip(collection.get_paths(), collection.get_facecolor(), strict=True)
        }
        assert found == expected
        assert f"{tracker.counts[step]:,} activation regions" in frame["layout"]["annotations"][0]["text"]
        assert frame["data"][-1]["y"] == [tracker.counts[step]]


def test_the_slider_in_a_browser(tracker, tmp_path, browser):
    """Its steps show their maps, heading and mark, forwards, backwards and played; nothing is fetched."""
    tracker.write_slider(tmp_path / "page.html")
    browser.requests.clear()
    figure = "document.querySelector('.plotly-graph-div')"
    browser.open(
        tmp_path / "page.html",
        "new Promise(done => { const look = () =>"
        f" {figure}?._transitionData?._frames?.length ? done() : requestAnimationFrame(look); look(); }})",
    )
    frames = browser.value(f"{figure}._transitionData._frames.length")
    assert frames == len(tracker)
    seen = {}
    for step in (2, 1, 3, 2):
        browser.value(
            f"(s => Plotly.animate({figure}, ...s.args))({figure}.layout.sliders[0].steps[{step}]).then(() => 0)"
        )
        browser.wait()
        heading = browser.value("document.querySelector('.annotation-text').textContent")
        assert heading.startswith(f"step {tracker.steps[step]}: {tracker.counts[step]:,} activation regions")
        assert browser.value(f"[...{figure}._fullData].filter(t => t.mode === 'markers').map(t => t.y[0])") == [
            tracker.counts[step]
        ]
        drawn = browser.value("[...document.querySelectorAll('.js-fill')].map(p => p.getAttribute('d')).join()")
        assert drawn
        assert seen.setdefault(step, drawn) == drawn
    assert len(set(seen.values())) == 3
    browser.value(f"Plotly.animate({figure}, ...{figure}.layout.updatemenus[0].buttons[0].args).then(() => 0)")
    browser.wait()
    last = browser.value("document.querySelector('.annotation-text').textContent")
    assert last.startswith(f"step {tracker.steps[-1]}: ")
    assert browser.requests == [(tmp_path / "page.html").as_uri()]
    assert browser.problems == []


def test_missing_extras_are_named():
    """Counting needs none; each picture names its own, the callback PyTorch."""
    code = """
import sys
from itertools import pairwise
sys.modules.update(torch=None, matplotlib=None, plotly=None)
import tropnet as tn
tracker = tn.RegionTracker(tn.Box(-1, 1))
tracker.add(tn.Network.random([2, 3, 1], seed=0))
slider = lambda: tracker.write_slider("x.html")
for use in (tracker.plot, lambda: tracker.plot_map(0), slider, lambda: tracker.callback(1)):
    try:
        use()
    except tn.MissingExtraError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    for line, extra in zip(lines, ("plot", "plot", "interactive", "torch"), strict=True):
        assert f"needs the extra '{extra}'; install it with" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_second": 0}, "per_second must be a number from 0.01 to 100, got 0"),
        ({"per_second": float("nan")}, "per_second must be a number"),
        ({"dpi": -5}, "dpi must be a number"),
        ({"dpi": "fine"}, "dpi must be a number"),
        ({"view": (-1, 1)}, "the view must be a Box"),
    ],
)
def test_arguments_of_an_animation(options, message, tracker, tmp_path):
    """The error is the one about the argument, and no file is left."""
    with pytest.raises(ValueError, match=message):
        tracker.write_animation(tmp_path / "moving.gif", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_drawing_is_the_one_that_is_raised(tmp_path):
    """What goes wrong in the first picture is not hidden by a writer that has none."""
    far = tracked([tn.Network.random([2, 3, 1], seed=seed) for seed in range(2)], tn.Box(-1e200, 1e200))
    with pytest.raises(tn.DomainError, match="too far to draw"):
        far.write_animation(tmp_path / "moving.gif")
    assert list(tmp_path.iterdir()) == []


def test_axes_of_a_map_are_named(tracker):
    """A map of a step says which input is which, as every map does."""
    ax = tracker.plot_map(0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$x_1$", "$x_2$")


def test_the_page_tells_points_of_a_small_view_apart(tmp_path):
    """Far from 0 the corners keep the digits that distinguish them."""
    net = tn.Network.mlp([[[1, 0], [0, 1]], [[1, 1]]], [[-1, -1], [0]])
    small = tracked([net, net], tn.Box(1 - 1e-9, 1 + 1e-9))
    small.write_slider(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    traces = json.loads(re.search(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*\{\"template", text, re.DOTALL)[1])
    x = np.concatenate([decoded(trace["x"]) for trace in traces if trace.get("fill") == "toself"])
    assert np.unique(x[np.isfinite(x)]).tolist() == [1 - 1e-9, 1.0, 1 + 1e-9]


def test_a_slider_is_a_page(tracker):
    """A suffix that says something else is refused."""
    with pytest.raises(ValueError, match=r"a page must be a \.html or \.htm file, got 't\.png'"):
        tracker.write_slider("t.png")
