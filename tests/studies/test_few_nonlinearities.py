"""The study of few nonlinearities: which neurons go, resumable stages, and its quick profile on generated images."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import few_nonlinearities
from analysis.few_nonlinearities_evaluation import accuracies, folded, plain, regions
from analysis.few_nonlinearities_training import (
    CRITERIA,
    Recipe,
    Variant,
    base,
    cnn,
    from_scratch,
    kept_neurons,
    leaving,
    outputs,
    run_path,
    stages,
)
from analysis.linear_collapse_training import Data
from tropnet import FileFormatError, NonFiniteError
from tropnet.homotopy.models.activations import activation_slopes

RECIPE = Recipe(
    channels=2, n_train=60, batch=20, base_epochs=1, passage_epochs=1, settle_epochs=1, shares=(0.5, 0.0), n_ranked=30
)
N_NEURONS = 81 + 25  # of one channel


def digits(n, seed):
    """Return n images (n, 1, 28, 28): noise, brighter in a stripe that tells the label; and the labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 10
    pixels = rng.integers(0, 60, (n, 1, 28, 28))
    for image, label in zip(pixels, labels, strict=True):
        image[0, 2 * label + 3 : 2 * label + 6] += 150
    return Data(torch.from_numpy(pixels).float() / 255, torch.from_numpy(labels))


@pytest.fixture
def data():
    return digits(60, 0)


