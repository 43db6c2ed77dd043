"""The one main of all studies: what quick runs may write, help texts, documented commands, figures drawn again."""

import dataclasses
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.shared import results
from analysis.shared.main import SUMMARISE, Study, main, parser
from tests.studies.commands import committed, committed_results, files_in, study

STUDIES = (
    "acas_xu",
    "caching_rates",
    "caching_umap",
    "few_nonlinearities",
    "linear_collapse",
    "out_of_distribution",
    "published_counts",
    "region_maps",
    "regions_while_training",
    "skip_removal_speed",
    "skip_strength_sweep",
    "skip_vs_regions",
    "stable_counts",
    "static_vs_scheduled",
    "vanishing_skips",
)
DRAWN = [name for name in STUDIES if study(name).draw]


@dataclasses.dataclass(frozen=True)
class Config:
    """Nothing to choose."""


STUB = Study(
    name="stub",
    about="Nothing.",
    quick="nothing",
    configure=lambda _: Config(),
    run=lambda *_: {"answer": 42},
    summary=lambda record: f"answer {record['answer']}",
)


def test_every_study_is_in_the_list():
    """A folder with a command is a study, and the tests below run over it, but for the one that runs studies."""
    home = Path(results.__file__).parents[1]
    assert {path.parent.name for path in home.glob("*/__main__.py")} == {*STUDIES, "gpu_studies"}
    assert {path.parent.name for path in home.glob("*/*.py")} == {*STUDIES, "gpu_studies", "shared"}
    assert all(study(name).name == name for name in STUDIES)


# --- what a quick run writes


@pytest.mark.parametrize("name", STUDIES)
def test_quick_run_leaves_committed_results_alone(name, quick):
    """By default it writes into a fresh folder that it names, results marked as quick and figures beside them."""
    found = quick(name)
    assert found.changed == set()
    assert found.text.startswith(f"Quick run: results and figures go to {found.out}\n")
    assert found.record["quick"] is True
    assert found.record["command"].startswith(f"python -m analysis.{name} --quick")
    written = [Path(line.strip()) for line in found.text.partition("\nwrote:\n")[2].splitlines()]
    assert found.out / "results" / f"{name}.json" in written
    assert all(path.is_relative_to(found.out) and 0 < path.stat().st_size < 1_000_000 for path in written)
    assert bool(list((found.out / "paper_figures").glob("*.png"))) == (name in DRAWN)


@pytest.mark.parametrize(
    "name", ["region_maps", "regions_while_training", "skip_vs_regions", "stable_counts", "vanishing_skips"]
)
def test_a_second_run_from_scratch_gives_the_same_numbers(name, quick, again, tmp_path):
    """Seeds determine all counts; studies that take times say so in tests of their own."""
    first, second = quick(name).record, again(name, tmp_path)
    assert second == {**first, "command": second["command"]}


def refused(name, capsys, *arguments):
    """Return the message with which a quick run is refused, before it runs anything."""

    def never(*_):
        raise AssertionError(f"{name} was run")

    before = committed()
    with pytest.raises(SystemExit, match="2"):
        main(dataclasses.replace(study(name), run=never), ["--quick", *map(str, arguments)])
    assert committed() == before
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", STUDIES)
def test_quick_run_refuses_the_place_of_full_results(name, tmp_path, capsys):
    """Neither the repository, nor a folder in its results, nor a copy of a full result is written over."""
    for out in (results.ROOT, results.ROOT / "tests" / "..", results.RESULTS, results.RESULTS / "deeper"):
        assert "must not write into" in refused(name, capsys, "--out", out)
    (tmp_path / "results").mkdir()
    copy = shutil.copy(committed_results(name)[0], tmp_path / "results" / f"{name}.json")
    assert f"must not write over {copy}, which no quick run wrote" in refused(name, capsys, "--out", tmp_path)


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("figures", [results.FIGURES, results.FIGURES / "deeper", results.RESULTS])
def test_quick_run_refuses_the_place_of_full_figures(name, figures, capsys):
    """Nor are committed figures, wherever the results go."""
    assert "must not write into" in refused(name, capsys, "--figures", figures)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff", b'{"quick": false}', b'{"quick": 1}', b'{"config": {"profile": "quick"}}']
)
@pytest.mark.parametrize("suffix", ["json", "md"])
def test_what_no_quick_run_wrote_is_not_written_over(content, suffix, tmp_path, capsys):
    """Only results that say that they are quick are; tables without results beside them are not."""
    path = tmp_path / "results" / f"stub.{suffix}"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(SystemExit, match="2"):
        main(STUB, ["--quick", "--out", str(tmp_path)])
    assert path.read_bytes() == content
    assert "which no quick run wrote" in " ".join(capsys.readouterr().err.split())


