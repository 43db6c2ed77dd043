"""What calls without a bar say when they take long."""

from __future__ import annotations

import time

import pytest

from tropnet import progress
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