@pytest.fixture(autouse=True)
def _threads():
    """Run on one thread, which is faster for small networks, and restore the number: the study sets it too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def weights(models):
    return [value for model in models for value in model.state_dict().values()]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_smallest_go_first(criterion, data):
    """As many go as are to, none of those that have gone, and none of a larger value than one that stays."""
    model = cnn(1)
    activation_slopes(model)["1"].slope[0, 0] = 1.0
    chosen = leaving(model, data.images, criterion, 40, torch.Generator().manual_seed(0))
    assert sum(int(part.sum()) for part in chosen.values()) == N_NEURONS - 9 - 40
    assert not chosen["1"][0, 0].any()
    with torch.no_grad():
        first = model[0](data.images)
        second = model[2](model[1](first))
    generator = torch.Generator().manual_seed(0)
    values = torch.cat([CRITERIA[criterion](z, i, generator).flatten() for i, z in enumerate((first, second))])
    gone = torch.cat([part.flatten() for part in chosen.values()])
    stays = ~gone & (torch.cat([part.slope.flatten() for part in activation_slopes(model).values()]) != 1)
    assert values[gone].max() <= values[stays].min()


def test_criteria():
    """Of three images: always on, always off, mixed."""
    z = torch.tensor([[1.0, -2.0, 1.0], [1.0, -2.0, -1.0], [1.0, -2.0, -1.0]])
    generator = torch.Generator()
    torch.testing.assert_close(CRITERIA["ambiguity"](z, 0, generator), torch.tensor([0, 0, 1 / 3]).double())
    torch.testing.assert_close(CRITERIA["negative part"](z, 0, generator), torch.tensor([0, 4, 2 / 3]).double())


def test_a_stopped_run_goes_on_to_the_same_weights(data, tmp_path):
    """Stages found on disk and stages trained in one go are the same, bit for bit."""
    variant = Variant("negative part", distilled=True)
    whole = stages(RECIPE, variant, 0, data, base(RECIPE, 0, data, tmp_path / "whole"), tmp_path / "whole")
    part = tmp_path / "part"
    stages(RECIPE, variant, 0, data, base(RECIPE, 0, data, part), part)
    run_path(part, RECIPE, 0, f"{variant.name}, 1.checkpoint").unlink()
    resumed = stages(RECIPE, variant, 0, data, base(RECIPE, 0, data, part), part)
    assert all(map(torch.equal, weights(whole), weights(resumed)))
    assert [sum(kept_neurons(model).values()) for model in resumed] == [106, 0]
    assert run_path(part, RECIPE, 0, "x") != run_path(part, replace(RECIPE, batch=10), 0, "x")


def test_variants_differ(data, tmp_path):
    """With "none" no neuron goes; labels, distillation and slopes set at once give other weights each."""
    full = base(RECIPE, 0, data, tmp_path)
    found = {}
    for variant in few_nonlinearities.VARIANTS:
        models = stages(RECIPE, variant, 0, data, full, tmp_path)
        found[variant.name] = models[0].state_dict()["0.weight"]
        n_left = 212 if variant.criterion == "none" else 106
        assert sum(kept_neurons(models[0]).values()) == n_left
    assert len({tuple(weight.flatten().tolist()) for weight in found.values()}) == len(few_nonlinearities.VARIANTS)


def test_networks_from_scratch_have_the_slopes(data, tmp_path):
    models = stages(RECIPE, Variant("random", distilled=False), 0, data, base(RECIPE, 0, data, tmp_path), tmp_path)
    for model, other in zip(models, from_scratch(RECIPE, 0, data, models, tmp_path), strict=True):
        for name, part in activation_slopes(model).items():
            assert torch.equal(part.slope, activation_slopes(other)[name].slope)
        assert not torch.equal(model[0].weight, other[0].weight)


def test_what_is_measured(data):
    """Folding changes no class; without nonlinear neurons there is one region, and all data lie in it."""
    model = cnn(1)
    assert torch.equal(plain(model)(data.images), model(data.images))
    classes = outputs(model, data.images).argmax(1)
    before = {**accuracies(model, classes, data), **regions(model, data, 2)}
    assert (before["agreement"], before["neurons"], before["widths"]) == (1.0, [81, 25], [81, 25])
    assert before["patterns"] > 1
    for part in activation_slopes(model).values():
        part.slope.fill_(1.0)
    after = {**accuracies(model, classes, data), **regions(model, data, 2)}
    assert folded(model).n_neurons == 0
    assert (after["patterns"], after["on_segments"], after["products"]) == (1, [1, 1], 7840 - after_zero(model))
    for found in (before, after):
        assert found["folding"]["disagreeing"] == 0
        assert found["folding"]["largest_difference"] < 1e-12


def after_zero(model):
    """Return how many weights of the affine map are zero: pixels that no window of both convolutions reads."""
    return int((folded(model).layers[0].weights[0] == 0).sum())


def test_bad_files_and_losses_are_refused(data, tmp_path):
    """A damaged checkpoint and a diverging loss are named, with what to do."""
    path = run_path(tmp_path, RECIPE, 0, "base.checkpoint")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FileFormatError, match=r"base\.checkpoint must be a checkpoint of this network.*Remove it"):
        base(RECIPE, 0, data, tmp_path)
    with pytest.raises(NonFiniteError, match=r"the loss must be finite, got .* Lower the learning rate"):
        base(RECIPE, 1, Data(data.images * math.inf, data.labels), tmp_path)


def test_quick_profile(tmp_path, monkeypatch, capsys):
    """The quick profile trains, folds, times, writes results and figure; again from scratch it gives the same."""
    monkeypatch.setattr(few_nonlinearities, "load", lambda split, *_: digits(100, int(split == "test")))
    records = []
    for name in ("first", "second"):
        few_nonlinearities.main(["--quick", "--out", str(tmp_path / name)])
        records.append(json.loads((tmp_path / name / "results" / "few_nonlinearities.json").read_text()))
        assert (tmp_path / name / "paper_figures" / "few_nonlinearities.png").stat().st_size < 1_000_000
    first = records[0]
    rows = first["seeds"]["0"]["variants"]
    assert set(rows) == {variant.name for variant in few_nonlinearities.VARIANTS} | {"from scratch"}
    assert [sum(row["neurons"]) for row in rows["random, distilled"]] == [21, 0]
    assert set(first["times"]) == {"full", "0.1", "0.0"}
    assert "not run: prediction times on a GPU" in capsys.readouterr().out
    for record in records:
        del record["times"], record["command"]
    assert records[0] == records[1]
