"""The study of regions while training, on runs so small that they take seconds."""

from __future__ import annotations

import numpy as np
import pytest

import tropnet as tn
from analysis.regions_while_training.config import ARMS, QUICK, Config
from analysis.regions_while_training.evaluate import comparisons, growth, learning, overall
from analysis.regions_while_training.run import Run, first_network, grids, measured
from analysis.shared.functions import FUNCTIONS


def test_milestones_are_logarithmic():
    """From the start to the last epoch, in order; quotients of late ones are equal."""
    found = Config().milestones
    assert (found[0], found[1], found[-1]) == (0, 1, 20_000)
    assert found == sorted(set(found))
    quotients = np.array(found[-8:]) / np.array(found[-9:-1])
    assert quotients == pytest.approx(quotients.mean(), rel=0.01)


def test_arms_start_from_the_same_weights():
    """They differ in what their layers read; "averaged" halves what "added" adds."""
    networks = {arm: first_network(Run(QUICK, arm, "phi_3", 1)) for arm in ARMS}
    assert len({network.weights.tobytes() for network in networks.values()}) == 1
    assert networks["none"].network().skips == ()
    for arm, share in (("added", 1.0), ("averaged", 0.5)):
        net = networks[arm].network()
        assert net.skips == ((1, 3), (2, 4))
        for number, source in ((3, 1), (4, 2)):
            plain = networks["none"].network().layers[number - 1].weights[number - 1]
            for k in (source, number - 1):
                assert np.array_equal(net.layers[number - 1].weights[k], share * plain)


def test_a_path_counts_the_networks_along_it():
    """Regions and errors are those of the network after so many steps."""
    run = Run(QUICK, "added", "phi_1", 0)
    path = measured(run)
    network = first_network(run)
    train, test = grids(QUICK)
    train = train[(train != 0).all(axis=1)]
    values = FUNCTIONS["phi_1"]
    for i, epoch in enumerate(QUICK.milestones):
        network.train(train, values(train), epoch - network.steps, QUICK.learning_rate)
        assert path["regions"][i] == tn.count_regions(network.network(), tn.Box(-10, 10))
        assert path["train_error"][i] == network.loss(train, values(train))
        assert path["test_error"][i] == network.loss(test, values(test))


def test_comparisons_are_paired():
    """Ratios of means, where they are lowest, and how many trials have more at the end."""
    config = Config(trials=2, epochs=4, n_counts=2)
    assert config.milestones == [0, 1, 4]
    regions = {"none": [[10, 20, 10], [10, 20, 30]], "added": [[20, 10, 40], [20, 20, 20]], "averaged": [[1, 1, 1]] * 2}
    paths = {
        "phi_1": {
            arm: {"regions": rows, "train_error": [[3, 2, 1], [3, 2, 2]], "test_error": [[3, 2, 1]] * 2}
            for arm, rows in regions.items()
        }
    }
    row = comparisons(paths, config)[0]
    assert (row["arms"], row["function"], row["networks"]) == (["added", "none"], "all", 2)
    assert row["ratio"] == pytest.approx([2, 0.75, 1.5])
    assert row["lowest_ratio"] == {"ratio": 0.75, "epoch": 1}
    assert (row["milestones_with_more"], row["milestones"], row["larger_at_end"]) == (2, 3, 1)
    assert overall(paths)["added"]["regions"]["mean"] == [20, 15, 30]
    assert growth(paths)["none"]["fewer_at_end"] == 0
    assert growth(paths)["added"]["fewer_at_end"] == 0
    assert growth(paths)["none"]["regions_against_error"] == {"phi_1": pytest.approx(1)}
    assert growth(paths)["averaged"]["regions_against_error"] == {"phi_1": None}
    # Training errors at the end are 1 and 2: of a variance of 2.01, the second network of each arm explains too little.
    found = learning(paths, {"phi_1": 2.01})
    assert found["learnt_nothing"] == {"none": 1, "added": 1, "averaged": 1}
    assert found["where_both_learnt"][0] == {"arms": ["added", "none"], "networks": 1, "ratio": 4.0, "p": 1.0}
    assert learning(paths, {"phi_1": 0.5})["where_both_learnt"][2]["ratio"] is None


def test_the_study_is_the_papers(quick):
    """All functions and arms are in the results, over the milestones, and the tables name them."""
    found = quick("regions_while_training")
    assert list(found.record["functions"]) == list(FUNCTIONS)
    for arms in found.record["functions"].values():
        assert list(arms) == list(ARMS)
        assert np.shape(arms["added"]["regions"]) == (QUICK.trials, len(QUICK.milestones))
    assert found.text.count("times at the start") == 3
    table = (found.out / "results" / "regions_while_training.md").read_text()
    assert table.count("| added / none |") == 6
    config = Config()
    assert (config.trials, config.layers, config.neurons, config.skips) == (10, 5, 4, ((1, 3), (2, 4)))
    assert [len(points) for points in grids(config)] == [10_201, 10_000]
