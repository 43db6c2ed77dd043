"""Bugs fixed: training runs that were lost or went on wrongly, and schedules that took the state of others."""

import functools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import lr_scheduler

import tropnet as tn
from tropnet.homotopy import (
    CosineSkipStrength,
    LinearSkipStrength,
    ListSkipStrength,
    MetricSkipStrengthScheduler,
    ReduceSkipStrengthOnPlateau,
    SkipStrengthScheduler,
    ThresholdSkipStrength,
    Trainer,
    WeightedSkip,
    accuracy,
)
from tropnet.homotopy.training import trainer as training

N_STEPS = 6
X = torch.randn(10 * N_STEPS, 2, generator=torch.Generator().manual_seed(1))
DATA = (X, (X[:, 0] > 0).long())


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network():
    torch.manual_seed(0)
    block = WeightedSkip(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    return nn.Sequential(nn.Linear(2, 4), block, nn.Dropout(0.2), nn.Linear(4, 2))


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def listed(model, _):
    return [ListSkipStrength(model, [0.5, 0.2, 0.0])]


def trainer(directory, schedules=listed, optimizer=sgd, **options):
    model = network()
    steps = optimizer(model.parameters())
    return Trainer(model, steps, schedules(model, steps), directory=directory, batch_size=10, **options)


def weights(run):
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


def interrupt(run, at_step):
    """Let the run be interrupted before one of its steps, once."""
    step, left = run._step, [at_step]

    def interrupted(*batch):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return step(*batch)

    run._step = interrupted


class Halving(SkipStrengthScheduler):
    def __init__(self, module, function=lambda epoch: 0.5 ** (epoch + 1)):
        self.function = function
        super().__init__(module)

    def get_t(self):
        return self.function(self.last_epoch)


class Tabled(SkipStrengthScheduler):
    def __init__(self, module):
        self.table = np.linspace(0.5, 0, 5)
        super().__init__(module)

    def get_t(self):
        return (2 * self.table / 2)[self.last_epoch]


NUMPY = {
    "rate": (lambda p: torch.optim.SGD(p, lr=np.float64(0.1)), listed),
    "gamma": (sgd, lambda _, o: [lr_scheduler.StepLR(o, 1, gamma=np.float64(0.5))]),
    "milestones": (sgd, lambda _, o: [lr_scheduler.MultiStepLR(o, np.array([1, 2]))]),
    "factor": (sgd, lambda _, o: [lr_scheduler.LambdaLR(o, lambda epoch: np.float64(0.9) ** epoch)]),
    "table": (sgd, lambda m, _: [Tabled(m)]),
    "function": (sgd, lambda m, _: [Halving(m)]),
}


@pytest.mark.parametrize("name", NUMPY)
def test_numbers_of_numpy_and_functions_survive_a_checkpoint(tmp_path, name):
    """Checkpoints that held NumPy's numbers were not read back, and the run was lost; functions were not written."""
    optimizer, schedules = NUMPY[name]
    whole = trainer(None, schedules, optimizer)
    whole.fit(DATA, epochs=3)
    run = trainer(tmp_path, schedules, optimizer, checkpoint_seconds=0)
    interrupt(run, N_STEPS + 3)
    with pytest.raises(KeyboardInterrupt):
        run.fit(DATA, epochs=3)
    resumed = trainer(tmp_path, schedules, optimizer)
    resumed.fit(DATA, epochs=3)
    assert torch.equal(weights(resumed), weights(whole))


def test_a_state_that_would_not_be_read_back_is_refused_at_once(tmp_path):
    """It was written, and refused only when it was needed."""
    run = trainer(tmp_path)
    run.schedulers[0].shape = slice(3)
    with pytest.raises(tn.FileFormatError, match="the state of 'schedulers' must be tensors and plain values"):
        run.fit(DATA, epochs=1)
    assert list(tmp_path.iterdir()) == []
    assert run.history == []


def test_validation_may_come_later(tmp_path):
    """A run prolonged with validation trained one epoch per call and then failed for want of the log's columns."""
    trainer(tmp_path).fit(DATA, epochs=1)
    trainer(tmp_path).fit(DATA, DATA, epochs=3)
    header, first, *others = (tmp_path / "log.csv").read_text().splitlines()
    assert header == "epoch,t,learning_rate,loss,accuracy,seconds,validation_loss,validation_accuracy"
    assert first.endswith(",,")
    assert [row.endswith(",") for row in others] == [False, False]


@pytest.mark.parametrize("logged", [True, False])
@pytest.mark.parametrize("at_step", [1, 4, N_STEPS + 2])
def test_an_interrupted_trainer_goes_on(tmp_path, logged, at_step):
    """Interrupted before its first checkpoint, or without any, it began anew from altered weights."""
    whole = trainer(None)
    whole.fit(DATA, epochs=3)
    run = trainer(tmp_path if logged else None, checkpoint_seconds=1e9)
    interrupt(run, at_step)
    with pytest.raises(KeyboardInterrupt):
        run.fit(DATA, epochs=3)
    run.fit(DATA, epochs=3)
    assert torch.equal(weights(run), weights(whole))
    assert [entry["loss"] for entry in run.history] == [entry["loss"] for entry in whole.history]


def test_steps_are_counted_once():
    """Steps that a device has done are read when they are interrupted, too, and never twice."""
    run = trainer(None)
    run._epoch.sums = [0.0, 0.0]
    unread = [torch.tensor([1.0, 0.5])] * 3
    for _ in range(2):
        run._read(run._epoch, unread, run._order(len(X)).split(10), X)
    assert (run._epoch.step, run._epoch.sums, unread) == (3, [30.0, 15.0], [])


def test_logs_are_written_again(tmp_path, monkeypatch):
    """A process killed between the last checkpoint and the logs left them without the last epoch for ever."""
    with monkeypatch.context() as patched:
        patched.setattr(training, "write_logs", lambda *_: None)
        trainer(tmp_path).fit(DATA, epochs=2)
    (tmp_path / ".checkpoint.pt.x.part").write_bytes(b"half")
    (tmp_path / ".log.csv.y.part").write_bytes(b"half")
    history = trainer(tmp_path).fit(DATA, epochs=2)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "log.json").read_text())["epochs"] == history
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "log.csv", "log.json"]


