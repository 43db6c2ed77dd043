"""One quick run of every study on generated images, for all tests that look at one."""

import contextlib
import io
import json
import os
import pickle
import sys
import tempfile
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.shared import datasets
from analysis.shared.main import main
from tests.studies.commands import committed, data_option, study
from tests.studies.generated import FirstTwoAxes, write_all
from tropnet.archives import write_atomically


@dataclass(frozen=True)
class Quick:
    """A quick run: its folder, its results, what it printed, and what it changed among committed results."""

    out: Path
    record: dict[str, Any]
    text: str
    changed: set[Path]


@pytest.fixture(autouse=True)
def _threads():
    """Run on one thread, which is faster for small networks, and restore the number: the studies set it too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def _generated(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return root, write_all(root)


@pytest.fixture
def folder(_generated, monkeypatch):
    """Return a folder with generated MNIST, Fashion-MNIST and gray CIFAR-10, which count as published; no SVHN."""
    root, published = _generated
    for name, dataset in published.items():
        monkeypatch.setitem(datasets.DATASETS, name, dataset)
    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=FirstTwoAxes))
    return root


@pytest.fixture(scope="session")
def _kept(tmp_path_factory):
    """Return the folder of the quick runs that are done, which the processes of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    kept = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "quick"
    kept.mkdir(exist_ok=True)
    return kept


@pytest.fixture
def quick(_kept, folder, tmp_path_factory, monkeypatch):
    """Return a function that takes the name of a study and returns its quick run, which is made once."""

    def run(name):
        path = _kept / name
        if not path.exists():
            place = tmp_path_factory.mktemp(name)
            monkeypatch.setattr(tempfile, "tempdir", str(place))
            before, text = committed(), io.StringIO()
            with contextlib.redirect_stdout(text):
                main(study(name), ["--quick", *data_option(name, folder)])
            (out,) = place.glob("tropnet-*")
            record = json.loads((out / "results" / f"{name}.json").read_text())
            changed = {path for path, _ in committed().items() ^ before.items()}
            found = pickle.dumps(Quick(out, record, text.getvalue(), changed))
            write_atomically(path, lambda file: file.write(found))  # another process may have been as fast
        return pickle.loads(path.read_bytes())  # noqa: S301 - written by these tests

    return run


@pytest.fixture
def again(folder):
    """Return a function that runs a study quickly into a folder that is given, and returns its results."""

    def run(name, out, *arguments):
        main(study(name), ["--quick", "--out", str(out), *data_option(name, folder), *arguments])
        return json.loads((out / "results" / f"{name}.json").read_text())

    return run
