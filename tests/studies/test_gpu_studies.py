"""What is run on a GPU, rehearsed on the CPU: parts in their order and time, a run that goes on, results of both."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.gpu_studies import __main__ as command
from analysis.gpu_studies import machine, merge, precision, run
from analysis.gpu_studies.parts import MINUTES, PARTS, Part, arguments
from analysis.shared import results, skip_runs
from analysis.shared.blocks import block_key
from analysis.shared.main import Job, main, parser
from analysis.shared.skip_runs import Recipe, Run
from analysis.skip_strength_sweep import config as sweep
from tests.studies.commands import committed, committed_results, study
from tropnet.errors import FileFormatError, NonFiniteError

TRAINING = Part("training", "static_vs_scheduled", 6, workers=True, mixed_precision=True, summarised=True)
TIMES = Part("times", "skip_removal_speed", 6)


@pytest.fixture
def plan(tmp_path):
    return run.Plan(tmp_path / "out", tmp_path / "work", device="cpu", workers=2, quick=True)


def stub(statuses, seen):
    """Return a `Call` that notes what it is asked for, and writes the record of a network that is done."""

    def call(given, seconds, _):
        seen.append((given[1].removeprefix("analysis."), "--summarise" in given, seconds, list(given)))
        done = Path(given[given.index("--out") + 1]) / "results" / ".cache" / "static_vs_scheduled" / "run.json"
        done.parent.mkdir(parents=True, exist_ok=True)
        done.write_text("{}")
        return 0 if "--summarise" in given else next(statuses)

    return call


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_commands_are_the_papers_profiles(part):
    """Each is one that its study has, on the GPU, with all images and in the papers' size."""
    if part.module == "gpu_studies.precision":
        assert precision.configure("cuda", quick=False).plan.recipe == Recipe(device="cuda")
        return
    given = arguments(part, out="work", device="cuda", workers=3, mixed_precision=None, quick=False)
    config = study(part.module).configure(parser(study(part.module)).parse_args(given))
    text = json.dumps(results.provenance(config, "")["config"])
    assert '"cuda"' in text
    assert not any(small in text for small in ('"n_train": 1', '"n_train": 2', '"n_train": 3', '"reduced"', '"quick"'))


def test_rehearsal(plan, folder, monkeypatch):
    """Precision is compared on networks of Fig. 2, the others are trained, two at a time, and what is done is kept."""

    def call(given, *_):
        name = given[1].removeprefix("analysis.")
        if name == "gpu_studies.precision":
            precision.main(given[2:])
        else:
            main(study(name), given[2:])
        return 0

    monkeypatch.setenv("TROPNET_DATA", str(folder))
    # Threads, since generated images are known to this process only.
    monkeypatch.setattr(skip_runs, "_pool", ThreadPoolExecutor)
    before = committed()
    parts = [part for part in PARTS if part.workers and part.module != "static_vs_scheduled"]
    state = run.run(plan, call, parts)
    assert committed() == before
    assert {part["status"] for part in state["parts"].values()} == {"done"}
    found = json.loads((plan.out / "results" / "skip_strength_sweep.json").read_text())
    assert [len(network["rows"]) for network in found["architectures"].values()] == [2, 2, 2, 2]
    compared = json.loads((plan.out / "results" / "mixed_precision.json").read_text())
    assert len(compared["differences"]) == 2
    assert state["mixed_precision"] == ("bfloat16" if compared["use"] else None)
    # Two pairs, and eight networks of Fig. 2, one of which is one of them.
    assert len(list(plan.out.glob("finished/skip_strength_sweep/*.json"))) == 11


def test_most_telling_parts_come_first_and_none_takes_the_time_of_the_next(plan):
    """One that is out of time reports, the next begins; then what is left goes to those that are not done."""
    assert [part.module for part in PARTS[:4]] == [
        "linear_collapse",
        "skip_removal_speed",
        "gpu_studies.precision",
        "static_vs_scheduled",
    ]
    assert sum(part.minutes for part in PARTS) == MINUTES
    seen = []
    state = run.run(plan, stub(iter([None, 0, 0]), seen), (TRAINING, TIMES))
    assert [(name, reports) for name, reports, *_ in seen] == [
        ("static_vs_scheduled", False),
        ("static_vs_scheduled", True),
        ("skip_removal_speed", False),
        ("static_vs_scheduled", False),
    ]
    assert seen[0][2] + run._REPORT == seen[2][2] == 360 < seen[3][2] + run._REPORT < 720
    assert {part["status"] for part in state["parts"].values()} == {"done"}