def test_report_on_less_does_not_write_over_more(tmp_path):
    """--summarise where the cache holds less than the results file, as in a fresh clone, leaves that alone."""
    found = iter(({"counts": [1, 2]}, {"counts": []}, {"counts": [1, 2, 3]}))
    reporting = dataclasses.replace(STUB, run=lambda *_: next(found), summary=str, arguments=SUMMARISE)
    path = tmp_path / "results" / "stub.json"
    main(reporting, ["--summarise", "--out", str(tmp_path)])
    before = path.read_bytes()
    with pytest.raises(SystemExit, match=r"stub.json holds more than what is done in .* Nothing was written; --out"):
        main(reporting, ["--summarise", "--out", str(tmp_path)])
    assert path.read_bytes() == before
    main(reporting, ["--summarise", "--out", str(tmp_path)])
    assert json.loads(path.read_text())["counts"] == [1, 2, 3]


def test_quick_run_goes_on_in_its_own_folder(tmp_path, monkeypatch, capsys):
    """A named folder with quick results, or the ignored cache of the repository, may be written to again and again."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    for out in (tmp_path / "elsewhere", tmp_path / "results" / ".cache" / "quick"):
        for _ in range(2):
            main(STUB, ["--quick", "--out", str(out)])
        assert json.loads((out / "results" / "stub.json").read_text())["quick"] is True
    assert "answer 42" in capsys.readouterr().out


def test_full_run_writes_into_the_repository(tmp_path, monkeypatch):
    """Without --quick and --out results go where they are under version control, without the mark, over quick ones."""
    monkeypatch.setattr(results, "ROOT", tmp_path)
    main(STUB, ["--quick", "--out", str(tmp_path)])
    main(STUB, [])
    record = json.loads((tmp_path / "results" / "stub.json").read_text())
    assert "quick" not in record
    assert (record["answer"], record["command"]) == (42, "python -m analysis.stub")


# --- help and commands


@pytest.mark.parametrize("name", STUDIES)
def test_help_is_readable(name, monkeypatch):
    """On a narrow terminal no line is too long and no paragraph runs on; every option has a text, and its default."""
    monkeypatch.setenv("COLUMNS", "80")
    found = parser(study(name))
    text = found.format_help()
    assert max(map(len, text.splitlines())) <= 80
    about = text.partition("\n\n")[2].partition("\n\noptions:")[0].split("\n\n")
    assert len(about) >= 3
    assert max(part.count("\n") for part in about) < 9
    assert f"    python -m analysis.{name} --quick" in text
    for action in found._actions:
        assert action.help
        if action.default not in (None, False, "==SUPPRESS=="):
            assert "(default: " in found.formatter_class("")._expand_help(action)


def numbers(value):
    """Return all numbers of a configuration."""
    if isinstance(value, dict | list):
        return {n for part in (value.values() if isinstance(value, dict) else value) for n in numbers(part)}
    return {value}


@pytest.mark.parametrize("name", STUDIES)
def test_help_promises_the_images_that_are_used(name, quick):
    """Every number of images in the help of --quick is one of the configuration that it runs."""
    promised = re.findall(r"([\d,]+)(?: training| test)?(?= images| and [\d,]+ test images)", study(name).quick)
    assert bool(promised) == ("images" in study(name).quick)
    assert {int(n.replace(",", "")) for n in promised} <= numbers(quick(name).record["config"])


def documented():
    """Return all commands of studies in the README, beside the results and in them."""
    texts = [(results.ROOT / "README.md").read_text(), *(path.read_text() for path in files_in(results.RESULTS))]
    found = (match for text in texts for match in re.findall(r"[`\"](python -m analysis\.[^`\"]*)[`\"]", text))
    return sorted(set(found))


@pytest.mark.parametrize("command", documented())
def test_documented_commands_are_understood(command):
    """Each names a study, with options that it has."""
    _, _, module, *arguments = shlex.split(command)
    parser(study(module.removeprefix("analysis."))).parse_args(arguments)


def test_command_runs_as_a_program():
    """`python -m analysis.<study>` is the command that the help names."""
    command = [sys.executable, "-m", "analysis.stable_counts", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=results.ROOT)
    assert result.stdout.startswith("usage: python -m analysis.stable_counts ")


# --- figures


@pytest.mark.parametrize("name", sorted(set(DRAWN) - {"caching_umap"}))
def test_figures_are_drawn_again_from_committed_results(name, tmp_path):
    """The results files, of the full size or a reduced one, are all that they need."""
    written = [
        figure for path in committed_results(name) for figure in results.write_figures(study(name).draw(path), tmp_path)
    ]
    shown = {path.name for path in results.FIGURES.glob("*.png")}
    assert {path.name for path in written} == {own for own in shown if own.startswith(name)}
    assert all(path.stat().st_size > 10_000 for path in written)


def test_figure_of_the_embedding_needs_its_points():
    """They are in the cache of a run, not in the results file, and their place is named."""
    with pytest.raises(FileNotFoundError, match=r"panels\.npz"):
        study("caching_umap").draw(results.RESULTS / "caching_umap.json")
