"""The study of linear collapse: networks, resumable training, verdict, and its quick profile on generated images."""

import copy
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import tropnet as tn
from analysis.linear_collapse import run, training
from analysis.linear_collapse.config import NAME, Recipe
from analysis.linear_collapse.evaluate import READINGS, agreement, as_module, verdict
from analysis.linear_collapse.networks import LinearResNet34, SkipCNN
from analysis.linear_collapse.training import accuracy, resume, train
from analysis.shared.affine_classifier import affine_limit
from analysis.shared.mnist import Data
from analysis.shared.results import published
from tests.studies.generated import digits
from tropnet import FileFormatError, NonFiniteError

RECIPE = Recipe(batch=16, width=2, channels=2)
PUBLISHED = published(NAME)


@pytest.fixture
def data():
    """Return a few images."""
    return digits(100)


def resnet():
    return LinearResNet34("average", RECIPE.width)


def weights(training):
    return [value.clone() for value in training.model.state_dict().values()]


def test_resnet34_has_the_layers_of_resnet34():
    """33 convolutions, a linear layer, three projections, no activation; its weights but for gray and ten classes."""
    model = LinearResNet34("max", 64)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert sum(convolution.kernel_size != (1, 1) for convolution in convolutions) == 33
    assert sum(convolution.kernel_size == (1, 1) for convolution in convolutions) == 3
    assert sum(p.numel() for p in model.parameters()) == 21_797_672 - 2 * 64 * 49 - 990 * 513
    assert not any("ReLU" in type(module).__name__ for module in model.modules())


def test_three_layer_network_is_the_recursion(data):
    """The three-layer CNN is (10) with t(1, 2) = t(2, 2) = 1/2: f_3 reads the mean of f_2 and f_1 resampled."""
    model = SkipCNN(28, 2).eval()
    with torch.no_grad():
        f_1 = model.first(data.images)
        # nearest-exact from 26 to 24 rows: row i reads the row that holds (i + 1/2) 26 / 24.
        rows = ((np.arange(24) + 0.5) * 26 / 24).astype(int)
        f_3 = model.third((f_1[:, :, rows][..., rows] + model.second(f_1)) / 2)
        torch.testing.assert_close(model(data.images), model.classifier(f_3.flatten(1)))


def test_only_the_affine_variant_collapses(data):
    """Average pooling and eval mode collapse, with the same predictions; max-pool and training mode are refused."""
    torch.manual_seed(0)
    model = resnet().train()
    model(data.images)  # statistics that are not those of the start
    with pytest.raises(tn.UnsupportedModuleError, match=r"stem\.1 .*BatchNorm2d\) normalises by the statistics of its"):
        tn.collapse(model, (1, 28, 28))
    affine = tn.collapse(model.eval(), (1, 28, 28))
    exact = Data(data.images.double(), data.labels)
    found = agreement(resnet_in_double(model), as_module(affine, torch.float64), exact, 16)
    assert found["disagreeing"] == 0
    assert found["largest_difference"] < 1e-10 * found["largest_output"]
    with pytest.raises(tn.UnsupportedModuleError, match=r"but pool .*MaxPool2d\) compares values"):
        tn.collapse(LinearResNet34("max", 2).eval(), (1, 28, 28))


def resnet_in_double(model):
    copy = resnet().eval()
    copy.load_state_dict(model.state_dict())
    return copy.double()


def test_agreement_counts_other_classes(data):
    """A map with one class raised gives every image that class: all others disagree, by what was added."""
    constant = tn.AffineMap(np.zeros((10, 784)), np.eye(10)[3])
    raised = tn.AffineMap(np.zeros((10, 784)), np.eye(10)[3] + 2 * np.eye(10)[4])
    found = agreement(as_module(constant), as_module(raised), data, 16)
    assert found == {"disagreeing": 100, "largest_difference": 2.0, "largest_output": 1.0}


def test_batch_statistics_leave_the_network_as_it_was(data):
    """Evaluating by the statistics of the batch gives another accuracy, and moves no stored statistics and no mode."""
    torch.manual_seed(1)
    model = resnet().eval()
    before = [value.clone() for value in model.state_dict().values()]
    accuracy(model, data, 16, batch_statistics=True)
    assert all(map(torch.equal, before, model.state_dict().values()))
    assert not model.training


def test_killed_run_resumes_to_the_same_weights(data, tmp_path, monkeypatch):
    """A run stopped within its second epoch and resumed has, bit for bit, the weights of one that was never stopped."""
    data = Data(data.images[:64], data.labels[:64])
    whole = resume("resnet", resnet, RECIPE, tmp_path / "whole")
    for _ in range(2):
        train(whole, data, data, RECIPE)

    stopped = resume("resnet", resnet, RECIPE, tmp_path / "stopped")
    train(stopped, data, data, RECIPE)

    @contextmanager
    def killed(*_, **__):
        def update(step, _):
            if step == 3:
                raise KeyboardInterrupt

        yield update

    with monkeypatch.context() as patched:
        patched.setattr(training, "track", killed)
        with pytest.raises(KeyboardInterrupt):
            train(stopped, data, data, RECIPE)
    assert not all(map(torch.equal, weights(whole), weights(stopped)))

    resumed = resume("resnet", resnet, RECIPE, tmp_path / "stopped")
    assert [entry["epoch"] for entry in resumed.history] == [1]
    train(resumed, data, data, RECIPE)
    assert all(map(torch.equal, weights(whole), weights(resumed)))
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_recipes_do_not_share_checkpoints(data, tmp_path):
    """A checkpoint is found again by its own recipe only, and the two ResNet34 begin with the same weights."""
    train(resume("resnet", resnet, RECIPE, tmp_path), data, data, RECIPE)
    assert resume("resnet", resnet, RECIPE, tmp_path).history
    assert not resume("resnet", resnet, replace(RECIPE, seed=1), tmp_path).history
    other = resume("other", lambda: LinearResNet34("max", RECIPE.width), RECIPE, tmp_path)
    fresh = resume("fresh", resnet, RECIPE, tmp_path)
    assert all(map(torch.equal, weights(other), weights(fresh)))


