"""The rooms of the package: who may import whom, and what a plain import may cost."""

import importlib
import subprocess
import sys
from pathlib import Path

import grimp
import networkx as nx
import pytest
from importlinter.cli import lint_imports

from tropnet.moved import MOVED

ROOT = Path(__file__).parents[2]


def test_imports_run_one_way(monkeypatch, capsys):
    """Every contract of import-linter holds; a module without a room breaks the layers contract."""
    monkeypatch.chdir(ROOT)
    assert lint_imports() == 0, capsys.readouterr().out


@pytest.mark.parametrize("package", ["tropnet", "analysis"])
def test_no_two_files_import_each_other(package):
    """No file imports itself through others, in a room or across rooms."""
    imports = grimp.build_graph(package, cache_dir=None)
    graph = nx.DiGraph((a, b) for a in imports.modules for b in imports.find_modules_directly_imported_by(a))
    assert [sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []


def test_few_files_stand_outside_the_rooms():
    """The face of the package, and what every room uses; all else has a room."""
    assert len(list((ROOT / "tropnet").glob("*.py"))) <= 8


@pytest.mark.parametrize(("old", "new"), [*MOVED.items(), ("extremes.boundary", "verification.boundary")])
def test_old_import_paths_work(old, new):
    """A module that moved is found under its old name, with a warning that says where it is."""
    with pytest.warns(DeprecationWarning, match="is now tropnet") as warned:
        found = importlib.import_module(f"tropnet.{old}")
    assert f"tropnet.{old} is now tropnet.{new}." in {str(each.message) for each in warned}
    for name in [name for name in sys.modules if name.removeprefix("tropnet.") in MOVED]:
        del sys.modules[name]
    sys.modules.pop(f"tropnet.{old}", None)
    assert found is importlib.import_module(f"tropnet.{new}")


def test_plain_import_loads_no_extra():
    """`import tropnet` loads neither torch, onnx, matplotlib, dask nor cvxpy."""
    code = "import sys, tropnet; print(sorted({'torch', 'onnx', 'matplotlib', 'dask', 'cvxpy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_missing_extra_is_named():
    """Without an extra, the names that need it raise an error that says how to install it."""
    code = """
import sys
sys.modules.update(torch=None, matplotlib=None, cvxpy=None)
import tropnet as tn
net = tn.Network.random([1, 2, 1], seed=0)
count = lambda: tn.count_regions(net, backend="cvxpy")
for use in (lambda: tn.from_torch, lambda: tn.collapse, lambda: tn.plot_regions, count):
    try:
        use()
    except tn.MissingExtraError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extras = ["torch", "torch", "plot", "cvxpy"]
    for line, extra in zip(result.stdout.splitlines(), extras, strict=True):
        assert f"needs the extra '{extra}'; install it with: pip install 'tropnet[{extra}]'" in line
        assert f"in a clone of the repository with: pip install '.[{extra}]'" in line