def test_run_goes_on_where_it_was(plan):
    """What is done is not run again, what failed is; elsewhere the networks that are done are there again."""
    seen = []
    run.run(plan, stub(iter([0, 1]), seen), (TRAINING, TIMES))
    shutil.rmtree(plan.work)
    state = run.run(plan, stub(iter([0]), seen), (TRAINING, TIMES))
    assert [name for name, *_ in seen] == ["static_vs_scheduled", "skip_removal_speed", "skip_removal_speed"]
    assert state["parts"]["times"]["status"] == "done"
    assert (plan.work / "results" / ".cache" / "static_vs_scheduled" / "run.json").exists()


def write_result(folder, record, name="static_vs_scheduled"):
    path = folder / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


def test_what_another_machine_has_found_stays_where_this_one_gets_less_far(plan):
    """It has the networks that are done, but not the checkpoints: its report of a part that is stopped holds less."""

    def call(found):
        def called(given, *_):
            write_result(Path(given[given.index("--out") + 1]), found)

        return called

    kept = plan.out / "results" / "static_vs_scheduled.json"
    for found, expected in (([1, 2], [1, 2]), ([3], [1, 2]), ([3, 4], [3, 4]), ([5, 6, 7], [5, 6, 7])):
        run.run(plan, call({"epochs": found}), (TRAINING,))
        assert json.loads(kept.read_text()) == {"epochs": expected}
        shutil.rmtree(plan.work)


@pytest.mark.parametrize("which", ["out", "work"])
def test_folders_of_something_else_are_refused(plan, which):
    """Results of a CPU, another size, GPU or PyTorch: nothing is written, and the option to mend it is named."""
    folder = getattr(plan, which)
    path = folder / "index.md"
    folder.mkdir()
    path.write_text("words")
    with pytest.raises(
        SystemExit, match=f"it holds index.md and no gpu_studies.json. Name another folder by --{which}"
    ):
        run.run(plan, stub(iter([]), []), (TIMES,))
    assert [place.name for place in plan.out.parent.iterdir()] == [folder.name]
    shutil.rmtree(folder)
    run.run(plan, stub(iter([0]), []), (TIMES,))
    state = json.loads((folder / run.STATE).read_text())
    for change in ({"gpu": "Another"}, {"config": {}}, {"versions": {"torch": "1.0"}}):
        (folder / run.STATE).write_text(json.dumps(state | change))
        with pytest.raises(SystemExit, match=rf"its (GPU|size and device|PyTorch) is .* by --{which}"):
            run.run(plan, stub(iter([]), []), (TIMES,))
    wrong = json.dumps(state | {"parts": {"times": {"status": "done", "module": "x", "seconds": "a"}}})
    for text in ("", "[]", '{"config": 1}', "\udcff", wrong):
        (folder / run.STATE).write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(FileFormatError, match="must be the state of a run"):
            run.run(plan, stub(iter([]), []), (TIMES,))
    assert not path.exists()


def test_one_run_at_a_time_uses_a_folder_of_checkpoints(plan):
    """A part of a run that was killed may still be at work there."""
    for folder, option in ((plan.work, "--work"), (plan.out, "--out")):
        with run._locked(folder, option), pytest.raises(SystemExit, match=f"by one run at a time.*folder by {option}"):
            run.run(plan, stub(iter([]), []), (TIMES,))
    child = ["-S", "-c", "import time; print('there', flush=True); time.sleep(60)"]
    with run._locked(plan.work, "--work"):
        process = subprocess.Popen([sys.executable, *child], stdout=subprocess.PIPE, close_fds=False)
        process.stdout.readline()
    try:
        with pytest.raises(SystemExit, match="must be used by one run at a time"), run._locked(plan.work, "--work"):
            pass
    finally:
        process.kill()
        process.communicate()
    with run._locked(plan.work, "--work"):
        pass


def test_full_disk_of_results_stops_nothing(plan, monkeypatch, capsys):
    """The next parts run, and what cannot be copied is in the folder of checkpoints."""

    def full(*_):
        raise OSError(28, "No space left on device")

    seen = []
    with monkeypatch.context() as patched:
        patched.setattr(run, "copy", full)
        state = run.run(plan, stub(iter([0, 0]), seen), (TRAINING, TIMES))
    assert {path.name for path in plan.out.rglob("*") if path.is_file()} == {"lock", run.STATE}
    assert [part["status"] for part in state["parts"].values()] == ["done", "done"]
    assert f"No space left on device. It is kept in {plan.work}" in capsys.readouterr().out


