"""The study of vanishing skips on networks so small that it takes seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import tropnet as tn
from analysis.shared.functions import phi_1
from analysis.shared.results import provenance, write_figures, write_json
from analysis.vanishing_skips import run as vanishing
from analysis.vanishing_skips.config import ARMS, Config
from analysis.vanishing_skips.evaluate import comparisons, summary, table
from analysis.vanishing_skips.figures import draw

CONFIG = Config(trials=2, epochs=8, layers=3, neurons=4, skips=((1, 3),), spacing=2.5, n_strengths=3)


@pytest.fixture(scope="module")
def records():
    """One run of each arm and trial."""
    return {(arm, i): vanishing.measured(vanishing.Run(CONFIG, arm, i)) for arm in ARMS for i in range(2)}


def test_the_strengths_are_those_of_the_arms(records):
    """Strengths fall from 1/2 to 0 in the first half, or stays."""
    paths = {arm: records[arm, 0]["path"] for arm in ARMS}
    assert paths["vanishing"]["epoch"] == list(range(9))
    assert paths["vanishing"]["t"] == pytest.approx([0.5, 0.375, 0.25, 0.125, 0, 0, 0, 0, 0])
    assert set(paths["static"]["t"]) == {0.5}
    assert set(paths["none"]["t"]) == {0.0}


def test_a_trial_starts_from_the_same_weights(records):
    """With skips of one strength, two arms are one network at first; without, another."""
    first = {arm: (records[arm, 1]["path"]["regions"][0], records[arm, 1]["path"]["test_error"][0]) for arm in ARMS}
    assert first["vanishing"] == first["static"] != first["none"]


def test_the_same_run_gives_the_same_numbers(records):
    """Seeds determine everything."""
    assert vanishing.measured(vanishing.Run(CONFIG, "vanishing", 1)) == records["vanishing", 1]


def test_regions_are_those_of_the_formula(records):
    """At t, layer 3 reads (1 - t) nu_2 + t nu_1: the same network made by hand has the same count."""
    module = vanishing.network(CONFIG, 0)
    parameters = [each.detach().numpy() for each in module.parameters()]
    weights, biases = parameters[::2], parameters[1::2]
    sources = [{0: weights[0]}, {1: weights[1]}, {2: 0.5 * weights[2], 1: 0.5 * weights[2]}, {3: weights[3]}]
    net = tn.Network([tn.Layer(s, b) for s, b in zip(sources, biases, strict=True)])
    assert tn.count_regions(net, tn.Box(-10, 10)) == records["static", 0]["path"]["regions"][0]


def test_the_compiled_network_holds_no_skip(records):
    """Its values are those of the trained module, its regions the last count."""
    found = records["vanishing", 0]["compiled"]
    assert found["skips"] == 0
    assert found["error"] < 1e-9
    assert found["n_regions"] == records["vanishing", 0]["path"]["regions"][-1]
    assert found["n_regions"] == records["vanishing", 0]["held"]["regions"][-1]


def test_points_keep_off_the_axes():
    """phi_1 is defined at all of them, and test points are no training points."""
    train, test = vanishing.grids(Config())
    assert (train != 0).all()
    assert (test != 0).all()
    assert not (torch.cdist(train[:50], test[:50]) == 0).any()
    assert np.isfinite(phi_1(test.numpy())).all()


def test_summary_and_figure(records, tmp_path):
    """What is compared is the end of the paths, paired by trial; the figure is drawn from the file."""
    arms = {arm: summary([records[arm, i] for i in range(2)]) for arm in ARMS}
    rows = comparisons(arms)
    assert [row["arms"] for row in rows[::3]] == [["vanishing", "none"], ["static", "none"], ["vanishing", "static"]]
    ends = [[records[arm, i]["path"]["regions"][-1] for i in range(2)] for arm in ("vanishing", "none")]
    assert rows[1]["means"] == np.mean(ends, axis=1).tolist()
    assert rows[1]["larger_in"] == sum(a > b for a, b in zip(*ends, strict=True))
    assert rows[6]["p"] == 1.0
    record = provenance(CONFIG, "a test") | {"arms": arms, "comparisons": rows}
    assert table(record).count("trials") == 9
    write_json(tmp_path / "vanishing_skips.json", record)
    assert json.loads((tmp_path / "vanishing_skips.json").read_text())["arms"].keys() == arms.keys()
    (path,) = write_figures(draw(tmp_path / "vanishing_skips.json"), tmp_path)
    assert path.stat().st_size > 10_000
