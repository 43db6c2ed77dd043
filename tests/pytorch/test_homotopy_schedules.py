"""Schedules of the skip strength: their values, and resuming them exactly."""

import json
import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

import tropnet as tn
from tropnet.homotopy import (
    PUBLISHED_SCHEDULES,
    CosineSkipStrength,
    LinearSkipStrength,
    ListSkipStrength,
    ReduceSkipStrengthOnPlateau,
    SkipStrengthScheduler,
    ThresholdSkipStrength,
    WeightedSkip,
)

METRICS = [0.3, 0.5, 0.5, 0.49, 0.7, 0.7, 0.7, 0.7, 0.95, 0.2, 0.96, 0.96]
SCHEDULES = {
    "list": lambda module: ListSkipStrength(module, PUBLISHED_SCHEDULES["from 0.5, as printed"]),
    "linear": lambda module: LinearSkipStrength(module, 0.9, total_iters=7),
    "cosine": lambda module: CosineSkipStrength(module, 0.7, total_iters=9),
    "thresholds": lambda module: ThresholdSkipStrength(module, [0.9, 0.3, 0.1, 0.0], [0.5, 0.7, 0.96]),
    "plateau": lambda module: ReduceSkipStrengthOnPlateau(
        module, 0.9, mode="max", factor=0.1, patience=1, cooldown=1, zero_below=0.02
    ),
}
METRIC_DRIVEN = ("thresholds", "plateau")


def skip():
    return WeightedSkip(nn.Linear(2, 2)).double()


def step(name, schedule, index):
    schedule.step(*([METRICS[index]] if name in METRIC_DRIVEN else []))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_resumes_exactly_at_every_step(name):
    """From the state after any number of steps, through JSON, the values that follow are those of one that went on."""
    module = skip()
    schedule = SCHEDULES[name](module)
    states, values = [schedule.state_dict().copy()], [schedule.get_last_t()]
    for index in range(len(METRICS)):
        step(name, schedule, index)
        states.append(json.loads(json.dumps(schedule.state_dict())))
        values.append(schedule.get_last_t())
        assert module.t.item() == schedule.get_last_t()
    for begin, state in enumerate(states):
        other = skip()
        resumed = SCHEDULES[name](other)
        resumed.load_state_dict(state)
        found = [resumed.get_last_t()]
        assert other.t.item() == values[begin]
        for index in range(begin, len(METRICS)):
            step(name, resumed, index)
            found.append(resumed.get_last_t())
        assert found == values[begin:]
        assert resumed.last_epoch == len(METRICS)
        assert other.t.item() == values[-1]
    assert values[-1] == 0


@pytest.mark.parametrize("name", ["list", "linear", "cosine"])
def test_a_schedule_begins_where_last_epoch_says(name):
    """As in PyTorch, last_epoch=k makes the first value that of epoch k + 1."""
    module = skip()
    whole = SCHEDULES[name](module)
    for _ in range(4):
        whole.step()
    state = {"_kind", "last_epoch", "_last_t"}
    options = {k: v for k, v in whole.state_dict().items() if k not in state}
    assert type(whole)(module, **options, last_epoch=3).get_last_t() == whole.get_last_t()


def test_published_schedules():
    """The lists have one strength for each of ten epochs and end without skips; the correction is one entry."""
    assert all(len(values) == 10 and values[-1] == 0 for values in PUBLISHED_SCHEDULES.values())
    printed, corrected = (PUBLISHED_SCHEDULES[f"from 0.5, {how}"] for how in ("as printed", "corrected"))
    assert [index for index in range(10) if printed[index] != corrected[index]] == [8]
    assert sorted(corrected, reverse=True) == list(corrected)