def test_damaged_records_of_networks_are_left_out(plan, capsys):
    """An interrupted copy of the folder costs the network, and nothing else; the copy of a whole one replaces it."""
    run.run(plan, stub(iter([0, 0]), []), (TRAINING, TIMES))
    path = plan.out / "finished" / "static_vs_scheduled" / "run.json"
    shutil.rmtree(plan.work)
    path.write_text("")
    (plan.out / run.STATE).write_text((plan.out / run.STATE).read_text().replace('"done"', '"stopped"'))
    run.run(plan, stub(iter([0, 0]), []), (TRAINING, TIMES))
    assert f"{path} is damaged" in capsys.readouterr().out
    assert path.read_text() == "{}"


def test_what_stops_the_command_stops_its_parts_but_nohup_is_nohup(monkeypatch, capsys):
    """A signal that was ignored stays so; the others end it, with a word on how it goes on."""
    found = {}
    monkeypatch.setattr(signal, "signal", found.__setitem__)
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN if number == signal.SIGHUP else None)
    command.stop_with_the_part_under_way()
    assert set(found) == {signal.SIGINT, signal.SIGTERM}
    with pytest.raises(SystemExit) as stopped:
        found[signal.SIGTERM](signal.SIGTERM, None)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert "goes on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--rehearse", "--minutes", "nan"], "--minutes must be a number from 0.5 on, got nan"),
        (["--rehearse", "--minutes", "-3"], "got -3"),
        (["--rehearse", "--minutes", "inf"], "got inf"),
        (["--rehearse", "--workers", "0"], "--workers must be 1 or more, got 0"),
        (["--merge", "folder", "--out", "other"], "takes no --out"),
        ([], "one of --out, --rehearse and --merge is required"),
    ],
)
def test_options_that_make_no_sense_are_refused(given, words, capsys):
    """In a line, before anything is done."""
    with pytest.raises(SystemExit):
        command.main(given)
    assert words in capsys.readouterr().err


def test_studies_run_from_a_checkout_that_is_not_installed(monkeypatch):
    """Blocks that are done have names there, too; no release of tropnet is asked for."""

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(results, "version", missing)
    assert len(block_key(missing, TIMES)) == 24


def test_strengths_are_taken_from_all_over_first():
    """A sweep that is stopped shows its shape: both ends, the middle, then between them; each once."""
    published = sweep.full("cuda").plans[0].strengths
    order = [run.strengths[0] for run in sweep.runs(sweep.full("cuda")) if run.architecture == "resnet34"]
    assert order[:2] == [published[0], published[-1]]
    assert len(order) == 5 * len(published)
    assert sorted(order[: len(published)]) == sorted(published)
    assert max(np.diff(sorted(order[:9]))) < 0.2


def test_precision_is_decided_once(plan):
    """When networks have been trained in one precision, the comparison has no more use and takes no time."""
    seen = []
    first = Part("precision", "gpu_studies.precision", 6, workers=True)
    run.run(plan, stub(iter([None, None, 0]), seen), (first, TRAINING))
    assert [name for name, *_ in seen] == ["gpu_studies.precision", *["static_vs_scheduled"] * 3]


def test_short_runs_keep_the_order(plan):
    """Where a part's share of the time is too short for it, it has what the shortest takes."""
    seen = []
    short = replace(plan, minutes=1.0)
    run.run(short, stub(iter([0, 0]), seen), (replace(TIMES, minutes=0.5), replace(TIMES, name="second", minutes=11)))
    assert seen[0][2] == 15 < seen[1][2] <= 55


def test_without_time_nothing_is_begun(plan, capsys):
    """A part that could only be stopped at once is not begun."""
    seen = []
    run.run(run.Plan(plan.out, plan.work, minutes=0.2, quick=True), stub(iter([]), seen), (TRAINING, TIMES))
    assert not seen
    assert "training: no time is left" in capsys.readouterr().out


def test_part_that_is_out_of_time_is_stopped_with_its_children(tmp_path, monkeypatch):
    """Nobody goes on using the GPU; the status of one that ends by itself is returned, its words are in the log."""
    name = "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"
    monkeypatch.setenv(name, "1")
    words = f"import os; print('words', os.environ.get({name!r})); raise SystemExit(3)"
    assert run.call_python(["-S", "-c", words], 30, tmp_path / "log") == 3
    assert (tmp_path / "log").read_text() == "words None\n"
    wait, pid = subprocess.Popen.wait, tmp_path / "pid"

    def wait_for_the_child(self, timeout=None):
        if timeout is None:
            return wait(self)
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.01)
        raise subprocess.TimeoutExpired("", timeout)

    child = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    with monkeypatch.context() as patched:
        patched.setattr(subprocess.Popen, "wait", wait_for_the_child)
        assert run.call_python(["-S", "-c", parent], 30, tmp_path / "log") is None
    status = Path(f"/proc/{pid.read_text()}/stat")
    for _ in range(1_000):
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.01)
    raise AssertionError("the child is still there")


