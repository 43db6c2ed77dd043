"""The trainer: a killed run goes on to the same weights, logs say what was done, and divergence is refused early."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau
from torch.utils.data import TensorDataset

import tropnet as tn
from tropnet.homotopy import (
    ListSkipStrength,
    ReduceSkipStrengthOnPlateau,
    StackedTrials,
    ThresholdSkipStrength,
    Trainer,
    WeightedSkip,
    set_skip_strength,
    skip_cnn,
)
from tropnet.homotopy.training import checkpoints

ROOT = Path(__file__).parents[2]
N_STEPS = 6


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def images(n=16 * N_STEPS):
    """Return noise with a stripe that tells the label."""
    generator = torch.Generator().manual_seed(n)
    labels = torch.arange(n) % 10
    pixels = torch.rand(n, 1, 28, 28, generator=generator)
    for image, label in zip(pixels, labels.tolist(), strict=True):
        image[:, 2 * label + 3 : 2 * label + 6] += 2
    return TensorDataset(pixels, labels)


def trainer(directory, *, values=(0.5, 0.2, 0.0), rate=0.01, checkpoint_seconds=0.0, **options):
    """Return a trainer of a small CNN with dropout and batch norm: everything that has a state."""
    torch.manual_seed(3)
    cnn = skip_cnn(3, channels=2)
    model = nn.Sequential(cnn[0], nn.BatchNorm2d(2), nn.Dropout(0.3), *cnn[1:])
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedulers = [ListSkipStrength(model, values), ExponentialLR(optimizer, 0.9)]
    return Trainer(
        model,
        optimizer,
        schedulers,
        directory=directory,
        batch_size=16,
        checkpoint_seconds=checkpoint_seconds,
        **options,
    )


def killed_run(directory, *, at_step=None, at_write=None):
    """Train and die by SIGKILL, at a step of the run or in the middle of writing a checkpoint."""
    torch.set_num_threads(1)
    counts = {"step": 0, "write": 0}

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    run = trainer(Path(directory))
    step, save = run._step, torch.save

    def counted_step(*batch):
        counts["step"] += 1
        if counts["step"] == at_step:
            die()
        return step(*batch)

    def counted_save(state, file):
        if isinstance(file, io.BytesIO):
            save(state, file)
            return
        counts["write"] += 1
        if counts["write"] == at_write:
            file.write(b"half of a checkpoint")
            file.flush()
            die()
        save(state, file)

    run._step = counted_step
    torch.save = counted_save
    run.fit(images(), images(20), epochs=3)


def states(run):
    optimizer = [value for state in run.optimizer.state_dict()["state"].values() for value in state.values()]
    return [*run.model.state_dict().values(), *optimizer]


def without_seconds(history):
    return [{**entry, "seconds": 0} for entry in history]


def assert_same_run(one, other):
    for value, expected in zip(states(one), states(other), strict=True):
        assert torch.equal(value, expected)
    assert without_seconds(one.history) == without_seconds(other.history)
    assert [s.state_dict() for s in one.schedulers] == [s.state_dict() for s in other.schedulers]


@pytest.fixture(scope="module")
def whole():
    """Return a run of three epochs that was never stopped and wrote nothing."""
    torch.set_num_threads(1)
    run = trainer(None)
    run.fit(images(), images(20), epochs=3)
    return run


@pytest.mark.parametrize(
    ("where", "left"), [(f"at_step={N_STEPS + 3}", N_STEPS + N_STEPS - 2), (f"at_write={2 * N_STEPS + 1}", N_STEPS + 1)]
)
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, whole, where, left):
    """A process killed within an epoch, or while it wrote, is resumed to the weights of one that was not, bit for bit.

    Only the steps since the last checkpoint are done again.
    """
    code = f"from tests.pytorch.test_homotopy_training import killed_run; killed_run({str(tmp_path)!r}, {where})"
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = trainer(tmp_path)
    step, done = resumed._step, []

    def counted(*batch):
        done.append(1)
        return step(*batch)

    resumed._step = counted
    resumed.fit(images(), images(20), epochs=3)
    assert len(done) == left
    assert_same_run(resumed, whole)


@pytest.mark.parametrize("n", [1, N_STEPS, N_STEPS + 1, 2 * N_STEPS + 4])
def test_a_run_interrupted_anywhere_goes_on_to_the_same_weights(tmp_path, whole, n):
    """The same with a checkpoint after each epoch only, for interrupts at the ends and within epochs."""
    run = trainer(tmp_path, checkpoint_seconds=1e9)
    step = run._step
    left = [n]

    def interrupted(*batch):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return step(*batch)

    run._step = interrupted
    with pytest.raises(KeyboardInterrupt):
        run.fit(images(), images(20), epochs=3)
    resumed = trainer(tmp_path, checkpoint_seconds=1e9)
    resumed.fit(images(), images(20), epochs=3)
    assert_same_run(resumed, whole)


def test_a_run_may_be_prolonged(tmp_path, whole):
    """One epoch and then two more are three, in one object or in several; a run that is done trains nothing."""
    run = trainer(None)
    run.fit(images(), images(20), epochs=1)
    run.fit(images(), images(20), epochs=3)
    assert_same_run(run, whole)
    for epochs in (1, 3, 3):
        run = trainer(tmp_path)
        run.fit(images(), images(20), epochs=epochs)
    assert_same_run(run, whole)


def test_the_callers_random_numbers_stay_as_they_were():
    """Training draws from seeds of its own; other seeds give other weights."""
    torch.manual_seed(11)
    expected = torch.rand(3)
    one, other = trainer(None), trainer(None, seed=1)
    torch.manual_seed(11)
    one.fit(images(), epochs=1)
    assert torch.equal(torch.rand(3), expected)
    other.fit(images(), epochs=1)
    assert not torch.equal(states(one)[1], states(other)[1])


def test_the_history_and_its_logs(tmp_path, whole):
    """One row per epoch with the strength, the rate, losses, accuracies and seconds; CSV and JSON say the same."""
    run = trainer(tmp_path)
    history = run.fit(images(), images(20), epochs=3)
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    torch.testing.assert_close([entry["t"] for entry in history], [0.5, 0.2, 0.0])
    assert [entry["learning_rate"] for entry in history] == pytest.approx([0.01, 0.009, 0.0081])
    assert history[-1]["loss"] < history[0]["loss"]
    assert {key: history[-1][f"validation_{key}"] for key in ("loss", "accuracy")} == run.evaluate(images(20))
    record = json.loads((tmp_path / "log.json").read_text())
    assert record["epochs"] == history
    assert record["run"]["seed"] == 0
    with (tmp_path / "log.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert rows == history
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "log.csv", "log.json"]
    assert without_seconds(history) == without_seconds(whole.history)


def test_the_loss_of_an_epoch_is_the_mean_over_its_examples():
    """With a learning rate of 0 the training loss is that of an evaluation, and the last batch counts by its size."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    run = Trainer(model, torch.optim.SGD(model.parameters(), lr=0.0), batch_size=7)
    (entry,) = run.fit(images(20), images(20), epochs=1)
    assert entry["loss"] == pytest.approx(
        functional.cross_entropy(model(images(20).tensors[0]), images(20).tensors[1]).item()
    )
    assert entry["loss"] == pytest.approx(entry["validation_loss"])
    assert entry["accuracy"] == pytest.approx(entry["validation_accuracy"])
    assert "t" not in entry


