"""Bad input gets one error that says what is required, what came and where."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import tropnet as tn
from tests.damage import check_damaged
from tropnet import (
    Box,
    CachedPredictor,
    DomainError,
    FileFormatError,
    Layer,
    Network,
    NonFiniteError,
    Polytope,
    Regions,
    ShapeError,
    SkipError,
    Tolerances,
    TropnetError,
    archives,
    count_regions,
    enumerate_regions,
    find_linear_region,
    iter_regions,
)
from tropnet.archives import archive_bytes
from tropnet.enumeration import ENGINES
from tropnet.enumeration.engine import Ability
from tropnet.enumeration.engines import REGISTRY

NET = Network.random([2, 3, 2, 1], seed=0)
NAN, INF = np.nan, np.inf
SEARCHES: list[Callable[..., Any]] = [enumerate_regions, count_regions, iter_regions]


def chain(*widths: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return weights and biases of a network with these widths."""
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    return [np.ones(shape) for shape in shapes], [np.zeros(n) for n, _ in shapes]


def mlp(*widths: int, **changes: Any) -> Network:
    """Make a network; a change like ``w1=..., b0=...`` replaces the array of that index."""
    weights, biases = chain(*widths)
    options = {}
    for name, value in changes.items():
        if name[0] in "wb" and name[1:].isdigit():
            (weights if name[0] == "w" else biases)[int(name[1:])] = value
        else:
            options[name] = value
    return Network.mlp(weights, biases, **options)


# --- networks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w1": np.ones((4, 5))}, r"layer 2: weights\[1\] must have shape .* = \(4, 3\), got \(4, 5\)\.$"),
        ({"w1": np.ones((3, 4))}, r"layer 2: weights\[1\] must have shape .* = \(4, 3\), got \(3, 4\)\. .*transpose"),
        ({"w0": np.ones((2, 3))}, r"layer 1: weights\[0\] must have shape .* = \(3, 3\), got \(2, 3\)"),
        ({"b1": np.zeros(3)}, r"layer 2: weights\[1\] must have shape .* = \(3, 3\), got \(4, 3\)"),
        ({"b0": np.zeros((3, 1))}, r"layer 1: bias must have shape \(n_out,\).*got \(3, 1\)"),
        ({"b0": 0.0}, r"layer 1: bias must have shape \(n_out,\).*got \(\)"),
        ({"w0": np.ones(3)}, r"weights\[0\] must be a matrix \(n_out, n_in\), got shape \(3,\)"),
        ({"w2": np.ones((1, 4, 1))}, r"weights\[2\] must be a matrix \(n_out, n_in\), got shape \(1, 4, 1\)"),
        ({"w1": [["a"] * 3] * 4}, r"weights\[1\] must be an array of real numbers"),
        ({"w1": [[1.0], [1.0, 2.0]]}, r"weights\[1\] must be an array of real numbers"),
        ({"w1": np.full((4, 3), 1j)}, r"weights\[1\] must be an array of real numbers"),
        ({"slopes": [(0, 1)]}, r"slopes must be one pair .* per hidden layer \(2\), got 1"),
        (
            {"slopes": [np.ones((3, 2)), np.ones((3, 2))]},
            r"layer 2: slopes must be a pair .* shape \(4, 2\), got \(3, 2\)",
        ),
    ],
)
def test_shapes_that_do_not_chain(changes: dict[str, Any], message: str) -> None:
    """A shape that does not fit is named with its layer, what it must be, what it is, and the transpose if it is."""
    with pytest.raises(ShapeError, match=message):
        mlp(2, 3, 4, 1, **changes)


def test_a_shape_that_fits_only_by_accident_is_not_called_a_transpose() -> None:
    """The hint about the transpose comes only where the transpose would fit."""
    with pytest.raises(ShapeError, match="got") as caught:
        mlp(2, 3, 4, 1, w1=np.ones((4, 5)))
    assert "transpose" not in str(caught.value)