def test_damaged_checkpoint_is_refused(tmp_path):
    """A file that is no checkpoint is named, with what to do."""
    path = resume("resnet", resnet, RECIPE, tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FileFormatError, match=r"resnet\.checkpoint must be a checkpoint of resnet.*Remove it"):
        resume("resnet", resnet, RECIPE, tmp_path)


def test_loss_that_is_not_finite_is_refused_early(data, tmp_path):
    """A diverging run stops at the step, says where, and writes no checkpoint."""
    recipe = replace(RECIPE, learning_rate=1e38)
    training = resume("perceptron", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), recipe, tmp_path)
    with pytest.raises(NonFiniteError, match=r"the loss of perceptron must be finite, got .* at epoch 1, step \d of 7"):
        train(training, data, data, recipe)
    assert not training.path.exists()


def test_best_affine_classifier_separates_what_an_affine_map_separates(data):
    """The stripes that tell the generated digits apart are found by the convex fit, on images it has not seen too."""
    found = affine_limit(data, digits(40), 20)
    assert (found["train_accuracy"], found["accuracy"], found["best_accuracy"]) == (1, 1, 1)
    assert found["loss"] < 0.01


def histories(**accuracies):
    """Return histories in which each reading has these accuracies, one per epoch."""
    found = {}
    for reading, values in accuracies.items():
        name, mode = READINGS[reading.replace("_", " ").replace("max pool", "max-pool")]
        entries = found.setdefault(name, [{"accuracy": {}} for _ in values])
        for entry, value in zip(entries, values, strict=True):
            entry["accuracy"][mode] = value
    return found


def test_verdict_names_the_readings_that_reach_it():
    """After the last common epoch a reading may be ahead, or behind by the margin, whatever the epochs before were."""
    found = verdict(
        histories(
            affine=[0.97, 0.92],
            batch_statistics=[0.9, 0.94],
            max_pool=[0.5, 0.967],
            max_pool_and_batch_statistics=[0.5, 0.999],
        ),
        [0.97, 0.975, 0.98],
    )
    assert (found["epoch"], found["published"]) == (2, 0.975)
    assert found["reached"] == ["max-pool", "max-pool and batch statistics"]
    assert found["difference"]["affine"] == -0.055
    assert "affine 92.00%" in found["text"]
    assert found["text"].endswith("Reached, to 1 point: max-pool, max-pool and batch statistics.")


@pytest.mark.parametrize("missing", [{}, {"affine": [0.9], "batch_statistics": [0.9]}])
def test_no_verdict_without_every_candidate(missing):
    """While a candidate has not been trained there is no verdict."""
    found = verdict(histories(**missing), PUBLISHED["accuracy"]["resnet34"])
    assert (found["epoch"], found["reached"]) == (None, [])
    assert found["text"].startswith("No verdict")


def test_verdict_can_be_none_of_them():
    """Readings that all miss the published accuracy are said to."""
    same = {reading: [0.5] for reading in ("affine", "max_pool", "batch_statistics", "max_pool_and_batch_statistics")}
    assert verdict(histories(**same), [0.97])["text"].endswith("Reached, to 1 point: by none.")


def without_times(record):
    """Return a record without what differs from run to run."""
    record = copy.deepcopy(record)
    for network in record["networks"].values():
        for entry in network["history"]:
            del entry["seconds"]
        network["collapse"].pop("seconds", None)
    return {key: value for key, value in record.items() if key not in ("times", "command")}


def test_quick_profile(quick, again, tmp_path):
    """The quick profile trains, collapses and times; again from scratch it gives the same."""
    first = quick(NAME).record
    assert set(first["times"]["cpu"]) == {"perceptron", "cnn", "resnet34_average"}
    assert all(len(row["rounds"]) == 2 and row["ratio"] > 0 for row in first["times"]["cpu"].values())
    for name in ("perceptron", "cnn", "resnet34_average"):
        collapse = first["networks"][name]["collapse"]
        assert collapse["n_images"] == 100
        assert collapse["float64"]["disagreeing"] == 0
        assert collapse["float64"]["largest_difference"] < 1e-9
    assert "MaxPool2d" in first["networks"]["resnet34_max"]["collapse"]["refused"]
    assert "resnet34_average: epochs 2 to 10" in first["not_run"]
    assert first["verdict"]["epoch"] == 1
    assert "not run: resnet34_max: epochs 2 to 10" in quick(NAME).text
    assert without_times(first) == without_times(again(NAME, tmp_path))


def test_summary_of_a_run_that_was_stopped(again, tmp_path, monkeypatch, capsys):
    """--summarise reports on what is there, with the rest as not run; the run then goes on where it was."""
    trained = []

    def stop(training, *rest):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(training.name)
        return train(training, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(run, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            again(NAME, tmp_path)
    record = again(NAME, tmp_path, "--summarise")
    assert list(record["networks"]) == trained == ["perceptron", "cnn"]
    assert "resnet34_average: epochs 1 to 10" in record["not_run"]
    assert record["verdict"]["epoch"] is None
    capsys.readouterr()
    again(NAME, tmp_path)
    assert "perceptron, epoch 1" not in capsys.readouterr().out
