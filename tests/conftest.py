"""Hypothesis profiles, and no unexpected skips."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=60, **_COMMON)
settings.register_profile("long", max_examples=2_000, **_COMMON)
settings.load_profile(os.environ.get("TROPNET_HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def _same_weights():
    """Let modules draw the same weights in every run, and whichever tests run before."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Fail the session if anything was skipped: a skipped test is an unnoticed hole."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_finish(session):
    """Fail a full run in which some test file gave no test: a runner that stops collecting must not go unnoticed."""
    config = session.config
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.option.keyword or config.option.markexpr:
        return
    files = set((config.rootpath / "tests").rglob("test_*.py"))
    silent = sorted(str(path) for path in files - {item.path for item in session.items})
    if silent:
        raise pytest.UsageError(f"no test was collected from {', '.join(silent)}")
