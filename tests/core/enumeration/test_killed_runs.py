"""Runs in directories that are killed, run out of room, or are damaged: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tropnet as tn
from tests.children import BOX, fork_server, search, search_and_die, search_within
from tests.faulty import distinct_rows, patterns_in
from tropnet.cli import command
from tropnet.regions.runs.journal import read_state
from tropnet.regions.runs.status import status_of

KINDS = ["regions", "count"]


@pytest.fixture(scope="module")
def net() -> tn.Network:
    """Return a network of 12,954 regions in the box."""
    return tn.Network.random([3, 24, 24, 1], seed=0)


@pytest.fixture(scope="module")
def small() -> tn.Network:
    """Return a network of some hundred regions in the box."""
    return tn.Network.random([3, 8, 6, 1], seed=0)


def alone(net: tn.Network) -> set[bytes]:
    """Return what one process finds in memory."""
    return distinct_rows(tn.enumerate_regions(net, BOX).packed)


def check(net: tn.Network, kind: str, out: Path) -> None:
    """Let a run come to its end here; fail unless it has found what is to be found, and nothing else is left there."""
    expected = alone(net)
    assert search(net, kind, out) == len(expected)
    assert read_state(out).finished
    assert {path.name for path in (out / "parts").iterdir()} == {part.name for part in read_state(out).parts}
    files = {path.name for path in out.iterdir()}
    assert files - {"log.jsonl"} == {"journal.jsonl", "lock", "manifest.json", "network.npz", "parts"}
    if kind == "regions":
        assert patterns_in(out) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments(kind: str, net: tn.Network, tmp_path: Path) -> None:
    """The search would take two seconds; it is killed five times, within 0.4 s each."""
    random = Random(19)  # noqa: S311 (no secret)
    for _ in range(5):
        process = fork_server().Process(target=search, args=(net, kind, tmp_path, "sleep"))
        process.start()
        process.join(random.uniform(0.0, 0.4))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    check(net, kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_while_writing(kind: str, small: tn.Network, tmp_path: Path) -> None:
    """Before or after any file is on the disk, or in its place."""
    n, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        n += 1
        out = tmp_path / str(n)
        process = fork_server().Process(target=search_and_die, args=(small, kind, out, n))
        process.start()
        process.join()
        code = process.exitcode
        check(small, kind, out)
    assert code == 0
    assert n > 30


# --- no room


def failing_at(n: int, call: Callable[[int], None]) -> Callable[[int], None]:
    """Return a call that fails the n-th time and later, as on a full disk."""
    times = 0

    def wrapped(handle: int) -> None:
        nonlocal times
        times += 1
        if times >= n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        call(handle)

    return wrapped


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk(kind: str, small: tn.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever write it is that has no room: one line says what is kept, and with room again the run goes on."""
    fsync = os.fsync
    # Network, journal and manifest, each with their folder, the line of a session, and what the first piece found.
    for n in (1, 3, 5, 7, 8, 10)[: 6 if kind == "regions" else 5]:
        out = tmp_path / str(n)
        monkeypatch.setattr(os, "fsync", failing_at(n, fsync))
        with pytest.raises(OSError, match=r"No space left on device; the run in .* keeps what was finished") as caught:
            search(small, kind, out)
        assert caught.value.errno == errno.ENOSPC
        assert "\n" not in str(caught.value)
        monkeypatch.setattr(os, "fsync", fsync)
        check(small, kind, out)


def cannot_grow(net: tn.Network, kind: str, out: Path, n_bytes: int) -> None:
    """Search where files cannot have more than so many bytes, which is too few, and then where they can."""
    kept = r"the run in .* keeps what was finished, and goes on from there"
    with ProcessPoolExecutor(1, fork_server()) as executor, pytest.raises(OSError, match=kept) as caught:
        executor.submit(search_within, net, kind, out, n_bytes).result()
    assert caught.value.errno == errno.EFBIG
    check(net, kind, out)


