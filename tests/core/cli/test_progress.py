"""What the progress bar says: estimates with their error, or nothing, and a line and a bar that agree."""

import io

import pytest
from rich.console import Console

import tropnet as tn
from tropnet import progress
from tropnet.enumeration.search import Search
from tropnet.progress import Forecast


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
    text = shown([(0.5, 0, 0.0), (2.0, 1500, 1e-7)], Forecast(6e8, 1e8))
    assert "Random probes expect about 6e+08 +- 1e+08 regions, which takes days at this pace" in text
    assert "about 6.94 days left" in text


@pytest.mark.parametrize("forecast", [None, Forecast(6.1e6, 5.5e6)])
def test_nothing_is_said_that_is_not_known(forecast, shown):
    """Without a forecast, or with one as uncertain as itself, there is neither a line nor a total nor a time left."""
    text = shown([(0.5, 0, 0.0), (2.0, 1500, 1e-3)], forecast)
    assert "1,500 regions" in text
    assert "expect" not in text
    assert "left" not in text
    assert " of about" not in text


def test_compiling_does_not_count(shown):
    """The pace is that of the search itself, not of what came before its first regions, which is no reason to warn."""
    assert "takes" not in shown([(30.0, 10, 1e-5), (31.0, 200_000, 0.8)], Forecast(240_000.0, 40_000.0))
    assert "1,000/s" in shown([(30.0, 1000, 0.1), (31.0, 2000, 0.2)], Forecast(10_000.0, 100.0))


@pytest.mark.parametrize("forecast", [6_100_000.0, 70_000.0])
def test_a_wrong_forecast_gives_way_to_what_is_found(forecast):
    """Ten times too high or too low at first, the total comes within a seventh of the truth before the end."""
    truth, parts = 700_000, (0.001, 0.05, 0.25, 0.5, 0.75, 0.99)
    totals = [progress.expected_total(int(truth * part), part, Forecast(forecast, forecast / 10)) for part in parts]
    errors = [abs(total / truth - 1) for total in totals]
    assert errors[0] > 0.8
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1 / 7
    assert progress.expected_total(truth, 1.0, Forecast(forecast, 1.0)) == truth


def test_what_would_end_sooner_is_named(shown):
    """The line says what to do instead, and stands before the bar, once."""
    text = shown([(2.0, 1500, 1e-7), (3.0, 2500, 2e-7), (9.0, 9000, 1e-6)], Forecast(6e8, 1e8))
    assert text.count("Random probes expect") == 1
    for name in ("a smaller box", "Network.restrict", "regions_near", "max_regions", "estimate_regions"):
        assert name in text


def test_an_uncertain_forecast_of_years_is_said_as_a_bound(shown):
    """Its total is worth nothing, but that there is no end is certain; no total and no time left are shown."""
    text = shown([(0.5, 0, 0.0), (2.0, 1500, 1e-12)], Forecast(1e20, 8e19))
    assert "Random probes expect more than 9e+18 regions, which takes years" in text
    assert " left" not in text


def test_a_guess_is_said_only_where_it_is_hopeless(shown):
    """By the paths so far, there is an end in a day (no line), or none in a thousand lives."""
    assert "far more than" not in shown([(2.0, 1500, 1e-7)], Forecast(1e8, None))
    text = shown([(2.0, 0, 0.0)], Forecast(1e300, None))
    assert "there are far more than 1e+15 regions, which takes years at this pace" in text
    assert " left" not in text


def test_a_run_of_minutes_is_not_alarming(shown):
    """Neither probes nor a guess say more than they know: ten minutes at this pace."""
    for forecast in (Forecast(600_000, 1e5), Forecast(600_000, 5e5), Forecast(600_000, None)):
        text = shown([(0.5, 0, 0.0), (2.0, 1500, 1e-3)], forecast)
        assert "expect" not in text
        assert "far more than" not in text


@pytest.mark.parametrize("widths", [(10, 24, 24), (140, 40, 40)])
def test_a_hopeless_search_says_so_first(widths, capsys, monkeypatch):
    """On a compiled engine and on that of linear programs; the clock is one of reports, not of the machine."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    net = tn.Network.random([*widths, 1], seed=0)
    search = Search.prepare(net, tn.Box(-100, 100), "auto", "highs", None, None, only_count=True)
    for _ in search.chunks("counting", True):
        clock.now += 2.0
        if "take" in (said := capsys.readouterr().err) or clock.now > 200:
            break
    assert "which takes" in said
    assert "regions_near" in said
    assert capsys.readouterr().out == ""


def test_a_search_with_an_end_does_not(capsys, monkeypatch):
    """Some ten thousand regions, as slow as one report in two seconds."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    for engine, widths in (("auto", [3, 16, 16, 1]), ("lp", [1, 60, 1])):
        search = Search.prepare(
            tn.Network.random(widths, seed=0), tn.Box(-1, 1), engine, "highs", None, None, only_count=True
        )
        for _ in search.chunks("counting", True):
            clock.now += 2.0
    assert capsys.readouterr() == ("", "")