def test_weights_and_biases_pair_up() -> None:
    """Lists of different lengths, or empty ones, are refused."""
    with pytest.raises(ShapeError, match="weights and biases must pair up, got 2 weights and 1 biases"):
        Network.mlp([np.eye(1)] * 2, [np.zeros(1)])
    with pytest.raises(ShapeError, match="weights must hold at least the output layer, got none"):
        Network.mlp([], [])
    with pytest.raises(ShapeError, match="layers must hold at least the output layer, got none"):
        Network([])


def test_sources_that_do_not_exist() -> None:
    """A layer reads earlier layers, and at least one; some layer reads the input, or n_inputs is given."""
    one = Layer({0: np.eye(1)}, np.zeros(1))
    with pytest.raises(ShapeError, match=r"layer 2: weights\[2\]: a layer reads sources 0 to 1, got 2"):
        Network([one, Layer({2: np.eye(1)}, np.zeros(1))])
    with pytest.raises(ShapeError, match=r"layer 2: weights\[-1\]: a layer reads sources 0 to 1, got -1"):
        Network([one, Layer({-1: np.eye(1)}, np.zeros(1))])
    with pytest.raises(ShapeError, match="layer 2 must read at least one source, got none"):
        Network([one, Layer({}, np.zeros(1))])
    with pytest.raises(ShapeError, match=r"no layer reads the input \(source 0\); pass n_inputs"):
        Network([Layer({1: np.eye(1)}, np.zeros(1))])
    with pytest.raises(ShapeError, match=r"layer 1: weights\[0\] must have shape .* = \(1, 3\), got \(1, 1\)"):
        Network([one], n_inputs=3)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_weights_that_are_not_finite(bad: float, layer: int) -> None:
    """NaN and infinity in a weight or bias are refused with their place and number."""
    weights, biases = chain(2, 3, 4, 1)
    weights[layer][0, 1] = bad
    with pytest.raises(
        NonFiniteError, match=rf"weights\[{layer}\] must be finite, got {bad} at weights\[{layer}\]\[0\]\[1\]"
    ):
        Network.mlp(weights, biases)
    weights, biases = chain(2, 3, 4, 1)
    biases[layer][-1] = bad
    place = len(biases[layer]) - 1
    with pytest.raises(
        NonFiniteError, match=rf"layer {layer + 1}: bias must be finite, got {bad} at .*\[{place}\] \(1 such"
    ):
        Network.mlp(weights, biases)


def test_several_values_that_are_not_finite_are_counted() -> None:
    """The message names the first bad entry and says how many there are; slopes are checked too."""
    with pytest.raises(NonFiniteError, match=r"at weights\[0\]\[1\]\[0\] \(2 such entries\)"):
        mlp(1, 3, 1, w0=[[0.0], [NAN], [INF]])
    with pytest.raises(NonFiniteError, match=r"layer 1: slopes must be finite, got nan"):
        mlp(1, 3, 1, slopes=(NAN, 1))


@pytest.mark.parametrize(
    ("skip", "message"),
    [
        ((1, 2), r"needs 0 <= k < l - 1 and l <= 4 \(the output layer\), got \(1, 2\)"),
        ((2, 2), r"needs 0 <= k < l - 1.*got \(2, 2\)"),
        ((3, 1), r"needs 0 <= k < l - 1.*got \(3, 1\)"),
        ((0, 1), r"needs 0 <= k < l - 1.*got \(0, 1\)"),
        ((-1, 3), r"needs 0 <= k < l - 1.*got \(-1, 3\)"),
        ((1, 5), r"l <= 4 \(the output layer\), got \(1, 5\)"),
        ((0, 2), r"\(0, 2\) adds the output of layer 0 \(width 2\) to the input of layer 2 \(width 3\).*must be equal"),
        ((2, 4), r"\(2, 4\) adds the output of layer 2 \(width 4\) to the input of layer 4 \(width 3\).*must be equal"),
    ],
)
def test_skips_that_do_not_exist(skip: tuple[int, int], message: str) -> None:
    """A skip that breaks 0 <= k < l - 1 <= L or joins unequal widths is refused by its pair."""
    with pytest.raises(SkipError, match=message):
        mlp(2, 3, 4, 3, 1, skips=[skip])
    with pytest.raises(SkipError, match=message):
        Network.random([2, 3, 4, 3, 1], skips=[skip], seed=0)