@pytest.mark.parametrize("n_bytes", [2000, 5000])
def test_files_that_cannot_grow(n_bytes: int, small: tn.Network, tmp_path: Path) -> None:
    """The system itself refuses to write more, in the middle of the network or of a part."""
    cannot_grow(small, "regions", tmp_path, n_bytes)


@pytest.mark.parametrize("n_bytes", [400, 450, 500])
def test_a_journal_that_cannot_grow(n_bytes: int, small: tn.Network, tmp_path: Path) -> None:
    """In the middle of a line: what is written of it is taken back."""
    process = fork_server().Process(target=search_and_die, args=(small, "count", tmp_path, 20))
    process.start()
    process.join()
    assert len(lines_of(tmp_path)) == 2
    assert (tmp_path / "journal.jsonl").stat().st_size < 400
    cannot_grow(small, "count", tmp_path, n_bytes)


# --- one at a time


def test_a_second_process_is_refused(net: tn.Network, tmp_path: Path) -> None:
    """Whoever works at a run holds its lock, until it ends in whatever way; looking is free."""
    process = fork_server().Process(target=search, args=(net, "count", tmp_path, "sleep"))
    process.start()
    while not (tmp_path / "manifest.json").exists() or not status_of(tmp_path).n_sessions:
        assert process.is_alive()
        time.sleep(0.001)
    assert status_of(tmp_path).running
    with pytest.raises(tn.RunError, match=rf"is worked at by process {process.pid} on .*: wait until it is done"):
        search(net, "count", tmp_path)
    process.kill()
    process.join()
    assert not status_of(tmp_path).running
    check(net, "count", tmp_path)


# --- damage


