"""`tropnet verify`: verdicts, exit codes and the competition's format, from files."""

import json
import sys
from fractions import Fraction

import pytest

import tropnet as tn
from tropnet.cli import main as cli
from tropnet.cli.commands.verify import UNKNOWN, VIOLATED

HEAD = "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n(assert (<= -1 X_0 1))\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Work in a directory that holds |x| as net.npz; run the program, return exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    tn.Network.mlp([[[1.0], [-1.0]], [[1.0, 1.0]]], [[0.0, 0.0], [0.0]]).save("net.npz")

    def call(assertion, *arguments):
        (tmp_path / "p.vnnlib").write_text(f"{HEAD}(assert {assertion})\n")
        monkeypatch.setattr(sys, "argv", ["tropnet", "verify", "net.npz", "p.vnnlib", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return call


def test_holds(run):
    """0: |x| is not more than 1; the competition calls it unsat."""
    code, out, err = run("(> Y_0 1)")
    assert (code, err) == (0, "")
    assert out.startswith("holds: no input breaks it (")
    assert run("(> Y_0 1)", "--format", "vnncomp")[:2] == (0, "unsat\n")


def test_violated(run):
    """3: |x| touches 1, at a float64 input; all three forms print it."""
    code, out, _ = run("(>= Y_0 1)")
    assert code == VIOLATED
    assert out.startswith("violated: the input below breaks it (exactly; also in float64; ")
    code, out, _ = run("(>= Y_0 1)", "--format", "vnncomp")
    assert code == VIOLATED
    first, x, y = out.splitlines()
    assert (first, y) == ("sat", "(Y_0 1.0))")
    assert x in ("((X_0 1.0)", "((X_0 -1.0)")
    code, out, _ = run("(>= Y_0 1)", "--json")
    record = json.loads(out)
    assert (code, record["status"]) == (VIOLATED, "violated")
    found = record["counterexample"]
    assert (abs(Fraction(found["exact_x"][0])), found["exact_y"], found["confirmed"]) == (1, ["1"], True)
    assert found["onnxruntime"] is None


def test_a_counterexample_between_floats_says_so(run):
    """|x| is 1/3 at 1/3 and -1/3 only, which are no float64 numbers."""
    code, out, _ = run("(= Y_0 1/3)")
    assert code == VIOLATED
    assert "an input next to the one below breaks it (exactly; the one below does NOT in float64; " in out


def test_unknown(run):
    """4: no time; the competition calls it timeout."""
    code, out, _ = run("(> Y_0 1)", "--time-limit", "0")
    assert code == UNKNOWN
    assert out.startswith("unknown: time ran out, 0.")
    assert run("(> Y_0 1)", "--time-limit", "0", "--format", "vnncomp")[:2] == (UNKNOWN, "timeout\n")
    code, out, _ = run("(> Y_0 1)", "--time-limit", "0", "--json")
    assert (code, json.loads(out)["remaining"][0]["left"]) == (UNKNOWN, 1.0)


def test_contradictory_bounds(run):
    """No such input is a verdict: the property holds."""
    code, out, _ = run("(>= X_0 2)")
    assert (code, out) == (0, "holds: no input satisfies the bounds that the property names\n")


@pytest.mark.parametrize(
    ("assertion", "arguments", "code", "message"),
    [
        ("(>= Y_1 2)", [], 1, "tropnet: 'p.vnnlib', line 4, column 13: Y_1 is not declared"),
        ("(>= Y_0 2", [], 1, "tropnet: 'p.vnnlib', line 4, column 1: this parenthesis is not closed"),
        ("(>= Y_0 2)", ["--json", "--format", "vnncomp"], 2, "--json and --format vnncomp are two ways to print"),
        ("(>= Y_0 2)", ["--time-limit", "-1"], 2, "Invalid value for '--time-limit'"),
        ("(>= Y_0 2)", ["--time-limit", "x"], 2, "'x' is not a valid number of seconds"),
    ],
)
def test_errors(run, assertion, arguments, code, message):
    """Errors are a line, with codes of their own."""
    found, out, err = run(assertion, *arguments)
    assert found == code
    assert message in err
    assert not out or message in json.loads(out)["error"]