def test_a_skip_given_twice() -> None:
    """The same skip twice would be added twice or once: it is refused."""
    with pytest.raises(SkipError, match=r"the skip \(1, 3\) is given twice"):
        mlp(2, 3, 3, 3, 1, skips=[(1, 3), (2, 4), (1, 3)])


@pytest.mark.parametrize("skip", [(1.9, 3), (1, 3.2), (1,), (1, 2, 3), None])
def test_a_skip_that_is_no_pair_of_integers(skip: object) -> None:
    """A skip is a pair of integers; nothing is rounded to one."""
    with pytest.raises((SkipError, TypeError, ValueError), match="skip"):
        mlp(2, 3, 3, 3, 1, skips=[skip])


@pytest.mark.parametrize("widths", [[2], [], [2, 0, 1], [2, -3, 1], [0, 1]])
def test_widths_of_a_random_network(widths: list[int]) -> None:
    """A random network needs at least two positive widths."""
    with pytest.raises(ShapeError, match=r"widths must be at least two positive numbers .*got \["):
        Network.random(widths, seed=0)


def test_an_unknown_initialisation() -> None:
    """An unknown init is refused with the known ones."""
    with pytest.raises(ValueError, match=r"init must be one of torch, kaiming_uniform, .*, got 'he'"):
        Network.random([2, 2], init="he")


# --- points and patterns


@pytest.mark.parametrize("x", [1.0, [1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]], [[[1.0, 2.0]]], []])
def test_points_of_the_wrong_shape(x: object) -> None:
    """Every call that takes points names the shapes it takes and the one it got."""
    region = enumerate_regions(NET)[0]
    shape = str(np.shape(x)).replace("(", r"\(").replace(")", r"\)")
    calls = [NET, NET.activation_pattern, NET.pre_activations, CachedPredictor(NET), region.contains]
    for call in calls:
        with pytest.raises(ShapeError, match=rf"x must have shape \(2,\) or \(n, 2\), got {shape}"):
            call(x)
    with pytest.raises(ShapeError, match=r"x must have shape \(2,\) or \(n, 2\), got"):
        region.affine(x)


@pytest.mark.parametrize("length", [0, 1, 4, 6])
def test_patterns_of_the_wrong_length(length: int) -> None:
    """A pattern of another length is refused with the number of neurons and the widths."""
    calls = [NET.as_pattern, NET.affine_map, NET.integer_maps, lambda pattern: find_linear_region(NET, pattern)]
    for call in calls:
        with pytest.raises(
            ShapeError, match=rf"5 entries, or one array per hidden layer of lengths \[3, 2\]; got .*\({length},\)"
        ):
            call([True] * length)
    with pytest.raises(ShapeError, match=rf"pattern must end in 5 neurons, got shape \({length},\)"):
        NET.split_pattern([True] * length)


@pytest.mark.parametrize(
    "pattern",
    [
        [[True, True], [True, True, True]],
        [[True] * 3],
        [[True] * 3, [True] * 2, [True]],
        np.ones((2, 5)),
        np.ones((1, 5)),
        True,
    ],
    ids=["swapped", "a layer short", "a layer long", "two patterns", "a row", "a bit"],
)
def test_patterns_of_the_wrong_shape(pattern: object) -> None:
    """A pattern split by other layers, or two patterns at once, are refused with the widths."""
    with pytest.raises(ShapeError, match=r"one array per hidden layer of lengths \[3, 2\]; got shape"):
        find_linear_region(NET, pattern)


@pytest.mark.parametrize("bad", [-1, 2, 0.5, NAN, "1", None])
def test_patterns_with_other_entries(bad: object) -> None:
    """Only bools, 0 and 1 are bits: -1 and +1 change their meaning within the paper."""
    with pytest.raises(ValueError, match=r"pattern must hold bools \(or 0 and 1\), True meaning active"):
        find_linear_region(NET, [1, bad, 1, 1, 1])
    with pytest.raises(ValueError, match=r"pattern must hold bools"):
        find_linear_region(NET, [[1, bad, 1], [1, 1]])


