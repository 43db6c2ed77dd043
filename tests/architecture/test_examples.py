"""The example scripts run."""

import json
import subprocess
import sys
from pathlib import Path

import tropnet as tn

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
