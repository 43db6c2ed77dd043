"""The studies of skips that vanish: resumable runs, paired comparisons, what removal saves, and the quick profiles."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from analysis.shared import skip_runs
from analysis.shared.main import main, parser
from analysis.shared.results import published, write_json
from analysis.shared.skip_runs import Recipe, Run, finished, train
from analysis.shared.statistics import interval
from analysis.skip_removal_speed.measurement import (
    compiled,
    folded,
    forms,
    largest_difference,
    peak_bytes,
    ratios,
    time_side_by_side,
    values_bytes,
)
from analysis.skip_strength_sweep import __main__ as sweep_command
from analysis.skip_strength_sweep import config as sweep
from analysis.skip_strength_sweep.evaluate import published as published_sweep
from analysis.static_vs_scheduled import __main__ as comparison_command
from analysis.static_vs_scheduled import config as comparison
from analysis.static_vs_scheduled import evaluate
from tests.studies.generated import digits
from tropnet.homotopy import PUBLISHED_SCHEDULES, PlainSkip, WeightedSkip, resnet18, skip_cnn
from tropnet.homotopy.training.checkpoints import write_logs

RECIPE = Recipe(n_train=64, n_test=40, width=2, channels=2, batch=16)
RUN = Run("cnn3", RECIPE, (0.5, 0.0), epochs=3, trial=1)


@pytest.fixture
def images():
    return digits(8).images


def without_seconds(found):
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in found["history"]]


# --- runs


def test_stopped_run_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    """A run killed in its second epoch and called again finds what one that was never stopped finds."""
    data, test = digits(64), digits(40, 1)
    whole = train(RUN, data, test, tmp_path / "whole")
    evaluate, n_calls = skip_runs.Trainer.evaluate, 0

    def killed(self, data):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 2:
            raise KeyboardInterrupt
        return evaluate(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(skip_runs.Trainer, "evaluate", killed)
        with pytest.raises(KeyboardInterrupt):
            train(RUN, data, test, tmp_path / "stopped")
    assert finished(RUN, tmp_path / "stopped") is None
    assert list((tmp_path / "stopped").rglob("checkpoint.pt"))
    resumed = train(RUN, data, test, tmp_path / "stopped")
    assert without_seconds(resumed) == without_seconds(whole)
    assert resumed["removed_accuracy"] == whole["removed_accuracy"]


def test_run_that_is_done_is_read_not_trained(tmp_path):
    """A second call needs no data; the weights are gone from the disk, the numbers are there."""
    found = train(RUN, digits(64), digits(40, 1), tmp_path)
    assert [entry["t"] for entry in found["history"]] == [0.5, 0, 0]
    assert found["removed_accuracy"] == found["history"][-1]["validation_accuracy"]
    assert not list(tmp_path.rglob("checkpoint.pt"))
    assert train(RUN, None, None, tmp_path) == found == finished(RUN, tmp_path)


@pytest.mark.parametrize(
    "change", [{"trial": 2}, {"strengths": (0.5,)}, {"epochs": 2}, {"recipe": dataclasses.replace(RECIPE, batch=8)}]
)
def test_other_runs_are_not_taken_for_this_one(tmp_path, change):
    """Whatever determines a run is part of where it is kept."""
    train(RUN, digits(64), digits(40, 1), tmp_path)
    assert finished(dataclasses.replace(RUN, **change), tmp_path) is None


def test_runs_of_one_trial_begin_with_the_same_weights(tmp_path, monkeypatch):
    """Settings of one trial differ in the strengths only, which pairs them; another trial has other weights."""
    seen = []

    def fit(self, *_, epochs):  # noqa: ARG001
        seen.append([p.clone() for p in self.model.parameters()])
        return [{"t": 0.5}]

    monkeypatch.setattr(skip_runs.Trainer, "fit", fit)
    for run in (RUN, dataclasses.replace(RUN, strengths=(0.9,)), dataclasses.replace(RUN, trial=2)):
        train(run, digits(64), digits(40, 1), tmp_path)
    assert all(map(torch.equal, seen[0], seen[1]))
    assert not all(map(torch.equal, seen[0], seen[2]))


@pytest.mark.parametrize("architecture", skip_runs.ARCHITECTURES)
def test_every_architecture_has_skips_of_the_strength(architecture):
    """What is trained under a name is a network for MNIST with weighted skips."""
    model = skip_runs.ARCHITECTURES[architecture](RECIPE, 0.25)
    assert model(digits(2).images).shape == (2, 10)
    assert {float(value) for name, value in model.state_dict().items() if name.split(".")[-1] == "t"} == {0.25}


def test_interval_of_a_mean():
    """Of (0, 2): mean 1, standard error 1, and Student's t with one degree of freedom, tan(0.475 pi)."""
    found = interval([0.0, 2.0])
    half = np.tan(0.475 * np.pi)
    assert found == {"n": 2, "mean": 1, "low": pytest.approx(1 - half), "high": pytest.approx(1 + half)}


