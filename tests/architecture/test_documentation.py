"""What the documentation shows works when it is pasted."""

import json
import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import tropnet as tn
from tropnet.cli import command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(command.commands)
PAGES = sorted(
    str(page.relative_to(ROOT))
    for folder, pattern in ((".", "*.md"), ("docs", "**/*.md"), ("results", "*.md"), ("examples", "**/*.md"))
    for page in (ROOT / folder).glob(pattern)
    if "_build" not in page.parts
)


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


def console_lines(name):
    return [line for block in code(name, "console") for line in re.findall(r"^\$ (tropnet .*)$", block, re.MULTILINE)]


def examples_of(name):
    text = command.commands[name].help if name else command.help
    return [line.strip() for line in text.splitlines() if line.strip().startswith("tropnet ")]


def code(name, language):
    """Return the blocks of a language on a page, but for those under a comment that says why they cannot run."""
    blocks = re.findall(rf"([^\n]*)\n+```{language}\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
    return [block for before, block in blocks if not before.startswith("<!-- not run:")]


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("name", [name for name in PAGES if code(name, "python")])
def test_python_of_pages_runs(name):
    """The Python blocks of each page run, each by itself; cells are executed when the site is built."""
    for block in code(name, "python"):
        exec(compile(block, name, "exec"), {})  # noqa: S102 (the pages are ours)


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize("name", [name for name in PAGES if code(name, "console")])
def test_console_lines_run(name):
    """The lines `$ tropnet ...` of each page run, one after the other."""
    for line in console_lines(name):
        run(line)


def test_each_command_is_shown():
    """The page of the command line shows every command."""
    assert {line.split()[1] for line in console_lines("docs/guide/command_line.md")} == set(COMMANDS)


def test_code_fits_the_page():
    """No line of Python on a page of the site is longer than the page shows."""
    for name in PAGES:
        if name.startswith("docs/"):
            blocks = code(name, "python") + code(name, r"\{code-cell\} python3")
            assert max((len(line) for block in blocks for line in block.splitlines()), default=0) <= 88, name


def test_links_between_files_lead_somewhere():
    """Each link of a page to a file of this repository leads to one."""
    for name in PAGES:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / name).read_text(), flags=re.DOTALL)
        included = re.search(r"\{include\}", (ROOT / name).read_text())
        for target in [] if included else re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if not re.match(r"[a-z]+:", target):
                assert ((ROOT / name).parent / target).exists(), f"{name} links to {target}"


def test_every_public_name_is_in_the_reference():
    """The reference lists every name that users call, those of extras and of public rooms too, and nothing twice."""
    listed = []
    for page in (ROOT / "docs/api").glob("*.rst"):
        room = "tropnet"
        for kind, name in re.findall(r"^\.\. (currentmodule|data|auto\w+):: ([\w.]+)$", page.read_text(), re.MULTILINE):
            if kind == "currentmodule":
                room = name
            elif kind != "automodule":
                listed.append(f"{room}.{name}")
    public = {f"tropnet.{name}" for name in {*tn.__all__, *tn._EXTRAS} - {"homotopy"}}
    rooms = ("enumeration", "feasibility", "homotopy", "operators", "prediction", "properties", "regions", "tropical")
    for room in rooms:
        own = set(import_module(f"tropnet.{room}").__all__) - {*tn.__all__, *tn._EXTRAS}
        public |= {f"tropnet.{room}.{name}" for name in own}
    assert sorted(listed) == sorted(public)


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


def test_what_is_said_of_the_rooms_is_true():
    """Each room stands in the table of rooms, and each path and table of names of `docs/house/adding.md` exists."""
    rooms = {f"{path.name}/" if path.is_dir() else path.name for path in (ROOT / "tropnet").iterdir()}
    section = (ROOT / "docs/house/index.md").read_text().split("## Rooms")[1].split("Beside the library")[0]
    table = set(re.findall(r"`([a-z_]+(?:/|\.py))`", section))
    assert table - {"tropnet/", "engines/"} == rooms - {"__pycache__/", "__init__.py", "__main__.py", "py.typed"}
    for section in (ROOT / "docs/house/adding.md").read_text().split("\n## "):
        paths = [ROOT / path for path in re.findall(r"`((?:tropnet|tests|analysis|results)/[A-Za-z_/.]*)`", section)]
        assert all(path.exists() for path in paths), paths
        for name in re.findall(r"`(_?[A-Z]+)`", section):
            files = [file for path in paths for file in ([path] if path.is_file() else path.glob("*.py"))]
            assert any(re.search(rf"^{name}\b", file.read_text(), flags=re.MULTILINE) for file in files), name
