"""What the progress bar says: estimates with their error, or nothing, and a line and a bar that agree."""

import io

import pytest
from rich.console import Console

from tropnet import progress


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def shown(monkeypatch):
    """Run updates of (seconds, count, fraction) with a forecast and return all that a terminal gets to see."""

    def run(updates, forecast):
        screen, clock = io.StringIO(), Clock()
        monkeypatch.setattr(
            "rich.console.Console", lambda **_: Console(file=screen, force_terminal=True, width=300, color_system=None)
        )
        monkeypatch.setattr(progress, "time", clock)
        with progress.track("counting", "regions", enabled=True, forecast=lambda: forecast) as update:
            for seconds, count, fraction in updates:
                clock.now = seconds
                update(count, fraction)
        return screen.getvalue()

    return run


def test_a_long_run_is_announced_as_an_estimate_with_its_error(shown):
    """The line that stays gives number and error, and of the time only the size, which the bar cannot contradict."""
    text = shown([(0.5, 0, 0.0), (2.0, 1500, 1e-7)], (6e8, 1e8))
    assert "Random probes expect about 6e+08 +- 1e+08 regions, which takes days at this pace" in text
    assert "about 6.94 days left" in text


@pytest.mark.parametrize("forecast", [None, (6.1e6, 5.5e6)])
def test_nothing_is_said_that_is_not_known(forecast, shown):
    """Without a forecast, or with one as uncertain as itself, there is neither a line nor a total nor a time left."""
    text = shown([(0.5, 0, 0.0), (2.0, 1500, 1e-3)], forecast)
    assert "1,500 regions" in text
    assert "expect" not in text
    assert "left" not in text
    assert " of about" not in text


def test_compiling_does_not_count(shown):
    """The pace is that of the search itself, not of what came before its first regions."""
    assert "1,000/s" in shown([(30.0, 1000, 0.1), (31.0, 2000, 0.2)], (10_000.0, 100.0))


@pytest.mark.parametrize("forecast", [6_100_000.0, 70_000.0])
def test_a_wrong_forecast_gives_way_to_what_is_found(forecast):
    """Ten times too high or too low at first, the total comes within a seventh of the truth before the end."""
    truth, parts = 700_000, (0.001, 0.05, 0.25, 0.5, 0.75, 0.99)
    totals = [progress.expected_total(int(truth * part), part, (forecast, forecast / 10)) for part in parts]
    errors = [abs(total / truth - 1) for total in totals]
    assert errors[0] > 0.8
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1 / 7
    assert progress.expected_total(truth, 1.0, (forecast, 1.0)) == truth
