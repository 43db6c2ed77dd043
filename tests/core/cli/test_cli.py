"""The command line: output, exit codes, one-line errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import tropnet as tn
from tropnet.cli import main as cli
from tropnet.feasibility import Cascade


@pytest.fixture
def net(tmp_path, monkeypatch):
    """Work in a directory that holds net.npz."""
    monkeypatch.chdir(tmp_path)
    network = tn.Network.random([2, 4, 4, 1], skips=[(1, 3)], seed=0)
    network.save("net.npz")
    return network


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the program and return exit code, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tropnet", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return call


def test_count(net, run):
    """The count is the library's, on R^d and on boxes given by one number or one per input."""
    for arguments, domain in [
        ([], None),
        (["--box", "-1", "2"], tn.Box(-1, 2)),
        (["--box", "-1,0", "2,3"], tn.Box([-1, 0], [2, 3])),
    ]:
        code, out, err = run("count", "net.npz", *arguments, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["n_activation_regions"] == tn.count_regions(net, domain)
        code, out, _ = run("count", "net.npz", *arguments)
        assert out.startswith(f"{tn.count_regions(net, domain)} activation regions of Network(2-4-4-1, skips 1-3)")


def test_count_that_stops_says_at_least(net, run):
    """A count cut off by --max-regions is reported as a lower bound."""
    assert len(tn.enumerate_regions(net)) > 3
    code, out, _ = run("count", "net.npz", "--max-regions", "3")
    assert (code, out[:10]) == (0, "at least 3")


def test_count_that_ends_at_the_limit_is_exact(net, run):
    """A limit equal to the count stops nothing."""
    n = tn.count_regions(net)
    code, out, _ = run("count", "net.npz", "--max-regions", str(n), "--json")
    record = json.loads(out)
    assert (code, record["n_activation_regions"], record["complete"]) == (0, n, True)


def test_regions_table_json_and_files(net, run):
    """The table, JSON, Parquet and npz outputs hold the library's regions."""
    expected = tn.enumerate_regions(net, tn.Box(-1, 1))
    code, out, err = run("regions", "net.npz", "--box", "-1", "1", "--limit", "2", "--out", "r.parquet")
    assert (code, err) == (0, "")
    assert f"{len(expected)} activation regions in Box([-1.0, -1.0], [1.0, 1.0]), 2 shown" in out
    assert (tn.Regions.from_parquet("r.parquet").packed == expected.packed).all()
    code, out, _ = run("regions", "net.npz", "--box", "-1", "1", "--limit", "2", "--out", "r.NPZ", "--json")
    record = json.loads(out)
    assert record["complete"] is True
    assert [r["pattern"].replace("|", "") for r in record["regions"]] == [
        "".join("01"[int(bit)] for bit in pattern) for pattern in expected.patterns[:2]
    ]
    assert (tn.Regions.from_npz("r.NPZ").packed == expected.packed).all()


def test_predict(net, run):
    """Predictions at points, from text and from .npy files are the network's."""
    points = np.array([[0.5, -2.0], [3.0, 4.0], [0.5, -2.0]])
    np.savetxt("points.csv", points, delimiter=",")
    np.save("points.npy", points)
    at = [part for x, y in points.tolist() for part in ("--at", f"{x},{y}")]
    for arguments in (at, ["--input", "points.csv"], ["--input", "points.npy"]):
        code, out, _ = run("predict", "net.npz", *arguments, "--json")
        record = json.loads(out)
        assert code == 0
        np.testing.assert_allclose(record["outputs"], net(points))
        assert record["hits"] + record["misses"] == 3
    code, out, _ = run("predict", "net.npz", *at)
    assert "points: 3; activation regions met: 2" in out


def test_info(net, run):
    """`info` describes shape, skips, activations and the number of distinct parameters."""
    code, out, _ = run("info", "net.npz", "--json")
    record = json.loads(out)
    assert code == 0
    assert record["hidden_widths"] == [4, 4]
    assert record["skips"] == [[1, 3]]
    assert record["n_parameters"] == 4 * 2 + 4 + 4 * 4 + 4 + 4 + 1
    assert record["fingerprint"] == net.fingerprint
    code, out, _ = run("info", "net.npz")
    assert "4 ReLU; 4 ReLU" in out
    assert "1-3" in out
    assert record["region_bounds"] == tn.region_bounds(net)._asdict()
    assert "trivial 256; zaslavsky 121" in out


def test_info_writes_any_bound(run, tmp_path):
    """Long bounds are rounded up in the table; JSON holds the integer, or its size beyond thousands of digits."""
    path = tmp_path / "long.npz"
    tn.Network.random([1, 60, 1], seed=0).save(path)
    assert "trivial 1.16e18; zaslavsky 61" in run("info", str(path))[1]
    assert json.loads(run("info", str(path), "--json")[1])["region_bounds"]["trivial"] == 2**60
    tn.Network.random([1, 20_000, 1], seed=0).save(path)
    assert json.loads(run("info", str(path), "--json")[1])["region_bounds"]["trivial"] == "3.99e6020"


@pytest.mark.usefixtures("net")
def test_a_run_lists_its_first_regions(run):
    """With a directory the table and JSON have as many rows as --limit says, which are regions of the run."""
    arguments = ("regions", "net.npz", "--box", "-1", "1", "--out", "run", "--limit")
    out = run(*arguments, "2", "--json")[1]
    found = json.loads(out)["regions"]
    kept = [region.witness.tolist() for region in tn.Run("run")]
    assert [region["witness"] for region in found] == kept[:2]
    table = run(*arguments, "2")[1]
    assert "point inside" in table
    assert table.endswith("in the run run, 2 shown\n")
    assert run(*arguments, "0")[1].count("\n") == 1


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["count", "nothing.npz"], 1, "tropnet: no such file or directory: 'nothing.npz'"),
        (["count", "text.npz"], 1, "tropnet: 'text.npz' is not a tropnet network"),
        (["count", "net.npz", "--box", "1", "0"], 1, "tropnet: a box needs low <= high"),
        (["count", "net.npz", "--box", "1,2,3", "4"], 2, "LOW and HIGH must be one number or 2"),
        (["count", "net.npz", "--box", "a", "4"], 2, "must be numbers separated by commas, got 'a'"),
        (["count", "net.npz", "--engine", "magic"], 2, "'magic' is not one of"),
        (
            ["regions", "net.npz", "--out", "r.txt"],
            2,
            "or in nothing for a directory, got 'r.txt'",
        ),
        (["predict", "net.npz"], 2, "give points either with --at or with --input FILE"),
        (["predict", "net.npz", "--at", "1,2,3"], 1, "tropnet: every point must have 2 coordinates, got [3]"),
        (["predict", "net.npz", "--at", "1,nan"], 1, "tropnet: x must be finite"),
        (
            ["predict", "net.npz", "--input", "cube.npy"],
            1,
            "tropnet: 'cube.npy' must hold points of 2 coordinates: x must",
        ),
        (["predict", "net.npz", "--input", "text.npz"], 1, "tropnet: 'text.npz' must hold points of 2 coordinates"),
        (["regions", "net.npz", "--out", "nowhere/r.npz"], 1, "no folder to write to"),
        (["certify", "net.npz", "--out", "nowhere/c.parquet"], 1, "no folder to write to"),
        (["unknown"], 2, "No such command 'unknown'"),
        (["-q", "count", "net.npz"], 2, "-q goes after the command"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(run, arguments, code, message):
    """Wrong input gives exit code 1 and one line; wrong usage gives 2 and a hint. Never a traceback."""
    Path("text.npz").write_text("hello")
    np.save("cube.npy", np.zeros((3, 2, 2)))
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert message in err
    if code == 1:
        assert err.count("\n") == 1


@pytest.mark.usefixtures("net")
def test_json_is_json_with_open_sides(run):
    """Infinite sides become null: JSON has no infinities."""
    code, out, _ = run("regions", "net.npz", "--box", "-inf", "0", "--limit", "1", "--json")
    assert code == 0
    assert json.loads(out, parse_constant=pytest.fail)["domain"]["low"] == [None, None]


def test_interrupt_keeps_what_was_found(net, run, monkeypatch):
    """On Ctrl-C the regions found so far are written and shown, marked incomplete; the exit code is 130."""
    decide, calls = Cascade.decide, []

    def interrupted(self):
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return decide(self)

    monkeypatch.setattr(Cascade, "decide", interrupted)
    code, out, err = run("regions", "net.npz", "--engine", "lp", "--out", "r.parquet")
    assert code == 130
    assert "(incomplete)" in out
    assert err.count("\n") == 1
    partial = tn.Regions.from_parquet("r.parquet")
    assert not partial.complete
    assert 0 < len(partial) < tn.count_regions(net)
    calls[:] = [1] * 18
    code, out, _ = run("count", "net.npz", "--engine", "lp")
    assert (code, out[:9]) == (130, "at least ")