# --- published numbers


def test_published_schedules_are_those_of_the_library():
    """The schedules of the published file are the library's; the printed second one is not monotone."""
    schedules = published("cnn_figures")["schedules"]
    assert tuple(schedules["from 0.9"]) == PUBLISHED_SCHEDULES["from 0.9"]
    assert tuple(schedules["from 0.5"]) == PUBLISHED_SCHEDULES["from 0.5, as printed"]


def test_published_curves_are_there():
    """Every curve that is drawn beside ours exists, with accuracies."""
    for figures in published_sweep().values():
        for curves in figures.values():
            for strengths, accuracies in curves.values():
                assert strengths == sorted(strengths)
                assert len(strengths) == len(accuracies) >= 50
                assert 0.3 < min(accuracies) < max(accuracies) < 1
    assert {len(values) for values in evaluate.published().values()} == {10}


def test_full_profiles_are_the_papers():
    """Without --reduced: all images, 5 trials, 10 epochs or 2, and nothing is called reduced."""
    strengths, schedules = sweep.full("cuda"), comparison.full("cuda")
    assert all((plan.trials, plan.epochs) == (5, 2) and len(plan.strengths) == 54 for plan in strengths.plans)
    assert len(sweep.runs(strengths)) == 4 * 54 * 5
    assert (schedules.architectures, schedules.trials, schedules.epochs) == (("resnet34",), 5, 10)
    for recipe in (*(plan.recipe for plan in strengths.plans), schedules.recipe):
        assert recipe == Recipe(device="cuda")
        assert skip_runs.reductions("resnet34", recipe) == []


# --- static against scheduled


def test_difference_beyond_the_noise_is_called_so():
    """Equal differences of -0.1 are; one trial, or differences of both signs, never are."""
    found = evaluate.compare([0.7, 0.8, 0.9], [0.8, 0.9, 1.0])
    assert found["beyond_noise"]
    assert found["difference"]["mean"] == pytest.approx(-0.1)
    assert found["p_below_exact"] == 1 / 8
    single = evaluate.compare([0.7], [0.8])
    assert (single["beyond_noise"], single["p_below"], single["p_below_exact"]) == (False, None, None)
    mixed = evaluate.compare([0.7, 0.95, 0.7], [0.8, 0.85, 0.75])
    assert not mixed["beyond_noise"]
    assert 0.1 < mixed["p_below"] < 0.9


def test_student_p_of_a_paired_difference():
    """Differences (-1, -3) have the statistic -2: one-sided p = 1/2 - atan(2) / pi with one degree of freedom."""
    found = evaluate.compare([0.0, 0.0], [1.0, 3.0])
    assert found["p_below"] == pytest.approx(0.5 - np.arctan(2) / np.pi)


def test_comparison_uses_the_trials_that_both_have(tmp_path):
    """A study that was stopped compares the trials that are done, and says how many networks are missing."""
    config = comparison.quick("cpu")
    for run in comparison.runs(config)[:7]:  # the first trial, and two settings of the second
        accuracies = [{"t": run.strengths[-1], "accuracy": 0.5, "validation_accuracy": 0.5}] * config.epochs
        write_json(skip_runs._path(run, tmp_path), {"history": accuracies})
    found = evaluate.summarise(config, tmp_path)
    compared = found["architectures"]["cnn3"]["against_static"]
    assert {setting: row["test"]["difference"]["n"] for setting, row in compared.items()} == {
        "from 0.9": 2,
        "from 0.5, as printed": 1,
        "from 0.5, corrected": 1,
        comparison.CONTROL: 1,
    }
    assert "3 of the 10 networks of this profile" in found["not_run"]


