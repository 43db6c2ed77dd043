"""Where output goes, and what is said of it: errors, interrupts, full disks, narrow terminals, other files."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from numba.core.event import trigger_event

import tropnet as tn
from tropnet.archives import write_atomically
from tropnet.cli import diagnosis, main

Call = Callable[..., tuple[int, str, str]]
PROPERTY = "(declare-const X_0 Real) (declare-const X_1 Real) (declare-const Y_0 Real) (assert (>= Y_0 9))"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run the program beside net.npz and p.vnnlib; return exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    tn.Network.random([2, 3, 1], seed=0).save("net.npz")
    Path("p.vnnlib").write_text(PROPERTY)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tropnet", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return int(str(caught.value.code)), captured.out, captured.err

    return call


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises an error."""

    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("function", "arguments", "left"),
    [
        ("certify", ["certify", "net.npz", "-o", "c.parquet"], "'c.parquet' was not written"),
        ("check", ["check", "net.npz", "c.parquet"], "nothing is proven"),
        ("estimate_regions", ["estimate", "net.npz"], "there is no estimate"),
        ("enumerate_regions", ["plot", "net.npz", "-o", "map.svg"], "'map.svg' was not written"),
        (
            "verify",
            ["verify", "net.npz", "p.vnnlib"],
            "there is no verdict; --time-limit SECONDS ends with what is left",
        ),
    ],
)
def test_ctrl_c_says_what_is_left(
    function: str, arguments: list[str], left: str, run: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130, and one line; with --json an object says the same."""
    monkeypatch.setattr(tn, function, raising(KeyboardInterrupt()))
    code, out, err = run(*arguments, "--json")
    assert code == 130
    assert err.startswith(f"tropnet: interrupted; {left}")
    assert err == f"tropnet: {json.loads(out)['error']}\n"


def test_an_error_that_no_one_foresaw_is_one_line(run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do; with --verbose it shows where it came from."""
    monkeypatch.setattr(tn, "estimate_regions", raising(KeyError("a\nb")))
    code, out, err = run("estimate", "net.npz")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "KeyError" in err
    assert "`tropnet doctor`" in err
    assert "Traceback" in run("estimate", "net.npz", "--verbose")[2]


def test_verbose_says_what_is_decided(run: Call) -> None:
    """The file, the engine and why; it contradicts --quiet."""
    _, out, err = run("count", "net.npz", "-v")
    assert out.startswith(f"{tn.count_regions(tn.load('net.npz'))} activation regions")
    assert "read 'net.npz': Network(2-3-1)" in err
    assert "engine polygon, the first of polygon, simplex, lp that takes this search" in err
    assert run("count", "net.npz")[2] == ""
    assert run("count", "net.npz", "-q", "-v")[0] == 2


def test_what_is_no_certificate(run: Call) -> None:
    """It is said in plain words; what is one says the maximum that it proves, as `check` does."""
    code, _, err = run("check", "net.npz", "net.npz")
    assert (code, err) == (1, "tropnet: 'net.npz' is no certificate: it is no Parquet file, as `certify` writes.\n")
    made = run("certify", "net.npz", "--box", "-1", "1", "-o", "c.parquet", "--maximum", "0")[1]
    claim = made[made.index("maximum") : made.index(" of Network")]
    assert claim.endswith(" of y_0")
    assert claim in run("check", "net.npz", "c.parquet")[1]


@pytest.mark.parametrize("arguments", [["regions", "net.npz", "--out"], ["certify", "net.npz", "-o"]])
def test_the_network_is_not_written_over(arguments: list[str], run: Call) -> None:
    """A file to write that is the network, by whatever name, is refused."""
    before = Path("net.npz").read_bytes()
    Path("link.npz").symlink_to("net.npz")
    for name in ("net.npz", "link.npz"):
        code, _, err = run(*arguments, name)
        assert code == 2
        assert f"'{name}' is the network itself" in err
    assert Path("net.npz").read_bytes() == before


@pytest.mark.parametrize("arguments", [["regions", "r.npz"], ["certify", "c.parquet"], ["plot", "m.svg"]])
def test_a_folder_that_cannot_be_written(arguments: list[str], run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of one line that names the folder, before anything is searched."""
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    command, out = arguments
    code, printed, err = run(command, "net.npz", "--out", out)
    assert (code, printed, err) == (1, "", f"tropnet: permission denied: '{Path.cwd()}'\n")


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    """What is no file is not replaced by one."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, lambda file: file.write(b"all"))
    reader.join()
    assert read == [b"all"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_output_that_nobody_takes() -> None:
    """Who has left ends the program without a word; a full disk is an error of one line."""
    command = [sys.executable, "-m", "tropnet", "completion", "zsh"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
    for full in Path("/dev").glob("full"):  # not on macOS
        with full.open("w") as disk:
            done = subprocess.run(command, stdout=disk, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "tropnet: no space left on device\n")


def test_closed_output_is_an_error(run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no standard output there is no answer: a line, and exit code 1, before anything is done."""
    monkeypatch.setattr(sys, "stdout", None)
    code, _, err = run("count", "net.npz", "--json")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("tropnet: standard output is closed")


def test_a_narrow_terminal_gets_lines(run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a table does not fit, each of its rows stands in lines of its own, and nothing is cut."""
    monkeypatch.setenv("COLUMNS", "40")
    table = run("regions", "net.npz", "--limit", "1")[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = run("regions", "net.npz", "--limit", "1", "-q")[1].splitlines()
    assert lines[0] == "#: 0"
    for line in lines[:5]:
        assert line.split(": ")[-1] in table
    assert "│" not in "".join(lines)


def test_a_shell_completes(tmp_path: Path) -> None:
    """Bash completes commands and the values of options, and that loads nothing heavy."""
    code = """
import atexit, sys
heavy = {"numpy", "numba", "scipy", "highspy", "pyarrow", "rich"}
atexit.register(lambda: sys.stderr.write(f"{sorted(heavy & set(sys.modules))}"))
from tropnet.cli import main
main()
"""
    program = tmp_path / "tropnet"
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$@\"\n")
    program.chmod(0o755)
    script = """
eval "$(tropnet completion bash)"
complete_it() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _tropnet_completion tropnet
    echo "${COMPREPLY[*]}"
}
complete_it tropnet co
complete_it tropnet count net.npz --backend ""
"""
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607 (whichever bash a person has)
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["completion count", "highs cvxpy exact"]
    assert done.stderr == "[]" * 3


def test_a_demo_without_what_draws(run: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line says what to install, and the rest is done; a picture that is another is left as it is."""
    monkeypatch.setattr(tn, "plot_regions", raising(tn.MissingExtraError.of("the picture", "plot")), raising=False)
    code, out, err = run("demo", "--out", "new")
    assert code == 0
    assert err.startswith("tropnet: the picture needs the extra 'plot'; install it with")
    assert "347 activation regions" in out
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["phi_1.npz", "phi_1.vnnlib"]
    monkeypatch.undo()
    picture = tmp_path / "new/phi_1_regions.png"
    picture.write_text("mine")
    monkeypatch.chdir(tmp_path)
    code, _, err = run("demo", "--out", "new", "-q")
    assert (code, picture.read_text()) == (0, "mine")
    assert "is there, and another picture: left as it is" in err


def test_what_a_doctor_finds(run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dependency that is missing and an engine that counts wrongly are faults, in a line each, with what to do."""
    version = diagnosis._version
    monkeypatch.setattr(diagnosis, "_version", lambda name: None if name == "rich" else version(name))

    def count(_: tn.Network, engine: str) -> int:
        with trigger_event("numba:compile") if engine == "vertex" else nullcontext():
            return 15 if engine == "lp" else 16

    monkeypatch.setattr(tn, "count_regions", count)
    code, out, err = run("doctor", "--json")
    assert code == 1
    record = json.loads(out)
    assert [f"tropnet: {fault}" for fault in record["faults"]] == err.splitlines()
    assert not record["engines"]["vertex"]["compiled_before"]
    missing, wrong = record["faults"]
    assert missing.startswith("tropnet needs rich>=")
    assert missing.endswith("'")
    assert "pip install 'rich>=" in missing
    assert wrong.startswith("engine lp counts 15 regions where there are 16; ")
    assert run("doctor")[1].endswith("2 faults:\n")