def pair(first, second, seconds):
    return tuple(
        {"history": [{"validation_accuracy": value, "seconds": time}]}
        for value, time in zip((first, second), seconds, strict=True)
    )


def test_mixed_precision_is_used_where_it_is_shown_to_change_nothing():
    """It must be faster, and the interval of the paired difference narrow and around 0; else float32 stays."""
    same = [pair(0.970, 0.971, (10, 6)), pair(0.972, 0.971, (10, 6)), pair(0.975, 0.976, (10, 6))]
    found = precision.compare(same)
    assert (found["use"], found["share_of_time"], len(found["differences"])) == (True, 0.6, 3)
    slow = [pair(0.970, 0.971, (10, 10)), pair(0.972, 0.971, (10, 10)), pair(0.975, 0.976, (10, 10))]
    assert "1.00 of the time" in precision.compare(slow)["why"]
    worse = [pair(0.970, 0.96, (10, 6)), pair(0.972, 0.961, (10, 6)), pair(0.975, 0.965, (10, 6))]
    assert "differ" in precision.compare(worse)["why"]
    wide = [pair(0.970, 0.90, (10, 6)), pair(0.90, 0.971, (10, 6)), pair(0.975, 0.976, (10, 6))]
    assert "no better than" in precision.compare(wide)["why"]


def test_precision_is_part_of_a_run(tmp_path):
    """Runs in float32 are kept where they were before there was a choice; mixed ones elsewhere, named as such."""
    single, mixed = Recipe(), Recipe(mixed_precision="bfloat16")
    names = {skip_runs._path(Run("cnn3", recipe, (0.5,), 2, 0), tmp_path).name for recipe in (single, mixed)}
    assert len(names) == 2
    assert "cnn3-3cc0ff5371e2d1986b5b.json" in names
    assert skip_runs.reductions("cnn3", mixed) == ["mixed precision (bfloat16)"]


def test_one_run_that_fails_stops_no_other(tmp_path, monkeypatch):
    """Side by side the others are trained to the end, then its error is raised."""
    done = []

    def train(run, *_, **__):
        if run.trial == 0:
            raise NonFiniteError("the loss is NaN")
        done.append(run.trial)
        return {"history": [{"validation_accuracy": 0.5}]}

    monkeypatch.setattr(skip_runs, "_pool", ThreadPoolExecutor)
    monkeypatch.setattr(skip_runs, "_mnist", lambda *_: None)
    monkeypatch.setattr(skip_runs, "train", train)
    runs = [replace(Run("cnn3", Recipe(), (0.5,), 1, 0), trial=trial) for trial in range(4)]
    with pytest.raises(NonFiniteError, match="NaN"):
        skip_runs.train_all(runs, Job(tmp_path, workers=2))
    assert sorted(done) == [1, 2, 3]


# --- both hardwares


@pytest.fixture
def found_on_gpu(tmp_path):
    """Return a folder as a GPU would have written it: the results of the CPU, as if they were its own."""
    place = tmp_path / "gpu" / "results"
    place.mkdir(parents=True)
    record = json.loads((results.RESULTS / "linear_collapse.json").read_text())
    record |= {"gpu": "A GPU", "command": "python -m analysis.linear_collapse --device cuda"}
    (place / "linear_collapse.json").write_text(json.dumps(record))
    return place.parent


def test_results_of_both_stand_side_by_side(found_on_gpu, tmp_path):
    """The CPU's files stay byte for byte; the table has the lines of both, by hardware; a second merge adds nothing."""
    home = tmp_path / "home"
    (home / "results").mkdir(parents=True)
    for name in merge.STUDIES:
        for path in committed_results(name):
            shutil.copy(path, home / "results")
    before = {path.name: path.read_bytes() for path in (home / "results").iterdir()}
    written = merge.merge(found_on_gpu, home)
    assert all(path.stat().st_size for path in written)
    assert [path.name for path in home.glob("paper_figures/gpu/*")] == ["linear_collapse.png"]
    table = (home / "results" / "gpu_studies.md").read_text()
    line = "perceptron | 10 epochs, eval 0.9082 |"
    assert table.count(line) == 2
    assert f"| A GPU | {line}" in table
    assert "| CPU (x86_64, 2 cores, Linux) | cpu, resnet34, eager, removed | " in table
    assert merge.merge(found_on_gpu, home) == written
    assert (home / "results" / "gpu_studies.md").read_text() == table
    assert {path.name: path.read_bytes() for path in (home / "results").glob("*.json")} == before


