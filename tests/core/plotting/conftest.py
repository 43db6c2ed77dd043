"""What tests of pages share."""

import pytest

from tests.browser import Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Return a browser for all tests of a module."""
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()
