"""What is said about the package in one place is said in all."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECIPE = (ROOT / "conda/recipe.yaml").read_text()


def found(pattern, path):
    """Return what a pattern finds in a file, line by line."""
    return re.findall(pattern, (ROOT / path).read_text(), flags=re.MULTILINE)


def test_the_version_is_one():
    """Metadata, citation, conda recipe and the top of the changelog have one version."""
    assert found(r"^version: (.+)$", "CITATION.cff") == [PROJECT["version"]]
    assert found(r'^  version: "(.+)"$', "conda/recipe.yaml") == [PROJECT["version"]]
    assert found(r"^## (\S+) \(.+\)$", "CHANGELOG.md")[0] == PROJECT["version"]


def test_conda_has_the_same_dependencies():
    """The conda recipe asks for what the wheel asks for, and for the same oldest Python."""
    needs = RECIPE.split("  run:\n")[1].split("\ntests:")[0]
    python, *others = [line.strip().removeprefix("- ").replace(" ", "") for line in needs.splitlines() if line.strip()]
    assert others == PROJECT["dependencies"]
    assert python == "python>=${{python_min}}"
    assert [f">={oldest}" for oldest in found(r'^  - "(.+)"$', "conda/variants.yaml")] == [PROJECT["requires-python"]]


def test_the_versions_of_python_are_tested():
    """The classifiers name the versions of Python that continuous integration runs."""
    run = {
        version
        for line in found(r"python(?:-version)?: (.+)$", ".github/workflows/ci.yml")
        for version in re.findall(r'"([\d.]+)"', line)
    }
    named = {
        c.removeprefix("Programming Language :: Python :: ")
        for c in PROJECT["classifiers"]
        if re.search(r":: 3\.\d+$", c)
    }
    assert named == run


def test_every_extra_is_explained():
    """The page about installing has a row for each extra."""
    assert sorted(found(r"^\| `(\w+)` \|", "docs/install.md")) == sorted(PROJECT["optional-dependencies"])