def test_epochs_of_networks_under_way_count(tmp_path):
    """A trial that was stopped is shown as far as it got, and compared at the last epoch that both have."""
    config = dataclasses.replace(comparison.quick("cpu"), trials=1)
    for run, n, accuracy in zip(comparison.runs(config), (10, 4), (0.5, 0.75), strict=False):
        entry = {"t": run.strengths[-1], "accuracy": 0.25, "validation_accuracy": accuracy}
        history = [{"epoch": epoch, **entry} for epoch in range(1, n + 1)]
        path = skip_runs._path(run, tmp_path)
        if n == config.epochs:
            write_json(path, {"history": history})
        else:
            write_logs(path.with_suffix(""), {}, history)
    found = evaluate.summarise(config, tmp_path)
    own = found["architectures"]["cnn3"]
    assert {setting: len(row["epochs"]) for setting, row in own["settings"].items()} == {
        comparison.STATIC: 10,
        "from 0.9": 4,
    }
    compared = own["against_static"]["from 0.9"]
    assert compared["epoch"] == 4
    assert compared["test"]["differences"] == [0.25]
    assert "the last epochs of 1 networks, which have 4" in found["not_run"]
    assert "3 of the 5 networks of this profile" in found["not_run"]


def test_a_part_of_the_strengths_can_be_asked_for():
    """Architectures, strengths and trials restrict any profile, and what is missing of the full one is said."""
    options = parser(sweep_command.STUDY).parse_args(
        ["--architectures", "resnet34", "--strengths", "0", "0.5", "--trials", "1"]
    )
    config = sweep.configure(options)
    assert [(run.architecture, run.strengths, run.recipe) for run in sweep.runs(config)] == [
        ("resnet34", (0.0,), Recipe()),
        ("resnet34", (0.5,), Recipe()),
    ]
    assert [plan.trials for plan in sweep.configure(parser(sweep_command.STUDY).parse_args([])).plans] == [5] * 4


def test_reduced_results_have_names_of_their_own(tmp_path):
    """Neither profile writes over what the other found."""
    name = "static_vs_scheduled"
    study = dataclasses.replace(
        comparison_command.STUDY, run=lambda *_: {}, summary=lambda *_: "", draw=None, packages=()
    )
    for profile in ([], ["--reduced"]):
        main(study, [*profile, "--out", str(tmp_path)])
    assert {path.name for path in tmp_path.glob("results/*.json")} == {f"{name}.json", f"{name}_reduced.json"}


# --- what removal saves


@pytest.fixture
def small_resnet():
    return lambda skips: resnet18(skips, width=2)


def test_forms_are_two_functions(images, small_resnet):
    """Plain, carried and plain folded are one function; weighted of strength 0 and removed another, bit for bit."""
    found = forms(small_resnet, images, seed=0)
    assert set(found) == {"plain", "weighted", "removed", "carried", "plain, folded", "removed, folded"}
    assert largest_difference(found["weighted"], found["removed"], images) == 0
    assert largest_difference(found["weighted"], found["removed, folded"], images) < 1e-3
    assert largest_difference(found["plain"], found["carried"], images) < 1e-4
    assert largest_difference(found["plain"], found["plain, folded"], images) < 1e-4
    assert largest_difference(found["plain"], found["removed"], images) > 0.01
    assert not any(isinstance(module, WeightedSkip) for module in found["removed"].modules())


def test_forms_without_batch_norm_are_four(images):
    """There is nothing to fold in the shallow CNN."""
    found = forms(lambda skips: skip_cnn(6, skips, channels=2), images, seed=0)
    assert set(found) == {"plain", "weighted", "removed", "carried"}


def test_folding_leaves_the_network_as_it_was(images, small_resnet):
    """No batch norm is left in the copy, all are in the original, and both are the same function."""
    model = forms(small_resnet, images, seed=1)["plain"]
    copy = folded(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copy.modules())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == 20
    assert largest_difference(model, copy, images) < 1e-4


def test_peak_counts_what_is_alive_at_once():
    """Two ReLU one after the other hold one value and the next, 2 n floats; a third adds nothing; the input is free."""
    images = torch.zeros(1, 1000)
    assert peak_bytes(nn.Sequential(nn.ReLU()), images) == 4000
    assert peak_bytes(nn.Sequential(nn.ReLU(), nn.ReLU()), images) == 8000
    assert peak_bytes(nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU()), images) == 8000


