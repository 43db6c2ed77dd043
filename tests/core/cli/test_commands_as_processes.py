"""The command line as a process of its own: what it prints where, the files it writes, the exit codes it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

import tropnet as tn
from tropnet.cli import command, main

NET = tn.Network.random([2, 4, 4, 1], skips=[(1, 3)], seed=0)
BOX = tn.Box(-1, 1)


@dataclass(frozen=True)
class Case:
    """A call that succeeds.

    Attributes
    ----------
    arguments
        What follows the command and what it is given.
    says
        A part of what it prints for people.
    record
        A part of its JSON.
    given
        What comes first: the network, or the run, or nothing.
    wrong
        What is given instead to have an error.
    """

    arguments: tuple[str, ...]
    says: str
    record: dict[str, Any]
    given: tuple[str, ...] = ("net.npz",)
    wrong: tuple[str, ...] = ("text.npz",)


N_REGIONS = tn.count_regions(NET, BOX)
CASES = {
    "count": Case(
        ("--box", "-1", "1"),
        f"{N_REGIONS} activation regions of Network(2-4-4-1, skips 1-3)",
        {"n_activation_regions": N_REGIONS, "complete": True},
    ),
    "regions": Case(
        ("--box", "-1", "1", "--limit", "2"),
        f"{N_REGIONS} activation regions in Box([-1.0, -1.0], [1.0, 1.0]), 2 shown",
        {"n_activation_regions": N_REGIONS, "complete": True, "n_undecided": 0},
    ),
    "estimate": Case(
        ("--box", "-1", "1"), f"{N_REGIONS} activation regions", {"n_activation_regions": N_REGIONS, "exact": True}
    ),
    "predict": Case(
        ("--at", "0.5,-2", "--at", "0.5,-2"), "points: 2; activation regions met: 1", {"hits": 1, "misses": 1}
    ),
    "plot": Case(
        ("--box", "-1", "1", "-o", "map.svg", "-q"),
        f"{N_REGIONS} activation regions written to map.svg",
        {"n_activation_regions": N_REGIONS, "file": "map.svg"},
    ),
    "info": Case((), "1-3", {"hidden_widths": [4, 4], "skips": [[1, 3]], "fingerprint": NET.fingerprint}),
}
CASES["verify"] = Case(
    ("p.vnnlib",), "holds: no input breaks it (", {"status": "holds", "counterexample": None, "remaining": []}
)
CASES["status"] = Case(
    (), f"regions    {N_REGIONS}", {"finished": True, "n_regions": N_REGIONS, "subtrees_open": 0}, given=("run",)
)
CASES["certify"] = Case(
    ("--box", "-1", "1", "-o", "made.parquet", "-q", "--linear"),
    f"{N_REGIONS} activation regions, ",
    {"n_activation_regions": N_REGIONS, "certificate": "made.parquet"},
)
CASES["check"] = Case(
    ("cert.parquet", "--box", "-1", "1", "-q"),
    f"proven: {N_REGIONS} activation regions of Network(2-4-4-1, skips 1-3)",
    {"n_activation_regions": N_REGIONS, "n_linear_regions": None, "claims": []},
)
CASES["demo"] = Case(
    ("--out", "shipped", "-q"),
    "regions    347 activation regions in Box([-10.0, -10.0], [10.0, 10.0])",
    {"n_activation_regions": 347, "n_linear_regions": 269, "verdict": "holds", "picture": "shipped/phi_1_regions.png"},
    given=(),
    wrong=("--out", "other"),
)
CASES["completion"] = Case((), "COMPREPLY", {"shell": "bash"}, given=("bash",), wrong=())
CASES["doctor"] = Case((), "All is well.", {"faults": []}, given=(), wrong=())
NAMES = sorted(CASES)
PROPERTY = """(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real)
(assert (and (<= -1 X_0 1) (<= -1 X_1 1) (>= Y_0 100)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds net.npz, text.npz, p.vnnlib, cert.parquet, other/phi_1.npz and a run."""
    folder = tmp_path_factory.mktemp("process")
    (folder / "p.vnnlib").write_text(PROPERTY)
    NET.save(folder / "net.npz")
    tn.count_regions(NET, BOX, out=folder / "run")
    tn.certify(NET, BOX, folder / "cert.parquet")
    (folder / "text.npz").write_text("hello")
    (folder / "other").mkdir()
    (folder / "other/phi_1.npz").write_text("hello")
    return folder


@cache
def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of `python -m tropnet ...`, run once."""
    done = subprocess.run(
        [sys.executable, "-m", "tropnet", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def succeed(folder: Path, *arguments: str) -> str:
    """Return what a call prints that succeeds and has nothing to complain about."""
    code, out, err = run(folder, *arguments)
    assert (code, err) == (0, "")
    return out


def test_every_command_has_a_case() -> None:
    """A command that is added is called here too, and all of them print JSON when asked to."""
    assert sorted(command.commands) == NAMES
    assert all(any(option.name == "as_json" for option in each.params) for each in command.commands.values())


@pytest.mark.parametrize("name", ["", *NAMES])
def test_help(name: str) -> None:
    """Help names the commands or the options; every command takes --json, --quiet and --verbose."""
    out = CliRunner().invoke(command, [*name.split(), "--help"], prog_name="tropnet").output
    assert out.startswith(f"Usage: tropnet {name}".rstrip())
    options = [p.opts[0] for p in command.commands[name].params if isinstance(p, click.Option)] if name else NAMES
    assert all(word in out for word in options)
    assert not name or {"--json", "--quiet", "--verbose"} <= set(options)


def test_version(folder: Path) -> None:
    """The version is that of the package that runs."""
    assert succeed(folder, "--version").split()[-1]


@pytest.mark.parametrize("name", NAMES)
def test_tables(name: str, folder: Path) -> None:
    """Without --json people read it."""
    case = CASES[name]
    out = succeed(folder, name, *case.given, *case.arguments)
    assert case.says in out
    with pytest.raises(json.JSONDecodeError):
        json.loads(out)


@pytest.mark.parametrize("name", NAMES)
def test_json(name: str, folder: Path) -> None:
    """With --json standard output is one JSON object, without NaN and infinity, and nothing else."""
    case = CASES[name]
    record = json.loads(succeed(folder, name, *case.given, *case.arguments, "--json"), parse_constant=pytest.fail)
    assert case.record.items() <= record.items()


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_files(suffix: str, folder: Path) -> None:
    """The file holds all regions, however many are shown, and the JSON stays alone on standard output."""
    out = succeed(
        folder, "regions", "net.npz", "--box", "-1", "1", "--limit", "1", "--out", f"regions.{suffix}", "--json"
    )
    read = tn.Regions.from_parquet if suffix == "parquet" else tn.Regions.from_npz
    stored, expected = read(folder / f"regions.{suffix}"), tn.enumerate_regions(NET, BOX)
    assert len(json.loads(out)["regions"]) == 1
    assert stored.network.fingerprint == NET.fingerprint
    assert np.array_equal(stored.packed, expected.packed)


@pytest.fixture
def call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return what runs the program in this process, which takes no second to start."""

    def run_here(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["tropnet", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return int(str(caught.value.code)), captured.out, captured.err

    return run_here


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].wrong])
def test_errors_are_one_line_on_standard_error(name: str, call: Callable[..., tuple[int, str, str]]) -> None:
    """A file that is another: exit code 1, one line that names it, and with --json an object that says the same."""
    case = CASES[name]
    code, out, err = call(name, *case.wrong, *(case.arguments if case.given else ()), "--json")
    assert code == 1
    assert err == f"tropnet: {json.loads(out)['error']}\n"
    assert case.wrong[-1] in err.split("'")[1]
    assert call(name, *case.wrong, *(case.arguments if case.given else ()))[1:] == ("", err)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_usage(name: str, call: Callable[..., tuple[int, str, str]]) -> None:
    """An option that is none: exit code 2, usage and the option's name on standard error."""
    code, out, err = call(name, *CASES[name].given, "--nonsense", "--json")
    assert code == 2
    assert "--nonsense" in json.loads(out)["error"]
    assert err.startswith(f"Usage: tropnet {name}")
    assert "--nonsense" in err