def test_regression_and_mixed_precision():
    """Other losses need no accuracy; bfloat16 on the CPU trains, with parameters that stay float32."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 8), nn.ReLU(), WeightedSkip(nn.Sequential(nn.Linear(8, 8), nn.ReLU())), nn.Linear(8, 1)
    )
    x = torch.rand(64, 2)
    data = (x, x.sum(1, keepdim=True))
    run = Trainer(
        model,
        torch.optim.Adam(model.parameters(), lr=0.01),
        loss=functional.mse_loss,
        measures={},
        mixed_precision=torch.bfloat16,
    )
    history = run.fit(data, epochs=20)
    assert history[-1]["loss"] < history[0]["loss"] / 5
    assert set(history[0]) == {"epoch", "t", "learning_rate", "loss", "seconds"}
    assert model[0].weight.dtype == torch.float32


def test_schedules_may_follow_the_validation():
    """Plateaus of learning rate and strength, and thresholds, are given the monitored measurement."""
    model = nn.Sequential(nn.Flatten(), WeightedSkip(nn.Linear(784, 784)), nn.Linear(784, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
    schedulers = [
        ReduceLROnPlateau(optimizer, patience=0, threshold=0.1, eps=0.0),
        ReduceSkipStrengthOnPlateau(model, 0.5, patience=0, threshold=0.1),
    ]
    history = Trainer(model, optimizer, schedulers, batch_size=10).fit(images(20), images(20), epochs=4)
    assert [entry["t"] for entry in history] == [0.5, 0.5, 0.25, 0.125]
    assert [entry["learning_rate"] for entry in history] == pytest.approx([1e-9, 1e-9, 1e-10, 1e-11], rel=1e-9, abs=0)
    follower = ThresholdSkipStrength(model, [0.5, 0.0], [1.5])
    with pytest.raises(tn.ShapeError, match="one of loss, accuracy, which a schedule follows, got 'validation_loss'"):
        Trainer(model, optimizer, [follower]).fit(images(20), epochs=1)


def test_divergence_is_refused_with_what_happened(tmp_path):
    """The step, learning rate, strength and the first parameter that is not finite are named; no checkpoint of it."""
    run = trainer(tmp_path, rate=1e30)
    with pytest.raises(
        tn.NonFiniteError,
        match=r"must be finite, got nan at epoch 1, step \d of 6: learning rate 1e\+30, t 0.5; .* diverged",
    ):
        run.fit(images(), epochs=1)
    state = checkpoints.read_checkpoint(tmp_path, run._run)
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_data_that_are_not_finite_are_named():
    """NaN among the inputs is said to be the cause, in training and validation."""
    bad = images(20)
    bad.tensors[0][3, 0, 0, 0] = float("nan")
    with pytest.raises(tn.NonFiniteError, match=r"got nan at epoch 1, step \d of 2: .* the inputs hold NaN"):
        trainer(None).fit(bad, epochs=1)
    with pytest.raises(
        tn.NonFiniteError, match=r"got nan on the validation data after epoch 1: .* the inputs hold NaN"
    ):
        trainer(None).fit(images(20), bad, epochs=1)


def test_an_overflow_is_told_from_divergence():
    """Where inputs and parameters are finite and the loss is not, the message says so, and no step was made."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.constant_(model[1].weight, 10.0)
    run = Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), batch_size=10)
    data = images(20)
    with pytest.raises(
        tn.NonFiniteError, match=r"got nan at epoch 1, step 1 of 2: .* inputs and parameters are finite"
    ):
        run.fit((data.tensors[0] * 1e38, data.tensors[1]), epochs=1)
    assert (model[1].weight == 10).all()