def stepped(gamma):
    return lambda _, optimizer: [lr_scheduler.StepLR(optimizer, 1, gamma=gamma)]


def grouped(rate):
    return lambda parameters: torch.optim.SGD([{"params": list(parameters), "lr": rate}])


smoothed = functools.partial(functional.cross_entropy, label_smoothing=0.1)
CHANGED = {
    "loss": ({}, {"loss": functional.multi_margin_loss}, "measures.loss was cross_entropy, now multi_margin_loss"),
    "loss module": (
        {"loss": nn.CrossEntropyLoss()},
        {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
        r"measures\.loss\.label_smoothing was 0\.0, now 0\.1",
    ),
    "loss options": ({}, {"loss": smoothed}, r"measures\.loss was cross_entropy, now \{'partial': 'cross_entropy'"),
    "measures": ({}, {"measures": {}}, r"measures\.accuracy was accuracy, now None"),
    "schedule": ({"schedules": stepped(0.5)}, {"schedules": stepped(0.9)}, r"schedulers\.0\.gamma was 0\.5, now 0\.9"),
    "rate": ({"optimizer": grouped(0.1)}, {"optimizer": grouped(0.5)}, r"optimizer\.groups\.0\.lr was 0\.1, now 0\.5"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_other_options_are_refused(tmp_path, name):
    """A run went on with its old options, or with columns that stayed empty, where new ones were asked for."""
    before, after, message = CHANGED[name]
    trainer(tmp_path, **before).fit(DATA, epochs=1)
    trainer(tmp_path, **before).fit(DATA, epochs=2)
    with pytest.raises(tn.FileFormatError, match=message):
        trainer(tmp_path, **after).fit(DATA, epochs=3)


def test_another_model_is_told_by_its_tensors(tmp_path):
    """The message gave a number and a digest."""
    trainer(tmp_path).fit(DATA, epochs=1)
    run = trainer(tmp_path)
    model = nn.Sequential(*run.model[:3], nn.Linear(4, 3))
    other = Trainer(model, sgd(model.parameters()), listed(model, None), directory=tmp_path, batch_size=10)
    with pytest.raises(
        tn.FileFormatError, match=r"model\.3\.weight was torch\.float32 \(2, 4\), now torch\.float32 \(3, 4\)"
    ):
        other.fit(DATA, epochs=2)


def test_a_new_trainer_of_trained_objects_goes_on(tmp_path):
    """As in a notebook whose cell is run again; progress of the schedules was taken for other options."""

    def both(model, optimizer):
        return [*listed(model, None), *stepped(0.5)(model, optimizer)]

    whole = trainer(None, both)
    whole.fit(DATA, epochs=3)
    run = trainer(tmp_path, both)
    for epochs in (1, 2, 3):
        run = Trainer(run.model, run.optimizer, run.schedulers, directory=tmp_path, batch_size=10)
        run.fit(DATA, epochs=epochs)
    assert torch.equal(weights(run), weights(whole))
    again = trainer(tmp_path, both)
    assert again.fit(DATA, epochs=3) == run.history


def test_evaluation_keeps_the_mode_of_every_part():
    """Parts in eval mode were put into train mode with the rest."""
    run = trainer(None)
    run.model[2].eval()
    run.evaluate(DATA)
    assert [run.model.training, run.model[1].training, run.model[2].training] == [True, True, False]


def test_a_cpu_run_leaves_other_devices_seeds(monkeypatch):
    """All devices were seeded, but only the CPU's generator was set back."""

    def seeded(_):
        raise AssertionError("other devices must not be seeded")

    run = trainer(None)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded)
    run.fit(DATA, epochs=1)


REFUSED = {
    "seed": ({"seed": -1}, tn.ShapeError, "seed must be an integer of at least 0 and below 18446744073709551616"),
    "no seed": ({"seed": None}, tn.ShapeError, "seed must be .* got None"),
    "half a seed": ({"seed": 1.5}, tn.ShapeError, "seed must be .* got 1.5"),
    "precision": ({"mixed_precision": True}, tn.ShapeError, "mixed_precision must be torch.bfloat16, .* got True"),
    "losses": (
        {"loss": nn.CrossEntropyLoss(reduction="none")},
        tn.ShapeError,
        r"the loss must be a tensor without dimensions, .* got shape \(10,\)",
    ),
    "number": ({"measures": {"one": lambda *_: 1.0}}, tn.ShapeError, "the one must be a tensor .* got float"),
    "measure": ({"measures": {"loss": accuracy}}, tn.ShapeError, "measures must have other names than 'loss'"),
    "schedule": ({"schedules": lambda m, _: ListSkipStrength(m, [0.5])}, tn.ShapeError, "schedulers must be a list"),
    "optimizer": (
        {"optimizer": lambda _: sgd(network().parameters())},
        tn.UnsupportedModuleError,
        "optimizer must be of parameters of the model, but SGD has none",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_refused(name):
    """Errors of the insides, or none: another model's optimizer trained nothing, and a measure replaced the loss."""
    options, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        trainer(None, **options).fit(DATA, epochs=1)


def test_a_model_without_parameters_and_a_file_for_a_directory_are_refused(tmp_path):
    """Both were errors of the insides."""
    with pytest.raises(tn.UnsupportedModuleError, match="model must have parameters to train, but ReLU has none"):
        Trainer(nn.ReLU(), None)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="directory must be one"):
        trainer(tmp_path / "file")


def test_integers_of_numpy_are_integers(tmp_path):
    """A seed of NumPy's failed in the first log."""
    trainer(tmp_path, seed=np.int64(3)).fit(DATA, epochs=1)
    assert json.loads((tmp_path / "log.json").read_text())["run"]["seed"] == 3


def test_own_schedules_may_follow_the_validation():
    """Their base class was not public, so that the trainer did not give them the measurement."""

    class Following(MetricSkipStrengthScheduler):
        def next_t(self, metric):
            return min(self.get_last_t(), metric)

    run = trainer(None, lambda m, _: [Following(m, 0.9)])
    history = run.fit(DATA, DATA, epochs=2)
    assert history[1]["t"] == pytest.approx(min(0.9, history[0]["validation_loss"]))


def module():
    return WeightedSkip(nn.ReLU())


def test_the_state_of_another_schedule_is_refused():
    """A linear schedule took the state of a cosine; a state that was refused had been taken by then."""
    linear, cosine = LinearSkipStrength(module(), 0.5, 4), CosineSkipStrength(module(), 0.9, 7)
    before = linear.state_dict()
    with pytest.raises(tn.SkipError, match=r"state must be that of a LinearSkipStrength, .* that of a CosineSkip"):
        linear.load_state_dict(cosine.state_dict())
    with pytest.raises(tn.SkipError, match=r"the t of the state must be a skip strength .* got 7"):
        linear.load_state_dict({**before, "last_epoch": 3, "_last_t": 7})
    assert linear.state_dict() == before
    assert linear.module.t == 0.5


OUT_OF_RANGE = {
    "patience": (lambda: ReduceSkipStrengthOnPlateau(module(), patience=-3), "patience must be an integer .* got -3"),
    "cooldown": (lambda: ReduceSkipStrengthOnPlateau(module(), cooldown=-1), "cooldown must be an integer .* got -1"),
    "threshold": (lambda: ReduceSkipStrengthOnPlateau(module(), threshold=-5), "threshold must be .* got -5"),
    "zero": (lambda: ReduceSkipStrengthOnPlateau(module(), zero_below=math.nan), "zero_below must be .* got nan"),
    "half a step": (lambda: LinearSkipStrength(module(), 0.5, 2.7), "total_iters, .* an integer .* got 2.7"),
    "no number": (lambda: CosineSkipStrength(module(), 0.5, math.nan), "total_iters, .* an integer .* got nan"),
    "value": (lambda: ListSkipStrength(module(), 0.5), "values must be a list of numbers, got 0.5"),
    "thresholds": (lambda: ThresholdSkipStrength(module(), [0.5, 0], 0.9), "thresholds must be a list .* got 0.9"),
    "nan": (lambda: ThresholdSkipStrength(module(), [0.5, 0], [math.nan]), "thresholds must be numbers, got nan"),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_options_out_of_their_range_are_refused(name):
    """Some were accepted, cut to integers, or errors of the insides."""
    make, message = OUT_OF_RANGE[name]
    with pytest.raises(tn.SkipError, match=message):
        make()
