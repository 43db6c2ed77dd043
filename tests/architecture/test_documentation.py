"""What the documentation shows works when it is pasted."""

import json
import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import tropnet as tn
from tropnet.cli import command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(command.commands)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Work in a directory that holds what the examples name."""
    for suffix in ("npz", "vnnlib"):
        shutil.copy(ROOT / "tropnet/example" / f"phi_1.{suffix}", tmp_path)
    (tmp_path / "points.csv").write_text("0.5,-2\n3,4\n")
    monkeypatch.chdir(tmp_path)


def run(line):
    """Run a shell line `tropnet ...` and return its output."""
    program, *arguments = shlex.split(line)
    assert program == "tropnet"
    # Enumerating all of the shipped network for every example would only repeat the same work.
    if arguments[0] in ("count", "regions"):
        arguments += ["--max-regions", "3", "--quiet"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def examples_of(name):
    text = command.commands[name].help if name else command.help
    return [line.strip() for line in text.splitlines() if line.strip().startswith("tropnet ")]


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(
    "name",
    ["README.md", "docs/mathematics/certificates.md", "docs/files.md", "docs/long_runs.md", "docs/properties.md"],
)
def test_python_of_pages_runs(name):
    """The Python blocks of the README, and of other pages that have some, run, each by itself."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), {})  # noqa: S102 (the pages are ours)


@pytest.mark.usefixtures("workplace")
def test_readme_console_lines_run():
    """The README's console lines run."""
    lines = re.findall(r"^\$ (tropnet .*)$", README, flags=re.MULTILINE)
    assert {line.split()[1] for line in lines} == set(COMMANDS)
    for line in lines:
        run(line)
    assert len(tn.Regions.from_parquet("regions.parquet")) == 3


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_has_pasteable_examples(name):
    """Every command's help holds at least two examples, and they run; those with --json print JSON."""
    examples = examples_of(name)
    assert len(examples) >= 2
    for line in examples:
        output = run(line)
        if "--json" in line:
            json.loads(output)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name):
    """Every option of every command says what it does."""
    options = [p for p in command.commands[name].params if isinstance(p, click.Option)]
    assert all(option.help for option in options)


def test_two_commands_are_marked():
    """The README marks the two commands that continuous integration runs."""
    for name in ("install and run", "tests"):
        assert re.search(rf"<!-- command: {name} -->\n```sh\n.+\n```", README)
        assert f"command: {name}'" in (ROOT / ".ci/run").read_text()


def test_the_folder_section_is_true():
    """Each room stands in the README's table, and each path and table of names that the section gives exists."""
    section = README.split("## The folder")[1].split("\n## ")[0]
    rooms = {f"{path.name}/" if path.is_dir() else path.name for path in (ROOT / "tropnet").iterdir()}
    table = set(re.findall(r"`([a-z_]+(?:/|\.py))`", section.split("To add")[0]))
    assert table - {"tropnet/", "engines/"} == rooms - {"__pycache__/", "__init__.py", "__main__.py", "py.typed"}
    for line in section.split("To add")[1].split(";"):
        paths = [ROOT / path for path in re.findall(r"`((?:tropnet|tests|analysis|results)/[a-z_/.]*)`", line)]
        assert all(path.exists() for path in paths), paths
        for name in re.findall(r"`(_?[A-Z]+)`", line):
            files = [file for path in paths for file in ([path] if path.is_file() else path.glob("*.py"))]
            assert any(re.search(rf"^{name}\b", file.read_text(), flags=re.MULTILINE) for file in files), name
