"""The page of conventions is complete."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_environment_variable_is_on_the_page():
    """`docs/conventions.md` names every environment variable that the library reads."""
    page = (ROOT / "docs/conventions.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "tropnet").rglob("*.py"))
    names = set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"', sources))
    assert "TROPNET_QUIET" in names
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