def test_values_are_held_until_their_last_use():
    """A skip over two ReLU holds its source beside both, 3 n floats with the inputs counted; without it 2 n."""
    images = torch.zeros(1, 1000)
    main = nn.Sequential(nn.ReLU(), nn.ReLU())
    plain, removed = torch.fx.symbolic_trace(PlainSkip(main)), torch.fx.symbolic_trace(main)
    assert values_bytes(plain, images, with_inputs=True) == 12_000
    assert values_bytes(removed, images, with_inputs=True) == 8000
    assert values_bytes(plain, images) == 8000


def test_times_are_of_every_model_in_every_round(images):
    """Each model has one positive time per round, by the clock and by the processor."""
    models = {"one": nn.Flatten(), "other": nn.ReLU()}
    found = time_side_by_side(models, [images, images], rounds=3, seed=0)
    assert set(found) == set(models)
    for record in found.values():
        assert {clock: len(values) for clock, values in record.items()} == {"clock": 3, "processor": 3}
        assert min(record["clock"]) > 0


def test_ratio_is_taken_inside_a_round():
    """A slow round slows both: ratios stay 1/2 though the times differ by far; with 9 rounds there is an interval."""
    slow = [1.0, 100.0, 1.0, 7.0, 2.0, 3.0, 50.0, 9.0, 4.0]
    found = ratios({"plain": {"clock": slow}, "removed": {"clock": [value / 2 for value in slow]}}, "plain")
    assert found["removed"]["clock"] == {"microseconds": 2.0, "ratio": 0.5, "low": 0.5, "high": 0.5}


def test_what_does_not_compile_is_refused_by_name(images, monkeypatch):
    """Without a compiler the study goes on: the form is named with the reason, the others are compiled."""

    def compile_some(model):
        def refuse(_):
            raise RuntimeError("no compiler is there")

        return refuse if isinstance(model, nn.ReLU) else model

    monkeypatch.setattr(torch, "compile", compile_some)
    models, record = compiled({"one": nn.Flatten(), "other": nn.ReLU()}, images)
    assert list(models) == ["one"]
    assert record["one"]["seconds"] >= 0
    assert record["other"] == {"refused": "RuntimeError: no compiler is there"}


# --- quick profiles


@pytest.mark.parametrize("name", [sweep.NAME, comparison.NAME])
def test_quick_profile_of_training(name, quick, again):
    """The quick profile trains and says what was not run; --summarise then gives the same."""
    found = quick(name)
    assert "profile: quick" in found.text
    assert "of 60,000 training images" in found.text
    assert found.record["config"]["profile"] == "quick"
    assert found.record["not_run"]
    assert again(name, found.out, "--summarise")["architectures"] == found.record["architectures"]


def test_quick_profile_of_removal(quick):
    """The quick profile measures every form, beside the published ratios, and says that it compiled nothing."""
    record = quick("skip_removal_speed").record
    networks = record["devices"]["cpu"]
    assert set(networks) == {"resnet34", "cnn6"}
    for found in networks.values():
        rows = found["modes"]["eager"]
        assert set(rows) == set(found["forms"]) == set(found["programs"])
        assert rows["plain"]["times"]["clock"]["ratio"] == 1
        assert all(row["peak_bytes"] > 0 and row["times"]["processor"]["ratio"] > 0 for row in rows.values())
        assert all(form["difference"] < 1e-3 for form in found["forms"].values())
        assert found["programs"]["removed"]["operations"] < found["programs"]["plain"]["operations"]
        assert found["programs"]["removed"]["values_ratio"] <= 1
    # The second convolution of a block writes beside its input alone, or beside what the skip carries too.
    assert networks["resnet34"]["programs"]["removed"]["blocks_values_ratio"] == pytest.approx(2 / 3)
    assert networks["cnn6"]["programs"]["removed"]["values_ratio"] < 0.5
    assert record["published"]["resnet34"]["ratio"] == pytest.approx(1 - 0.22, abs=0.005)
    assert record["published"]["cnn6"]["ratio"] == pytest.approx(1 - 0.46, abs=0.006)
    assert "torch.compile" in record["not_run"]
    assert "not run: torch.compile" in quick("skip_removal_speed").text