def test_merge_takes_what_holds_more(found_on_gpu, tmp_path, capsys):
    """A later folder that got less far leaves an earlier one's result; a damaged file is named, and nothing written."""
    home = tmp_path / "home"
    merge.merge(found_on_gpu, home)
    path = found_on_gpu / "results" / "linear_collapse.json"
    own = home / "results" / "gpu" / "linear_collapse.json"
    record, before = json.loads(path.read_text()), own.read_bytes()
    path.write_text(json.dumps(record | {"networks": {}, "affine_limit": record["affine_limit"]}))
    assert merge.merge(found_on_gpu, home) == [home / "results" / "gpu_studies.md"]
    assert own.read_bytes() == before
    assert f"{own} stays, which holds more" in capsys.readouterr().out
    for text in ("", "[]", "{}", '{"gpu": "A GPU", "command": "x --device cuda"}'):
        path.write_text(text)
        with pytest.raises(FileFormatError, match="must be a result"):
            merge.merge(found_on_gpu, tmp_path / "elsewhere")
    path.unlink()
    write_result(found_on_gpu, {"gpu": "A GPU", "command": "x --device cuda"}, "mixed_precision")
    with pytest.raises(FileFormatError, match=r"mixed_precision.json must be a result"):
        merge.merge(found_on_gpu, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_comparison_of_precisions_is_shown(found_on_gpu, tmp_path):
    """Beside the studies, with the interval that decided."""
    same = precision.compare([pair(0.970, 0.971, (10, 6)), pair(0.972, 0.971, (10, 6)), pair(0.975, 0.976, (10, 6))])
    record = {"gpu": "A GPU", "command": "x --device cuda", "type": "bfloat16", **same}
    write_result(found_on_gpu, record, "mixed_precision")
    merge.merge(found_on_gpu, tmp_path / "home")
    text = (tmp_path / "home" / "results" / "gpu_studies.md").read_text()
    assert text.startswith("# GPU and CPU side by side")
    assert "| A GPU | accuracy in bfloat16 less that in float32 | +0.0003 [" in text
    assert "| A GPU | used | it takes 0.60 of the time and changes no accuracy |" in text


def test_merge_on_a_full_disk_leaves_what_was_there(found_on_gpu, tmp_path, monkeypatch):
    """An earlier result stays whole, and a damaged one is named before anything is written."""
    home = tmp_path / "home"
    merge.merge(found_on_gpu, home)
    own = home / "results" / "gpu" / "linear_collapse.json"
    before = own.read_bytes()
    path = found_on_gpu / "results" / "linear_collapse.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"more": [1, 2, 3]}))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(results, "write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            merge.merge(found_on_gpu, home)
    assert own.read_bytes() == before
    own.write_bytes(before[:1000])
    with pytest.raises(FileFormatError, match=r"gpu.linear_collapse.json must be JSON"):
        merge.merge(found_on_gpu, home)


@pytest.mark.parametrize("change", [{"quick": True}, {"gpu": None}, {"command": "python -m analysis.x --device cpu"}])
def test_rehearsals_are_not_taken_over(found_on_gpu, tmp_path, change):
    """Nor what no GPU has found; then nothing is written at all."""
    path = found_on_gpu / "results" / "linear_collapse.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(FileFormatError, match="must be a result of a full run on a GPU"):
        merge.merge(found_on_gpu, tmp_path / "home")
    assert not (tmp_path / "home").exists()
    with pytest.raises(FileNotFoundError, match="it holds none"):
        merge.merge(tmp_path, tmp_path / "home")


# --- the machine


def test_what_is_missing_is_installed_or_named(monkeypatch):
    """Here nothing is; where something is and pip cannot install it, the command ends with its name."""
    assert machine.missing_requirements() == []
    monkeypatch.setattr(machine, "missing_requirements", lambda: ["no-such-package-of-tropnet"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SystemExit, match="pip must install no-such-package-of-tropnet, but it failed: ERROR: C"):
        machine.prepare()


def test_without_a_gpu_the_rehearsal_is_named():
    """The command says so before it does anything."""
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match=r"A GPU that PyTorch can use must be there; there is none. --rehearse"):
            command.main(["--out", os.devnull])


def test_an_older_python_is_named(monkeypatch):
    """In a line, before a module that it lacks is imported."""
    monkeypatch.setattr(machine, "_PYTHON", (99, 1))
    with pytest.raises(SystemExit, match=r"Python 99.1 or newer must be used, this is 3"):
        machine.prepare()