def test_formulas():
    """Linear and cosine schedules follow their formulas, end at exactly 0 and stay there."""
    linear, cosine = LinearSkipStrength(skip(), 0.8, 6), CosineSkipStrength(skip(), 0.8, 6)
    for epoch in range(9):
        expected = max(0.8 * (1 - epoch / 6), 0)
        assert linear.get_last_t() == pytest.approx(expected, abs=1e-15)
        assert cosine.get_last_t() == pytest.approx(0.4 * (1 + math.cos(math.pi * min(epoch, 6) / 6)), abs=1e-15)
        assert (linear.get_last_t() == 0) == (cosine.get_last_t() == 0) == (epoch >= 6)
        linear.step()
        cosine.step()


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateaus_are_those_of_the_learning_rate(mode, threshold_mode):
    """The strength is reduced in the epochs in which ReduceLROnPlateau reduces a learning rate."""
    options = {"mode": mode, "threshold_mode": threshold_mode, "factor": 0.5, "patience": 1, "threshold": 0.01}
    optimizer = torch.optim.SGD(skip().parameters(), lr=0.5)
    reference = ReduceLROnPlateau(optimizer, cooldown=1, **options)
    schedule = ReduceSkipStrengthOnPlateau(skip(), 0.5, cooldown=1, zero_below=0.0, **options)
    for metric in METRICS * 2:
        reference.step(metric)
        schedule.step(torch.tensor(metric, dtype=torch.float64))
        assert schedule.get_last_t() == reference.get_last_lr()[0]


def test_looks_like_a_learning_rate_scheduler():
    """A schedule has the methods of LRScheduler that training loops call, with t for lr."""
    names = {name.replace("lr", "t") for name in ("step", "state_dict", "load_state_dict", "get_last_lr", "get_lr")}
    assert all(hasattr(LRScheduler, name.replace("_t", "_lr")) for name in ("get_last_t", "get_t"))
    assert names <= set(dir(SkipStrengthScheduler))


BAD = {
    "no values": (lambda: ListSkipStrength(skip(), []), "at least one skip strength"),
    "a value": (lambda: ListSkipStrength(skip(), [0.5, 2.0]), r"values\[1\] must be a skip strength .* got 2.0"),
    "start": (lambda: LinearSkipStrength(skip(), -1.0, 3), "start must be a skip strength"),
    "steps": (lambda: CosineSkipStrength(skip(), 0.5, 0), "total_iters, .* at least 1, got 0"),
    "numbers": (lambda: ThresholdSkipStrength(skip(), [0.5], [0.5]), "got 1 values and 1 thresholds"),
    "order": (lambda: ThresholdSkipStrength(skip(), [0.5, 0.2, 0], [0.9, 0.5]), "in the order in which mode 'max'"),
    "mode": (lambda: ReduceSkipStrengthOnPlateau(skip(), mode="more"), "mode must be 'min' .* got 'more'"),
    "factor": (lambda: ReduceSkipStrengthOnPlateau(skip(), factor=1.0), r"factor must be in \[0, 1\)"),
    "threshold mode": (lambda: ReduceSkipStrengthOnPlateau(skip(), threshold_mode="x"), "'rel' or 'abs', got 'x'"),
    "module": (lambda: ListSkipStrength(nn.ReLU(), [0.5]), "but ReLU holds none"),
    "state": (lambda: ListSkipStrength(skip(), [0.5]).load_state_dict({"last_epoch": 1}), "that of a ListSkipStrength"),
}


@pytest.mark.parametrize("name", BAD)
def test_schedules_that_are_none_are_refused(name):
    """Options out of their range are refused, with what is required."""
    make, message = BAD[name]
    with pytest.raises(tn.SkipError, match=message):
        make()


def test_a_metric_that_is_no_number_is_refused():
    """NaN never counts as progress or plateau; the state stays."""
    schedule = ReduceSkipStrengthOnPlateau(skip(), 0.5)
    before = schedule.state_dict().copy()
    with pytest.raises(tn.NonFiniteError, match="must be a number, got nan after epoch 0"):
        schedule.step(float("nan"))
    assert schedule.state_dict() == before


def test_the_base_class_asks_for_get_t():
    """A subclass without get_t is told what to define."""
    with pytest.raises(NotImplementedError, match="must define get_t"):
        SkipStrengthScheduler(skip())
