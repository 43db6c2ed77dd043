"""The C file of a compiled predictor, compiled: it answers as predictor and network do, wherever a point lies."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from scipy import sparse

import tropnet as tn
from tests.predictions import exact_values, hard_points
from tests.strategies import FloatArray
from tropnet.prediction.descent import DONE, OUTSIDE, descend

BOX = tn.Box(-2.0, 2.0)
TIES = tn.Network.mlp(
    # Hyperplanes through one point, twice the same one, its negative, a multiple, and neurons that never fire.
    [
        [[1, 0], [0, 1], [1, 1], [1, -1], [1, 1], [-1, -1], [2, 2], [0, 0], [1, 1]],
        [[1, -1, 1, 0, 2, 1, 0, 1, 1], [0, 1, -1, 1, 0, 0, 1, 0, -2]],
        [[1, 1]],
    ],
    [[0, 0, 0, 0, 0, 0, 0, -1, -9], [0, 0], [0]],
)
SPARSE = tn.Network(
    [
        tn.Layer({0: sparse.csr_array(np.eye(3, 2))}, np.array([0.0, 0.5, -1.0])),
        tn.Layer({1: sparse.csr_array(np.eye(2, 3)), 0: np.array([[0.5, 0.0], [-1.0, 3.0]])}, np.zeros(2), (-1.0, 1.0)),
        tn.Layer({2: np.array([[1.0, 2.0]]), 1: np.ones((1, 3))}, np.array([0.25])),
    ]
)
CASES: dict[str, tuple[tn.Network, tn.Domain | None, str]] = {
    "line": (tn.Network.random([1, 20, 1], seed=0), tn.Box(-5, 5), "raise"),
    "plane": (tn.Network.random([2, 12, 12, 3], seed=0), tn.Box(-5, [5.0, 7.0]), "raise"),
    "skips": (tn.Network.random([2, 8, 8, 8, 1], [(1, 3)], seed=1), BOX, "network"),
    "leaky": (tn.Network.random([2, 12, 1], slopes=(0.1, 1.0), seed=2), BOX, "raise"),
    "all_of_the_plane": (tn.Network.random([2, 8, 8, 1], seed=3), None, "raise"),
    "triangle": (
        tn.Network.random([2, 8, 8, 1], seed=3),
        tn.Polytope([[-1, 0], [0, -1], [1, 0.7]], [2, 2, 1]),
        "raise",
    ),
    "space": (tn.Network.random([3, 8, 4, 2], seed=4), BOX, "raise"),
    "four_inputs": (tn.Network.random([4, 6, 4, 1], seed=6), tn.Box(-1, np.inf), "raise"),
    "ties": (TIES, BOX, "raise"),
    "sparse": (SPARSE, BOX, "raise"),
    "fixed_input": (tn.Network.random([3, 8, 2], seed=7), tn.Box([-2.0, 0.5, -2.0], [2.0, 0.5, 2.0]), "raise"),
    "affine": (tn.Network.mlp([np.ones((1, 2))], [np.ones(1)]), BOX, "raise"),
    "overflows": (tn.Network.mlp([[[8.0]], [[8.0]]], [[0.0], [0.0]]), None, "raise"),
}


class Case(NamedTuple):
    """A predictor, and where it is asked."""

    predictor: tn.CompiledPredictor
    points: FloatArray


@pytest.fixture(scope="module")
def cases() -> Mapping[str, Case]:
    found = {}
    for name, (net, domain, outside) in CASES.items():
        regions = tn.enumerate_regions(net, domain)
        found[name] = Case(tn.CompiledPredictor.from_regions(regions, outside=outside), points_for(regions))
    return found


def points_for(regions: tn.Regions) -> FloatArray:
    """Return points all over, at vertices, on facets and sides, a rounding away from these, outside, and none."""
    rng, d = np.random.default_rng(0), regions.network.n_inputs
    low, high = np.full(d, -2.0), np.full(d, 2.0)
    if isinstance(regions.domain, tn.Box):
        low, high = np.clip(regions.domain.low, -9, 9), np.clip(regions.domain.high, -9, 9)
    corners = np.where(rng.random((200, d)) < 0.5, low, high)
    sides = np.where(rng.random((500, d)) < 0.5, rng.uniform(low, high, (500, d)), corners[rng.integers(200, size=500)])
    nowhere = np.full((3, d), 0.5)
    nowhere[:, 0] = [np.nan, np.inf, -np.inf]
    parts = [
        rng.uniform(low, high, (4_000, d)),
        rng.uniform(-8, 8, (2_000, d)) * 10.0 ** rng.integers(-3, 2, (2_000, 1)),
        rng.integers(-16, 17, (1_000, d)) / 8,  # on many hyperplanes of networks of small integers
        hard_points(regions, rng, 3_000),
        *(np.concatenate([side, np.nextafter(side, 99), np.nextafter(side, -99)]) for side in (corners, sides)),
        np.full((1, d), 1e200),
        nowhere,
    ]
    return np.concatenate(parts)


def compile_c(*arguments: str, folder: Path, language: str = "c") -> subprocess.CompletedProcess[str]:
    """Run the compiler that the environment names, strictly; on a machine without any, this fails."""
    variable, default, standard = {"c": ("CC", "cc", "c99"), "c++": ("CXX", "c++", "c++17")}[language]
    command = os.environ.get(variable, default).split()
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
    return subprocess.run(
        [*command, f"-std={standard}", *strict, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def library(cases: Mapping[str, Case], tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """All files in one library, with a loop over points for each, which knows them by their declarations alone."""
    folder, loops = tmp_path_factory.mktemp("c"), []
    for name, case in cases.items():
        tn.export_c(case.predictor, folder / f"{name}.c", name=name)
        head = f"void {name}_many(int n, const double *x, double *y, int *codes)"
        loops.append(f"""
            #define {name.upper()}_DECLARATIONS
            #include "{name}.c"
            {head};
            {head} {{
                int i;
                for (i = 0; i < n; i++)
                    codes[i] = {name}_predict(x + i * {name.upper()}_INPUTS, y + i * {name.upper()}_OUTPUTS);
            }}
        """)
    (folder / "loops.c").write_text("".join(loops))
    flags = ["-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", "all.so"]
    compiled = compile_c(*flags, "loops.c", *(f"{name}.c" for name in cases), folder=folder)
    assert not compiled.returncode, compiled.stderr
    return ctypes.CDLL(str(folder / "all.so"))


def bound(net: tn.Network) -> float:
    """Return by what part of its size an output may be off, as the file says."""
    terms = sum(4 + sum(weight.shape[1] + 1 for weight in layer.weights.values()) for layer in net.layers)
    return (terms + net.n_inputs + 3) * 2.0**-52


def sizes(net: tn.Network, x: FloatArray) -> FloatArray:
    """Return the outputs with absolute values of everything."""
    layers = [
        tn.Layer(
            {k: abs(weight) for k, weight in layer.weights.items()},
            abs(layer.bias),
            np.repeat(np.abs(layer.slopes).max(axis=1)[:, None], 2, axis=1),
        )
        for layer in net.layers
    ]
    return tn.Network(layers)(abs(x))


@pytest.mark.parametrize("name", CASES)
def test_c_answers_as_the_predictor_does(name, library, cases):
    """Where the tree answers bit by bit, else by a forward pass; NaN outside; within the stated bound everywhere."""
    predictor, x = cases[name]
    net, n_maps = predictor.network, predictor.size.n_maps
    y, codes = np.zeros((len(x), net.n_outputs)), np.full(len(x), 99, dtype=np.intc)
    getattr(library, f"{name}_many")(len(x), *(each.ctypes.data_as(ctypes.c_void_p) for each in (x, y, codes)))
    expected, states = np.empty_like(y), np.empty(len(x), dtype=np.uint8)
    descend(x, *predictor._kernel, expected, states, np.empty((2, 128), dtype=np.int64), np.empty(128))
    done = states == DONE
    assert done.any()
    assert y[done].tobytes() == expected[done].tobytes()
    assert (((codes >= 0) & (codes < n_maps)) == done).all()
    nowhere = ~np.isfinite(x).all(axis=1) | ((states == OUTSIDE) & (predictor.outside == "raise"))
    assert (codes[nowhere] == -1).all()
    assert (codes[~nowhere & ~done] == n_maps).all()
    assert (np.isnan(y).all(axis=1) == (codes < 0)).all()
    given = np.flatnonzero(codes >= 0)
    assert np.all(abs(y[given] - net(x[given])) <= 2 * bound(net) * sizes(net, x[given]))
    for i in np.random.default_rng(1).permutation(given)[:40]:
        exact, size = exact_values(net, x[i])
        wrong = [abs(float(Fraction(value) - each)) for value, each in zip(y[i].tolist(), exact, strict=True)]
        assert np.all(wrong <= bound(net) * size)


def test_the_points_are_many_and_hard(library, cases):
    """More than 100,000, thousands of which only the forward pass answers; one overflows the network."""
    assert sum(len(case.points) for case in cases.values()) >= 100_000
    x, y = (ctypes.c_double * 1)(1e308), (ctypes.c_double * 1)(0.0)
    assert library.overflows_predict(x, y) == -2
    x[0] = 1e300
    assert (library.overflows_predict(x, y), y[0]) == (1, 64e300)
    library.line_map.restype = ctypes.POINTER(ctypes.c_double)
    predictor = cases["line"].predictor
    assert library.line_map(3)[:2] == predictor.arrays["maps"][3, 0].tolist()
    assert not any(library.line_map(number) for number in (-1, predictor.size.n_maps))


def test_a_program_for_trying_it_out(cases, tmp_path):
    """It reads points in lines and prints the outputs; as C++, too, and never without NaN."""
    predictor = cases["plane"].predictor
    tn.export_c(predictor, tmp_path / "net.c")
    flags = ["-DTROPNET_MAIN", "-o", "net"]
    assert "no -ffast-math" in compile_c("-ffast-math", "-fsyntax-only", "net.c", folder=tmp_path).stderr
    assert not compile_c("-fsyntax-only", "net.c", folder=tmp_path).returncode
    compiled = compile_c("-x", "c++", *flags, "net.c", folder=tmp_path, language="c++")
    assert not compiled.returncode, compiled.stderr
    ran = subprocess.run([tmp_path / "net"], input="0.5 -2\n3,4\n", capture_output=True, text=True, check=True)
    printed = [[float(word) for word in line.split(",")] for line in ran.stdout.splitlines()]
    assert printed == predictor([[0.5, -2.0], [3.0, 4.0]]).tolist()
    for wrong in ("1", "1 2 x"):
        ran = subprocess.run([tmp_path / "net"], input=wrong, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (1, "points must be numbers, 2 for each\n")


def test_what_cannot_be_exported_is_refused(cases, tmp_path):
    """In one line, and before anything is written."""
    predictor = cases["line"].predictor
    with pytest.raises(TypeError, match=r"must be a tropnet.CompiledPredictor, got Network; see tropnet.compile"):
        tn.export_c(predictor.network, tmp_path / "net.c")
    for name in ("", "2nd", "a-b", "Ü", "a\n", None):
        with pytest.raises(ValueError, match="name must be an identifier of C"):
            tn.export_c(predictor, tmp_path / "net.c", name=name)
    with pytest.raises(FileNotFoundError, match=r"net\.c"):
        tn.export_c(predictor, tmp_path / "none" / "net.c")
    assert not list(tmp_path.iterdir())


def test_a_large_file_is_announced(cases, tmp_path):
    """With its size, about, before it is written."""
    predictor = cases["affine"].predictor
    n = 1_500_000
    grid = np.array([[[-2.0, -2.0], [n / 4, 0.25], [n, 1.0]]])
    arrays = predictor.arrays | {"grids": grid, "roots": np.full(n + 1, ~0, dtype=np.int32)}
    fine = tn.CompiledPredictor(predictor.network, predictor.domain, arrays, predictor.size)
    said = r"net.c' will have about (1\d,\d{3},\d{3}) bytes, and a program 6,000,\d{3} bytes of tables from it;"
    with pytest.warns(UserWarning, match=said):
        tn.export_c(fine, tmp_path / "net.c")
    assert (tmp_path / "net.c").stat().st_size == pytest.approx(8 * n, rel=0.01)