def test_values_that_are_not_finite_are_never_written(tmp_path):
    """A loss that does not show it does not hide a statistic that is not finite; what was infinite before may be."""

    def spoil(*_):
        model.scale.fill_(torch.inf)
        return torch.zeros(())

    model = trainer(None).model
    model.register_buffer("mask", torch.tensor(-torch.inf))
    model.register_buffer("scale", torch.tensor(1.0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    Trainer(model, optimizer, directory=tmp_path / "masked").fit(images(20), epochs=1)
    run = Trainer(model, optimizer, directory=tmp_path / "spoilt", measures={"spoil": spoil})
    with pytest.raises(tn.NonFiniteError, match=r"'scale' holds NaN or infinities in epoch 1: learning rate"):
        run.fit(images(20), epochs=1)
    written = checkpoints.read_checkpoint(tmp_path / "spoilt", run._run)
    assert written["model"]["scale"] == 1


def test_checkpoints_of_other_runs_and_damaged_ones_are_refused(tmp_path):
    """A directory belongs to one run; what differs is named, and so is a file that is no checkpoint."""
    trainer(tmp_path).fit(images(), epochs=1)
    with pytest.raises(tn.FileFormatError, match=r"checkpoint\.pt must be .* but seed was 0, now 1\. Use another"):
        trainer(tmp_path, seed=1).fit(images(), epochs=1)
    with pytest.raises(tn.FileFormatError, match=r"but schedulers\.0\.values was"):
        trainer(tmp_path, values=(0.9, 0.0)).fit(images(), epochs=1)
    with pytest.raises(tn.FileFormatError, match="but train was"):
        trainer(tmp_path).fit(images(20), epochs=1)
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(tn.FileFormatError, match=r"checkpoint\.pt must be a checkpoint of this run: .* Remove it"):
        trainer(tmp_path).fit(images(), epochs=1)


def test_data_that_do_not_fit_are_refused():
    """Inputs and targets come in pairs of equal length."""
    run = trainer(None)
    with pytest.raises(tn.ShapeError, match=r"train must be a TensorDataset of inputs and targets, .* got Tensor"):
        run.fit(torch.zeros(3), epochs=1)
    with pytest.raises(tn.ShapeError, match="as many inputs as targets, and at least one, got 3 and 2"):
        run.fit((torch.zeros(3), torch.zeros(2)), epochs=1)
    with pytest.raises(tn.ShapeError, match="validation must have"):
        run.fit(images(20), (torch.zeros(0), torch.zeros(0)), epochs=1)
    with pytest.raises(tn.ShapeError, match="batch_size must be an integer of at least 1, got 0"):
        Trainer(run.model, run.optimizer, batch_size=0)


def small_models(n, dropout=0.0):
    torch.manual_seed(5)
    return [
        nn.Sequential(
            nn.Linear(2, 6), nn.ReLU(), WeightedSkip(nn.Linear(6, 6)), nn.ReLU(), nn.Dropout(dropout), nn.Linear(6, 1)
        )
        for _ in range(n)
    ]


def stacked_trainer(directory, models, **options):
    trials = StackedTrials(models)
    optimizer = torch.optim.Adam(trials.parameters(), lr=0.01)
    schedulers = [ListSkipStrength(trials, [0.5, 0.0]), ReduceLROnPlateau(optimizer, patience=0)]
    return Trainer(
        trials,
        optimizer,
        schedulers,
        directory=directory,
        loss=functional.mse_loss,
        measures={},
        batch_size=10,
        **options,
    )


def surface(n=35):
    x = torch.rand(n, 2, generator=torch.Generator().manual_seed(1))
    return x, torch.sin(4 * x).sum(1, keepdim=True)


def test_stacked_trials_train_as_each_alone():
    """Every trial ends with the weights and the history that it has alone, given the same order of the examples."""
    models = small_models(3)
    run = stacked_trainer(None, models)
    history = run.fit(surface(), surface(20), epochs=2)
    for index, (alone, found) in enumerate(zip(models, run.model.unstacked(), strict=True)):
        optimizer = torch.optim.Adam(alone.parameters(), lr=0.01)
        single = Trainer(
            alone,
            optimizer,
            [ListSkipStrength(alone, [0.5, 0.0])],
            loss=functional.mse_loss,
            measures={},
            batch_size=10,
        )
        single._order = lambda _, run=run, single=single, i=index: order_of(run, len(single.history), i)
        expected = single.fit(surface(), surface(20), epochs=2)
        torch.testing.assert_close(found.state_dict(), alone.state_dict(), rtol=1e-4, atol=1e-5)
        for name in ("loss", "validation_loss"):
            assert [entry[name][index] for entry in history] == pytest.approx([e[name] for e in expected], rel=1e-4)
    assert [entry["t"] for entry in history] == [0.5, 0.0]


def order_of(run, epoch, trial):
    history, run.history = run.history, [None] * epoch
    try:
        return run._order(35)[trial]
    finally:
        run.history = history


def test_stacked_trials_resume_and_are_logged(tmp_path):
    """An interrupted run of trials goes on to the same weights; the CSV has a column for each trial."""
    whole = stacked_trainer(None, small_models(2, dropout=0.3))
    whole.fit(surface(), surface(20), epochs=2)
    run = stacked_trainer(tmp_path, small_models(2, dropout=0.3), checkpoint_seconds=0.0)
    step, left = run._step, [6]

    def interrupted(*batch):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return step(*batch)

    run._step = interrupted
    with pytest.raises(KeyboardInterrupt):
        run.fit(surface(), surface(20), epochs=2)
    resumed = stacked_trainer(tmp_path, small_models(2, dropout=0.3))
    resumed.fit(surface(), surface(20), epochs=2)
    for value, expected in zip(states(resumed), states(whole), strict=True):
        assert torch.equal(value, expected)
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert header == "epoch,t,learning_rate,loss_0,loss_1,validation_loss_0,validation_loss_1,seconds"


def test_trials_share_their_skips_and_architecture():
    """One strength holds for all trials, in those taken apart too; other architectures and batch norm are refused."""
    trials = StackedTrials(small_models(2))
    set_skip_strength(trials, 0.25)
    assert [model[2].t.item() for model in trials.unstacked()] == [0.25, 0.25]
    assert len(list(trials.parameters())) == len(list(small_models(1)[0].parameters()))
    with pytest.raises(tn.ShapeError, match="one architecture and equal strengths of skips, got 2 kinds"):
        StackedTrials([nn.Linear(2, 1), nn.Linear(1, 1)])
    with pytest.raises(tn.ShapeError, match="at least one module"):
        StackedTrials([])
    with pytest.raises(tn.UnsupportedModuleError, match=r"got 0\.running_mean, 0\.running_var, 0\.num_batches_tracked"):
        StackedTrials([nn.Sequential(nn.BatchNorm1d(2))])
