"""What continuous integration promises: the oldest dependencies, and no test that is lost without a word."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.browser import NO_BROWSER

ROOT = Path(__file__).parents[2]
SETTINGS = """
[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = ["-ra", "--import-mode=importlib", "-p", "no:cacheprovider"]
"""
PASSES, SKIPS, EXPECTED, HOLDS_NONE = (
    "def test_b(): pass",
    "import pytest\ndef test_b(): pytest.skip('some reason')",
    f"import pytest\ndef test_b(): pytest.skip('{NO_BROWSER}')",
    "def other(): pass",
)


def test_the_oldest_versions_are_those_of_the_project():
    """The constraints name each dependency once, at the greatest of the lower bounds that pyproject.toml has for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest: dict[str, Version] = {}
    for line in sum(project["optional-dependencies"].values(), project["dependencies"]):
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            continue
        (bound,) = requirement.specifier
        assert bound.operator == ">=", f"{line} must have a lower bound, and no other"
        oldest[requirement.name] = max(Version(bound.version), oldest.get(requirement.name, Version("0")))
    lines = (ROOT / "tests/constraints-oldest.txt").read_text().splitlines()
    pinned = [line.split("==") for line in lines if not line.startswith("#")]
    assert [name for name, _ in pinned] == sorted(oldest)
    assert {name: Version(version) for name, version in pinned} == oldest


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one process", "two processes"])
@pytest.mark.parametrize(
    ("second", "code", "says"),
    [
        (PASSES, 0, "2 passed"),
        (SKIPS, 1, "1 skipped"),
        (EXPECTED, 0, NO_BROWSER),
        (HOLDS_NONE, 4, "no test was collected from"),
    ],
    ids=["all pass", "one is skipped", "one is skipped as expected", "a file is silent"],
)
def test_no_hole_goes_unnoticed(second, code, says, processes, tmp_path):
    """A test skipped without an expected reason, or a test file without tests, fails a run in one process or two."""
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tmp_path / "tests/test_a.py").write_text("def test_a(): pass")
    (tmp_path / "tests/test_b.py").write_text(second)
    command = [sys.executable, "-m", "pytest", *processes]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