@pytest.fixture(scope="module")
def stopped(net: tn.Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of three pieces or more that is not done."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    process = fork_server().Process(target=search, args=(net, "regions", out, "sleep"))
    process.start()
    while not (out / "manifest.json").exists() or len(read_state(out).parts) < 3:
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert not read_state(out).finished
    return out


@pytest.fixture
def out(stopped: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return shutil.copytree(stopped, tmp_path / "run")


def lines_of(out: Path) -> list[bytes]:
    return (out / "journal.jsonl").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("n_bytes", [1, 2, 100])
def test_a_torn_last_line(n_bytes: int, net: tn.Network, out: Path) -> None:
    """It is as if it had not been written: that piece is done again, and its part made anew."""
    journal, before = out / "journal.jsonl", read_state(out)
    os.truncate(journal, journal.stat().st_size - n_bytes)
    torn = read_state(out)
    assert torn.parts == before.parts[:-1]
    assert torn.n_regions < before.n_regions
    check(net, "regions", out)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_damaged_line_is_refused(line: int, net: tn.Network, out: Path) -> None:
    """By all who read it, and nothing is changed."""
    lines = lines_of(out)
    lines[line] = lines[line][:-3] + b"~" + lines[line][-2:] if line else lines[line][5:]
    damaged = b"".join(lines)
    (out / "journal.jsonl").write_bytes(damaged)
    calls: list[Callable[[], Any]] = [lambda: search(net, "regions", out), lambda: status_of(out), lambda: tn.Run(out)]
    for call in calls:
        with pytest.raises(
            tn.FileFormatError, match=r"journal.jsonl' must be the journal of a run, but is damaged: line"
        ):
            call()
    assert (out / "journal.jsonl").read_bytes() == damaged


@pytest.mark.parametrize("lost", [True, False])
def test_a_missing_or_short_part_is_refused(lost: bool, net: tn.Network, out: Path) -> None:
    """And named."""
    part = out / "parts" / "00000002.parquet"
    if lost:
        part.unlink()
    else:
        os.truncate(part, part.stat().st_size - 1)
    with pytest.raises(
        tn.FileFormatError, match=r"00000002.parquet' must be a part of \d+ bytes, and is missing or of"
    ):
        search(net, "regions", out)


def test_a_manifest_of_another_run_is_refused(net: tn.Network, out: Path) -> None:
    """Or one that was changed by hand."""
    path = out / "manifest.json"
    path.write_text(path.read_text().replace('"regions"', '"count"'))
    with pytest.raises(tn.FileFormatError, match="its fingerprint is that of another run"):
        search(net, "regions", out)


OTHERS: dict[str, Callable[[tn.Network, Path], Any]] = {
    "network": lambda net, out: tn.enumerate_regions(net.restrict(np.zeros(3), 2 * np.eye(3)), BOX, out=out),
    "domain": lambda net, out: tn.enumerate_regions(net, tn.Box(-9, 10), out=out),
    "facets": lambda net, out: tn.enumerate_regions(net, BOX, facets=True, out=out),
    "tolerances": lambda net, out: tn.enumerate_regions(net, BOX, tolerances=tn.Tolerances(exact_pivots=7), out=out),
    "engine": lambda net, out: tn.enumerate_regions(net, BOX, engine="simplex", out=out),
    "kind": lambda net, out: tn.count_regions(net, BOX, engine="vertex", out=out),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_run_is_refused(what: str, net: tn.Network, out: Path) -> None:
    """With both fingerprints, and what differs; nothing is changed."""
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "lock"}
    pattern = (
        rf"holds another run, with the fingerprint {tn.Run(out).fingerprint[:16]}, not [0-9a-f]{{16}} \(.*{what}: "
    )
    with pytest.raises(tn.RunError, match=pattern):
        OTHERS[what](net, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "lock"} == before


def test_a_directory_of_something_else_is_refused(net: tn.Network, tmp_path: Path) -> None:
    """Files of a user are not touched, nor is anything put beside them."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(tn.RunError, match=r"must be a new or empty directory, or hold a run: it holds 'notes.txt'"):
        search(net, "regions", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# --- the command line


def tropnet(*arguments: str) -> subprocess.Popen[str]:
    """Start a command."""
    whole = [sys.executable, "-m", "tropnet", *arguments]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def status(out: Path) -> tuple[str, dict[str, Any]]:
    """Return what `tropnet status` says, as text and as JSON."""
    text, found = (CliRunner().invoke(command, ["status", str(out), *options]) for options in ([], ["--json"]))
    return text.output, json.loads(found.output)


def test_an_interrupt_on_the_command_line(tmp_path: Path) -> None:
    """Ctrl-C keeps the count so far, status tells it before, between and after, and the same command goes on."""
    net, out = tn.Network.random([3, 12, 12, 1], seed=0), tmp_path / "run"
    net.save(tmp_path / "net.npz")
    expected = tn.count_regions(net, BOX)
    count = ("count", str(tmp_path / "net.npz"), "--box", "-10", "10", "--engine", "lp", "--out", str(out))
    _, nothing = tropnet("status", str(out)).communicate()
    assert f"no such run: '{out}'" in nothing
    process = tropnet(*count)
    while not (out / "manifest.json").exists() or not read_state(out).n_regions:
        assert process.poll() is None
        time.sleep(0.005)
    assert status_of(out).running
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate()
    assert process.returncode == 130
    n = int(output.split()[2])
    assert 0 < n < expected
    assert f"interrupted; the count is a lower bound; the run in {out} keeps it, and the same command goes on" in errors
    assert "Traceback" not in errors
    text, found = status(out)
    assert "stopped; the same call goes on" in text
    assert f"{n:,}" in text
    assert (found["n_regions"], found["finished"], found["running"], found["n_sessions"]) == (n, False, False, 1)
    assert 0 < found["fraction"] < 1
    assert found["subtrees_open"] > 0
    output, _ = tropnet(*count).communicate()
    assert output.startswith(f"{expected} activation regions")
    text, found = status(out)
    assert text.splitlines()[0].endswith("finished")
    assert (found["n_regions"], found["finished"], found["n_sessions"]) == (expected, True, 2)
    assert (found["fraction"], found["subtrees_open"], found["seconds_left"]) == (1, 0, 0)
