"""The study of few nonlinearities: which neurons go, resumable stages, and its quick profile on generated images."""

import math
from dataclasses import replace

import pytest
import torch

from analysis.few_nonlinearities.config import NAME, VARIANTS, Recipe, Variant
from analysis.few_nonlinearities.evaluate import accuracies, folded, plain, regions
from analysis.few_nonlinearities.training import (
    CRITERIA,
    base,
    cnn,
    from_scratch,
    kept_neurons,
    leaving,
    run_path,
    stages,
)
from analysis.shared.main import parser
from analysis.shared.mnist import Data, outputs
from tests.studies.commands import study
from tests.studies.generated import digits
from tropnet import FileFormatError, NonFiniteError
from tropnet.homotopy.models.activations import activation_slopes

RECIPE = Recipe(
    channels=2, n_train=60, batch=20, base_epochs=1, passage_epochs=1, settle_epochs=1, shares=(0.5, 0.0), n_ranked=30
)
N_NEURONS = 81 + 25  # of one channel


@pytest.fixture
def data():
    return digits(60)


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
    for variant in VARIANTS:
        models = stages(RECIPE, variant, 0, data, full, tmp_path)
        found[variant.name] = models[0].state_dict()["0.weight"]
        n_left = 212 if variant.criterion == "none" else 106
        assert sum(kept_neurons(models[0]).values()) == n_left
    assert len({tuple(weight.flatten().tolist()) for weight in found.values()}) == len(VARIANTS)


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


def without_times(record):
    return {key: value for key, value in record.items() if key not in ("times", "command")}


def test_quick_profile(quick, again, tmp_path):
    """The quick profile trains, folds and times; again from scratch it gives the same."""
    first = quick(NAME).record
    rows = first["seeds"]["0"]["variants"]
    assert set(rows) == {variant.name for variant in VARIANTS} | {"from scratch"}
    assert [sum(row["neurons"]) for row in rows["random, distilled"]] == [21, 0]
    assert set(first["times"]) == {"full", "0.1", "0.0"}
    assert "not run: prediction times on a GPU" in quick(NAME).text
    assert without_times(first) == without_times(again(NAME, tmp_path))


def test_seeds_that_are_not_run_are_not_trained_from_scratch():
    """Networks from scratch are of seeds that have a full network."""
    options = parser(study(NAME)).parse_args(["--seeds", "1", "2"])
    config = study(NAME).configure(options)
    assert (config.seeds, config.scratch_seeds) == ((1, 2), ())
    options = parser(study(NAME)).parse_args(["--scratch-seeds", "1", "3", "--train-images", "60000"])
    config = study(NAME).configure(options)
    assert (config.scratch_seeds, config.recipe.n_train) == ((1,), None)
