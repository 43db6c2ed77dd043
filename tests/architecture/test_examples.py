"""The example scripts run."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tropnet as tn

EXAMPLES = Path(__file__).parents[2] / "examples"
GALLERY = EXAMPLES / "gallery"
SHIPPED = Path(tn.__file__).parent / "example"
SCRIPTS = sorted(path.stem for path in GALLERY.glob("*.py") if path.stem != "pictures")
PNG = b"\x89PNG"


def test_training_script_runs_and_shipped_network_is_its_product(tmp_path):
    """The quick profile trains and saves a network; the shipped one has the shape and seed its record names."""
    out = tmp_path / "quick.npz"
    subprocess.run(
        [sys.executable, EXAMPLES / "train_phi_1.py", "--quick", "--out", out], check=True, capture_output=True
    )
    shipped, record = tn.example_network(), json.loads((SHIPPED / "phi_1.json").read_text())
    assert repr(tn.load(out)) == repr(shipped) == "Network(2-5-5-5-5-5-1, skips 1-3, 2-4)"
    assert [list(skip) for skip in shipped.skips] == record["skips"]
    assert record["epochs"] == 20_000


@pytest.mark.parametrize("name", SCRIPTS)
def test_gallery_scripts_draw(name, tmp_path):
    """Each script says in its docstring what one sees, and with --quick writes the picture that --out names."""
    script, out = GALLERY / f"{name}.py", tmp_path / "picture.png"
    assert ast.get_docstring(ast.parse(script.read_text()))
    done = subprocess.run(
        [sys.executable, script, "--quick", "--out", out], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == f"wrote {out}\n"
    assert out.read_bytes().startswith(PNG)
    assert list(tmp_path.iterdir()) == [out]


def test_a_killed_worker_changes_nothing(tmp_path):
    """The script kills a process in the middle, and says that the regions are the same."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / "killed_worker.py"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    alone, killed, together = done.stdout.splitlines()
    n, before = alone.split()[0], re.fullmatch(r"killed worker \d+ after ([\d,]+) regions", killed)[1]
    assert 0 < int(before.replace(",", "")) < int(n.replace(",", ""))
    assert together == f"{n} regions, found by a Dask cluster, complete: True, the same: True"
    assert not list(tmp_path.iterdir())


def test_advisories_of_a_model_in_a_file(tmp_path):
    """The script of the advisories draws the network of the file that it is given."""
    tn.Network.random([5, 6, 6, 5], seed=0).save(tmp_path / "net.npz")
    out = tmp_path / "picture.png"
    subprocess.run([sys.executable, GALLERY / "advisories.py", tmp_path / "net.npz", "--out", out], check=True)
    assert out.read_bytes().startswith(PNG)


def test_the_gallery_shows_every_script():
    """Its page shows each script's picture, a PNG of less than 150 kB, and under it the command."""
    page = EXAMPLES.parent / "docs/guide/gallery.md"
    text = page.read_text()
    assert len(SCRIPTS) == 10
    shown = re.findall(r"\]\((\.\./gallery/\w+\.png)\)\n\n```console\n\$ python examples/gallery/(\w+)\.py --out", text)
    assert sorted(name for _, name in shown) == SCRIPTS
    for picture, name in shown:
        data = (page.parent / picture).read_bytes()
        assert Path(picture).stem == name
        assert data.startswith(PNG)
        assert len(data) < 150_000
