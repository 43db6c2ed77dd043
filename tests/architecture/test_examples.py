"""The example scripts run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tropnet as tn
from analysis import skip_vs_regions, stable_counts

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_training_script_runs_and_shipped_network_is_its_product(tmp_path):
    """The quick profile trains and saves a network; the shipped one has the shape and seed its record names."""
    out = tmp_path / "quick.npz"
    subprocess.run(
        [sys.executable, EXAMPLES / "train_phi_1.py", "--quick", "--out", out], check=True, capture_output=True
    )
    shipped, record = tn.load(EXAMPLES / "phi_1.npz"), json.loads((EXAMPLES / "phi_1.json").read_text())
    assert repr(tn.load(out)) == repr(shipped) == "Network(2-5-5-5-5-5-1, skips 1-3, 2-4)"
    assert [list(skip) for skip in shipped.skips] == record["skips"]
    assert record["epochs"] == 20_000


@pytest.mark.parametrize("study", [skip_vs_regions, stable_counts])
def test_studies_run_quickly_and_give_the_same_numbers_again(study, tmp_path):
    """Each study's quick profile writes results and figures; a second run from scratch gives the same numbers."""
    records = []
    for name in ("first", "second"):
        study.main(["--quick", "--out", str(tmp_path / name)])
        record = json.loads((tmp_path / name / "results" / f"{study.NAME}.json").read_text())
        records.append(record)
        assert study is stable_counts or list((tmp_path / name / "paper_figures").glob("*.png"))
    assert records[0] == records[1]