# --- domains


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (
            2,
            1,
            r"low <= high, finite where they are equal, in every coordinate, got \[2.0, 1.0\] in coordinate 0: it is",
        ),
        ([0, 3], [1, 2], r"got \[3.0, 2.0\] in coordinate 1"),
        (NAN, 1, r"low of a box must be numbers, got NaN in nan"),
        (0, [1, NAN], r"high of a box must be numbers, got NaN in \[1.0, nan\]"),
        (INF, INF, r"got \[inf, inf\] in coordinate 0"),
        (-INF, -INF, r"got \[-inf, -inf\] in coordinate 0"),
    ],
)
def test_boxes_that_are_empty(low: object, high: object, message: str) -> None:
    """A box without points is refused with its coordinate."""
    with pytest.raises(DomainError, match=message):
        Box(low, high)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ([0, 0], [1, 1, 1], r"low and high must have the same length, got \(2,\) and \(3,\)"),
        ([[0, 0]], 1, r"numbers or have shape \(d,\), got \(1, 2\) and \(\)"),
    ],
)
def test_boxes_of_the_wrong_shape(low: object, high: object, message: str) -> None:
    """Sides of different lengths, or matrices, make no box."""
    with pytest.raises(ShapeError, match=message):
        Box(low, high)


@pytest.mark.parametrize(
    ("A", "b", "message"),
    [
        (np.ones((2, 4)), np.ones(4), r"\(m, d\) and \(m,\), got \(2, 4\) and \(4,\)\..*did you pass the transpose"),
        (np.ones((3, 2)), np.ones(4), r"\(m, d\) and \(m,\), got \(3, 2\) and \(4,\)"),
        (np.ones(3), np.ones(3), r"\(m, d\) and \(m,\), got \(3,\) and \(3,\)"),
        (np.ones((3, 2)), np.ones((3, 1)), r"\(m, d\) and \(m,\), got \(3, 2\) and \(3, 1\)"),
        (np.ones((3, 2)), 1.0, r"\(m, d\) and \(m,\), got \(3, 2\) and \(\)"),
    ],
)
def test_polytopes_of_the_wrong_shape(A: object, b: object, message: str) -> None:
    """Rows and right-hand sides that do not pair up are refused, with the transpose if it is that."""
    with pytest.raises(ShapeError, match=message):
        Polytope(A, b)


@pytest.mark.parametrize(
    ("A", "b", "message"),
    [
        ([[NAN, 1]], [1], "A and b must be finite"),
        ([[1, INF]], [1], "A and b must be finite"),
        ([[1, 1]], [NAN], "A and b must be finite"),
        ([[1, 1]], [-INF], "A and b must be finite"),
        ([[1, 1], [0, 0]], [1, -1], r"row 1 reads 0 <= -1.0: the domain is empty"),
    ],
)
def test_polytopes_that_are_none(A: object, b: object, message: str) -> None:
    """NaN, infinity, and rows that nothing satisfies are refused."""
    with pytest.raises(DomainError, match=message):
        Polytope(A, b)


EMPTY = {
    "empty": Polytope([[1, 0], [-1, 0]], [1, -2]),
    "empty by a hair": Polytope([[1, 0], [-1, 0]], [1, -1 - 2**-52]),
    "empty at infinity": Polytope([[1e-300, 0], [-1e300, 0]], [-1e300, -1e-300]),
}


@pytest.mark.parametrize("case", EMPTY)
@pytest.mark.parametrize("backend", ["highs", "cvxpy", "exact"])
def test_polytopes_that_are_empty(case: str, backend: str) -> None:
    """A polytope without points is refused where it is used, with rows that contradict each other."""
    message = r"the domain is empty: rows \[0, 1.*\] of Polytope.* contradict each other"
    for engine in ("lp", "reference"):
        with pytest.raises(DomainError, match=message):
            enumerate_regions(NET, EMPTY[case], backend=backend, engine=engine)
    with pytest.raises(DomainError, match=message):
        find_linear_region(NET, [True] * 5, EMPTY[case], backend=backend)
    with pytest.raises(DomainError, match=message):
        count_regions(NET, EMPTY[case], backend=backend)
    with pytest.raises(DomainError, match=message):
        list(iter_regions(NET, EMPTY[case], backend=backend))


