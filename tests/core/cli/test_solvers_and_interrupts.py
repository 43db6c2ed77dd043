"""What a real process of the command line prints, writes and returns, interrupts included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tropnet as tn


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "tropnet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Networks as files: hidden layers, none, and neurons that leave a line, which need the lp engine."""
    folder = tmp_path_factory.mktemp("networks")
    networks = {
        "hidden": tn.Network.random([2, 3, 1], seed=0),
        "affine": tn.Network([tn.Layer({0: np.array([[1.0, 2.0]])}, np.zeros(1))]),
        "lines": tn.Network.mlp([[[1.0, 1.0]], [[1.0]]], [[0.0], [0.0]]),
    }
    paths = {name: str(folder / f"{name}.npz") for name in networks}
    for name, net in networks.items():
        net.save(paths[name])
    return paths


# --- nothing but the answer on standard output


@pytest.mark.parametrize(
    "arguments",
    [
        ("count", "hidden", "--box", "-1", "1", "--engine", "lp"),
        ("count", "hidden", "--engine", "reference"),
        ("count", "affine"),
        ("count", "lines"),
        ("regions", "affine", "--box", "-1", "1"),
        ("regions", "hidden", "--engine", "lp", "--limit", "2"),
        ("regions", "lines"),
        ("estimate", "hidden", "--engine", "lp"),
        ("info", "affine"),
        ("predict", "hidden", "--at", "0.5,0.5"),
    ],
    ids=" ".join,
)
def test_json_output_is_json(arguments: tuple[str, ...], files: dict[str, str]) -> None:
    """Whatever solver is at work, standard output is one JSON document; solvers' banners are not in it."""
    command, name, *options = arguments
    done = run(command, files[name], *options, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_solvers_print_nothing() -> None:
    """Graphs, geometry, branch and bound and every backend leave standard output to the caller."""
    program = """
import tropnet as tn
net = tn.Network.random([2, 4, 2], seed=0)
for backend in ("highs", "cvxpy", "exact"):
    regions = tn.enumerate_regions(net, tn.Box(-1, 1), engine="lp", backend=backend)
tn.adjacency_graph(regions), tn.linear_regions(regions), tn.decision_boundary(regions), regions.chebyshev_balls()
tn.maximum(net, tn.Box(-1, 1), 0, method="branch"), tn.distance_to_boundary(net, [0.0, 0.0])
regions[0].polyhedron.facets(), tn.regions_near(net, [0.0, 0.0])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("n_inputs", [2, 6, 7, 10, 100])
def test_a_region_of_one_output_is_one_line(n_inputs: int, tmp_path: Path) -> None:
    """However many inputs, the table fits on a screen of 130 columns, with every region on a line of its own."""
    tn.Network.random([n_inputs, 3, 1], seed=0).save(tmp_path / "net.npz")
    program = "import rich.console as c; c.Console.is_terminal = True; from tropnet.cli import main; main()"
    arguments = ["regions", str(tmp_path / "net.npz"), "--box", "-1", "1", "--limit", "3", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "130", "NO_COLOR": "1", "TERM": "xterm"},
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == ["0", "1", "2"]
    assert max(map(len, rows)) <= 130


# --- Ctrl-C

INTERRUPTED = """
import os, signal, sys
import rich.console
from tropnet.cli import main
from tropnet.feasibility import Cascade

# A process in the background may start with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupting(function, when):
    calls = []
    def call(*arguments, **options):
        calls.append(1)
        if len(calls) == when:
            os.kill(os.getpid(), signal.SIGINT)
        return function(*arguments, **options)
    return call

Cascade.decide = interrupting(Cascade.decide, 100)
if sys.argv[1] == "writing":
    os.fsync = interrupting(os.fsync, 1)
if sys.argv[1] == "printing":
    rich.console.Console.print = interrupting(rich.console.Console.print, 1)
sys.argv = ["tropnet", *sys.argv[2:]]
main()
"""


@pytest.mark.parametrize("second", ["never", "writing", "printing"])
@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_no_interrupt_loses_what_was_found(second: str, suffix: str, tmp_path: Path) -> None:
    """The first Ctrl-C stops the search and writes the file; a second, wherever it comes, cannot prevent that."""
    tn.Network.random([3, 12, 12, 1], seed=0).save(tmp_path / "net.npz")
    out = tmp_path / f"regions.{suffix}"
    arguments = ["regions", str(tmp_path / "net.npz"), "--engine", "lp", "--box", "-9", "9", "--out", str(out)]
    command = [sys.executable, "-c", INTERRUPTED, second, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert f"regions found so far are written to {out}" in done.stderr
    assert ("(incomplete)" in done.stdout) == (second != "printing")
    found = getattr(tn.Regions, f"from_{suffix}")(out)
    assert len(found) > 0
    assert not found.complete
    assert {path.name for path in tmp_path.iterdir()} == {out.name, "net.npz"}
