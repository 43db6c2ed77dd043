"""The benchmarks' report, and the plain loops they compare with; the measurements themselves are not run here."""

import json
from pathlib import Path

import pytest

import tropnet as tn
from analysis.shared import results
from benchmarks import report
from benchmarks.networks import ARCHITECTURES, Case
from benchmarks.plain import count_by_clipping, count_by_linear_programs

CASE = Case(2, (4, 4, 4), 10.0, skips=((1, 3),))


def timed(program, work, n_regions, seconds, n_cut_off=0):
    """Return what pytest-benchmark writes about one measurement."""
    info = {"topic": "architectures", "architecture": CASE.architecture, "domain": CASE.where, "work": work}
    info |= {"program": program, "n_networks": 2, "n_cut_off": n_cut_off, "n_regions": n_regions}
    return {"extra_info": info, "stats": {"median": seconds, "min": seconds, "max": seconds, "rounds": 1}}


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Raw times, in a folder with the page of the speed."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/speed.md").write_text("before\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nafter\n")
    benchmarks = [
        timed("auto", "count", 8_000, 1.6),
        timed("vertex", "count", 8_000, 2.0),
        timed("simplex", "count", 8_000, 1.0),
        timed("auto", "output", 6_000, 2.0),
        timed("simplex", "output", 6_000, 1.0),
        timed("lp", "output", 600, 2.0, n_cut_off=2),
        timed("plain clipping", "count", 80, 1.0),
    ]
    path = tmp_path / "raw.json"
    path.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": "abacus"}}, "benchmarks": benchmarks}))
    return path


def test_report_writes_results_and_table(raw, tmp_path, capsys):
    """A default call at each work, how many times the rate of others it has, and what a reader needs to repeat it."""
    report.main([str(raw)])
    row = "| 2-4-4-4, skips 1-3 | half-width 10 | 4,000 | 5,000 | 4,000 | 8,000 | 3,000 | 10 |  |  |  |  |  | 62 |"
    assert row in capsys.readouterr().out
    page = (tmp_path / "docs/speed.md").read_text()
    assert row in page
    assert "old" not in page
    assert (page[:6], page[-6:]) == ("before", "after\n")
    record = json.loads((tmp_path / "results" / "benchmarks.json").read_text())
    assert {"config", "command", "python", "versions", "hardware"} <= set(record)
    assert [row["rate"] for row in record["measurements"]] == [5_000, 4_000, 8_000, 3_000, 6_000, 300, 80]


def test_dry_run_writes_nothing(raw, tmp_path):
    """--dry-run only prints."""
    report.main([str(raw), "--dry-run"])
    assert "old" in (tmp_path / "docs/speed.md").read_text()
    assert not (tmp_path / "results").exists()


def test_the_page_has_a_place_for_the_table():
    """The page holds the markers once; a text without them is refused."""
    text = (Path(__file__).parents[2] / "docs/speed.md").read_text()
    assert "<!-- benchmarks -->\ntable\n<!--" in report.replaced(text, "benchmarks", "table")
    with pytest.raises(ValueError, match="one block <!-- other -->"):
        report.replaced(text, "other", "table")


def test_predictions_have_a_table_of_their_own(tmp_path, monkeypatch, capsys):
    """Nanoseconds a point, and how many times as fast as the fastest other the tree is; the cache is no other."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/speed.md").write_text("<!-- prediction_benchmarks -->\n<!-- /prediction_benchmarks -->\n")
    benchmarks = [
        timed(name, "", 0, seconds)
        for name, seconds in zip(("tree", "tropnet, cached", "a", "b"), range(1, 5), strict=True)
    ]
    for each in benchmarks:
        del each["extra_info"]["n_regions"]
        each["extra_info"] |= {"topic": "prediction", "batch": 10, "n_points": 10_000_000, "tree": None}
    benchmarks[0]["extra_info"]["tree"] = {"n_regions": 1_000, "mean_depth": 2.54}
    path = tmp_path / "raw.json"
    path.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": "abacus"}}, "benchmarks": benchmarks}))
    report.main([str(path)])
    assert "| 2-4-4-4, skips 1-3 | 1,000 | 2.5 | 10 | 100 | 200 | 300 | 400 | 3 |" in capsys.readouterr().out
    record = json.loads((tmp_path / "results" / "prediction_benchmarks.json").read_text())
    assert record["command"] == "make benchmark-prediction"
    assert "one core of abacus" in (tmp_path / "docs/speed.md").read_text()


def test_plain_loops_count_right():
    """On generic networks the plain loops give the library's counts, skips included."""
    net = CASE.network(0)
    expected = tn.count_regions(net, CASE.domain)
    assert count_by_clipping(net, CASE.half_width) == expected
    assert count_by_linear_programs(net, CASE.half_width) == expected
    assert count_by_linear_programs(net, CASE.half_width, 3) == 3


def test_cases_draw_the_same_networks_again():
    """A case and an index determine the network."""
    for case in ARCHITECTURES:
        assert case.network(1).fingerprint == case.network(1).fingerprint != case.network(2).fingerprint
