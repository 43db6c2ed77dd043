"""The notebooks run, and what they keep is small."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

FOLDER = Path(__file__).parents[2] / "docs/notebooks"
KEPT = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.ipynb")}


def code(name):
    """Return the cells of code of a notebook."""
    return [cell for cell in KEPT[name]["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_on_acas_xu_runs_without_the_published_network(tmp_path, monkeypatch, capsys):
    """It says that a stand-in takes the network's place, and every cell runs on that; the site executes the other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TROPNET_MODELS", raising=False)
    names = {}
    for cell in code("acas_xu"):
        exec(compile("".join(cell["source"]), "acas_xu.ipynb", "exec"), names)  # noqa: S102 (the notebook is ours)
    plt.close("all")
    said = capsys.readouterr().out
    assert "is about a random one in its place" in said
    assert names["verdict"].status in said
    assert (tmp_path / "certificate.parquet").exists()


@pytest.mark.parametrize("name", ["acas_xu", "first_look"])
def test_outputs_are_kept(name):
    """A notebook was run from its first cell to its last, shows a picture, fits the page, and takes under 300 kB."""
    assert max(len(line) for cell in code(name) for line in "".join(cell["source"]).splitlines()) <= 88
    assert [cell["execution_count"] for cell in code(name)] == list(range(1, len(code(name)) + 1))
    outputs = [output for cell in code(name) for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)
    assert (FOLDER / f"{name}.ipynb").stat().st_size < 300_000


def test_the_kept_outputs_are_those_of_the_published_network():
    """What the page on ACAS Xu shows is not the stand-in."""
    assert "Network(5-50-50-50-50-50-50-5)" in json.dumps(code("acas_xu")[0]["outputs"])