CALLS_ON_A_DOMAIN: dict[str, Callable[[Network, tn.Domain], Any]] = {
    **{
        f"engine {engine}": lambda net, domain, engine=engine: enumerate_regions(net, domain, engine=engine)
        for engine in ENGINES
    },
    "count_regions": count_regions,
    "two workers": lambda net, domain: count_regions(net, domain, workers=2),
    "iter_regions": lambda net, domain: list(iter_regions(net, domain)),
    "estimate_regions": tn.estimate_regions,
    "find_linear_region": lambda net, domain: find_linear_region(net, [True] * net.n_neurons, domain),
    "regions_near": lambda net, domain: tn.regions_near(net, np.zeros(net.n_inputs), domain),
    "FlipDistance": lambda net, domain: tn.FlipDistance(net, np.zeros((1, net.n_inputs)), domain),
    "count_linear_regions": tn.count_linear_regions,
    "compile_regions": tn.compile_regions,
    "lipschitz_constant": tn.lipschitz_constant,
    "distance_to_boundary": lambda net, domain: tn.distance_to_boundary(net, np.zeros(net.n_inputs), domain),
    "same_function": lambda net, domain: tn.same_function(net, net, domain),
    **{
        f"{find.__name__} by {method}": lambda net, domain, find=find, method=method: find(net, domain, method=method)
        for find in (tn.maximum, tn.minimum)
        for method in ("auto", "enumerate", "branch")
    },
}


@pytest.mark.parametrize("call", CALLS_ON_A_DOMAIN)
@pytest.mark.parametrize("n_inputs", [1, 2, 3, 6])
def test_every_call_names_the_empty_domain_that_was_given(call: str, n_inputs: int) -> None:
    """One error for all calls, engines and numbers of inputs, and it shows the polytope that the user passed.

    Inputs that the network does not read, which engines leave out, are among them.
    """
    rng = np.random.default_rng(n_inputs)
    weights = rng.normal(size=(3, n_inputs))
    weights[:, n_inputs // 2 + 1 :] = 0
    net = Network.mlp([weights, rng.normal(size=(1, 3))], [rng.normal(size=3), [0.0]])
    first, last = np.eye(n_inputs)[0], np.eye(n_inputs)[-1]
    slab = Polytope([first, -first], [0, -1])
    hair = Polytope([last, -last, *np.eye(n_inputs), *-np.eye(n_inputs)], [1, -1 - 2**-52, *[1] * (2 * n_inputs)])
    for domain in (slab, hair):
        with pytest.raises(DomainError, match=re.escape(f"of {domain} contradict each other")):
            CALLS_ON_A_DOMAIN[call](net, domain)


@pytest.mark.parametrize("domain", [Box([0, 0, 0], 1), Box([0], [1]), Polytope([[1.0]], [1]), tn.WholeSpace(3)])
def test_domains_of_the_wrong_dimension(domain: tn.Domain) -> None:
    """A domain of another dimension is refused with both dimensions."""
    for search in SEARCHES:
        with pytest.raises(DomainError, match=r"must have the network's input dimension 2, got [13]"):
            search(NET, domain)
    with pytest.raises(DomainError, match=r"must have the network's input dimension 2, got [13]"):
        find_linear_region(NET, [True] * 5, domain)


@pytest.mark.parametrize("domain", [(-1, 1), [[-1, 1]], np.ones((2, 2)), "box", 1.0, Box])
def test_domains_of_the_wrong_type(domain: object) -> None:
    """What is no domain is refused with its type and the right ones."""
    for search in SEARCHES:
        with pytest.raises(DomainError, match=r"None \(all of R\^d\), Box\(low, high\) or Polytope\(A, b\), got \w+"):
            search(NET, domain)
    with pytest.raises(DomainError, match=r"domain must be None"):
        find_linear_region(NET, [True] * 5, domain)


# --- options


@pytest.mark.parametrize("search", SEARCHES)
def test_unknown_options(search: Callable[..., Any]) -> None:
    """An unknown engine or backend, or a limit below 1, is refused at once with what is known."""
    with pytest.raises(
        ValueError,
        match=r"engine must be one of auto, polygon, vertex, simplex, lp, reference or an Engine, got 'fast'",
    ):
        search(NET, engine="fast")
    with pytest.raises(ValueError, match=r"backend must be one of highs, cvxpy, exact, got 'glpk'"):
        search(NET, backend="glpk")
    for limit in (0, -1):
        with pytest.raises(ValueError, match=rf"max_regions must be an integer of at least 1 \(or None\), got {limit}"):
            search(NET, max_regions=limit)


COUNTS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "max_regions of enumerate_regions": (lambda n: enumerate_regions(NET, max_regions=n), 1),
    "max_regions of count_regions": (lambda n: tn.count_regions(NET, max_regions=n), 1),
    "max_regions of compile_regions": (lambda n: tn.compile_regions(NET, Box(-1, 1), max_regions=n), 1),
    "max_regions of regions_near": (lambda n: tn.regions_near(NET, [0.0, 0.0], max_regions=n), 1),
    "max_flips of regions_near": (lambda n: tn.regions_near(NET, [0.0, 0.0], max_flips=n), 0),
    "max_regions of FlipDistance": (lambda n: tn.FlipDistance(NET, [[0.0, 0.0]], max_regions=n), 1),
    "n_segments of FlipDistance": (lambda n: tn.FlipDistance(NET, [[0.0, 0.0]], n_segments=n), 0),
    "workers of enumerate_regions": (lambda n: enumerate_regions(NET, workers=n), 1),
    "width of estimate_regions": (lambda n: tn.estimate_regions(NET, width=n), 1),
    "n_probes of estimate_regions": (lambda n: tn.estimate_regions(NET, n_probes=n), 2),
    "seed of estimate_regions": (lambda n: tn.estimate_regions(NET, seed=n), 0),
    "max_size of CachedPredictor": (lambda n: tn.CachedPredictor(NET, max_size=n), 1),
    "n_samples of volume_estimates": (lambda n: enumerate_regions(NET).volume_estimates(n), 2),
    "n_bins of volume_distribution": (lambda n: tn.statistics(REGIONS, volumes=[1.0] * 3).volume_distribution(n), 1),
    "exact_pivots of Tolerances": (lambda n: Tolerances(exact_pivots=n), 0),
}
REGIONS = enumerate_regions(Network.random([1, 2, 1], seed=0), Box(-9, 9))


