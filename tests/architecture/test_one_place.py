"""One idea, one spelling: what was once written in several files has a home, and stays there."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "tropnet"
HOMES = {
    "integers in lowest terms": (r"\bgcd\(", "exact/reduction.py"),
    "backends that always decide": (r"exact_pivots=sys\.maxsize", "feasibility/tolerances.py"),
    "pivots of an integer dictionary": (r"// self\.det\b", "exact/simplex.py"),
    "steps of an elimination without fractions": (r"// last\b", "exact/elimination.py"),
    "slopes that bits choose": (r"where\(\w+, \w*slopes\[:, 1\], \w*slopes\[:, 0\]\)", "network/recurrence.py"),
    "numbers that say how float64 rounds": (r"finfo\(np\.float64\)|float_info", "arrays/rounding.py"),
}
# What checks certificates shares nothing with what makes them, on purpose.
ON_ITS_OWN = {"proofs/rows.py"}


@pytest.mark.parametrize(("pattern", "home"), HOMES.values(), ids=HOMES)
def test_an_idea_has_one_home(pattern, home):
    """What its home spells, no other file does; networks in training, without exact arithmetic, are left out."""
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    found = {name for name, path in files.items() if re.search(pattern, path.read_text(encoding="utf-8"))}
    assert {name for name in found - ON_ITS_OWN if not name.startswith("homotopy/")} == {home}
