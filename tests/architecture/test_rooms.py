"""The rooms of the package: who may import whom, and what a plain import may cost."""

import importlib
import subprocess
import sys
from pathlib import Path

import grimp
import networkx as nx
import pytest
from importlinter.cli import lint_imports

import tropnet
from tropnet import enumeration, feasibility
from tropnet.cli.commands.regions import SUFFIXES
from tropnet.cli.options import BACKENDS, ENGINES
from tropnet.cli.program import COMMANDS, command
from tropnet.moved import MOVED, MOVED_NAMES
from tropnet.regions.files import FORMATS

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


@pytest.mark.parametrize(
    ("old", "name", "new"), [(old, name, new) for old, names in MOVED_NAMES.items() for name, new in names.items()]
)
def test_names_are_found_where_they_were(old, name, new):
    """A single name that moved out of a module is found there, with a warning that says where it is."""
    with pytest.warns(DeprecationWarning, match=rf"tropnet\.{old}\.{name} is now tropnet\.{new}\.{name}\."):
        found = getattr(importlib.import_module(f"tropnet.{old}"), name)
    assert found is getattr(importlib.import_module(f"tropnet.{new}"), name)


def test_plain_import_loads_no_extra():
    """`import tropnet` loads neither torch, onnx, matplotlib, plotly, dask nor cvxpy."""
    extras = {"torch", "onnx", "matplotlib", "plotly", "dask", "cvxpy"}
    code = f"import sys, tropnet; print(sorted({extras} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


HEAVY = {"numpy", "numba", "llvmlite", "scipy", "highspy", "pyarrow", "networkx", "rich", "torch", "onnx", "matplotlib"}


@pytest.mark.parametrize(
    "arguments",
    [None, ["--help"], ["--version"], ["count", "--help"], ["regions", "--help"], ["count"], ["no-command"]],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(arguments):
    """Neither `import tropnet` nor a text of help, nor an error of usage, waits for compilers, solvers and formats."""
    use = "" if arguments is None else f"sys.argv[1:] = {arguments}; import tropnet.cli; tropnet.cli.main()"
    code = f"""
import atexit, sys
atexit.register(lambda: print("loaded", sorted({HEAVY} & set(sys.modules))))
import tropnet
{use}
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == (2 if arguments in (["count"], ["no-command"]) else 0), result.stderr
    assert result.stdout.splitlines()[-1] == "loaded []"


def test_every_public_name_is_found_and_listed():
    """What `__all__` and the extras name exists, `dir` lists it, and `import *` brings it, one table for all."""
    listed = set(tropnet.__all__)
    assert set(tropnet._MODULE_OF) == listed
    assert set(dir(tropnet)) == listed | set(tropnet._EXTRAS)
    namespace = {}
    exec("from tropnet import *", namespace)  # noqa: S102 - in a namespace of its own
    assert listed <= set(namespace)
    for name in dir(tropnet):
        assert getattr(tropnet, name) is not None
    assert not hasattr(tropnet, "no_such_name")


def test_rooms_are_found_without_an_import_of_their_own():
    """`tropnet.network.network.Network` works after `import tropnet`, as it did when all was imported at once."""
    code = "import tropnet; print(tropnet.network.network.Network is tropnet.Network, tropnet.geometry.__name__)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "True tropnet.geometry"


def test_the_command_line_repeats_names_rightly():
    """Texts of help name what exists, though they do not import it."""
    assert ENGINES == enumeration.ENGINES
    assert BACKENDS == feasibility.BACKENDS
    assert tuple(FORMATS) == SUFFIXES
    for name, text in COMMANDS.items():
        assert text == command.commands[name].get_short_help_str(60)


def test_missing_extra_is_named():
    """Without an extra, the names that need it raise an error that says how to install it."""
    code = """
import sys
sys.modules.update(torch=None, matplotlib=None, plotly=None, cvxpy=None)
import tropnet as tn
net = tn.Network.random([1, 2, 1], seed=0)
count = lambda: tn.count_regions(net, backend="cvxpy")
for use in (lambda: tn.from_torch, lambda: tn.collapse, lambda: tn.plot_regions, lambda: tn.write_page, count):
    try:
        use()
    except tn.MissingExtraError as error:
        print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extras = ["torch", "torch", "plot", "interactive", "cvxpy"]
    for line, extra in zip(result.stdout.splitlines(), extras, strict=True):
        assert f"needs the extra '{extra}'; install it with: pip install 'tropnet[{extra}]'" in line
        assert f"in a clone of the repository with: pip install '.[{extra}]'" in line