@pytest.mark.parametrize("case", COUNTS)
def test_counts_are_integers(case: str) -> None:
    """Every count is an integer, NumPy's too: bools, floats, strings and smaller numbers are refused by name."""
    call, least = COUNTS[case]
    name = case.split()[0]
    for wrong in (True, False, np.True_, 2.0, "3", least - 1):
        with pytest.raises(ValueError, match=rf"^{name} must be an integer of at least {least}.*, got"):
            call(wrong)
    call(np.int64(least + 40))


def test_the_reference_engine_does_not_estimate() -> None:
    """It takes no random probes, and says which engines do; it returned 0, "exact"."""
    able = [name for name, engine in REGISTRY.items() if Ability.SAMPLING in engine.abilities]
    with pytest.raises(
        ValueError, match=rf"'reference' cannot sample its tree\. These can: {', '.join(map(repr, able))}"
    ):
        tn.estimate_regions(NET, engine="reference")
    for engine in ("auto", *able):
        assert tn.estimate_regions(NET, Box(-1, 1), engine=engine).n_regions > 0


def test_other_unknown_options() -> None:
    """`on_undecided`, the backend of Algorithm 1 and tolerances out of range are refused."""
    with pytest.raises(ValueError, match="on_undecided must be 'raise' or 'collect', got 'ignore'"):
        enumerate_regions(NET, on_undecided="ignore")
    with pytest.raises(ValueError, match="backend must be one of highs, cvxpy, exact, got 'glpk'"):
        find_linear_region(NET, [True] * 5, backend="glpk")
    for slack in (-0.1, 1.0, NAN):
        with pytest.raises(ValueError, match=rf"slack must lie in \[0, 1\), got {slack}"):
            Tolerances(slack=slack)
    with pytest.raises(ValueError, match="exact_pivots must be an integer of at least 0, got -1"):
        Tolerances(exact_pivots=-1)


# --- files


