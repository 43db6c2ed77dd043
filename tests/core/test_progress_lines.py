"""What calls without a bar say when they take long."""

from __future__ import annotations

import time

import click
import pytest
from numba.core.event import trigger_event

from tropnet import progress
from tropnet.cli.program import command
from tropnet.progress import track


def test_long_calls_say_what_they_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, once, unless TROPNET_QUIET is set; short calls say nothing."""
    monkeypatch.setattr(progress, "_WATCH", type(progress._WATCH)())
    monkeypatch.setattr(progress, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0.05)
    with track("bounding", "nodes", enabled=False) as update:
        update(7, 0.0)
        time.sleep(0.3)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("TROPNET_QUIET", "")
    with track("counting", "regions", enabled=False):
        pass
    monkeypatch.setattr(progress, "_WATCH", type(progress._WATCH)())
    with track("bounding", "nodes", enabled=False) as update:
        update(7, 0.0)
        for _ in range(200):
            time.sleep(0.02)
            line = capsys.readouterr().err
            if line:
                break
        time.sleep(0.2)
    assert line.startswith("tropnet: bounding for 0 s, 7 nodes so far; progress=True shows")
    assert capsys.readouterr().err == ""


def test_compiling_is_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds of a call are without those in which numba compiles, nested or under way."""
    now = 0.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    compiling = progress._Compiling()
    monkeypatch.setattr(progress, "_COMPILING", compiling)
    compiling.listen()
    call = progress._Call("searching", "regions", is_seen=False)
    now = 2.0
    with trigger_event("numba:compile"), trigger_event("numba:compile"):
        now = 30.0
        assert call.seconds() == 2.0
    now = 31.0
    assert call.seconds() == 3.0


def test_a_command_names_its_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a bar is wanted and there is no terminal, the line is written, too; it does not name Python's calls."""
    monkeypatch.setattr(progress, "_WATCH", type(progress._WATCH)())
    monkeypatch.setattr(progress, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(progress, "_SILENT_SECONDS", 0.05)
    monkeypatch.setenv("TROPNET_QUIET", "")
    line = ""
    context = click.Context(command)
    command.resolve_command(context, ["regions"])
    with context, track("enumerating", "regions", enabled=True) as update:
        update(7, 0.0)
        for _ in range(200):
            time.sleep(0.02)
            line += capsys.readouterr().err
            if line:
                break
    assert (
        line == "tropnet: enumerating for 0 s, 7 regions so far. What ends sooner: a smaller --box or --max-regions.\n"
    )
