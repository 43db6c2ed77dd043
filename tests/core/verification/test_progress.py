"""Exact answers that take long can say so."""

import sys
from collections.abc import Callable

import pytest

import tropnet as tn
from tropnet import progress

NET = tn.Network.random([4, 8, 8, 2], seed=0)
BOX = tn.Box(-1, 1)


class Clock:
    """An hour passes whenever it is looked at."""

    now = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        self.now += 3600.0
        return self.now


@pytest.mark.parametrize(
    ("call", "unit"),
    [
        (lambda shown: tn.maximum(NET, BOX, 0, method="enumerate", progress=shown), "regions"),
        (lambda shown: tn.minimum(NET, None, 0, progress=shown), "regions"),
        (lambda shown: tn.maximum(NET, BOX, 0, method="branch", progress=shown), "nodes"),
        (lambda shown: tn.lipschitz_constant(NET, BOX, progress=shown), "regions"),
        (lambda shown: tn.distance_to_boundary(NET, [0.0] * 4, BOX, progress=shown), "regions"),
        (lambda shown: tn.same_function(NET, NET, BOX, progress=shown), "regions"),
        (lambda shown: tn.count_linear_regions(NET, BOX, progress=shown), "regions"),
    ],
)
def test_progress_is_shown_where_it_is_asked_for(
    call: Callable[[bool], object], unit: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bar of regions or nodes on a terminal, nothing without being asked."""
    monkeypatch.setattr(progress, "time", Clock())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    call(False)
    assert capsys.readouterr() == ("", "")
    call(True)
    out, err = capsys.readouterr()
    assert out == ""
    assert f" {unit}" in err