def npz(**arrays: Any) -> bytes:
    """Return an archive of arrays, pickled ones too."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


class Bomb:
    """Unpickling this would be a breach."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (pytest.fail, ("a pickle was executed",))


def torch_like() -> bytes:
    """Return a zip archive that holds no arrays, as torch.save writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    return buffer.getvalue()


def single_array() -> bytes:
    """Return the bytes of a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


MARKS = {"tropnet_kind": np.array("network"), "tropnet_version": np.array(1)}
FOREIGN = {
    "empty": (b"", "truncated or damaged|not a tropnet network"),
    "text": (b"weights: 1, 2, 3\n", "not a tropnet network.*pickle"),
    "pickle": (pickle.dumps(Bomb()), "not a tropnet network.*pickle"),
    "zip of a pickle": (torch_like(), "must hold a tropnet network, but it holds something else"),
    "pickled array": (npz(**MARKS, n_layers=np.array([Bomb()], dtype=object)), "pickle"),
    "pickled mark": (npz(tropnet_kind=np.array([Bomb()], dtype=object)), "pickle"),
    "a single array": (single_array(), "single array, not a tropnet network"),
    "other arrays": (npz(a=np.ones(3)), "must hold a tropnet network, but it holds something else"),
    "another kind": (
        archive_bytes("regions", 1, {}),
        "must hold a tropnet network, but it holds regions, which tropnet.Regions.from_npz reads",
    ),
    "a later version": (
        archive_bytes("network", 99, {}),
        r"format version 99 \(network\), this tropnet reads up to 1; update",
    ),
    "version 0": (archive_bytes("network", 0, {}), "format version is 0"),
    "no layers": (archive_bytes("network", 1, {}), "damaged tropnet network"),
    "a layer short": (
        archive_bytes("network", 1, {"n_layers": np.array(1), "n_inputs": np.array(1)}),
        "damaged tropnet network",
    ),
    "shapes that do not chain": (
        archive_bytes(
            "network",
            1,
            {
                "n_layers": np.array(1),
                "n_inputs": np.array(2),
                "bias_1": np.zeros(1),
                "slopes_1": np.ones((1, 2)),
                "weight_1_0": np.ones((1, 3)),
            },
        ),
        r"damaged tropnet network: layer 1: weights\[0\] must have shape",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_files_that_are_no_network(case: str, tmp_path: Path) -> None:
    """What tropnet did not write is refused by what it is, and no pickle is ever opened."""
    content, message = FOREIGN[case]
    path = tmp_path / "net.npz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        tn.load(path)
    with pytest.raises(FileFormatError, match=message):
        Network.load(content)


def test_truncated_networks(tmp_path: Path) -> None:
    """Every proper beginning of a network file is refused by name."""
    path = tmp_path / "net.npz"
    NET.save(path)
    data = path.read_bytes()
    for size in {*range(0, len(data), 61), len(data) - 1}:
        path.write_bytes(data[:size])
        with pytest.raises(FileFormatError, match=r"net\.npz"):
            tn.load(path)


def test_damaged_networks(tmp_path: Path) -> None:
    """A changed bit is refused by name, except where nothing is stored; nothing but FileFormatError is raised."""
    path = tmp_path / "net.npz"
    NET.save(path)

    def check(again: Network) -> None:
        assert again.fingerprint == NET.fingerprint

    check_damaged(path, tn.load, check, range(0, path.stat().st_size, 3))


def test_a_seal_taken_for_a_comment(tmp_path: Path) -> None:
    """A bit that hides the last entries of the archive, the seal among them, made another network of the file."""
    path = tmp_path / "net.npz"
    NET.save(path)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        (seal,) = (name for name in archive.namelist() if name.startswith("digest"))
        before = archive.namelist()[-2]
        assert archive.namelist()[-1] == seal
    entry = data.rindex(b"PK\1\2", 0, data.rindex(b"PK\1\2"))
    assert data[entry + 46 :].startswith(before.encode())
    hidden = len(data) - 22 - data.rindex(b"PK\1\2")
    # The length of the entry's comment: all that follows.
    path.write_bytes(data[: entry + 32] + hidden.to_bytes(2, "little") + data[entry + 34 :])
    with pytest.raises(FileFormatError, match=r"net\.npz' is truncated or damaged \(entries are missing\)"):
        tn.load(path)


SPARSE_SKIP = Network(
    [Layer({0: sparse.csr_array(np.eye(3))}, np.zeros(3)), Layer({0: np.ones((1, 3)), 1: np.ones((1, 3))}, np.ones(1))]
)


@pytest.mark.parametrize("net", [NET, SPARSE_SKIP], ids=["dense", "sparse"])
def test_edited_networks(net: Network, tmp_path: Path) -> None:
    """Whatever array of a saved network is changed, added or left out by hand, the file is refused."""
    path = tmp_path / "net.npz"
    net.save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name, array in arrays.items():
        if name.startswith("tropnet_"):
            continue
        edited = np.array("0" * 64) if name == "digest" else array + 1
        for changed in ({**arrays, name: edited}, {k: v for k, v in arrays.items() if k != name}):
            path.write_bytes(npz(**changed))
            if set(changed) == set(arrays) - {"digest"}:
                # Only the seal is gone: a file as older versions wrote it.
                assert tn.load(path).fingerprint == net.fingerprint
                continue
            with pytest.raises(FileFormatError, match="damaged tropnet network"):
                tn.load(path)
    path.write_bytes(npz(**arrays, weight_9_0=np.ones((1, 1))))
    with pytest.raises(FileFormatError, match="do not match their checksum; it was edited"):
        tn.load(path)


def test_networks_of_plain_arrays(tmp_path: Path) -> None:
    """Arrays under the documented names are a network without a seal, as long as they all belong to it."""
    arrays = {
        "n_inputs": np.array(1),
        "n_layers": np.array(2),
        "weight_1_0": np.array([[2.0]]),
        "bias_1": np.array([1.0]),
        "slopes_1": np.array([[0.0, 1.0]]),
        "weight_2_1": np.array([[3.0]]),
        "shared_2_0": np.array(1),
        "bias_2": np.array([0.5]),
        "slopes_2": np.array([[1.0, 1.0]]),
    }
    path = tmp_path / "net.npz"
    path.write_bytes(npz(**MARKS, **arrays))
    assert tn.load(path)([1.0]).tolist() == [12.5]
    path.write_bytes(npz(**MARKS, **arrays, weights_3=np.ones((1, 1))))
    with pytest.raises(FileFormatError, match="it holds arrays of no layer: weights_3"):
        tn.load(path)


@pytest.mark.parametrize("name", ["model.pt", "MODEL.PT", "model.pth"])
def test_files_of_other_programs(name: str, tmp_path: Path) -> None:
    """Formats of other programs are refused by name, with the way to convert them, whether the file exists or not."""
    for path in (tmp_path / name, str(tmp_path / name)):
        with pytest.raises(FileFormatError, match=rf"{name}' is not a tropnet network .*from_torch"):
            tn.load(path)


def test_files_that_are_missing(tmp_path: Path) -> None:
    """A missing file is a FileNotFoundError with its name, as Python's own."""
    for read in (tn.load, Network.load, Regions.from_parquet, Regions.from_npz):
        with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
            read(tmp_path / "nowhere.npz")


def test_every_error_is_a_tropnet_error_and_a_builtin() -> None:
    """Each error can be caught as TropnetError or as the built-in error a caller expects."""
    assert issubclass(TropnetError, Exception)
    builtin = {
        ShapeError: ValueError,
        NonFiniteError: ValueError,
        SkipError: ValueError,
        DomainError: ValueError,
        FileFormatError: ValueError,
        tn.UnsupportedModuleError: TypeError,
        tn.MissingExtraError: ImportError,
        tn.UndecidedError: ArithmeticError,
    }
    for error, base in builtin.items():
        assert issubclass(error, TropnetError)
        assert issubclass(error, base)
    assert not issubclass(tn.EnumerationInterrupted, Exception)


@pytest.mark.parametrize("reader", archives._READ_BY.values())
def test_what_is_said_to_read_a_file_exists(reader):
    """An archive of another kind is named with a public call."""
    found = tn
    for name in reader.split(".")[1:]:
        found = getattr(found, name)
    assert callable(found)
