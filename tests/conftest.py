"""Hypothesis profiles, one cache of compiled kernels for each process of pytest-xdist, and no hole that nobody notices.

A session fails if a test was skipped for a reason that is not expected, or if a full run collected no test from some
test file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Why a test may be skipped: what it needs is on a machine or not, and pip cannot install it.
EXPECTED_SKIPS = {"no browser: chromium, chromium-browser, google-chrome or chrome must be on the PATH"}

_COMMON = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=20, **_COMMON)
settings.register_profile("long", max_examples=2_000, **_COMMON)
settings.load_profile(os.environ.get("TROPNET_HYPOTHESIS_PROFILE", "quick"))

# What a command writes does not depend on what was compiled before.
os.environ.setdefault("TROPNET_QUIET", "1")
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # numba's files are not safe from two processes that write them at once. Numba and torch are not imported yet.
    caches = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parents[1] / ".numba_cache"
    os.environ["NUMBA_CACHE_DIR"] = str(Path(caches) / worker)
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _same_weights():
    """Let modules draw the same weights in every run, and whichever tests run before."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Fail the session if anything was skipped, but for what is expected: a skipped test is an unnoticed hole."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    reasons = {str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped}
    if reasons - EXPECTED_SKIPS and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_finish(session):
    """Look for silent files in a run of one process; those of pytest-xdist do not know what the run was asked for."""
    if session.items:
        _fail_if_a_file_is_silent(session.config, (item.path for item in session.items))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids):
    """Look for silent files in what a process of pytest-xdist collected: all of them collect the same."""
    _fail_if_a_file_is_silent(node.config, (node.config.rootpath / name.partition("::")[0] for name in ids))


def _fail_if_a_file_is_silent(config: pytest.Config, collected: Iterable[Path]) -> None:
    """Fail a full run in which some test file gave no test: a runner that stops collecting must not go unnoticed."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.option.keyword or config.option.markexpr:
        return
    silent = sorted(map(str, {*(config.rootpath / "tests").rglob("test_*.py")} - {*collected}))
    if silent:
        raise pytest.UsageError(f"no test was collected from {', '.join(silent)}")
